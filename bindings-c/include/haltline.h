// haltline for C: supervises tasks, stops the one that hurts the machine, and verifies that it stopped.
// Generated from bindings-c/src by cbindgen; changes made here are lost.
//
// Names        hl_<type>_<verb>. A type is made by its _new (a task by hl_task_start and its like, a process by
//              hl_command_spawn) and freed once by its _free. _free(NULL) does nothing.
// Results      A function that can fail returns hl_status. Results are its last parameters, and are stored on
//              success only, never before. hl_last_error has the sentence that says what was wrong. A NULL where
//              something is needed is HL_INVALID_ARGUMENT, and the sentence names the parameter.
// Texts in     UTF-8 with its length in bytes, needing no closing NUL. They are copied. HL_TEXT("...") gives both.
// Texts out    Into the caller's buffer, with a closing NUL that len and needed count. needed, which may be NULL,
//              always gets how much there is. If that is more than len, nothing is copied and the status is
//              HL_BUFFER_TOO_SMALL; buf may be NULL if len is 0. What is told may have grown at the next call.
// Structures   Those that begin with struct_size can grow: set it to sizeof, and what you do not use to zero.
// Threads      Every function may be called on any thread, several at once on one handle, but nothing may use a
//              handle that is being freed. A wait blocks its own thread only.
// Callbacks    travel with user_data and free_fn. free_fn(user_data) is called exactly once, whatever the call
//              returned. Callbacks run on threads of haltline's own, except where said. They must not throw.
// const        Tokens and profiles are handed out as const hl_token * and const hl_profile *, because several may hold
//              the same one. What a call does to a task it does to the task, not to its token.
// Processes    After fork, only the parent may go on using handles. Do not unload the library while it runs.


#ifndef HALTLINE_H
#define HALTLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A text literal and its length, for parameters that come in such pairs.
#define HL_TEXT(literal) ("" literal), (sizeof(literal) - 1)

/// The version of this interface. It rises when a program that was built against an older header has to be built
/// anew; additions do not raise it.
#define HL_ABI_VERSION 1

/// Without end, where milliseconds are asked for.
#define HL_FOREVER UINT64_MAX

/// What came of a call. A number never changes its meaning; later versions may add some.
typedef enum hl_status {
    /// The call did what it says.
    HL_OK = 0,
    /// An argument has a value that the call does not take.
    HL_INVALID_ARGUMENT = 1,
    /// A profile is malformed: unknown key, wrong type, out of range, or a cycle in `extends`.
    HL_INVALID_PROFILE = 2,
    /// No profile has this name.
    HL_UNKNOWN_PROFILE = 3,
    /// No running task has this id.
    HL_UNKNOWN_TASK = 4,
    /// The profile has a task limit that the executor cannot measure or enforce.
    HL_LIMIT_REFUSED = 5,
    /// This platform or build does not implement the operation.
    HL_UNSUPPORTED = 6,
    /// The task was cancelled.
    HL_CANCELLED = 7,
    /// The command does not exist.
    HL_COMMAND_NOT_FOUND = 8,
    /// The command exists and cannot be executed.
    HL_COMMAND_NOT_EXECUTABLE = 9,
    /// A process or thread could not be started.
    HL_SPAWN_FAILED = 10,
    /// The operating system refused a read or a write.
    HL_IO = 11,
    /// The part was shut down before the call.
    HL_SHUT_DOWN = 12,
    /// The wait ended before the awaited thing happened.
    HL_TIMED_OUT = 13,
    /// Code of the host panicked or raised inside a call.
    HL_PANICKED = 14,
    /// The caller's buffer is too small for the result.
    HL_BUFFER_TOO_SMALL = 15,
} hl_status;

/// How a cancellation ended, as observed and not as assumed.
typedef enum hl_outcome {
    /// There was no cancellation, or its end is not known yet.
    HL_OUTCOME_NONE = 0,
    /// The task left by itself after it was asked.
    HL_OUTCOME_STOPPED = 1,
    /// The task was ended by force and was seen to be gone.
    HL_OUTCOME_KILLED = 2,
    /// The task was asked, and forced where that is possible, and was not seen to leave. It stays listed, and may
    /// still become one of the two above. Also a command whose guardian was killed where no cgroup held its processes:
    /// those that were known are gone, nobody can tell of others, and it is not listed any more.
    HL_OUTCOME_STILL_RUNNING = 3,
    /// An advisory limit broke and nothing could be done.
    HL_OUTCOME_UNENFORCEABLE = 4,
} hl_outcome;

/// What a subscription does with an event for which there is no room. It loses one either way, and its stream says so.
typedef enum hl_policy {
    /// Loses the event that has waited longest.
    HL_POLICY_DROP_OLDEST = 0,
    /// Loses the new event.
    HL_POLICY_DROP_NEWEST = 1,
} hl_policy;

/// One thing that a monitor reads, as a bit. Each can fail alone; hl_monitor_degraded_json names those that do.
typedef enum hl_source {
    /// Processor use of the machine or container, and of each core.
    HL_SOURCE_CPU = 1,
    /// Memory and swap.
    HL_SOURCE_MEMORY = 2,
    /// Run-queue averages.
    HL_SOURCE_LOAD = 4,
    /// Pressure stall information.
    HL_SOURCE_PRESSURE = 8,
    /// Disk rates.
    HL_SOURCE_DISK = 16,
    /// Network rates.
    HL_SOURCE_NETWORK = 32,
    /// This process's CPU, memory and threads.
    HL_SOURCE_PROCESS = 64,
    /// This process's open files.
    HL_SOURCE_OPEN_FILES = 128,
    /// The limits of the container.
    HL_SOURCE_LIMITS = 256,
    /// The connection probe.
    HL_SOURCE_PROBE = 512,
    /// All of them: what is left are the signals that the host feeds.
    HL_SOURCE_ALL = 1023,
} hl_source;

/// Where a standard stream of a command comes from or goes to.
typedef enum hl_stream {
    /// The host's own stream; what holds if nothing is said.
    HL_STREAM_INHERIT = 0,
    /// Nothing, or nowhere.
    HL_STREAM_NULL = 1,
    /// A pipe, whose other end is taken from the process.
    HL_STREAM_PIPED = 2,
    /// Memory, read from the process after its end. For output only.
    HL_STREAM_CAPTURE = 3,
    /// Wherever standard output goes, in the order in which it was written. For standard error only.
    HL_STREAM_STDOUT = 4,
} hl_stream;

/// A command to run as a task, its whole process tree supervised. It is put together, spawned once, and freed.
/// Texts for the system may be any bytes but NUL.
typedef struct hl_command hl_command;

/// Samples the machine and the host's signals in the background, and keeps a bounded history. It stops when its last
/// handle is freed, those of supervisors included. Any thread may use it.
typedef struct hl_monitor hl_monitor;

/// A command that runs as a task. Any thread may use it.
typedef struct hl_process hl_process;

/// What each process of the machine had used when it was read. It never changes; any thread may use it.
typedef struct hl_process_table hl_process_table;

/// The named safety settings of tasks. It never changes; any thread may use it.
typedef struct hl_profile hl_profile;

/// A named span of host work, open from hl_session_new to hl_session_free. Tasks that start meanwhile belong to it,
/// and so do their incidents; of several open sessions the latest counts.
typedef struct hl_session hl_session;

/// A bounded stream of the events whose topics match a pattern. Any thread may receive; each item goes to one. It ends
/// when it is closed, or when nothing can publish any more because the supervisor, the monitor and every handle and token
/// of a task, one that has finished too, are freed.
typedef struct hl_subscription hl_subscription;

/// Starts tasks, watches them, stops the one that hurts the machine, and verifies the stop. Any thread may use it.
typedef struct hl_supervisor hl_supervisor;

/// A running task. It runs until hl_task_finish or hl_task_free. Any thread may use and end it.
///
/// The processor time of a task from hl_task_start is that of the thread which started it, for as long as it runs:
/// start it on the thread that does the work, and one task per piece of work. What runs in a nested task counts
/// towards the limits of the outer one too. A limit of the host blames the innermost one that still runs and whose own
/// bound is broken; what tasks used that have ended stays with the one around them. Tasks that take turns on one thread
/// without being nested are taken for nested ones, unless hl_task_start_in_coroutine starts them. That of a task from
/// hl_task_start_thread is of the thread that calls hl_task_began.
typedef struct hl_task hl_task;

/// The cancel token of a task. It is owned by whoever got it, any thread may use it, and it stays valid after the
/// task and the supervisor are gone.
typedef struct hl_token hl_token;

/// How a supervisor is set up. Set struct_size to sizeof(hl_supervisor_options) and everything else to zero, then
/// what you want: zero means the default.
typedef struct hl_supervisor_options {
    /// sizeof(hl_supervisor_options).
    size_t struct_size;
    /// A folder with profiles, a JSON file each, beside the six built in. NULL for none.
    const char *profile_folder;
    /// Bytes in profile_folder.
    size_t profile_folder_len;
    /// A file to which every incident is appended as a line of JSON; a pipe or a socket is refused. NULL for none.
    const char *incident_file;
    /// Bytes in incident_file.
    size_t incident_file_len;
    /// Milliseconds between two samples of the machine, 10 to 600,000. Default 1000. With a monitor it has to be zero.
    uint64_t sample_interval_ms;
    /// The smallest share of a metric's use, above 0 to 1, with which a task can be nominated. Default 0.1.
    double min_share;
    /// Milliseconds that the machine has to settle after a cancellation, before anyone else is nominated.
    /// Default 2000.
    uint64_t settle_ms;
    /// Milliseconds for which a task that was ended by force is looked for, before it counts as still running; up to
    /// four times that for a command whose processes have become fewer each time. Default 5000.
    uint64_t verify_ms;
    /// The most cancellations per minute for host limits. Default 10. To cancel nobody for a limit, set
    /// observe_only.
    uint32_t max_cancellations_per_minute;
    /// Not zero: decides and records everything, and no limit cancels anything. What no limit decides still happens: a
    /// shutdown and whoever asks for a stop cancel tasks, what a command leaves behind is stopped unless
    /// hl_command_keep_leftovers was called, and a task whose guardian was killed is cancelled for it.
    uint32_t observe_only;
    /// The monitor whose samples drive the decisions. NULL for one of its own. The handle stays the caller's.
    const struct hl_monitor *monitor;
} hl_supervisor_options;

/// How a running thing is asked to stop, forced, and seen to be gone. The functions are called on a thread of
/// haltline's own, one for each cancellation, in the order request, force, with is_gone between and after until it is
/// true; one that blocks delays no other task. A request that has not returned at the end of the grace keeps nothing
/// back: force and is_gone then come beside it on another thread, though not before it had 50 milliseconds, which it has
/// also where there is no grace. They may call every function of this header but hl_supervisor_shutdown, and must not
/// throw or jump out.
typedef struct hl_stopper {
    /// sizeof(hl_stopper).
    size_t struct_size;
    /// Asks the work to stop.
    void (*request)(void *user_data);
    /// Ends the work by force; returns whether it could. Called once at most. NULL if there is no force: what does not
    /// leave by itself is then still running, and never killed.
    bool (*force)(void *user_data);
    /// Whether the work is seen to be gone, now. Polled from the request on, until it is true or hl_task_finish says so.
    bool (*is_gone)(void *user_data);
} hl_stopper;

/// Frees user data. Called exactly once for each call that user_data was given to, also when that call failed; on
/// any thread; after the last use of user_data. NULL frees nothing. It may call every function of this header but
/// hl_supervisor_shutdown.
typedef void (*hl_free_fn)(void *user_data);

/// Told that a task was cancelled and what came of it. See hl_token_on_cancel for the thread it runs on.
typedef void (*hl_cancel_fn)(enum hl_outcome outcome, void *user_data);

/// How a command ended. Set struct_size to sizeof(hl_exit) before the call.
typedef struct hl_exit {
    /// sizeof(hl_exit).
    size_t struct_size;
    /// The exit code of the command itself; -1 if it ended by a signal or nobody saw its end.
    int32_t code;
    /// The signal that ended it; 0 if none did.
    int32_t signal;
    /// What came of its cancellation; HL_OUTCOME_NONE if there was none.
    enum hl_outcome outcome;
    /// Processes that it had left behind, which were stopped unless hl_command_keep_leftovers was called;
    /// hl_process_leftovers_json names them.
    uint32_t leftovers;
    /// Bytes of output that are lost: captured after as much as was to be kept, or not passed on; see
    /// hl_process_output_error.
    uint64_t dropped;
    /// Processor seconds that the command itself used, with those of its children that it waited for.
    double cpu_seconds;
    /// The most resident memory that the command itself had, in bytes.
    uint64_t max_rss_bytes;
} hl_exit;

/// How a monitor is set up. Set struct_size to sizeof(hl_monitor_options) and everything else to zero, then what you
/// want: zero means the default.
typedef struct hl_monitor_options {
    /// sizeof(hl_monitor_options).
    size_t struct_size;
    /// Milliseconds between two samples, 10 to 600,000. Default 1000.
    uint64_t interval_ms;
    /// How many samples to keep, 1 to 86,400. Default 300.
    uint64_t history;
    /// Milliseconds without a frame that are a stall. Default 1000.
    uint64_t stall_after_ms;
    /// Where to open a TCP connection now and then, as "host:port"; the time it takes is a latency. It runs on a thread
    /// of its own. NULL for none.
    const char *probe_address;
    /// Bytes in probe_address.
    size_t probe_address_len;
    /// Milliseconds from one connection to the next, 10 to 600,000. Needed with probe_address.
    uint64_t probe_every_ms;
    /// Milliseconds after which a connection counts as this long, 10 to 600,000. Needed with probe_address.
    uint64_t probe_timeout_ms;
    /// The folder to read in place of /proc: for containers that see the host's files elsewhere. NULL for /proc.
    const char *proc_root;
    /// Bytes in proc_root.
    size_t proc_root_len;
    /// The folder to read in place of /sys/fs/cgroup. NULL for that.
    const char *cgroup_root;
    /// Bytes in cgroup_root.
    size_t cgroup_root_len;
    /// Sources that are not read: hl_source bits, put together with |. Default none, so that everything is read.
    uint32_t without_sources;
    /// Zero.
    uint32_t reserved;
} hl_monitor_options;

/// What one metric did over a window. Percentiles are values that were seen. Set struct_size to sizeof(hl_summary)
/// before the call.
typedef struct hl_summary {
    /// sizeof(hl_summary).
    size_t struct_size;
    /// How many samples knew the metric. If none did, everything here is zero.
    uint64_t count;
    /// The average.
    double mean;
    /// The smallest value.
    double min;
    /// The largest value.
    double max;
    /// The median.
    double p50;
    /// 95 of 100 values are at most this.
    double p95;
    /// 99 of 100 values are at most this.
    double p99;
} hl_summary;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// The version of the interface that the library has. A program that loads it by itself compares this with
/// HL_ABI_VERSION.
uint32_t hl_abi_version(void);

/// The release of the library, such as "1.2.0". Never NULL; valid for ever.
const char *hl_version(void);

/// The stable name of a status, such as "invalid-argument"; "ok" for HL_OK, "unknown-status" for a number that
/// this version does not know. Never NULL; valid for ever.
const char *hl_status_name(int32_t status);

/// The sentence of the last call on this thread that did not return HL_OK: what was wrong, with which value, and
/// what would be right. Empty if every call did. It stays until another call fails; this one never replaces it.
enum hl_status hl_last_error(char *buf,
                             size_t len,
                             size_t *needed);

/// Starts a supervisor, with threads of its own. options may be NULL: then everything has its default.
///
/// HL_INVALID_ARGUMENT, HL_INVALID_PROFILE for a bad file in the folder, HL_IO, HL_SPAWN_FAILED.
enum hl_status hl_supervisor_new(const struct hl_supervisor_options *options, struct hl_supervisor **out);

/// Frees a supervisor. Tasks that still run are cancelled, and their stops verified in the background; call
/// hl_supervisor_shutdown before to wait for that. All other handles stay valid and have to be freed; a command that
/// was neither spawned nor freed keeps the supervisor running.
void hl_supervisor_free(struct hl_supervisor *supervisor);

/// Cancels every task, starts no more, and waits until each stop is verified and written and every callback has
/// returned. left, which may be NULL, gets the number of tasks that were not seen to stop; only if there are any, a
/// function of a stopper may still be called. A request of a stopper that hangs though its work is gone is waited for
/// until timeout_ms is over, and is no error. A command that another thread is just starting is a task all the same, and
/// is cancelled.
///
/// HL_TIMED_OUT if a stop was not verified, a start not over, or a callback not back, within timeout_ms; HL_IO if
/// incidents could not be written. Then it can be called again, and counts what the calls before have found as well.
/// Not to be called by callbacks.
enum hl_status hl_supervisor_shutdown(const struct hl_supervisor *supervisor,
                                      uint64_t timeout_ms,
                                      size_t *left);

/// Waits until all incidents so far are in their file.
///
/// HL_IO if it cannot be written, HL_TIMED_OUT after timeout_ms.
enum hl_status hl_supervisor_flush(const struct hl_supervisor *supervisor, uint64_t timeout_ms);

/// The token of the running task with this id.
///
/// HL_UNKNOWN_TASK if there is none.
enum hl_status hl_supervisor_token(const struct hl_supervisor *supervisor,
                                   uint64_t id,
                                   const struct hl_token **out);

/// Asks one task to stop; reason is recorded. Its stop is verified in the background: hl_supervisor_token, taken
/// before, waits for it.
///
/// HL_UNKNOWN_TASK if no running task has this id.
enum hl_status hl_supervisor_stop(const struct hl_supervisor *supervisor,
                                  uint64_t id,
                                  const char *reason,
                                  size_t reason_len);

/// Asks every running task to stop. cancelled, which may be NULL, gets the number of those that this call cancelled.
enum hl_status hl_supervisor_stop_all(const struct hl_supervisor *supervisor,
                                      const char *reason,
                                      size_t reason_len,
                                      size_t *cancelled);

/// Starts a task: what this thread does from here until hl_task_finish or hl_task_free. It has to look at
/// hl_task_is_cancelled or hl_task_check often, because nothing can force it. What other threads do for it is not
/// measured.
///
/// HL_UNKNOWN_PROFILE, HL_LIMIT_REFUSED if the profile has a limit that cannot be enforced for such a task,
/// HL_SHUT_DOWN.
enum hl_status hl_task_start(const struct hl_supervisor *supervisor,
                             const char *name,
                             size_t name_len,
                             const char *profile,
                             size_t profile_len,
                             struct hl_task **out);

/// As hl_task_start, for code that takes turns with other code on this thread, as coroutines do. coroutine is any number
/// that tells it from those others; 0 is none. The clock of a thread does not tell its coroutines apart: while tasks of
/// several are open, what each of them uses is unknown, breaks no CPU limit and is blamed for nothing.
enum hl_status hl_task_start_in_coroutine(const struct hl_supervisor *supervisor,
                                          const char *name,
                                          size_t name_len,
                                          const char *profile,
                                          size_t profile_len,
                                          uint64_t coroutine,
                                          struct hl_task **out);

/// Makes a task of a thread that the host starts by its own means. The thread calls hl_task_began first; until then its
/// processor time is unknown. It has to look at the task often: it can be asked to leave and not be forced. It ends with
/// hl_task_finish or hl_task_free, on whatever thread.
///
/// As hl_task_start.
enum hl_status hl_task_start_thread(const struct hl_supervisor *supervisor,
                                    const char *name,
                                    size_t name_len,
                                    const char *profile,
                                    size_t profile_len,
                                    struct hl_task **out);

/// Says that the calling thread is the one of a task from hl_task_start_thread. Only the first call counts.
///
/// HL_INVALID_ARGUMENT for a task that was started otherwise.
enum hl_status hl_task_began(const struct hl_task *task);

/// Puts work under supervision that the host runs by its own means and stops through stopper, whose functions get
/// user_data. The structure is copied. free_fn(user_data) is called after the last call of a function of stopper,
/// when the task has ended and its last handle is freed; if this call fails, before it returns.
///
/// As hl_task_start. Limits of processor time, memory, processes and output cannot be measured for such a task and
/// are refused.
enum hl_status hl_task_start_with(const struct hl_supervisor *supervisor,
                                  const char *name,
                                  size_t name_len,
                                  const char *profile,
                                  size_t profile_len,
                                  const struct hl_stopper *stopper,
                                  void *user_data,
                                  hl_free_fn free_fn,
                                  struct hl_task **out);

/// Ends a task and frees it, as hl_task_free does. by_itself, which may be NULL, gets whether it ended without having
/// been asked to stop. A NULL task is fine and ended by itself.
enum hl_status hl_task_finish(struct hl_task *task,
                              bool *by_itself);

/// Ends a task and frees it. Of a task from hl_task_start_with that was asked to stop this says nothing: its work is over
/// when its stopper says so. hl_task_finish is the host's own word for it.
void hl_task_free(struct hl_task *task);

/// The id of the task, unique in its supervisor; 0 for NULL.
uint64_t hl_task_id(const struct hl_task *task);

/// Whether the task was asked to stop: one relaxed atomic load. It never goes back to false. True for NULL, because
/// work without a task should not go on.
bool hl_task_is_cancelled(const struct hl_task *task);

/// HL_CANCELLED once the task was asked to stop; hl_last_error then says why.
enum hl_status hl_task_check(const struct hl_task *task);

/// Reports progress, which task.max_idle counts from, and checks as hl_task_check does.
enum hl_status hl_task_progress(const struct hl_task *task);

/// Sleeps for ms milliseconds, and wakes at once with HL_CANCELLED when the task is asked to stop.
enum hl_status hl_task_sleep_ms(const struct hl_task *task, uint64_t ms);

/// As hl_token_on_cancel.
enum hl_status hl_task_on_cancel(const struct hl_task *task,
                                 hl_cancel_fn callback,
                                 void *user_data,
                                 hl_free_fn free_fn);

/// A token of the task, to be freed with hl_token_free.
enum hl_status hl_task_token(const struct hl_task *task, const struct hl_token **out);

/// Another share of the same token, to be freed by itself. NULL gives NULL.
const struct hl_token *hl_token_clone(const struct hl_token *token);

/// Lets go of a token. The task goes on.
void hl_token_free(const struct hl_token *token);

/// The id of the task, unique in its supervisor; 0 for NULL.
uint64_t hl_token_id(const struct hl_token *token);

/// The name that the task was started with.
enum hl_status hl_token_name(const struct hl_token *token, char *buf, size_t len, size_t *needed);

/// Puts the running task under the profile of this name. From now on its limits hold and those of the profile before
/// do not: max_duration counts from the task's start, so one that has passed breaches at once; time for which a limit
/// has been broken counts on where the bound is the same and anew where it changed.
///
/// HL_UNKNOWN_PROFILE; HL_LIMIT_REFUSED if the profile has a limit that cannot be enforced for this task, which holds
/// for task.max_output_mib if the command started without one; HL_UNKNOWN_TASK if the task has finished or was
/// cancelled. Nothing has changed then.
enum hl_status hl_token_replace_profile(const struct hl_token *token,
                                        const char *profile,
                                        size_t profile_len);

/// Whether the task was asked to stop: one relaxed atomic load. It never goes back to false. True for NULL, because
/// work without a task should not go on.
bool hl_token_is_cancelled(const struct hl_token *token);

/// Whether the task has left. True for NULL.
bool hl_token_is_finished(const struct hl_token *token);

/// HL_CANCELLED once the task was asked to stop; hl_last_error then says why.
enum hl_status hl_token_check(const struct hl_token *token);

/// Reports progress, which task.max_idle counts from, and checks as hl_token_check does.
enum hl_status hl_token_progress(const struct hl_token *token);

/// Sleeps for ms milliseconds, and wakes at once with HL_CANCELLED when the task is asked to stop.
enum hl_status hl_token_sleep_ms(const struct hl_token *token, uint64_t ms);

/// Asks the task to stop; reason is recorded. The stop is verified in the background. cancelled, which may be NULL,
/// gets whether this call did it: false if the task was cancelled before or has finished.
enum hl_status hl_token_cancel(const struct hl_token *token,
                               const char *reason,
                               size_t reason_len,
                               bool *cancelled);

/// As hl_token_cancel without a grace: force follows the request at once, or 50 milliseconds after one of a stopper that
/// does not return. If the task is being cancelled already, that ends its grace. Force exists for processes and for a
/// stopper that has it, not for sections and threads.
enum hl_status hl_token_kill(const struct hl_token *token,
                             const char *reason,
                             size_t reason_len,
                             bool *cancelled);

/// The profile that the task is under now, to be freed with hl_profile_free.
enum hl_status hl_token_profile(const struct hl_token *token, const struct hl_profile **out);

/// Why the task was cancelled, as incidents have it: {"breach":{...}} with limit, bound, observed and sustained_s,
/// {"asked":"the reason"}, or a word: "shutdown", "guardian_killed", "leftovers"; null if it was not.
enum hl_status hl_token_cause_json(const struct hl_token *token,
                                   char *buf,
                                   size_t len,
                                   size_t *needed);

/// Why the task was cancelled, as a sentence; empty if it was not.
enum hl_status hl_token_cause(const struct hl_token *token, char *buf, size_t len, size_t *needed);

/// What came of the cancellation so far; HL_OUTCOME_NONE for NULL.
enum hl_outcome hl_token_outcome(const struct hl_token *token);

/// Waits until the outcome of the cancellation is known. HL_OUTCOME_NONE if the task ended by itself.
///
/// HL_TIMED_OUT after timeout_ms.
enum hl_status hl_token_wait_outcome(const struct hl_token *token, uint64_t timeout_ms, enum hl_outcome *out);

/// Waits until the task has left.
///
/// HL_TIMED_OUT after timeout_ms.
enum hl_status hl_token_wait_finished(const struct hl_token *token, uint64_t timeout_ms);

/// Has callback called once if the task is cancelled, after the stop was verified, with the outcome; never if the
/// task finishes by itself. It runs on a thread of haltline's own, on which it may block and may call every function
/// of this header but hl_supervisor_shutdown; several run there in the order in which they were added. If the
/// outcome is known already, it runs now and on this thread. It must not throw or jump out.
///
/// free_fn(user_data) is called after the callback. If that never runs, it is called when the task ends, on the thread
/// that ends it or, for a command, on one of haltline's own; if the task has ended already or this call fails, before
/// this returns.
enum hl_status hl_token_on_cancel(const struct hl_token *token,
                                  hl_cancel_fn callback,
                                  void *user_data,
                                  hl_free_fn free_fn);

/// Prepares a command. A program without a slash is looked for in PATH.
enum hl_status hl_command_new(const struct hl_supervisor *supervisor,
                              const char *program,
                              size_t program_len,
                              struct hl_command **out);

/// Frees a command. What was spawned goes on.
void hl_command_free(struct hl_command *command);

/// Adds an argument.
enum hl_status hl_command_arg(const struct hl_command *command, const char *arg, size_t arg_len);

/// Sets a variable of the environment, which is otherwise the host's.
enum hl_status hl_command_env(const struct hl_command *command,
                              const char *name,
                              size_t name_len,
                              const char *value,
                              size_t value_len);

/// Removes a variable from the environment.
enum hl_status hl_command_env_remove(const struct hl_command *command, const char *name, size_t name_len);

/// Starts from an empty environment instead of the host's. Variables that were set before are gone.
enum hl_status hl_command_env_clear(const struct hl_command *command);

/// The folder to run in, otherwise the host's.
enum hl_status hl_command_cwd(const struct hl_command *command, const char *folder, size_t folder_len);

/// The name of the task, otherwise the program's.
enum hl_status hl_command_name(const struct hl_command *command, const char *name, size_t name_len);

/// Where standard input comes from: HL_STREAM_INHERIT, HL_STREAM_NULL or HL_STREAM_PIPED.
enum hl_status hl_command_stdin(const struct hl_command *command, int32_t mode);

/// Standard input is what fd is open on, from where it stands. fd is copied and stays the caller's.
enum hl_status hl_command_stdin_fd(const struct hl_command *command, int32_t fd);

/// Standard input is these bytes, then the end. They are copied.
enum hl_status hl_command_stdin_bytes(const struct hl_command *command,
                                      const uint8_t *bytes,
                                      size_t bytes_len);

/// Where standard output goes: an hl_stream other than HL_STREAM_STDOUT. With HL_STREAM_CAPTURE, capture_bytes are kept
/// and the rest is dropped.
enum hl_status hl_command_stdout(const struct hl_command *command,
                                 int32_t mode,
                                 size_t capture_bytes);

/// Standard output goes to what fd is open on, from where it stands. fd is copied and stays the caller's.
enum hl_status hl_command_stdout_fd(const struct hl_command *command, int32_t fd);

/// Where standard error goes: an hl_stream, as hl_command_stdout.
enum hl_status hl_command_stderr(const struct hl_command *command, int32_t mode, size_t capture_bytes);

/// Standard error goes to what fd is open on, as hl_command_stdout_fd.
enum hl_status hl_command_stderr_fd(const struct hl_command *command, int32_t fd);

/// Does not use cgroups for the command, even where they could be.
enum hl_status hl_command_without_cgroup(const struct hl_command *command);

/// Gives the command a process group of its own, so that Ctrl-C in the terminal does not reach it.
enum hl_status hl_command_own_group(const struct hl_command *command);

/// Lets processes that outlive the command run on, supervised. Otherwise they are stopped; if they have not left a second
/// after the grace, the task is cancelled for it. They are named in either case.
enum hl_status hl_command_keep_leftovers(const struct hl_command *command);

/// Starts the command under a profile. The command cannot be changed or spawned again, whatever this returns.
///
/// HL_COMMAND_NOT_FOUND, HL_COMMAND_NOT_EXECUTABLE, HL_SPAWN_FAILED, HL_UNKNOWN_PROFILE, HL_SHUT_DOWN;
/// HL_UNSUPPORTED on systems other than Linux. Blocks until it was started, about a millisecond.
enum hl_status hl_command_spawn(const struct hl_command *command,
                                const char *profile,
                                size_t profile_len,
                                struct hl_process **out);

/// Frees the handle. The command goes on, supervised.
void hl_process_free(struct hl_process *process);

/// The process id of the command itself; 0 for NULL.
uint32_t hl_process_pid(const struct hl_process *process);

/// The ids of all processes of its tree at the last look: a JSON array.
enum hl_status hl_process_pids_json(const struct hl_process *process, char *buf, size_t len, size_t *needed);

/// A token of the task, to be freed with hl_token_free. It cancels the command.
enum hl_status hl_process_token(const struct hl_process *process, const struct hl_token **out);

/// The process id of its guardian, which is no part of the tree; 0 for NULL.
uint32_t hl_process_guardian_pid(const struct hl_process *process);

/// Sends a signal to the command itself. Nothing is sent if it has ended.
///
/// HL_INVALID_ARGUMENT if the number is no signal's, HL_IO if the signal could not be sent, as when more were sent before
/// it than the guardian has taken.
enum hl_status hl_process_signal(const struct hl_process *process,
                                 int32_t signal);

/// How the command itself ended, if it has; its tree may live on, so nothing is known yet of an outcome, of processes
/// left behind or of lost output. Does not wait.
///
/// HL_TIMED_OUT while it runs.
enum hl_status hl_process_exit(const struct hl_process *process,
                               struct hl_exit *out);

/// Waits until nothing of the task is left on the machine, not even its guardian, which leaves a moment after the tree.
/// For a host that ends right after its task.
///
/// HL_TIMED_OUT after timeout_ms.
enum hl_status hl_process_wait_cleared(const struct hl_process *process,
                                       uint64_t timeout_ms);

/// Waits until the whole tree is gone; if it is cancelled, until the stop was verified or found to have failed. May
/// be called again. A command that failed or was cancelled is no error of this call: see out, which may be NULL.
/// Output that passes through the host is waited for too: that of a tree that was stopped for two seconds, that of one
/// that ended by itself until somebody has read it.
///
/// HL_TIMED_OUT after timeout_ms; the command goes on, or its output waits for its reader. HL_IO if its captured output
/// could not be read.
enum hl_status hl_process_wait(const struct hl_process *process,
                               uint64_t timeout_ms,
                               struct hl_exit *out);

/// What it wrote to standard output, where that was captured: bytes, without a closing NUL. After hl_process_wait.
enum hl_status hl_process_stdout(const struct hl_process *process,
                                 uint8_t *buf,
                                 size_t len,
                                 size_t *needed);

/// What it wrote to standard error, as hl_process_stdout.
enum hl_status hl_process_stderr(const struct hl_process *process, uint8_t *buf, size_t len, size_t *needed);

/// Why output could not be passed on, where a limit counts it: its destination failed, or nobody read it in the two
/// seconds after a tree that was stopped had gone. Empty if none of that happened; a reader that left is no error.
/// After hl_process_wait.
enum hl_status hl_process_output_error(const struct hl_process *process,
                                       char *buf,
                                       size_t len,
                                       size_t *needed);

/// The processes that it had left behind: a JSON array of objects with pid and name. After hl_process_wait.
enum hl_status hl_process_leftovers_json(const struct hl_process *process,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// The other end of its piped standard input, once; the caller closes the descriptor.
///
/// HL_INVALID_ARGUMENT if it is not piped or was taken already.
enum hl_status hl_process_take_stdin(const struct hl_process *process, int32_t *out);

/// The other end of its piped standard output, as hl_process_take_stdin.
enum hl_status hl_process_take_stdout(const struct hl_process *process, int32_t *out);

/// The other end of its piped standard error, as hl_process_take_stdin.
enum hl_status hl_process_take_stderr(const struct hl_process *process, int32_t *out);

/// Reads a profile from JSON, as a file called after name would be read. extends means the profiles of supervisor,
/// or the six built in if that is NULL. It is not added anywhere.
///
/// The profile has the settings that the JSON gives and no others, also under the name of a built-in one, whose place it
/// takes where it is added: a built-in is {"extends": "attack"}, or what hl_supervisor_profile gives.
///
/// HL_INVALID_PROFILE naming the key and the value.
enum hl_status hl_profile_parse(const struct hl_supervisor *supervisor,
                                const char *name,
                                size_t name_len,
                                const char *json,
                                size_t json_len,
                                const struct hl_profile **out);

/// Lets go of a profile. Tasks and supervisors that use it are not disturbed.
void hl_profile_free(const struct hl_profile *profile);

/// The profile as a JSON object with all its settings, those that it inherited included.
enum hl_status hl_profile_json(const struct hl_profile *profile, char *buf, size_t len, size_t *needed);

/// Whether a task of an executor, "cooperative", "future", "thread", "process" or "custom", can have this profile.
///
/// HL_LIMIT_REFUSED naming a limit that the executor can neither measure nor enforce and that is not advisory;
/// HL_INVALID_ARGUMENT for an executor of another name.
enum hl_status hl_profile_accepts(const struct hl_profile *profile,
                                  const char *executor,
                                  size_t executor_len);

/// The profile that this name means now, to be freed with hl_profile_free.
///
/// HL_UNKNOWN_PROFILE naming the nearest.
enum hl_status hl_supervisor_profile(const struct hl_supervisor *supervisor,
                                     const char *name,
                                     size_t name_len,
                                     const struct hl_profile **out);

/// Adds a profile under its name, in place of what the name meant before. Running tasks keep what they started with,
/// unless hl_token_replace_profile says otherwise. replaced, which may be NULL, gets what the name meant before, to be
/// freed with hl_profile_free; NULL if it meant nothing.
enum hl_status hl_supervisor_insert_profile(const struct hl_supervisor *supervisor,
                                            const struct hl_profile *profile,
                                            const struct hl_profile **replaced);

/// Reads the folder of profiles again: all or nothing. Running tasks keep what they started with. Blocks while it
/// reads. hl_supervisor_profile_changes_json says what it changed.
///
/// HL_IO, HL_INVALID_PROFILE; then every name means what it meant before.
enum hl_status hl_supervisor_reload_profiles(const struct hl_supervisor *supervisor);

/// What the last hl_supervisor_reload_profiles that succeeded has changed: a JSON object with added, changed and removed,
/// each an array of names in alphabetical order. A profile whose parent was edited has changed too.
enum hl_status hl_supervisor_profile_changes_json(const struct hl_supervisor *supervisor,
                                                  char *buf,
                                                  size_t len,
                                                  size_t *needed);

/// The names of all profiles, in alphabetical order: a JSON array.
enum hl_status hl_supervisor_profile_names_json(const struct hl_supervisor *supervisor,
                                                char *buf,
                                                size_t len,
                                                size_t *needed);

/// Starts a monitor, with a thread of its own. options may be NULL: then everything has its default.
///
/// HL_INVALID_ARGUMENT for a value out of range, HL_SPAWN_FAILED. A source that cannot be read is no error: it
/// degrades.
enum hl_status hl_monitor_new(const struct hl_monitor_options *options,
                              struct hl_monitor **out);

/// The monitor whose samples drive the decisions of a supervisor, and which takes the host's signals: one more handle
/// to it, to be freed with hl_monitor_free.
enum hl_status hl_supervisor_monitor(const struct hl_supervisor *supervisor,
                                     struct hl_monitor **out);

/// Frees a handle. The last one of a monitor stops it, and blocks until a sample that is being taken is done.
void hl_monitor_free(struct hl_monitor *monitor);

/// Ends the sampling, for every handle. Signals may still be fed, the history stays readable. Does nothing the second
/// time. Blocks until a sample that is being taken is done.
enum hl_status hl_monitor_stop(const struct hl_monitor *monitor);

/// Whether samples are taken. False for NULL.
bool hl_monitor_is_running(const struct hl_monitor *monitor);

/// How often a sample is taken, in milliseconds; 0 for NULL.
uint64_t hl_monitor_interval_ms(const struct hl_monitor *monitor);

/// The newest sample of the machine and of the host's signals, as a JSON object. What is unknown is absent. Before
/// the first sample, null. at is in nanoseconds on the monitor's clock, wall on the calendar; percentages are 0 to 100
/// of what this process may use.
enum hl_status hl_monitor_latest_json(const struct hl_monitor *monitor,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// The last count samples, the oldest first: a JSON array of what hl_monitor_latest_json gives.
enum hl_status hl_monitor_recent_json(const struct hl_monitor *monitor,
                                      size_t count,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// The samples that are at most window_ms milliseconds older than the newest one, the oldest first, as
/// hl_monitor_recent_json.
enum hl_status hl_monitor_window_json(const struct hl_monitor *monitor,
                                      uint64_t window_ms,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// Takes a sample now, on this thread, whether or not the monitor runs; hl_monitor_latest_json has it then. It
/// consumes the latency and response times fed so far.
enum hl_status hl_monitor_sample_now(const struct hl_monitor *monitor);

/// What a metric did over the last window_ms milliseconds. Metrics are named as in "cpu_percent", "memory_percent",
/// "fps", "latency_ms" or "gauge.NAME".
///
/// HL_INVALID_ARGUMENT for a name that is none; the sentence lists them.
enum hl_status hl_monitor_summary(const struct hl_monitor *monitor,
                                  const char *metric,
                                  size_t metric_len,
                                  uint64_t window_ms,
                                  struct hl_summary *out);

/// The sources that fail at present: a JSON array of objects with source, reason and since, in nanoseconds on the
/// monitor's clock.
enum hl_status hl_monitor_degraded_json(const struct hl_monitor *monitor,
                                        char *buf,
                                        size_t len,
                                        size_t *needed);

/// The count processes of the machine that used most CPU over the next 100 milliseconds, the largest first: a JSON
/// array of objects with pid, name, cpu_percent (100 is one core) and memory_bytes. Blocks for that long.
///
/// HL_IO if the list of processes cannot be read.
enum hl_status hl_monitor_top_processes_json(const struct hl_monitor *monitor,
                                             size_t count,
                                             char *buf,
                                             size_t len,
                                             size_t *needed);

/// The count processes with most resident memory, the largest first, as hl_monitor_top_processes_json. Their CPU is
/// that since they began.
///
/// HL_IO if the list of processes cannot be read.
enum hl_status hl_monitor_top_processes_by_memory_json(const struct hl_monitor *monitor,
                                                       size_t count,
                                                       char *buf,
                                                       size_t len,
                                                       size_t *needed);

/// Reads all processes that this user may see. Blocks for a walk through them.
///
/// HL_IO if their list cannot be read.
enum hl_status hl_process_table_new(struct hl_process_table **out);

/// Frees a table.
void hl_process_table_free(struct hl_process_table *table);

/// How many processes there were; 0 for NULL.
size_t hl_process_table_len(const struct hl_process_table *table);

/// The count processes that used most CPU since before, an earlier table, the largest first: a JSON array as of
/// hl_monitor_top_processes_json. One that began in between counts with all it used.
enum hl_status hl_process_table_by_cpu_json(const struct hl_process_table *table,
                                            const struct hl_process_table *before,
                                            size_t count,
                                            char *buf,
                                            size_t len,
                                            size_t *needed);

/// The count processes with most resident memory, the largest first, as hl_process_table_by_cpu_json. Their CPU is the
/// average since they began.
enum hl_status hl_process_table_by_memory_json(const struct hl_process_table *table,
                                               size_t count,
                                               char *buf,
                                               size_t len,
                                               size_t *needed);

/// A frame was finished. Ignored while paused.
enum hl_status hl_monitor_frame(const struct hl_monitor *monitor);

/// No frames are expected from now on: their rate is unknown, and a missing frame is no stall.
enum hl_status hl_monitor_pause(const struct hl_monitor *monitor);

/// Frames are expected again. Does nothing if they are not paused.
enum hl_status hl_monitor_resume(const struct hl_monitor *monitor);

/// What the frames show at this moment, as a JSON object: paused; fps; frame_times with p50_ms, p95_ms, p99_ms and
/// max_ms over the last second; stall_ms, how long no frame has come, if that is a stall. What is unknown is absent.
enum hl_status hl_monitor_frames_json(const struct hl_monitor *monitor,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// A latency was measured, in milliseconds.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
enum hl_status hl_monitor_latency_ms(const struct hl_monitor *monitor, double ms);

/// A request or an action took ms milliseconds, by a clock that nobody sets, such as CLOCK_MONOTONIC.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
enum hl_status hl_monitor_response_ms(const struct hl_monitor *monitor, double ms);

/// Sets a gauge, which keeps its value until it is set again or cleared.
///
/// HL_INVALID_ARGUMENT if the value is not finite, the name is empty or longer than 128 bytes, or 256 others exist.
enum hl_status hl_monitor_gauge(const struct hl_monitor *monitor,
                                const char *name,
                                size_t name_len,
                                double value);

/// Removes a gauge. existed, which may be NULL, gets whether there was one.
enum hl_status hl_monitor_clear_gauge(const struct hl_monitor *monitor,
                                      const char *name,
                                      size_t name_len,
                                      bool *existed);

/// The running tasks, those being cancelled included, the oldest first: a JSON array.
enum hl_status hl_supervisor_active_json(const struct hl_supervisor *supervisor,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// The latest incidents, at most as many as asked for, the newest first: a JSON array of the records as the incident file
/// holds them, each with a summary, which is a line for people. 1024 are kept.
enum hl_status hl_supervisor_incidents_json(const struct hl_supervisor *supervisor,
                                            size_t most,
                                            char *buf,
                                            size_t len,
                                            size_t *needed);

/// Writes the incidents that are kept to a file, a JSON line each, the oldest first; a file that is there is replaced
/// as a whole. count, which may be NULL, gets how many. Blocks until the file is on the disk.
///
/// HL_IO if it cannot be written.
enum hl_status hl_supervisor_export_incidents(const struct hl_supervisor *supervisor,
                                              const char *path,
                                              size_t path_len,
                                              size_t *count);

/// Reads an incident file with its rotated parts, the oldest first: a JSON array as of hl_supervisor_incidents_json. An
/// incident that was written again with a later outcome appears once, with that outcome; a record that a crash cut short
/// is passed over. Needs no supervisor. Blocks while it reads, each time it is called.
///
/// HL_IO if there is no such file or it is a folder, if a part cannot be read, or holds a line that is no incident and
/// none that was cut short.
enum hl_status hl_incident_read_file_json(const char *path,
                                          size_t path_len,
                                          char *buf,
                                          size_t len,
                                          size_t *needed);

/// Counts of tasks and outcomes, and whether all is well with the incident file: a JSON object.
enum hl_status hl_supervisor_status_json(const struct hl_supervisor *supervisor,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// The incidents that are kept, summed up: text for people.
enum hl_status hl_supervisor_report_text(const struct hl_supervisor *supervisor,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// The incidents that are kept, summed up: a JSON object.
enum hl_status hl_supervisor_report_json(const struct hl_supervisor *supervisor,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// Begins a session.
enum hl_status hl_session_new(const struct hl_supervisor *supervisor,
                              const char *name,
                              size_t name_len,
                              struct hl_session **out);

/// Ends a session and frees it.
void hl_session_free(struct hl_session *session);

/// The unique id of the session, which its incidents carry.
enum hl_status hl_session_id(const struct hl_session *session, char *buf, size_t len, size_t *needed);

/// The name of the session.
enum hl_status hl_session_name(const struct hl_session *session, char *buf, size_t len, size_t *needed);

/// Its incidents so far, summed up: text for people. It counts cancellations, not tasks.
enum hl_status hl_session_report_text(const struct hl_session *session,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// Its incidents so far, summed up, as hl_session_report_text: a JSON object.
enum hl_status hl_session_report_json(const struct hl_session *session,
                                      char *buf,
                                      size_t len,
                                      size_t *needed);

/// The incidents of its tasks, the newest first: a JSON array as of hl_supervisor_incidents_json. Empty once the
/// supervisor is gone.
enum hl_status hl_session_incidents_json(const struct hl_session *session,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

/// Subscribes to the topics that pattern matches: words joined by dots, where * is any one word and > at the end is
/// one or more, as in "task.*". At most bound events wait, 1024 if it is zero; beyond that policy, an hl_policy, says
/// which is lost.
///
/// HL_INVALID_ARGUMENT for a malformed pattern or policy.
enum hl_status hl_subscription_new(const struct hl_supervisor *supervisor,
                                   const char *pattern,
                                   size_t pattern_len,
                                   size_t bound,
                                   int32_t policy,
                                   struct hl_subscription **out);

/// As hl_subscription_new, to what a monitor tells, with or without a supervisor: "monitor.sample" at each sample,
/// "monitor.degraded" when a source begins or ceases to fail. A supervisor tells on the bus of its monitor, so that its
/// events come here too.
enum hl_status hl_subscription_new_on_monitor(const struct hl_monitor *monitor,
                                              const char *pattern,
                                              size_t pattern_len,
                                              size_t bound,
                                              int32_t policy,
                                              struct hl_subscription **out);

/// Ends a subscription and frees it.
void hl_subscription_free(struct hl_subscription *subscription);

/// Takes no further events. What waits can still be received; then the stream ends.
enum hl_status hl_subscription_close(const struct hl_subscription *subscription);

/// How many events it lost so far, whether its stream has told of them yet or not; 0 for NULL.
uint64_t hl_subscription_lost(const struct hl_subscription *subscription);

/// How many events wait; 0 for NULL.
size_t hl_subscription_waiting(const struct hl_subscription *subscription);

/// Publishes an event on the bus of a supervisor: data, a JSON value, under a topic. subject, which may be NULL, is what
/// it is about; data may be NULL for none. reached, which may be NULL, gets how many subscriptions it was offered to.
/// Never blocks.
///
/// HL_INVALID_ARGUMENT for a malformed topic, and for data that are not JSON.
enum hl_status hl_supervisor_publish(const struct hl_supervisor *supervisor,
                                     const char *topic,
                                     size_t topic_len,
                                     const char *subject,
                                     size_t subject_len,
                                     const char *data,
                                     size_t data_len,
                                     size_t *reached);

/// The next event, a CloudEvents 1.0 JSON object; or {"gap":{"from":1,"to":3,"lost":3}} where events were lost.
/// What does not fit into buf is kept and comes again.
///
/// HL_TIMED_OUT if nothing came within timeout_ms, HL_SHUT_DOWN if nothing will come any more.
enum hl_status hl_subscription_next_json(const struct hl_subscription *subscription,
                                         uint64_t timeout_ms,
                                         char *buf,
                                         size_t len,
                                         size_t *needed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HALTLINE_H */
