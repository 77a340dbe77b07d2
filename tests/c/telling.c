// What a supervisor tells: events, tasks, incidents, sessions, reports, profiles.

#include "expect.h"
#include <time.h>
#include <unistd.h>

static char text[1 << 20];

static bool told(const char *words) {
    return holds(text, words);
}

static void a_task_is_listed_while_it_runs(hl_supervisor *supervisor) {
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("\"quoted\" \xc3\xbc"), HL_TEXT("heal"), &task));
    OK(hl_supervisor_active_json(supervisor, text, sizeof text, NULL));
    EXPECT(told("\"name\":\"\\\"quoted\\\" \xc3\xbc\"") && told("\"executor\":\"cooperative\""));
    hl_task_free(task);
    OK(hl_supervisor_active_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, "[]") == 0);
}

static void a_cancellation_is_told_everywhere(hl_supervisor *supervisor, const char *file) {
    hl_subscription *events = NULL;
    OK(hl_subscription_new(supervisor, HL_TEXT("task.cancelled"), 0, HL_POLICY_DROP_OLDEST, &events));
    REFUSED(hl_subscription_next_json(events, 1, text, sizeof text, NULL), HL_TIMED_OUT, "1 ms");
    hl_session *session = NULL;
    OK(hl_session_new(supervisor, HL_TEXT("evening"), &session));
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("victim"), HL_TEXT("heal"), &task));
    OK(hl_supervisor_stop(supervisor, hl_task_id(task), HL_TEXT("to see it told")));
    hl_task_free(task);
    size_t needed = 0;
    REFUSED(hl_subscription_next_json(events, 20000, text, 3, &needed), HL_BUFFER_TOO_SMALL, "3 bytes");
    EXPECT(needed > 100);
    // Nothing is lost by too small a buffer.
    OK(hl_subscription_next_json(events, 0, text, needed, NULL));
    EXPECT(strlen(text) + 1 == needed);
    EXPECT(told("\"type\":\"task.cancelled\"") && told("to see it told") && told("\"specversion\":\"1.0\""));
    OK(hl_supervisor_incidents_json(supervisor, 10, text, sizeof text, NULL));
    EXPECT(told("\"name\":\"victim\"") && told("\"outcome\":\"stopped\""));
    EXPECT(told("\"summary\":\"cancelled task ") && told(" \\\"victim\\\" (heal): ") && told("; stopped after "));
    OK(hl_supervisor_incidents_json(supervisor, 0, text, sizeof text, NULL));
    EXPECT(strcmp(text, "[]") == 0);
    OK(hl_session_incidents_json(session, text, sizeof text, NULL));
    EXPECT(told("victim") && told("evening") && told("\"summary\":\"cancelled task "));
    char id[100];
    OK(hl_session_id(session, id, sizeof id, NULL));
    EXPECT(told(id));
    OK(hl_session_name(session, id, sizeof id, NULL));
    EXPECT(strcmp(id, "evening") == 0);
    OK(hl_session_report_text(session, text, sizeof text, NULL));
    EXPECT(told("1 stopped") && told("victim"));
    OK(hl_session_report_json(session, text, sizeof text, NULL));
    EXPECT(told("\"stopped\":1") && told("\"started\":0"));
    hl_session_free(session);
    OK(hl_supervisor_status_json(supervisor, text, sizeof text, NULL));
    EXPECT(told("\"stopped\":1") && told("\"observing\":false"));
    OK(hl_supervisor_report_text(supervisor, text, sizeof text, NULL));
    EXPECT(told("1 stopped"));
    OK(hl_supervisor_report_json(supervisor, text, sizeof text, NULL));
    EXPECT(told("\"stopped\":1"));
    OK(hl_supervisor_flush(supervisor, 20000));
    FILE *lines = fopen(file, "r");
    EXPECT(lines != NULL && fgets(text, sizeof text, lines) != NULL);
    fclose(lines);
    EXPECT(told("victim") && told("to see it told"));
    hl_subscription_free(events);
}

static void incidents_are_exported_and_read_back(hl_supervisor *supervisor, const char *file) {
    char copy[100];
    snprintf(copy, sizeof copy, "%s.copy", file);
    size_t count = 0;
    OK(hl_supervisor_export_incidents(supervisor, copy, strlen(copy), &count));
    EXPECT(count == 1);
    const char *files[] = {file, copy};
    for (int i = 0; i < 2; i++) {
        size_t needed = 0;
        REFUSED(hl_incident_read_file_json(files[i], strlen(files[i]), NULL, 0, &needed), HL_BUFFER_TOO_SMALL, "0 bytes");
        OK(hl_incident_read_file_json(files[i], strlen(files[i]), text, needed, NULL));
        EXPECT(text[0] == '[' && told("\"name\":\"victim\"") && told("\"outcome\":\"stopped\""));
        EXPECT(told("\"summary\":\"cancelled task "));
    }
    FILE *damaged = fopen(copy, "w");
    EXPECT(damaged != NULL && fputs("{\"no\": \"incident\"}\n", damaged) >= 0 && fclose(damaged) == 0);
    REFUSED(hl_incident_read_file_json(copy, strlen(copy), text, sizeof text, NULL), HL_IO, "line 1");
    unlink(copy);
    const char *wrong[] = {copy, "/tmp", "/etc/passwd"};
    for (int i = 0; i < 3; i++)
        REFUSED(hl_incident_read_file_json(wrong[i], strlen(wrong[i]), text, sizeof text, NULL), HL_IO, wrong[i]);
    REFUSED(hl_supervisor_export_incidents(supervisor, HL_TEXT("/no/such/folder/x"), NULL), HL_IO, "/no/such/folder/x");
}

static void a_host_publishes_events_of_its_own(hl_supervisor *supervisor) {
    hl_subscription *events = NULL;
    OK(hl_subscription_new(supervisor, HL_TEXT("host.*"), 2, HL_POLICY_DROP_NEWEST, &events));
    size_t reached = 0;
    OK(hl_supervisor_publish(supervisor, HL_TEXT("host.level"), HL_TEXT("hero"), HL_TEXT("{\"level\": 7}"), &reached));
    EXPECT(reached == 1);
    OK(hl_supervisor_publish(supervisor, HL_TEXT("other"), NULL, 0, NULL, 0, &reached));
    EXPECT(reached == 0);
    for (int i = 0; i < 3; i++) {
        OK(hl_supervisor_publish(supervisor, HL_TEXT("host.more"), NULL, 0, NULL, 0, NULL));
    }
    EXPECT(hl_subscription_waiting(events) == 2 && hl_subscription_lost(events) == 2);
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(told("\"type\":\"host.level\"") && told("\"subject\":\"hero\"") && told("\"level\":7"));
    OK(hl_subscription_close(events));
    OK(hl_supervisor_publish(supervisor, HL_TEXT("host.late"), NULL, 0, NULL, 0, &reached));
    EXPECT(reached == 0);
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(told("host.more"));
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(told("\"lost\":2"));
    REFUSED(hl_subscription_next_json(events, 0, text, sizeof text, NULL), HL_SHUT_DOWN, "gone");
    hl_subscription_free(events);
    REFUSED(hl_supervisor_publish(supervisor, HL_TEXT("a..b"), NULL, 0, NULL, 0, NULL), HL_INVALID_ARGUMENT, "a..b");
    REFUSED(hl_supervisor_publish(supervisor, HL_TEXT("a"), NULL, 0, HL_TEXT("{"), NULL), HL_INVALID_ARGUMENT, "JSON");
    REFUSED(hl_subscription_new(supervisor, HL_TEXT("a"), 0, 9, &events), HL_INVALID_ARGUMENT, "policy 9");
}

static void lost_events_are_told_and_an_end_too(void) {
    hl_supervisor *supervisor = started();
    hl_subscription *events = NULL;
    OK(hl_subscription_new(supervisor, HL_TEXT("task.*"), 1, HL_POLICY_DROP_OLDEST, &events));
    for (int i = 0; i < 3; i++) {
        hl_task *task = NULL;
        OK(hl_task_start(supervisor, HL_TEXT("quick"), HL_TEXT("heal"), &task));
        hl_task_free(task);
    }
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(strcmp(text, "{\"gap\":{\"from\":1,\"lost\":5,\"to\":5}}") == 0);
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(told("task.finished"));
    ended(supervisor);
    REFUSED(hl_subscription_next_json(events, 20000, text, sizeof text, NULL), HL_SHUT_DOWN, "gone");
    hl_subscription_free(events);
}

static void profiles_are_named_read_and_replaced(hl_supervisor *supervisor) {
    OK(hl_supervisor_profile_names_json(supervisor, text, sizeof text, NULL));
    EXPECT(strcmp(text, "[\"attack\",\"buff\",\"craft\",\"dance\",\"heal\",\"travel\"]") == 0);
    profile(supervisor, "mine", "{\"extends\": \"heal\", \"max_duration\": 7}");
    const hl_profile *mine = NULL;
    OK(hl_supervisor_profile(supervisor, HL_TEXT("mine"), &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"7s\"") && told("\"level\":\"safe\""));
    OK(hl_profile_accepts(mine, HL_TEXT("cooperative")));
    REFUSED(hl_profile_accepts(mine, HL_TEXT("wizard")), HL_INVALID_ARGUMENT, "\"wizard\"");
    hl_profile_free(mine);
    OK(hl_profile_parse(supervisor, HL_TEXT("small"), HL_TEXT("{\"task\": {\"max_memory_mib\": 64}}"), &mine));
    OK(hl_profile_accepts(mine, HL_TEXT("process")));
    REFUSED(hl_profile_accepts(mine, HL_TEXT("thread")), HL_LIMIT_REFUSED, "task.max_memory_mib");
    hl_profile_free(mine);
    // Without a folder there is nothing to read.
    OK(hl_supervisor_reload_profiles(supervisor));
    const hl_profile *before = mine;
    OK(hl_profile_parse(supervisor, HL_TEXT("ours"), HL_TEXT("{\"max_duration\": 8}"), &mine));
    OK(hl_supervisor_insert_profile(supervisor, mine, &before));
    EXPECT(before == NULL);
    hl_profile_free(mine);
    OK(hl_profile_parse(supervisor, HL_TEXT("ours"), HL_TEXT("{\"max_duration\": 9}"), &mine));
    REFUSED(hl_supervisor_insert_profile(NULL, mine, &before), HL_INVALID_ARGUMENT, "supervisor is NULL");
    REFUSED(hl_supervisor_insert_profile(supervisor, NULL, &before), HL_INVALID_ARGUMENT, "profile is NULL");
    EXPECT(before == NULL);
    OK(hl_supervisor_insert_profile(supervisor, mine, &before));
    hl_profile_free(mine);
    OK(hl_profile_json(before, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"8s\""));
    hl_profile_free(before);
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("mine"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_profile(token, &mine));
    OK(hl_profile_json(mine, text, sizeof text, NULL));
    EXPECT(told("\"max_duration\":\"7s\""));
    hl_profile_free(mine);
    hl_token_free(token);
    hl_task_free(task);
}

int main(void) {
    char file[] = "/tmp/haltline-c-XXXXXX";
    int made = mkstemp(file);
    EXPECT(made >= 0);
    close(made);
    hl_supervisor_options options = {.struct_size = sizeof options, .sample_interval_ms = 10, .incident_file = file};
    options.incident_file_len = strlen(file);
    hl_supervisor *supervisor = NULL;
    OK(hl_supervisor_new(&options, &supervisor));
    a_task_is_listed_while_it_runs(supervisor);
    a_cancellation_is_told_everywhere(supervisor, file);
    incidents_are_exported_and_read_back(supervisor, file);
    a_host_publishes_events_of_its_own(supervisor);
    profiles_are_named_read_and_replaced(supervisor);
    ended(supervisor);
    lost_events_are_told_and_an_end_too();
    unlink(file);
    return 0;
}
