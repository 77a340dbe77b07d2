// What is refused, with which status, and what the sentence names.

#include "expect.h"

static void null_is_refused_by_the_name_of_its_parameter(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    hl_process *process = NULL;
    hl_command *command = NULL;
    REFUSED(hl_supervisor_new(NULL, NULL), HL_INVALID_ARGUMENT, "out is NULL");
    REFUSED(hl_task_start(NULL, HL_TEXT("t"), HL_TEXT("heal"), &task), HL_INVALID_ARGUMENT, "supervisor is NULL");
    REFUSED(hl_task_start(supervisor, NULL, 0, HL_TEXT("heal"), &task), HL_INVALID_ARGUMENT, "name is NULL");
    REFUSED(hl_task_start(supervisor, HL_TEXT("t"), NULL, 4, &task), HL_INVALID_ARGUMENT, "profile is NULL");
    REFUSED(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("heal"), NULL), HL_INVALID_ARGUMENT, "out is NULL");
    REFUSED(hl_task_check(NULL), HL_INVALID_ARGUMENT, "task is NULL");
    REFUSED(hl_token_check(NULL), HL_INVALID_ARGUMENT, "token is NULL");
    REFUSED(hl_token_name(NULL, NULL, 0, NULL), HL_INVALID_ARGUMENT, "token is NULL");
    REFUSED(hl_supervisor_status_json(supervisor, NULL, 9, NULL), HL_INVALID_ARGUMENT, "buf is NULL");
    REFUSED(hl_command_arg(NULL, HL_TEXT("x")), HL_INVALID_ARGUMENT, "command is NULL");
    REFUSED(hl_process_wait(NULL, 0, NULL), HL_INVALID_ARGUMENT, "process is NULL");
    REFUSED(hl_subscription_next_json(NULL, 0, NULL, 0, NULL), HL_INVALID_ARGUMENT, "subscription is NULL");
    REFUSED(hl_session_id(NULL, NULL, 0, NULL), HL_INVALID_ARGUMENT, "session is NULL");
    REFUSED(hl_profile_json(NULL, NULL, 0, NULL), HL_INVALID_ARGUMENT, "profile is NULL");
    REFUSED(hl_supervisor_profile_changes_json(NULL, NULL, 0, NULL), HL_INVALID_ARGUMENT, "supervisor is NULL");
    hl_monitor *monitor = NULL;
    REFUSED(hl_supervisor_monitor(NULL, &monitor), HL_INVALID_ARGUMENT, "supervisor is NULL");
    EXPECT(monitor == NULL);
    REFUSED(hl_command_new(supervisor, NULL, 0, &command), HL_INVALID_ARGUMENT, "program is NULL");
    REFUSED(hl_command_spawn(NULL, HL_TEXT("heal"), &process), HL_INVALID_ARGUMENT, "command is NULL");
    EXPECT(task == NULL && process == NULL && command == NULL);
    // Without a task, work should not go on.
    EXPECT(hl_task_is_cancelled(NULL) && hl_token_is_cancelled(NULL) && hl_token_is_finished(NULL));
    EXPECT(hl_task_id(NULL) == 0 && hl_token_id(NULL) == 0 && hl_process_pid(NULL) == 0);
    EXPECT(hl_process_guardian_pid(NULL) == 0 && hl_subscription_lost(NULL) == 0 && hl_subscription_waiting(NULL) == 0);
    EXPECT(hl_token_outcome(NULL) == HL_OUTCOME_NONE && hl_token_clone(NULL) == NULL);
    OK(hl_task_finish(NULL, NULL));
}

static void to_free_null_is_fine(void) {
    hl_supervisor_free(NULL);
    hl_task_free(NULL);
    hl_token_free(NULL);
    hl_command_free(NULL);
    hl_process_free(NULL);
    hl_profile_free(NULL);
    hl_session_free(NULL);
    hl_subscription_free(NULL);
}

static void bad_text_is_refused_at_its_byte(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    REFUSED(hl_task_start(supervisor, HL_TEXT("ab\xff"), HL_TEXT("heal"), &task), HL_INVALID_ARGUMENT, "byte 2");
    REFUSED(hl_task_start(supervisor, HL_TEXT("\xe2\x82"), HL_TEXT("heal"), &task), HL_INVALID_ARGUMENT, "byte 0");
    REFUSED(hl_task_start(supervisor, "t", SIZE_MAX, HL_TEXT("heal"), &task), HL_INVALID_ARGUMENT, "length");
    hl_command *command = NULL;
    OK(hl_command_new(supervisor, HL_TEXT("true"), &command));
    REFUSED(hl_command_arg(command, HL_TEXT("a\0b")), HL_INVALID_ARGUMENT, "byte 1");
    OK(hl_command_arg(command, HL_TEXT("not UTF-8: \xff")));
    hl_command_free(command);
    EXPECT(task == NULL);
}

static void unknown_names_are_answered_with_the_nearest(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    REFUSED(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("atack"), &task), HL_UNKNOWN_PROFILE, "attack");
    REFUSED(hl_supervisor_stop(supervisor, 123456, HL_TEXT("why")), HL_UNKNOWN_TASK, "123456");
    const hl_token *token = NULL;
    REFUSED(hl_supervisor_token(supervisor, 123456, &token), HL_UNKNOWN_TASK, "123456");
    const hl_profile *profile = NULL;
    REFUSED(hl_supervisor_profile(supervisor, HL_TEXT("nope"), &profile), HL_UNKNOWN_PROFILE, "nope");
    EXPECT(task == NULL && token == NULL && profile == NULL);
}

static void bad_profiles_are_refused_by_key_and_value(void) {
    const hl_profile *made = NULL;
    REFUSED(hl_profile_parse(NULL, HL_TEXT("p"), HL_TEXT("{\"max_durration\": 5}"), &made), HL_INVALID_PROFILE,
            "max_duration");
    REFUSED(hl_profile_parse(NULL, HL_TEXT("p"), HL_TEXT("{\"host\": {\"max_cpu_percent\": -3}}"), &made),
            HL_INVALID_PROFILE, "max_cpu_percent");
    REFUSED(hl_profile_parse(NULL, HL_TEXT("p"), HL_TEXT("{"), &made), HL_INVALID_PROFILE, "p");
    EXPECT(made == NULL);
}

static void a_limit_that_cannot_be_enforced_is_refused(hl_supervisor *supervisor) {
    profile(supervisor, "small", "{\"extends\": \"heal\", \"task\": {\"max_memory_mib\": 64}}");
    hl_task *task = NULL;
    REFUSED(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("small"), &task), HL_LIMIT_REFUSED,
            "task.max_memory_mib");
    EXPECT(task == NULL);
}

static void a_small_buffer_gets_nothing_and_says_what_is_needed(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("12345"), HL_TEXT("heal"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    char buf[6] = "------";
    size_t needed = 0;
    buf[5] = '-';
    REFUSED(hl_token_name(token, buf, 5, &needed), HL_BUFFER_TOO_SMALL, "5 bytes and 6 are needed");
    EXPECT(needed == 6 && buf[0] == '-' && buf[4] == '-');
    REFUSED(hl_token_name(token, NULL, 0, &needed), HL_BUFFER_TOO_SMALL, "6");
    OK(hl_token_name(token, buf, 6, NULL));
    EXPECT(strcmp(buf, "12345") == 0);
    // Looking at the error with too small a buffer leaves it as it was.
    REFUSED(hl_task_check(NULL), HL_INVALID_ARGUMENT, "task is NULL");
    EXPECT(hl_last_error(buf, 3, &needed) == HL_BUFFER_TOO_SMALL && needed == sizeof "task is NULL");
    REFUSED(HL_INVALID_ARGUMENT, HL_INVALID_ARGUMENT, "task is NULL");
    hl_token_free(token);
    hl_task_free(task);
}

static void options_of_another_version_are_understood_or_refused(void) {
    hl_supervisor *supervisor = NULL;
    hl_supervisor_options options = {0};
    REFUSED(hl_supervisor_new(&options, &supervisor), HL_INVALID_ARGUMENT, "struct_size is 0");
    // An older program knows fewer fields.
    options.struct_size = offsetof(hl_supervisor_options, min_share);
    options.min_share = -1;
    OK(hl_supervisor_new(&options, &supervisor));
    ended(supervisor);
    // A newer one knows more, and may leave them at zero.
    struct {
        hl_supervisor_options known;
        uint64_t unknown;
    } newer = {.known = {.struct_size = sizeof newer}, .unknown = 0};
    OK(hl_supervisor_new(&newer.known, &supervisor));
    ended(supervisor);
    newer.unknown = 1;
    supervisor = NULL;
    REFUSED(hl_supervisor_new(&newer.known, &supervisor), HL_INVALID_ARGUMENT, "this version knows");
    options.struct_size = sizeof options;
    REFUSED(hl_supervisor_new(&options, &supervisor), HL_INVALID_ARGUMENT, "-1");
    options = (hl_supervisor_options){.struct_size = sizeof options,
                                      .profile_folder = "/nowhere/at/all",
                                      .profile_folder_len = strlen("/nowhere/at/all")};
    REFUSED(hl_supervisor_new(&options, &supervisor), HL_IO, "/nowhere/at/all");
    EXPECT(supervisor == NULL);
}

static void a_malformed_pattern_is_refused(hl_supervisor *supervisor) {
    hl_subscription *events = NULL;
    REFUSED(hl_subscription_new(supervisor, HL_TEXT("task..x"), 0, 0, &events), HL_INVALID_ARGUMENT, "task..x");
    EXPECT(events == NULL);
}

int main(void) {
    hl_supervisor *supervisor = started();
    char nothing[1];
    EXPECT(hl_last_error(nothing, 1, NULL) == HL_OK && nothing[0] == '\0');
    null_is_refused_by_the_name_of_its_parameter(supervisor);
    to_free_null_is_fine();
    bad_text_is_refused_at_its_byte(supervisor);
    unknown_names_are_answered_with_the_nearest(supervisor);
    bad_profiles_are_refused_by_key_and_value();
    a_limit_that_cannot_be_enforced_is_refused(supervisor);
    a_small_buffer_gets_nothing_and_says_what_is_needed(supervisor);
    a_malformed_pattern_is_refused(supervisor);
    ended(supervisor);
    options_of_another_version_are_understood_or_refused();
    return 0;
}
