// Callbacks run once or never, and what was given with them is freed exactly once.

#include "expect.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

typedef struct {
    atomic_int called, freed, outcome;
    pthread_t caller;
} witness;

static void on_cancel(hl_outcome outcome, void *user_data) {
    witness *seen = user_data;
    EXPECT(atomic_load(&seen->freed) == 0);
    seen->caller = pthread_self();
    atomic_store(&seen->outcome, (int)outcome);
    atomic_fetch_add(&seen->called, 1);
}

static void on_free(void *user_data) {
    atomic_fetch_add(&((witness *)user_data)->freed, 1);
}

static void wait_until(atomic_int *counter, int wanted) {
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && atomic_load(counter) != wanted; i++) {
        nanosleep(&moment, NULL);
    }
    EXPECT(atomic_load(counter) == wanted);
}

static void a_cancelled_task_calls_once_and_elsewhere(hl_supervisor *supervisor) {
    witness seen = {0};
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("held keys"), HL_TEXT("heal"), &task));
    OK(hl_task_on_cancel(task, on_cancel, &seen, on_free));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    bool cancelled = false;
    OK(hl_token_cancel(token, HL_TEXT("why not"), &cancelled));
    EXPECT(cancelled);
    OK(hl_token_cancel(token, HL_TEXT("again"), &cancelled));
    EXPECT(!cancelled);
    EXPECT(atomic_load(&seen.called) == 0);
    hl_task_free(task);
    wait_until(&seen.freed, 1);
    EXPECT(atomic_load(&seen.called) == 1);
    EXPECT(atomic_load(&seen.outcome) == HL_OUTCOME_STOPPED);
    EXPECT(!pthread_equal(seen.caller, pthread_self()));
    // Once the outcome is known, a handler runs here and now.
    witness late = {0};
    OK(hl_token_on_cancel(token, on_cancel, &late, on_free));
    EXPECT(atomic_load(&late.called) == 1 && atomic_load(&late.freed) == 1);
    EXPECT(pthread_equal(late.caller, pthread_self()));
    hl_token_free(token);
    EXPECT(atomic_load(&seen.called) == 1 && atomic_load(&seen.freed) == 1);
}

static void a_task_that_ends_by_itself_calls_nothing_and_frees_once(hl_supervisor *supervisor) {
    witness seen = {0};
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("held keys"), HL_TEXT("heal"), &task));
    OK(hl_task_on_cancel(task, on_cancel, &seen, on_free));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    EXPECT(atomic_load(&seen.freed) == 0);
    hl_task_free(task);
    EXPECT(atomic_load(&seen.freed) == 1);
    OK(hl_token_on_cancel(token, on_cancel, &seen, on_free));
    EXPECT(atomic_load(&seen.freed) == 2);
    hl_token_free(token);
    EXPECT(atomic_load(&seen.freed) == 2 && atomic_load(&seen.called) == 0);
}

static void a_refused_call_frees_before_it_returns(hl_supervisor *supervisor) {
    witness seen = {0};
    REFUSED(hl_task_on_cancel(NULL, on_cancel, &seen, on_free), HL_INVALID_ARGUMENT, "task is NULL");
    EXPECT(atomic_load(&seen.freed) == 1);
    REFUSED(hl_token_on_cancel(NULL, on_cancel, &seen, on_free), HL_INVALID_ARGUMENT, "token is NULL");
    EXPECT(atomic_load(&seen.freed) == 2);
    hl_task *task = NULL;
    OK(hl_task_start(supervisor, HL_TEXT("t"), HL_TEXT("heal"), &task));
    REFUSED(hl_task_on_cancel(task, NULL, &seen, on_free), HL_INVALID_ARGUMENT, "callback is NULL");
    EXPECT(atomic_load(&seen.freed) == 3);
    OK(hl_task_on_cancel(task, on_cancel, NULL, NULL));
    hl_task_free(task);
    hl_task *none = NULL;
    hl_stopper incomplete = {.struct_size = sizeof incomplete};
    REFUSED(hl_task_start_with(supervisor, HL_TEXT("t"), HL_TEXT("heal"), NULL, &seen, on_free, &none),
            HL_INVALID_ARGUMENT, "stopper is NULL");
    REFUSED(hl_task_start_with(supervisor, HL_TEXT("t"), HL_TEXT("heal"), &incomplete, &seen, on_free, &none),
            HL_INVALID_ARGUMENT, "request is NULL");
    EXPECT(atomic_load(&seen.freed) == 5 && atomic_load(&seen.called) == 0 && none == NULL);
}

// Work of the host's own: it leaves when asked, or only by force.
typedef struct {
    atomic_int requested, forced, gone, freed;
    bool stubborn;
} work;

static void work_request(void *user_data) {
    work *w = user_data;
    atomic_fetch_add(&w->requested, 1);
    if (!w->stubborn) {
        atomic_store(&w->gone, 1);
    }
}

static bool work_force(void *user_data) {
    work *w = user_data;
    atomic_fetch_add(&w->forced, 1);
    atomic_store(&w->gone, 1);
    return true;
}

static bool work_is_gone(void *user_data) {
    return atomic_load(&((work *)user_data)->gone) != 0;
}

static void work_free(void *user_data) {
    atomic_fetch_add(&((work *)user_data)->freed, 1);
}

static void a_stopper_stops(hl_supervisor *supervisor, bool stubborn) {
    work w = {.stubborn = stubborn};
    hl_stopper stopper = {
        .struct_size = sizeof stopper, .request = work_request, .force = work_force, .is_gone = work_is_gone};
    hl_task *task = NULL;
    OK(hl_task_start_with(supervisor, HL_TEXT("of the host"), HL_TEXT("brief grace"), &stopper, &w, work_free, &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_cancel(token, HL_TEXT("enough"), NULL));
    hl_outcome outcome = HL_OUTCOME_NONE;
    OK(hl_token_wait_outcome(token, 20000, &outcome));
    EXPECT(outcome == (stubborn ? HL_OUTCOME_KILLED : HL_OUTCOME_STOPPED));
    EXPECT(atomic_load(&w.requested) == 1 && atomic_load(&w.forced) == (stubborn ? 1 : 0));
    hl_token_free(token);
    bool by_itself = true;
    OK(hl_task_finish(task, &by_itself));
    EXPECT(!by_itself);
    wait_until(&w.freed, 1);
}

// It comes back when the work is gone, which it is by force only.
static void hanging_request(void *user_data) {
    work *w = user_data;
    atomic_fetch_add(&w->requested, 1);
    wait_until(&w->gone, 1);
}

static void a_request_that_hangs_keeps_nothing_from_force(hl_supervisor *supervisor, bool killed) {
    work w = {.stubborn = true};
    hl_stopper stopper = {
        .struct_size = sizeof stopper, .request = hanging_request, .force = work_force, .is_gone = work_is_gone};
    hl_task *task = NULL;
    const char *profile = killed ? "heal" : "brief grace";
    OK(hl_task_start_with(supervisor, HL_TEXT("hanging"), profile, strlen(profile), &stopper, &w, work_free, &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK((killed ? hl_token_kill : hl_token_cancel)(token, HL_TEXT("enough"), NULL));
    hl_outcome outcome = HL_OUTCOME_NONE;
    OK(hl_token_wait_outcome(token, 20000, &outcome));
    EXPECT(outcome == HL_OUTCOME_KILLED);
    EXPECT(atomic_load(&w.requested) == 1 && atomic_load(&w.forced) == 1);
    hl_token_free(token);
    OK(hl_task_finish(task, NULL));
    wait_until(&w.freed, 1);
}

static atomic_int let_go;

static void request_until_let_go(void *user_data) {
    atomic_fetch_add(&((work *)user_data)->requested, 1);
    wait_until(&let_go, 1);
}

static void a_shutdown_leaves_a_request_behind_that_hangs(void) {
    hl_supervisor *supervisor = started();
    work w = {.stubborn = true};
    hl_stopper stopper = {
        .struct_size = sizeof stopper, .request = request_until_let_go, .force = work_force, .is_gone = work_is_gone};
    profile(supervisor, "brief grace", "{\"extends\": \"heal\", \"grace\": 0.05}");
    hl_task *task = NULL;
    OK(hl_task_start_with(supervisor, HL_TEXT("hanging"), HL_TEXT("brief grace"), &stopper, &w, work_free, &task));
    const hl_token *token = NULL;
    OK(hl_task_token(task, &token));
    OK(hl_token_cancel(token, HL_TEXT("enough"), NULL));
    OK(hl_token_wait_finished(token, 20000));
    hl_token_free(token);
    hl_task_free(task);
    size_t left = 7;
    OK(hl_supervisor_shutdown(supervisor, 1000, &left));
    EXPECT(left == 0 && atomic_load(&w.requested) == 1 && atomic_load(&w.freed) == 0);
    atomic_store(&let_go, 1);
    wait_until(&w.freed, 1);
    ended(supervisor);
}

static void work_that_ends_by_itself_is_never_asked(hl_supervisor *supervisor) {
    work w = {.stubborn = false};
    hl_stopper stopper = {.struct_size = sizeof stopper, .request = work_request, .is_gone = work_is_gone};
    hl_task *task = NULL;
    OK(hl_task_start_with(supervisor, HL_TEXT("of the host"), HL_TEXT("heal"), &stopper, &w, work_free, &task));
    bool by_itself = false;
    OK(hl_task_finish(task, &by_itself));
    EXPECT(by_itself && atomic_load(&w.requested) == 0);
    wait_until(&w.freed, 1);
}

int main(void) {
    hl_supervisor *supervisor = started();
    profile(supervisor, "brief grace", "{\"extends\": \"heal\", \"grace\": 0.05}");
    a_cancelled_task_calls_once_and_elsewhere(supervisor);
    a_task_that_ends_by_itself_calls_nothing_and_frees_once(supervisor);
    a_refused_call_frees_before_it_returns(supervisor);
    a_stopper_stops(supervisor, false);
    a_stopper_stops(supervisor, true);
    a_request_that_hangs_keeps_nothing_from_force(supervisor, false);
    a_request_that_hangs_keeps_nothing_from_force(supervisor, true);
    work_that_ends_by_itself_is_never_asked(supervisor);
    ended(supervisor);
    a_shutdown_leaves_a_request_behind_that_hangs();
    return 0;
}
