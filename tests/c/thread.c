// Many threads on one supervisor; tasks that are watched, cancelled and ended by other threads than their own.

#include "expect.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, EACH = 50 };

static hl_supervisor *supervisor;
static atomic_int cancelled, freed;

static void on_free(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&freed, 1);
}

static void on_cancel(hl_outcome outcome, void *user_data) {
    (void)user_data;
    EXPECT(outcome == HL_OUTCOME_STOPPED);
    atomic_fetch_add(&cancelled, 1);
}

static void *many_tasks(void *unused) {
    (void)unused;
    for (int i = 0; i < EACH; i++) {
        hl_task *task = NULL;
        OK(hl_task_start(supervisor, HL_TEXT("one of many"), HL_TEXT("craft"), &task));
        OK(hl_task_on_cancel(task, on_cancel, NULL, on_free));
        if (i % 10 == 0) {
            OK(hl_supervisor_stop(supervisor, hl_task_id(task), HL_TEXT("every tenth")));
        }
        EXPECT(hl_task_is_cancelled(task) == (i % 10 == 0));
        hl_task_free(task);
    }
    // The error of another thread is not this thread's.
    char sentence[100];
    OK(hl_last_error(sentence, sizeof sentence, NULL));
    EXPECT(sentence[0] == '\0');
    return NULL;
}

static void *cancels(void *token) {
    OK(hl_token_cancel(token, HL_TEXT("from another thread"), NULL));
    hl_token_free(token);
    return NULL;
}

static void *finishes(void *task) {
    bool by_itself = true;
    OK(hl_task_finish(task, &by_itself));
    EXPECT(!by_itself);
    return NULL;
}

static void *begins_and_waits(void *task) {
    OK(hl_task_began(task));
    REFUSED(hl_task_sleep_ms(task, HL_FOREVER), HL_CANCELLED, "enough");
    hl_task_free(task);
    return NULL;
}

static void a_thread_of_the_host_is_a_task(void) {
    hl_task *task = NULL;
    OK(hl_task_start_thread(supervisor, HL_TEXT("worker"), HL_TEXT("craft"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    char listed[4096];
    OK(hl_supervisor_active_json(supervisor, listed, sizeof listed, NULL));
    EXPECT(strstr(listed, "\"executor\":\"thread\"") != NULL);
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, begins_and_waits, task) == 0);
    // Once it has begun, its processor time is known at the next looks.
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && strstr(listed, "\"cpu_s\"") == NULL; i++) {
        nanosleep(&moment, NULL);
        OK(hl_supervisor_active_json(supervisor, listed, sizeof listed, NULL));
    }
    EXPECT(strstr(listed, "\"cpu_s\"") != NULL);
    // A thread cannot be forced: to kill it is to ask it without a grace.
    bool cancelled = false;
    OK(hl_token_kill(token, HL_TEXT("enough"), &cancelled));
    EXPECT(cancelled);
    OK(hl_token_wait_finished(token, 20000));
    EXPECT(pthread_join(thread, NULL) == 0);
    hl_token_free(token);
    bool by_itself = false;
    OK(hl_task_start_thread(supervisor, HL_TEXT("worker"), HL_TEXT("craft"), &task));
    OK(hl_task_finish(task, &by_itself));
    EXPECT(by_itself);
    OK(hl_task_start(supervisor, HL_TEXT("section"), HL_TEXT("craft"), &task));
    REFUSED(hl_task_began(task), HL_INVALID_ARGUMENT, "hl_task_start_thread");
    hl_task_free(task);
}

// How often the listing of the running tasks has this word.
static int listed(const char *word) {
    char text[8192];
    OK(hl_supervisor_active_json(supervisor, text, sizeof text, NULL));
    int times = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        times++;
    }
    return times;
}

// Waits until the processor time of so many tasks is known.
static void until_known(int tasks) {
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && listed("\"cpu_s\"") < tasks; i++) {
        nanosleep(&moment, NULL);
    }
    EXPECT(listed("\"cpu_s\"") == tasks);
}

static void coroutines_are_not_charged_for_each_other(void) {
    hl_task *last = NULL, *one = NULL, *two = NULL;
    OK(hl_task_start_in_coroutine(supervisor, HL_TEXT("one"), HL_TEXT("craft"), 1, &one));
    OK(hl_task_start_in_coroutine(supervisor, HL_TEXT("two"), HL_TEXT("craft"), 2, &two));
    OK(hl_task_start(supervisor, HL_TEXT("last"), HL_TEXT("craft"), &last));
    // It began last, so by now the others have been looked at as often.
    until_known(1);
    hl_task_free(last);
    hl_task_free(two);
    until_known(1);
    hl_task_free(one);
}

static void a_sleeping_task_is_cancelled_and_ended_by_other_threads(void) {
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("sleeper"), HL_TEXT("craft"), &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    pthread_t other;
    EXPECT(pthread_create(&other, NULL, cancels, (void *)hl_token_clone(token)) == 0);
    REFUSED(hl_task_sleep_ms(task, HL_FOREVER), HL_CANCELLED, "from another thread");
    EXPECT(pthread_join(other, NULL) == 0);
    EXPECT(pthread_create(&other, NULL, finishes, task) == 0);
    EXPECT(pthread_join(other, NULL) == 0);
    hl_outcome outcome = HL_OUTCOME_NONE;
    OK(hl_token_wait_outcome(token, 20000, &outcome));
    EXPECT(outcome == HL_OUTCOME_STOPPED);
    hl_token_free(token);
}

int main(void) {
    supervisor = started();
    REFUSED(hl_task_check(NULL), HL_INVALID_ARGUMENT, "task");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, many_tasks, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
    }
    a_sleeping_task_is_cancelled_and_ended_by_other_threads();
    a_thread_of_the_host_is_a_task();
    coroutines_are_not_charged_for_each_other();
    ended(supervisor);
    EXPECT(atomic_load(&cancelled) == THREADS * EACH / 10);
    EXPECT(atomic_load(&freed) == THREADS * EACH);
    return 0;
}
