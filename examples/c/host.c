// A host that runs one macro of its own and one command, and stops both.
//
//     cc host.c $(pkg-config --cflags --libs haltline) && ./a.out

#include <haltline.h>
#include <stdio.h>

static int failed(const char *what) {
    char why[512] = "";
    hl_last_error(why, sizeof why, NULL);
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static void release_keys(hl_outcome outcome, void *user_data) {
    (void)user_data;
    printf("the macro was cancelled (%s); its keys are released\n",
           outcome == HL_OUTCOME_STOPPED ? "it stopped" : "it did not stop");
}

int main(void) {
    hl_supervisor *supervisor = NULL;
    if (hl_supervisor_new(NULL, &supervisor) != HL_OK) {
        return failed("supervisor");
    }

    // A profile of our own: no macro may run longer than a fifth of a second.
    const hl_profile *profile = NULL;
    if (hl_profile_parse(supervisor, HL_TEXT("brief"), HL_TEXT("{\"extends\": \"attack\", \"max_duration\": 0.2}"),
                         &profile) != HL_OK ||
        hl_supervisor_insert_profile(supervisor, profile, NULL) != HL_OK) {
        return failed("profile");
    }
    hl_profile_free(profile);

    // A macro on this thread: it looks at its task, and leaves when it is told to.
    hl_task *task = NULL;
    if (hl_task_start(supervisor, HL_TEXT("harvest"), HL_TEXT("brief"), &task) != HL_OK) {
        return failed("task");
    }
    hl_task_on_cancel(task, release_keys, NULL, NULL);
    unsigned long rounds = 0;
    while (!hl_task_is_cancelled(task)) {
        rounds++;
    }
    if (hl_task_check(task) == HL_CANCELLED) {
        failed("the macro left its loop");
    }
    hl_task_free(task);

    // A command with all its processes: it is stopped when its time is up, and verified to be gone.
    hl_command *command = NULL;
    hl_process *process = NULL;
    hl_exit end = {.struct_size = sizeof end};
    if (hl_command_new(supervisor, HL_TEXT("sleep"), &command) != HL_OK ||
        hl_command_arg(command, HL_TEXT("60")) != HL_OK ||
        hl_command_spawn(command, HL_TEXT("brief"), &process) != HL_OK ||
        hl_process_wait(process, HL_FOREVER, &end) != HL_OK) {
        return failed("command");
    }
    printf("sleep 60 was ended by signal %d\n", (int)end.signal);
    hl_process_free(process);
    hl_command_free(command);

    // Verify that everything stopped, and tell what happened.
    if (hl_supervisor_shutdown(supervisor, 10000, NULL) != HL_OK) {
        return failed("shutdown");
    }
    char report[4096];
    if (hl_supervisor_report_text(supervisor, report, sizeof report, NULL) != HL_OK) {
        return failed("report");
    }
    fputs(report, stdout);
    hl_supervisor_free(supervisor);
    return rounds == 0;
}
