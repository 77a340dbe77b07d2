// What a task costs from C, in nanoseconds of its thread's processor time, the best of several rounds. After
// scripts/install-c PREFIX:
//
//     cc -O2 benches/c_task.c $(pkg-config --cflags --libs haltline) && ./a.out

#define _POSIX_C_SOURCE 200809L
#include <haltline.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 10, EACH = 1000000 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static hl_supervisor *supervisor;
static hl_task *task;

static void start_and_free(void) {
    hl_task *one = NULL;
    hl_task_start(supervisor, HL_TEXT("harvest"), HL_TEXT("unlimited"), &one);
    hl_task_free(one);
}

static unsigned long cancelled;

static void is_cancelled(void) {
    cancelled += hl_task_is_cancelled(task);
}

static void check(void) {
    cancelled += hl_task_check(task) != HL_OK;
}

static void progress(void) {
    hl_task_progress(task);
}

static void measure(const char *what, void (*call)(void)) {
    double best = 1e300;
    for (int round = 0; round < ROUNDS; round++) {
        double begun = now();
        for (int i = 0; i < EACH; i++) {
            call();
        }
        double each = (now() - begun) / EACH;
        best = each < best ? each : best;
    }
    printf("%-16s %7.1f ns\n", what, best);
}

int main(void) {
    // Without limits: under one on the processor this thread would be the culprit, and be cancelled.
    const hl_profile *unlimited = NULL;
    if (hl_supervisor_new(NULL, &supervisor) != HL_OK ||
        hl_profile_parse(supervisor, HL_TEXT("unlimited"), HL_TEXT("{}"), &unlimited) != HL_OK ||
        hl_supervisor_insert_profile(supervisor, unlimited) != HL_OK ||
        hl_task_start(supervisor, HL_TEXT("measured"), HL_TEXT("unlimited"), &task) != HL_OK) {
        return 1;
    }
    hl_profile_free(unlimited);
    measure("start and free", start_and_free);
    measure("is_cancelled", is_cancelled);
    measure("check", check);
    measure("progress", progress);
    hl_task_free(task);
    hl_status status = hl_supervisor_shutdown(supervisor, 10000, NULL);
    hl_supervisor_free(supervisor);
    return status != HL_OK || cancelled != 0;
}
