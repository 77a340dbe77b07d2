// A task from its start to its end, and a token that outlives everything.

#include "expect.h"

static void the_library_is_of_the_version_that_its_header_says(void) {
    EXPECT(hl_abi_version() == HL_ABI_VERSION);
    EXPECT(strchr(hl_version(), '.') != NULL);
    EXPECT(strcmp(hl_status_name(HL_OK), "ok") == 0);
    EXPECT(strcmp(hl_status_name(HL_BUFFER_TOO_SMALL), "buffer-too-small") == 0);
    EXPECT(strcmp(hl_status_name(-1), "unknown-status") == 0);
    EXPECT(strcmp(hl_status_name(999999), "unknown-status") == 0);
}

static void a_task_that_is_left_alone_ends_by_itself(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("harvest"), HL_TEXT("heal"), &task));
    EXPECT(hl_task_id(task) > 0);
    EXPECT(!hl_task_is_cancelled(task));
    OK(hl_task_check(task));
    OK(hl_task_progress(task));
    OK(hl_task_sleep_ms(task, 1));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    bool by_itself = false;
    OK(hl_task_finish(task, &by_itself));
    EXPECT(by_itself);
    EXPECT(hl_token_is_finished(token) && !hl_token_is_cancelled(token));
    OK(hl_token_wait_finished(token, 0));
    char cause[10];
    OK(hl_token_cause_json(token, cause, sizeof cause, NULL));
    EXPECT(strcmp(cause, "null") == 0);
    hl_outcome outcome = HL_OUTCOME_KILLED;
    OK(hl_token_wait_outcome(token, 0, &outcome));
    EXPECT(outcome == HL_OUTCOME_NONE);
    bool cancelled = true;
    OK(hl_token_cancel(token, HL_TEXT("too late"), &cancelled));
    EXPECT(!cancelled);
    hl_token_free(token);
}

static void a_cancelled_task_is_told_why_and_seen_to_stop(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("harvest"), HL_TEXT("heal"), &task));
    const hl_token *token = NULL;
    OK(hl_supervisor_token(supervisor, hl_task_id(task), &token));
    EXPECT(hl_token_id(token) == hl_task_id(task));
    hl_outcome outcome = HL_OUTCOME_KILLED;
    REFUSED(hl_token_wait_outcome(token, 1, &outcome), HL_TIMED_OUT, "\"harvest\"");
    EXPECT(outcome == HL_OUTCOME_KILLED);
    REFUSED(hl_token_wait_finished(token, 1), HL_TIMED_OUT, "\"harvest\"");
    OK(hl_supervisor_stop(supervisor, hl_task_id(task), HL_TEXT("the user left")));
    EXPECT(hl_task_is_cancelled(task));
    REFUSED(hl_task_check(task), HL_CANCELLED, "the user left");
    REFUSED(hl_task_progress(task), HL_CANCELLED, "harvest");
    REFUSED(hl_task_sleep_ms(task, HL_FOREVER), HL_CANCELLED, "harvest");
    REFUSED(hl_token_check(token), HL_CANCELLED, "harvest");
    REFUSED(hl_token_progress(token), HL_CANCELLED, "harvest");
    REFUSED(hl_token_sleep_ms(token, HL_FOREVER), HL_CANCELLED, "harvest");
    bool by_itself = true;
    OK(hl_task_finish(task, &by_itself));
    EXPECT(!by_itself);
    OK(hl_token_wait_outcome(token, 10000, &outcome));
    EXPECT(outcome == HL_OUTCOME_STOPPED && hl_token_outcome(token) == HL_OUTCOME_STOPPED);
    char cause[100];
    OK(hl_token_cause(token, cause, sizeof cause, NULL));
    EXPECT(strstr(cause, "the user left") != NULL);
    OK(hl_token_cause_json(token, cause, sizeof cause, NULL));
    EXPECT(strcmp(cause, "{\"asked\":\"the user left\"}") == 0);
    hl_token_free(token);
}

static void max_duration_cancels_a_task_that_sleeps(hl_supervisor *supervisor) {
    profile(supervisor, "short", "{\"extends\": \"heal\", \"max_duration\": 0.03, \"grace\": 5}");
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("slow"), HL_TEXT("short"), &task));
    REFUSED(hl_task_sleep_ms(task, 20000), HL_CANCELLED, "max_duration");
    hl_task_free(task);
}

static void a_running_task_takes_another_profile(hl_supervisor *supervisor) {
    profile(supervisor, "soon", "{\"extends\": \"heal\", \"max_duration\": 0.01, \"grace\": 5}");
    profile(supervisor, "large", "{\"task\": {\"max_memory_mib\": 64}}");
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("changing"), HL_TEXT("dance"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_replace_profile(token, HL_TEXT("travel")));
    REFUSED(hl_token_replace_profile(token, HL_TEXT("trafel")), HL_UNKNOWN_PROFILE, "travel");
    REFUSED(hl_token_replace_profile(token, HL_TEXT("large")), HL_LIMIT_REFUSED, "task.max_memory_mib");
    REFUSED(hl_token_replace_profile(NULL, HL_TEXT("heal")), HL_INVALID_ARGUMENT, "token is NULL");
    OK(hl_task_check(task));
    OK(hl_token_replace_profile(token, HL_TEXT("soon")));
    REFUSED(hl_task_sleep_ms(task, 20000), HL_CANCELLED, "max_duration");
    REFUSED(hl_token_replace_profile(token, HL_TEXT("heal")), HL_UNKNOWN_TASK, "was cancelled");
    hl_token_free(token);
    hl_task_free(task);
}

static void all_tasks_are_stopped_at_once(hl_supervisor *supervisor) {
    hl_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        OK(hl_task_start(supervisor, HL_TEXT("one of three"), HL_TEXT("heal"), &tasks[i]));
    }
    size_t cancelled = 0;
    OK(hl_supervisor_stop_all(supervisor, HL_TEXT("closing time"), &cancelled));
    EXPECT(cancelled == 3);
    for (int i = 0; i < 3; i++) {
        EXPECT(hl_task_is_cancelled(tasks[i]));
        hl_task_free(tasks[i]);
    }
}

static void a_token_outlives_its_task_and_its_supervisor(void) {
    hl_supervisor *supervisor = started();
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("short-lived"), HL_TEXT("dance"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    hl_task_free(task);
    ended(supervisor);
    const hl_token *again = hl_token_clone(token);
    hl_token_free(token);
    char name[20];
    size_t needed = 0;
    OK(hl_token_name(again, name, sizeof name, &needed));
    EXPECT(strcmp(name, "short-lived") == 0 && needed == sizeof "short-lived");
    EXPECT(hl_token_is_finished(again));
    OK(hl_token_check(again));
    hl_token_free(again);
}

static void a_task_may_end_after_its_supervisor(void) {
    hl_supervisor *supervisor = started();
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("last"), HL_TEXT("dance"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    hl_supervisor_free(supervisor);
    REFUSED(hl_task_sleep_ms(task, 20000), HL_CANCELLED, "shut down");
    hl_task_free(task);
    hl_outcome outcome = HL_OUTCOME_NONE;
    OK(hl_token_wait_outcome(token, 20000, &outcome));
    EXPECT(outcome == HL_OUTCOME_STOPPED);
    hl_token_free(token);
    alone();
}

static void nothing_starts_after_a_shutdown(void) {
    hl_supervisor *supervisor = NULL;
    OK(hl_supervisor_new(NULL, &supervisor));
    size_t left = 7;
    OK(hl_supervisor_shutdown(supervisor, HL_FOREVER, &left));
    EXPECT(left == 0);
    hl_task *task = NULL;
    REFUSED(hl_task_start(supervisor, HL_TEXT("late"), HL_TEXT("heal"), &task), HL_SHUT_DOWN, "shut down");
    EXPECT(task == NULL);
    hl_supervisor_free(supervisor);
}

int main(void) {
    the_library_is_of_the_version_that_its_header_says();
    hl_supervisor *supervisor = started();
    a_task_that_is_left_alone_ends_by_itself(supervisor);
    a_cancelled_task_is_told_why_and_seen_to_stop(supervisor);
    max_duration_cancels_a_task_that_sleeps(supervisor);
    a_running_task_takes_another_profile(supervisor);
    all_tasks_are_stopped_at_once(supervisor);
    ended(supervisor);
    a_token_outlives_its_task_and_its_supervisor();
    nothing_starts_after_a_shutdown();
    a_task_may_end_after_its_supervisor();
    return 0;
}
