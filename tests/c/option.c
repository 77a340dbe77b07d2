// What each option of a supervisor changes.

#include "expect.h"
#include <sys/stat.h>
#include <unistd.h>

static char text[1 << 20];

static bool told(const char *words) {
    return holds(text, words);
}

static hl_supervisor *with(hl_supervisor_options options) {
    hl_supervisor *supervisor = NULL;
    options.struct_size = sizeof options;
    OK(hl_supervisor_new(&options, &supervisor));
    return supervisor;
}

static void write_profile(const char *folder, const char *name, const char *json) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL && fputs(json, file) >= 0 && fclose(file) == 0);
}

static void remove_profile(const char *folder, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    EXPECT(unlink(path) == 0);
}

static void a_folder_of_profiles_is_read_and_read_again(void) {
    char folder[] = "/tmp/haltline-c-XXXXXX";
    EXPECT(mkdtemp(folder) != NULL);
    write_profile(folder, "mine", "{\"max_duration\": 7}");
    write_profile(folder, "deep", "{\"extends\": \"mine\"}");
    write_profile(folder, "old", "{\"max_duration\": 8}");
    hl_supervisor *supervisor = with((hl_supervisor_options){
        .profile_folder = folder, .profile_folder_len = strlen(folder), .sample_interval_ms = 600000});
    const hl_profile *mine = NULL;
    OK(hl_supervisor_profile(supervisor, HL_TEXT("deep"), &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"7s\""));
    hl_profile_free(mine);
    const char *nothing = "{\"added\":[],\"changed\":[],\"removed\":[]}";
    OK(hl_supervisor_profile_changes_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, nothing) == 0);
    write_profile(folder, "mine", "{\"max_duration\": 9}");
    write_profile(folder, "new", "{}");
    remove_profile(folder, "old");
    OK(hl_supervisor_reload_profiles(supervisor));
    const char *changes = "{\"added\":[\"new\"],\"changed\":[\"deep\",\"mine\"],\"removed\":[\"old\"]}";
    size_t needed = 0;
    REFUSED(hl_supervisor_profile_changes_json(supervisor, text, 5, &needed), HL_BUFFER_TOO_SMALL, "5 bytes");
    EXPECT(needed == strlen(changes) + 1);
    // Nothing is lost by too small a buffer, and nothing by a reload that fails.
    write_profile(folder, "mine", "{\"max_durration\": 1}");
    REFUSED(hl_supervisor_reload_profiles(supervisor), HL_INVALID_PROFILE, "max_duration");
    OK(hl_supervisor_profile_changes_json(supervisor, text, needed, NULL));
    EXPECT(strcmp(text, changes) == 0);
    OK(hl_supervisor_profile(supervisor, HL_TEXT("deep"), &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"9s\""));
    hl_profile_free(mine);
    write_profile(folder, "mine", "{\"max_duration\": 9}");
    OK(hl_supervisor_reload_profiles(supervisor));
    OK(hl_supervisor_profile_changes_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, nothing) == 0);
    REFUSED(hl_supervisor_profile(supervisor, HL_TEXT("old"), &mine), HL_UNKNOWN_PROFILE, "old");
    remove_profile(folder, "mine");
    remove_profile(folder, "deep");
    remove_profile(folder, "new");
    EXPECT(rmdir(folder) == 0);
    ended(supervisor);
}

static void samples_are_as_far_apart_as_was_asked(void) {
    hl_supervisor *supervisor = with((hl_supervisor_options){.sample_interval_ms = 37});
    hl_monitor *monitor = NULL;
    OK(hl_supervisor_monitor(supervisor, &monitor));
    EXPECT(hl_monitor_interval_ms(monitor) == 37);
    hl_monitor_free(monitor);
    ended(supervisor);
}

static void who_only_observes_cancels_nobody(void) {
    hl_supervisor *supervisor = with((hl_supervisor_options){.observe_only = 1});
    profile(supervisor, "short", "{\"max_duration\": 0.01}");
    hl_subscription *events = NULL;
    OK(hl_subscription_new(supervisor, HL_TEXT("task.breach"), 0, HL_POLICY_DROP_OLDEST, &events));
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("slow"), HL_TEXT("short"), &task));
    OK(hl_subscription_next_json(events, 20000, text, sizeof text, NULL));
    EXPECT(told("\"limit\":\"max_duration\"") && told("\"reason\":\"observing\""));
    EXPECT(!hl_task_is_cancelled(task));
    OK(hl_supervisor_status_json(supervisor, text, sizeof text, NULL));
    EXPECT(told("\"observing\":true") && told("\"recorded\":1"));
    hl_task_free(task);
    hl_subscription_free(events);
    ended(supervisor);
}

static void unmoved(void *user_data) {
    (void)user_data;
}

static bool said_to_be_forced(void *user_data) {
    (void)user_data;
    return true;
}

static bool never_gone(void *user_data) {
    (void)user_data;
    return false;
}

static void forced_work_is_looked_for_as_long_as_was_asked(void) {
    hl_supervisor *supervisor = with((hl_supervisor_options){.verify_ms = 1});
    hl_stopper stopper = {
        .struct_size = sizeof stopper, .request = unmoved, .force = said_to_be_forced, .is_gone = never_gone};
    hl_task *task = NULL;
    OK(hl_task_start_with(supervisor, HL_TEXT("stuck"), HL_TEXT("heal"), &stopper, NULL, NULL, &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_kill(token, HL_TEXT("enough"), NULL));
    // By default this takes five seconds.
    hl_outcome outcome = HL_OUTCOME_NONE;
    OK(hl_token_wait_outcome(token, 4000, &outcome));
    EXPECT(outcome == HL_OUTCOME_STILL_RUNNING);
    hl_token_free(token);
    // The host's own word that it is gone after all.
    OK(hl_task_finish(task, NULL));
    ended(supervisor);
}

static double seconds(void) {
    struct timespec now;
    EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// A monitor that this thread has take its samples. It knows what the machine uses, of which a task has its share.
static hl_monitor *own_monitor(void) {
    hl_monitor *monitor = NULL;
    OK(hl_monitor_new(NULL, &monitor));
    OK(hl_monitor_stop(monitor));
    hl_summary used = {.struct_size = sizeof used};
    struct timespec moment = {.tv_nsec = 10000000};
    for (int i = 0; i < 2000 && used.count == 0; i++) {
        nanosleep(&moment, NULL);
        OK(hl_monitor_sample_now(monitor));
        OK(hl_monitor_summary(monitor, HL_TEXT("cpu_percent"), 60000, &used));
    }
    EXPECT(used.count > 0);
    return monitor;
}

// A task on this thread, under a limit on the latency.
static hl_task *raid(hl_supervisor *supervisor) {
    profile(supervisor, "raid", "{\"host\": {\"max_latency_ms\": 100}, \"sustain\": 0, \"grace\": 1000}");
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("raid"), HL_TEXT("raid"), &task));
    return task;
}

// Computes for so long that the kernel's clock, of a hundredth, knows who did, and is in breach of that limit.
static void compute(hl_monitor *monitor) {
    volatile unsigned long rounds = 0;
    for (double begun = seconds(); seconds() < begun + 0.05;) {
        rounds = rounds + 1;
    }
    OK(hl_monitor_latency_ms(monitor, 500));
    OK(hl_monitor_sample_now(monitor));
}

// Computes until the task is cancelled for it, or for long enough to say that it is not.
static void until_cancelled(hl_monitor *monitor, hl_task *task) {
    for (double begun = seconds(); !hl_task_is_cancelled(task) && seconds() < begun + 60;) {
        compute(monitor);
    }
    REFUSED(hl_task_check(task), HL_CANCELLED, "host.max_latency_ms");
}

static void the_machine_settles_for_as_long_as_was_asked(void) {
    hl_monitor *monitor = own_monitor();
    // The task is to be blamed however busy the machine is with other things.
    hl_supervisor *supervisor =
        with((hl_supervisor_options){.monitor = monitor, .min_share = 1e-6, .settle_ms = 3000});
    hl_task *task = raid(supervisor);
    until_cancelled(monitor, task);
    double before = seconds();
    hl_task_free(task);
    task = raid(supervisor);
    until_cancelled(monitor, task);
    // By default it is after two.
    EXPECT(seconds() >= before + 3);
    hl_task_free(task);
    hl_monitor_free(monitor);
    ended(supervisor);
}

static void no_more_are_cancelled_in_a_minute_than_was_asked(void) {
    hl_monitor *monitor = own_monitor();
    hl_supervisor *supervisor = with((hl_supervisor_options){
        .monitor = monitor, .min_share = 1e-6, .settle_ms = 1, .max_cancellations_per_minute = 1});
    hl_task *task = raid(supervisor);
    until_cancelled(monitor, task);
    hl_task_free(task);
    task = raid(supervisor);
    bool capped = false;
    for (double begun = seconds(); !capped && !hl_task_is_cancelled(task) && seconds() < begun + 60;) {
        compute(monitor);
        OK(hl_supervisor_incidents_json(supervisor, 1, text, sizeof text, NULL));
        capped = strstr(text, "\"reason\":\"capped\"") != NULL;
    }
    EXPECT(capped && !hl_task_is_cancelled(task));
    EXPECT(told("nobody was cancelled: the cap on cancellations per minute was reached"));
    hl_task_free(task);
    hl_monitor_free(monitor);
    ended(supervisor);
}

int main(void) {
    a_folder_of_profiles_is_read_and_read_again();
    samples_are_as_far_apart_as_was_asked();
    who_only_observes_cancels_nobody();
    forced_work_is_looked_for_as_long_as_was_asked();
    the_machine_settles_for_as_long_as_was_asked();
    no_more_are_cancelled_in_a_minute_than_was_asked();
    return 0;
}
