// What a supervisor tells: events, samples, tasks, incidents, sessions, reports, profiles.

#include "expect.h"
#include <time.h>
#include <unistd.h>

static char text[1 << 20];

static bool told(const char *words) {
    if (strstr(text, words) == NULL) {
        fprintf(stderr, "no %s in: %s\n", words, text);
        return false;
    }
    return true;
}

static void signals_come_back_in_a_sample(hl_supervisor *supervisor) {
    OK(hl_supervisor_gauge(supervisor, HL_TEXT("queue"), 12.5));
    OK(hl_supervisor_gauge(supervisor, HL_TEXT("gone"), 1));
    OK(hl_supervisor_gauge_clear(supervisor, HL_TEXT("gone")));
    OK(hl_supervisor_frame_pause(supervisor));
    OK(hl_supervisor_frame_resume(supervisor));
    // Each sample takes what was fed since the one before.
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000; i++) {
        OK(hl_supervisor_frame(supervisor));
        OK(hl_supervisor_latency_ms(supervisor, 40));
        OK(hl_supervisor_response_ms(supervisor, 80));
        OK(hl_supervisor_sample_json(supervisor, text, sizeof text, NULL));
        if (strstr(text, "\"latency_ms\":40.0") != NULL) {
            break;
        }
        nanosleep(&moment, NULL);
    }
    EXPECT(told("\"latency_ms\":40.0") && told("\"response_ms\":80.0") && told("\"queue\":12.5"));
    EXPECT(told("\"memory\":") && strstr(text, "gone") == NULL);
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
    OK(hl_subscription_new(supervisor, HL_TEXT("task.cancelled"), 0, &events));
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
    OK(hl_supervisor_incidents_json(supervisor, 0, text, sizeof text, NULL));
    EXPECT(strcmp(text, "[]") == 0);
    OK(hl_session_incidents_json(session, text, sizeof text, NULL));
    EXPECT(told("victim") && told("evening"));
    char id[100];
    OK(hl_session_id(session, id, sizeof id, NULL));
    EXPECT(told(id));
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

static void lost_events_are_told_and_an_end_too(void) {
    hl_supervisor *supervisor = started();
    hl_subscription *events = NULL;
    OK(hl_subscription_new(supervisor, HL_TEXT("task.*"), 1, &events));
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
    hl_profile_free(mine);
    OK(hl_supervisor_reload_profiles(supervisor));
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("mine"), &task));
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
    signals_come_back_in_a_sample(supervisor);
    a_task_is_listed_while_it_runs(supervisor);
    a_cancellation_is_told_everywhere(supervisor, file);
    profiles_are_named_read_and_replaced(supervisor);
    ended(supervisor);
    lost_events_are_told_and_an_end_too();
    unlink(file);
    return 0;
}
