// A monitor of the host's own: what it reads, what it is fed, what it tells, and the supervisor that decides by it.

#include "expect.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static char text[1 << 20];

static bool told(const char *words) {
    return holds(text, words);
}

static hl_monitor *monitored(hl_monitor_options options) {
    hl_monitor *monitor = NULL;
    options.struct_size = sizeof options;
    OK(hl_monitor_new(&options, &monitor));
    return monitor;
}

static void signals_come_back_in_a_sample(void) {
    hl_monitor *monitor = monitored((hl_monitor_options){.interval_ms = 20, .stall_after_ms = 1});
    EXPECT(hl_monitor_is_running(monitor) && hl_monitor_interval_ms(monitor) == 20);
    OK(hl_monitor_stop(monitor));
    OK(hl_monitor_stop(monitor));
    EXPECT(!hl_monitor_is_running(monitor));
    OK(hl_monitor_latency_ms(monitor, 40));
    OK(hl_monitor_response_ms(monitor, 80));
    OK(hl_monitor_gauge(monitor, HL_TEXT("queue"), 12.5));
    OK(hl_monitor_gauge(monitor, HL_TEXT("gone"), 1));
    bool existed = false;
    OK(hl_monitor_clear_gauge(monitor, HL_TEXT("gone"), &existed));
    EXPECT(existed);
    OK(hl_monitor_clear_gauge(monitor, HL_TEXT("gone"), &existed));
    EXPECT(!existed);
    OK(hl_monitor_sample_now(monitor));
    OK(hl_monitor_latest_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"latency_ms\":40.0") && told("\"response_ms\":80.0") && told("\"queue\":12.5"));
    EXPECT(told("\"memory\":") && strstr(text, "gone") == NULL);
    hl_monitor_free(monitor);
}

static void frames_are_told_at_once(void) {
    hl_monitor *monitor = monitored((hl_monitor_options){.stall_after_ms = 1});
    OK(hl_monitor_frames_json(monitor, text, sizeof text, NULL));
    EXPECT(strcmp(text, "{\"paused\":false}") == 0);
    struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 3; i++) {
        OK(hl_monitor_frame(monitor));
        nanosleep(&moment, NULL);
    }
    OK(hl_monitor_frames_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"fps\":") && told("\"p99_ms\":") && told("\"stall_ms\":"));
    OK(hl_monitor_pause(monitor));
    OK(hl_monitor_frames_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"paused\":true") && strstr(text, "\"fps\"") == NULL && strstr(text, "stall_ms") == NULL);
    OK(hl_monitor_resume(monitor));
    OK(hl_monitor_frames_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"paused\":false"));
    hl_monitor_free(monitor);
}

static void a_window_is_summed_up_and_the_history_is_bounded(void) {
    hl_monitor *monitor = monitored((hl_monitor_options){.history = 4, .without_sources = HL_SOURCE_ALL});
    OK(hl_monitor_stop(monitor));
    for (int i = 1; i <= 6; i++) {
        OK(hl_monitor_gauge(monitor, HL_TEXT("mana"), i));
        OK(hl_monitor_sample_now(monitor));
    }
    hl_summary sum = {.struct_size = sizeof sum};
    OK(hl_monitor_summary(monitor, HL_TEXT("gauge.mana"), 60000, &sum));
    EXPECT(sum.count == 4 && sum.min == 3 && sum.max == 6 && sum.mean == 4.5);
    EXPECT(sum.p50 == 4 && sum.p95 == 6 && sum.p99 == 6);
    OK(hl_monitor_summary(monitor, HL_TEXT("cpu_percent"), 60000, &sum));
    EXPECT(sum.count == 0 && sum.max == 0);
    REFUSED(hl_monitor_summary(monitor, HL_TEXT("cpu"), 60000, &sum), HL_INVALID_ARGUMENT, "cpu_percent");
    // An older program, which knows fewer fields.
    hl_summary older = {.struct_size = offsetof(hl_summary, min), .min = -7};
    OK(hl_monitor_summary(monitor, HL_TEXT("gauge.mana"), 60000, &older));
    EXPECT(older.mean == 4.5 && older.min == -7);
    OK(hl_monitor_recent_json(monitor, 2, text, sizeof text, NULL));
    EXPECT(told("\"mana\":5.0") && told("\"mana\":6.0") && strstr(text, "\"mana\":4.0") == NULL);
    OK(hl_monitor_window_json(monitor, 0, text, sizeof text, NULL));
    EXPECT(text[0] == '[' && told("\"mana\":6.0") && strstr(text, "\"mana\":5.0") == NULL);
    hl_monitor_free(monitor);
}

static void only_what_was_chosen_is_read_and_a_source_that_fails_is_named(void) {
    char root[] = "/tmp/haltline-c-XXXXXX";
    EXPECT(mkdtemp(root) != NULL);
    hl_monitor_options options = {.without_sources = HL_SOURCE_ALL & ~(HL_SOURCE_CPU | HL_SOURCE_MEMORY)};
    hl_monitor *monitor = monitored(options);
    OK(hl_monitor_sample_now(monitor));
    OK(hl_monitor_latest_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"memory\":") && strstr(text, "\"process\":") == NULL);
    OK(hl_monitor_degraded_json(monitor, text, sizeof text, NULL));
    EXPECT(strcmp(text, "[]") == 0);
    OK(hl_monitor_top_processes_json(monitor, 3, text, sizeof text, NULL));
    EXPECT(told("\"pid\":") && told("\"cpu_percent\":"));
    OK(hl_monitor_top_processes_by_memory_json(monitor, 1, text, sizeof text, NULL));
    EXPECT(told("\"memory_bytes\":"));
    hl_monitor_free(monitor);
    options.proc_root = options.cgroup_root = root;
    options.proc_root_len = options.cgroup_root_len = strlen(root);
    monitor = monitored(options);
    OK(hl_monitor_sample_now(monitor));
    OK(hl_monitor_degraded_json(monitor, text, sizeof text, NULL));
    EXPECT(told("\"source\":\"memory\"") && told("\"reason\":") && told("\"since\":"));
    hl_monitor_free(monitor);
    rmdir(root);
}

static void a_monitor_tells_of_its_samples_without_a_supervisor(void) {
    hl_monitor *monitor = monitored((hl_monitor_options){.without_sources = HL_SOURCE_ALL});
    OK(hl_monitor_stop(monitor));
    hl_subscription *events = NULL;
    REFUSED(hl_subscription_new_on_monitor(NULL, HL_TEXT("monitor.*"), 0, 0, &events), HL_INVALID_ARGUMENT,
            "monitor is NULL");
    REFUSED(hl_subscription_new_on_monitor(monitor, HL_TEXT("a..b"), 0, 0, &events), HL_INVALID_ARGUMENT, "a..b");
    REFUSED(hl_subscription_new_on_monitor(monitor, HL_TEXT("a"), 0, 9, &events), HL_INVALID_ARGUMENT, "policy 9");
    EXPECT(events == NULL);
    OK(hl_subscription_new_on_monitor(monitor, HL_TEXT("monitor.*"), 1, HL_POLICY_DROP_NEWEST, &events));
    for (int i = 1; i <= 3; i++) {
        OK(hl_monitor_gauge(monitor, HL_TEXT("mana"), i));
        OK(hl_monitor_sample_now(monitor));
    }
    EXPECT(hl_subscription_waiting(events) == 1 && hl_subscription_lost(events) == 2);
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    EXPECT(told("\"type\":\"monitor.sample\"") && told("\"mana\":1.0"));
    hl_subscription_free(events);
    // A supervisor tells on the bus of its monitor.
    hl_supervisor_options options = {.struct_size = sizeof options, .monitor = monitor};
    hl_supervisor *supervisor = NULL;
    OK(hl_supervisor_new(&options, &supervisor));
    OK(hl_subscription_new_on_monitor(monitor, HL_TEXT("host.level"), 0, 0, &events));
    size_t reached = 0;
    OK(hl_supervisor_publish(supervisor, HL_TEXT("host.level"), NULL, 0, NULL, 0, &reached));
    EXPECT(reached == 1);
    hl_monitor_free(monitor);
    ended(supervisor);
    OK(hl_subscription_next_json(events, 0, text, sizeof text, NULL));
    REFUSED(hl_subscription_next_json(events, 20000, text, sizeof text, NULL), HL_SHUT_DOWN, "gone");
    hl_subscription_free(events);
}

static void two_tables_tell_who_used_most_in_between(void) {
    hl_process_table *before = NULL, *after = NULL;
    OK(hl_process_table_new(&before));
    volatile unsigned long rounds = 0;
    for (clock_t end = clock() + CLOCKS_PER_SEC / 5; clock() < end;) {
        rounds = rounds + 1;
    }
    OK(hl_process_table_new(&after));
    EXPECT(hl_process_table_len(before) >= 1 && hl_process_table_len(NULL) == 0);
    OK(hl_process_table_by_cpu_json(after, before, hl_process_table_len(after), text, sizeof text, NULL));
    char own[40];
    snprintf(own, sizeof own, "\"pid\":%d,", (int)getpid());
    EXPECT(told(own));
    OK(hl_process_table_by_memory_json(after, 1, text, sizeof text, NULL));
    EXPECT(told("\"memory_bytes\":"));
    REFUSED(hl_process_table_by_cpu_json(after, NULL, 1, text, sizeof text, NULL), HL_INVALID_ARGUMENT, "before is NULL");
    hl_process_table_free(before);
    hl_process_table_free(after);
    hl_process_table_free(NULL);
}

static void a_probe_feeds_latencies(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    EXPECT(bind(listener, (struct sockaddr *)&here, size) == 0 && listen(listener, 16) == 0);
    EXPECT(getsockname(listener, (struct sockaddr *)&here, &size) == 0);
    char address[40];
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(here.sin_port));
    hl_monitor *monitor = monitored((hl_monitor_options){.interval_ms = 20,
                                                         .probe_address = address,
                                                         .probe_address_len = strlen(address),
                                                         .probe_every_ms = 10,
                                                         .probe_timeout_ms = 2000});
    hl_summary sum = {.struct_size = sizeof sum};
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && sum.count == 0; i++) {
        nanosleep(&moment, NULL);
        OK(hl_monitor_summary(monitor, HL_TEXT("latency_ms"), 60000, &sum));
    }
    EXPECT(sum.count > 0 && sum.max > 0 && sum.max < 2000);
    close(listener);
    for (int i = 0; i < 20000; i++) {
        OK(hl_monitor_degraded_json(monitor, text, sizeof text, NULL));
        if (strstr(text, "\"probe\"") != NULL) {
            break;
        }
        nanosleep(&moment, NULL);
    }
    EXPECT(told("\"source\":\"probe\""));
    hl_monitor_free(monitor);
}

static void a_supervisor_decides_by_the_monitor_that_it_is_given(void) {
    hl_monitor *monitor = monitored((hl_monitor_options){.interval_ms = 10});
    hl_supervisor_options options = {.struct_size = sizeof options, .monitor = monitor};
    hl_supervisor *supervisor = NULL;
    OK(hl_supervisor_new(&options, &supervisor));
    profile(supervisor, "slow",
            "{\"host\": {\"max_latency_ms\": 100}, \"sustain\": 0, \"grace\": 0.1, \"blame\": \"any\"}");
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("raid"), HL_TEXT("slow"), &task));
    hl_status status = HL_OK;
    for (int i = 0; i < 20000 && status == HL_OK; i++) {
        OK(hl_monitor_latency_ms(monitor, 500));
        status = hl_task_sleep_ms(task, 1);
    }
    REFUSED(hl_task_check(task), HL_CANCELLED, "host.max_latency_ms: 500 ms over 100 ms");
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_cause_json(token, text, sizeof text, NULL));
    EXPECT(told("{\"breach\":{") && told("\"limit\":\"host.max_latency_ms\"") && told("\"observed\":500.0"));
    hl_token_free(token);
    hl_task_free(task);
    // Another handle to the same.
    hl_monitor *same = NULL;
    OK(hl_supervisor_monitor(supervisor, &same));
    OK(hl_monitor_gauge(same, HL_TEXT("mana"), 7));
    OK(hl_monitor_sample_now(monitor));
    OK(hl_monitor_latest_json(same, text, sizeof text, NULL));
    EXPECT(told("\"mana\":7.0"));
    hl_monitor_free(same);
    OK(hl_supervisor_shutdown(supervisor, 30000, NULL));
    hl_supervisor_free(supervisor);
    EXPECT(hl_monitor_is_running(monitor));
    hl_monitor_free(monitor);
    alone();
}

static void what_cannot_be_is_refused(void) {
    hl_monitor *monitor = NULL;
    hl_monitor_options options = {.struct_size = sizeof options, .interval_ms = 1};
    REFUSED(hl_monitor_new(&options, &monitor), HL_INVALID_ARGUMENT, "1ms");
    options = (hl_monitor_options){.struct_size = sizeof options, .without_sources = 1 << 20};
    REFUSED(hl_monitor_new(&options, &monitor), HL_INVALID_ARGUMENT, "0x100000");
    options = (hl_monitor_options){.struct_size = sizeof options, .probe_address = "nowhere", .probe_address_len = 7};
    REFUSED(hl_monitor_new(&options, &monitor), HL_INVALID_ARGUMENT, "host:port");
    options = (hl_monitor_options){.struct_size = sizeof options, .history = UINT64_MAX};
    REFUSED(hl_monitor_new(&options, &monitor), HL_INVALID_ARGUMENT, "history");
    REFUSED(hl_monitor_frame(NULL), HL_INVALID_ARGUMENT, "monitor is NULL");
    EXPECT(monitor == NULL && !hl_monitor_is_running(NULL) && hl_monitor_interval_ms(NULL) == 0);
    hl_monitor_free(NULL);
    OK(hl_monitor_new(NULL, &monitor));
    EXPECT(hl_monitor_interval_ms(monitor) == 1000);
    REFUSED(hl_monitor_latency_ms(monitor, -1), HL_INVALID_ARGUMENT, "-1");
    REFUSED(hl_monitor_response_ms(monitor, 1e300), HL_INVALID_ARGUMENT, "response");
    REFUSED(hl_monitor_gauge(monitor, HL_TEXT(""), 1), HL_INVALID_ARGUMENT, "name");
    hl_supervisor *supervisor = NULL;
    hl_supervisor_options both = {.struct_size = sizeof both, .monitor = monitor, .sample_interval_ms = 50};
    REFUSED(hl_supervisor_new(&both, &supervisor), HL_INVALID_ARGUMENT, "sample_interval_ms");
    EXPECT(supervisor == NULL);
    hl_monitor_free(monitor);
}

int main(void) {
    signals_come_back_in_a_sample();
    frames_are_told_at_once();
    a_window_is_summed_up_and_the_history_is_bounded();
    only_what_was_chosen_is_read_and_a_source_that_fails_is_named();
    a_monitor_tells_of_its_samples_without_a_supervisor();
    two_tables_tell_who_used_most_in_between();
    a_probe_feeds_latencies();
    a_supervisor_decides_by_the_monitor_that_it_is_given();
    what_cannot_be_is_refused();
    alone();
    return 0;
}
