// Commands as tasks: their output, their end, their cancellation, and that nothing of them is left.

#include "expect.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static hl_command *shell(hl_supervisor *supervisor, const char *script) {
    hl_command *command = NULL;
    OK(hl_command_new(supervisor, HL_TEXT("sh"), &command));
    OK(hl_command_arg(command, HL_TEXT("-c")));
    OK(hl_command_arg(command, script, strlen(script)));
    return command;
}

static hl_process *spawned(hl_command *command, const char *profile) {
    hl_process *process = NULL;
    OK(hl_command_spawn(command, profile, strlen(profile), &process));
    hl_command_free(command);
    EXPECT(hl_process_pid(process) > 0);
    return process;
}

static bool is_alive(uint32_t pid) {
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static void output_and_exit_code_are_kept(hl_supervisor *supervisor) {
    hl_command *command = shell(supervisor, "cat; echo $GREETING $HOME $LOST >&2; pwd; exit 7");
    OK(hl_command_env(command, HL_TEXT("LOST"), HL_TEXT("x")));
    OK(hl_command_env_clear(command));
    OK(hl_command_env(command, HL_TEXT("GREETING"), HL_TEXT("hello")));
    OK(hl_command_env(command, HL_TEXT("HOME"), HL_TEXT("x")));
    OK(hl_command_env_remove(command, HL_TEXT("HOME")));
    OK(hl_command_env(command, HL_TEXT("PATH"), HL_TEXT("/bin:/usr/bin")));
    OK(hl_command_cwd(command, HL_TEXT("/")));
    OK(hl_command_name(command, HL_TEXT("greeter")));
    OK(hl_command_stdin_bytes(command, (const uint8_t *)"fed\n", 4));
    OK(hl_command_stdout(command, HL_STREAM_CAPTURE, 1000));
    OK(hl_command_stderr(command, HL_STREAM_CAPTURE, 1000));
    hl_process *process = spawned(command, "craft");
    uint8_t out[100];
    size_t count = 0;
    hl_exit end = {.struct_size = sizeof end};
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.code == 7 && end.signal == 0 && end.outcome == HL_OUTCOME_NONE && end.leftovers == 0);
    OK(hl_process_stdout(process, out, sizeof out, &count));
    EXPECT(count == 6 && memcmp(out, "fed\n/\n", 6) == 0);
    REFUSED(hl_process_stderr(process, out, 2, &count), HL_BUFFER_TOO_SMALL, "6");
    OK(hl_process_stderr(process, out, sizeof out, &count));
    EXPECT(count == 6 && memcmp(out, "hello\n", 6) == 0);
    const hl_token *token = NULL;
    OK(hl_process_token(process, &token));
    char name[10];
    OK(hl_token_name(token, name, sizeof name, NULL));
    EXPECT(strcmp(name, "greeter") == 0);
    hl_token_free(token);
    // An older program, which knows the code only.
    struct {
        hl_exit known;
    } older = {.known = {.struct_size = offsetof(hl_exit, signal), .signal = 42}};
    OK(hl_process_wait(process, 0, &older.known));
    EXPECT(older.known.code == 7 && older.known.signal == 42);
    hl_process_free(process);
}

static void pipes_are_given_out_once(hl_supervisor *supervisor) {
    hl_command *command = shell(supervisor, "read x; echo got $x; echo and >&2");
    OK(hl_command_stdin(command, HL_STREAM_PIPED));
    OK(hl_command_stdout(command, HL_STREAM_PIPED, 0));
    OK(hl_command_stderr(command, HL_STREAM_PIPED, 0));
    hl_process *process = spawned(command, "craft");
    int in = -1, out = -1, err = -1;
    OK(hl_process_take_stdin(process, &in));
    OK(hl_process_take_stdout(process, &out));
    OK(hl_process_take_stderr(process, &err));
    int again = -7;
    REFUSED(hl_process_take_stdin(process, &again), HL_INVALID_ARGUMENT, "input");
    EXPECT(again == -7);
    EXPECT(write(in, "it\n", 3) == 3);
    close(in);
    char text[20] = "";
    EXPECT(read(out, text, sizeof text) == 7 && memcmp(text, "got it\n", 7) == 0);
    EXPECT(read(err, text, sizeof text) == 4 && memcmp(text, "and\n", 4) == 0);
    close(out);
    close(err);
    OK(hl_process_wait(process, 30000, NULL));
    hl_process_free(process);
}

static void streams_may_be_descriptors_of_the_host(hl_supervisor *supervisor) {
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    EXPECT(in != NULL && out != NULL && err != NULL && fputs("fed\n", in) >= 0);
    rewind(in);
    hl_command *command = shell(supervisor, "echo first; echo second >&2; cat");
    OK(hl_command_stdin_fd(command, fileno(in)));
    OK(hl_command_stdout_fd(command, fileno(out)));
    OK(hl_command_stderr(command, HL_STREAM_STDOUT, 0));
    hl_process *process = spawned(command, "craft");
    hl_exit end = {.struct_size = sizeof end};
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.code == 0 && end.dropped == 0 && end.max_rss_bytes > 0 && end.cpu_seconds >= 0);
    OK(hl_process_wait_cleared(process, 30000));
    hl_process_free(process);
    char text[40] = "";
    rewind(out);
    EXPECT(fread(text, 1, sizeof text, out) == 17 && memcmp(text, "first\nsecond\nfed\n", 17) == 0);
    command = shell(supervisor, "echo apart >&2; echo 12345");
    OK(hl_command_stderr_fd(command, fileno(err)));
    OK(hl_command_stdout(command, HL_STREAM_CAPTURE, 2));
    process = spawned(command, "craft");
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.code == 0 && end.dropped == 4);
    hl_process_free(process);
    rewind(err);
    EXPECT(fread(text, 1, sizeof text, err) == 6 && memcmp(text, "apart\n", 6) == 0);
    fclose(in);
    fclose(out);
    fclose(err);
    OK(hl_command_new(supervisor, HL_TEXT("true"), &command));
    REFUSED(hl_command_stdout_fd(command, -1), HL_INVALID_ARGUMENT, "fd -1");
    REFUSED(hl_command_stdout_fd(command, 54321), HL_INVALID_ARGUMENT, "fd 54321");
    REFUSED(hl_command_stdout(command, HL_STREAM_STDOUT, 0), HL_INVALID_ARGUMENT, "HL_STREAM_STDOUT");
    REFUSED(hl_command_stdin(command, HL_STREAM_STDOUT), HL_INVALID_ARGUMENT, "HL_STREAM_STDOUT");
    hl_command_free(command);
}

static void output_that_cannot_be_written_is_told(hl_supervisor *supervisor) {
    FILE *full = fopen("/dev/full", "w");
    EXPECT(full != NULL);
    profile(supervisor, "counted", "{\"task\": {\"max_output_mib\": 1}}");
    hl_command *command = shell(supervisor, "echo hi");
    OK(hl_command_stdout_fd(command, fileno(full)));
    hl_process *process = spawned(command, "counted");
    hl_exit end = {.struct_size = sizeof end};
    char why[100] = "";
    REFUSED(hl_process_output_error(process, why, sizeof why, NULL), HL_INVALID_ARGUMENT, "hl_process_wait");
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.dropped == 3 && end.outcome == HL_OUTCOME_NONE);
    OK(hl_process_output_error(process, why, sizeof why, NULL));
    EXPECT(strstr(why, "No space left on device") != NULL);
    hl_process_free(process);
    fclose(full);
    process = spawned(shell(supervisor, "exit 0"), "counted");
    OK(hl_process_wait(process, 30000, &end));
    OK(hl_process_output_error(process, why, sizeof why, NULL));
    EXPECT(end.dropped == 0 && why[0] == 0);
    hl_process_free(process);
}

static void a_killed_command_has_no_grace(hl_supervisor *supervisor) {
    hl_command *command = shell(supervisor, "trap '' TERM; echo ready; while :; do sleep 1; done");
    OK(hl_command_stdout(command, HL_STREAM_PIPED, 0));
    hl_process *process = spawned(command, "long grace");
    int out = -1;
    OK(hl_process_take_stdout(process, &out));
    char ready[6];
    EXPECT(read(out, ready, sizeof ready) == 6);
    hl_exit end = {.struct_size = sizeof end};
    REFUSED(hl_process_exit(process, &end), HL_TIMED_OUT, "goes on");
    REFUSED(hl_process_wait_cleared(process, 1), HL_TIMED_OUT, "\"sh\"");
    uint32_t guardian = hl_process_guardian_pid(process);
    EXPECT(guardian != 0 && guardian != hl_process_pid(process) && is_alive(guardian));
    const hl_token *token = NULL;
    OK(hl_process_token(process, &token));
    OK(hl_token_cancel(token, HL_TEXT("please"), NULL));
    hl_outcome outcome = HL_OUTCOME_NONE;
    REFUSED(hl_token_wait_outcome(token, 100, &outcome), HL_TIMED_OUT, "sh");
    bool cancelled = true;
    OK(hl_token_kill(token, HL_TEXT("now"), &cancelled));
    EXPECT(!cancelled);
    OK(hl_token_wait_outcome(token, 30000, &outcome));
    EXPECT(outcome == HL_OUTCOME_KILLED);
    OK(hl_token_wait_finished(token, 30000));
    OK(hl_process_exit(process, &end));
    EXPECT(end.signal == SIGKILL && end.code == -1);
    hl_token_free(token);
    hl_process_free(process);
    close(out);
}

static void a_cancelled_command_is_dead_with_all_its_children(hl_supervisor *supervisor) {
    // It ignores the request, and so does a child of its own.
    hl_command *command = shell(supervisor, "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000");
    OK(hl_command_stdout(command, HL_STREAM_PIPED, 0));
    hl_process *process = spawned(command, "brief grace");
    int out = -1;
    OK(hl_process_take_stdout(process, &out));
    char digits[20] = "";
    EXPECT(read(out, digits, sizeof digits - 1) > 0);
    uint32_t main_pid = hl_process_pid(process), child = (uint32_t)strtoul(digits, NULL, 10);
    EXPECT(child > 0 && is_alive(main_pid) && is_alive(child));
    hl_exit end = {.struct_size = sizeof end};
    uint8_t byte;
    REFUSED(hl_process_wait(process, 10, &end), HL_TIMED_OUT, "sh");
    REFUSED(hl_process_stdout(process, &byte, 1, NULL), HL_INVALID_ARGUMENT, "hl_process_wait");
    const hl_token *token = NULL;
    OK(hl_process_token(process, &token));
    OK(hl_token_cancel(token, HL_TEXT("enough"), NULL));
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.outcome == HL_OUTCOME_KILLED && end.signal == SIGKILL && end.code == -1);
    EXPECT(!is_alive(main_pid) && !is_alive(child));
    EXPECT(hl_token_outcome(token) == HL_OUTCOME_KILLED);
    hl_token_free(token);
    hl_process_free(process);
    close(out);
}

static void what_a_command_leaves_behind_is_stopped_and_named(hl_supervisor *supervisor) {
    // Until it has become sleep, it bears the name of the shell.
    const char *script = "sleep 1000 & while read name </proc/$!/comm; [ \"$name\" != sleep ]; do :; done; exit 3";
    hl_command *command = shell(supervisor, script);
    OK(hl_command_stdin(command, HL_STREAM_NULL));
    OK(hl_command_stdout(command, HL_STREAM_NULL, 0));
    hl_process *process = spawned(command, "brief grace");
    hl_exit end = {.struct_size = sizeof end};
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.code == 3 && end.leftovers == 1);
    char json[200];
    OK(hl_process_leftovers_json(process, json, sizeof json, NULL));
    EXPECT(strstr(json, "\"name\":\"sleep\"") != NULL);
    hl_process_free(process);
}

// Waits until the looks at the tree tell these processes and no others.
static void until_its_ids_are(hl_process *process, const char *wanted) {
    char json[200] = "";
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && strcmp(json, wanted) != 0; i++) {
        nanosleep(&moment, NULL);
        OK(hl_process_pids_json(process, json, sizeof json, NULL));
    }
    EXPECT(holds(json, wanted));
}

static void what_a_command_leaves_behind_may_run_on(hl_supervisor *supervisor) {
    // What stays ends with its input.
    hl_command *command = shell(supervisor, "exec 3<&0; cat <&3 & echo $!; exit 3");
    OK(hl_command_stdin(command, HL_STREAM_PIPED));
    OK(hl_command_stdout(command, HL_STREAM_PIPED, 0));
    OK(hl_command_keep_leftovers(command));
    hl_process *process = spawned(command, "brief grace");
    int in = -1, out = -1;
    OK(hl_process_take_stdin(process, &in));
    OK(hl_process_take_stdout(process, &out));
    char digits[20] = "", json[40];
    EXPECT(read(out, digits, sizeof digits - 1) > 0);
    snprintf(json, sizeof json, "[%lu]", strtoul(digits, NULL, 10));
    hl_exit end = {.struct_size = sizeof end};
    struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && hl_process_exit(process, &end) == HL_TIMED_OUT; i++) {
        nanosleep(&moment, NULL);
    }
    EXPECT(end.code == 3);
    until_its_ids_are(process, json);
    REFUSED(hl_process_wait(process, 1, &end), HL_TIMED_OUT, "\"sh\"");
    EXPECT(write(in, "on\n", 3) == 3 && read(out, digits, sizeof digits) == 3 && memcmp(digits, "on\n", 3) == 0);
    close(in);
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.code == 3 && end.leftovers == 1 && end.outcome == HL_OUTCOME_NONE);
    hl_process_free(process);
    close(out);
}

static pid_t group_of_a_command(hl_supervisor *supervisor, bool own) {
    hl_command *command = shell(supervisor, "exec cat");
    OK(hl_command_stdin(command, HL_STREAM_PIPED));
    if (own) {
        OK(hl_command_own_group(command));
    }
    hl_process *process = spawned(command, "craft");
    pid_t pid = (pid_t)hl_process_pid(process), group = getpgid(pid);
    EXPECT(group > 0 && (group == pid) == own);
    int in = -1;
    OK(hl_process_take_stdin(process, &in));
    close(in);
    OK(hl_process_wait(process, 30000, NULL));
    hl_process_free(process);
    return group;
}

static void a_command_has_a_group_of_its_own_if_asked(hl_supervisor *supervisor) {
    EXPECT(group_of_a_command(supervisor, false) == getpgrp());
    EXPECT(group_of_a_command(supervisor, true) != getpgrp());
}

// The groups that the kernel lists a command in.
static void cgroups_of_a_command(hl_supervisor *supervisor, bool without, char *list, size_t size) {
    hl_command *command = NULL;
    OK(hl_command_new(supervisor, HL_TEXT("cat"), &command));
    OK(hl_command_arg(command, HL_TEXT("/proc/self/cgroup")));
    OK(hl_command_stdout(command, HL_STREAM_CAPTURE, size - 1));
    if (without) {
        OK(hl_command_without_cgroup(command));
    }
    hl_process *process = spawned(command, "craft");
    OK(hl_process_wait(process, 30000, NULL));
    size_t count = 0;
    OK(hl_process_stdout(process, (uint8_t *)list, size - 1, &count));
    EXPECT(count > 0);
    list[count] = '\0';
    hl_process_free(process);
}

static void a_command_does_without_a_cgroup_if_asked(hl_supervisor *supervisor) {
    static char own[8192], with[8192], without[8192];
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file == NULL) {
        fprintf(stderr, "not checked: hl_command_without_cgroup (this kernel has no cgroups)\n");
        return;
    }
    own[fread(own, 1, sizeof own - 1, file)] = '\0';
    fclose(file);
    cgroups_of_a_command(supervisor, false, with, sizeof with);
    cgroups_of_a_command(supervisor, true, without, sizeof without);
    EXPECT(strcmp(without, own) == 0);
    if (strcmp(with, own) == 0) {
        fprintf(stderr, "not checked: hl_command_without_cgroup against a cgroup (none can be made here)\n");
    }
}

static void a_signal_reaches_the_command_and_its_ids_are_told(hl_supervisor *supervisor) {
    hl_process *process = spawned(shell(supervisor, "exec sleep 1000"), "craft");
    char json[40];
    snprintf(json, sizeof json, "[%u]", hl_process_pid(process));
    until_its_ids_are(process, json);
    EXPECT(hl_process_signal(process, 999) == HL_INVALID_ARGUMENT);
    EXPECT(hl_process_signal(process, 0) == HL_INVALID_ARGUMENT);
    OK(hl_process_signal(process, SIGINT));
    hl_exit end = {.struct_size = sizeof end};
    OK(hl_process_wait(process, 30000, &end));
    EXPECT(end.signal == SIGINT && end.outcome == HL_OUTCOME_NONE);
    hl_process_free(process);
}

static void a_freed_handle_leaves_the_command_to_the_supervisor(hl_supervisor *supervisor) {
    hl_process *process = spawned(shell(supervisor, "exec sleep 1000"), "craft");
    uint32_t pid = hl_process_pid(process);
    hl_process_free(process);
    EXPECT(is_alive(pid));
    OK(hl_supervisor_shutdown(supervisor, 30000, NULL));
    EXPECT(!is_alive(pid));
}

static void what_cannot_start_says_why(hl_supervisor *supervisor) {
    hl_command *command = NULL;
    hl_process *process = NULL;
    OK(hl_command_new(supervisor, HL_TEXT("no-such-program"), &command));
    REFUSED(hl_command_stdin(command, HL_STREAM_CAPTURE), HL_INVALID_ARGUMENT, "HL_STREAM_CAPTURE");
    REFUSED(hl_command_stdout(command, 9, 0), HL_INVALID_ARGUMENT, "mode 9");
    REFUSED(hl_command_spawn(command, HL_TEXT("craft"), &process), HL_COMMAND_NOT_FOUND, "no-such-program");
    REFUSED(hl_command_spawn(command, HL_TEXT("craft"), &process), HL_INVALID_ARGUMENT, "spawned already");
    REFUSED(hl_command_arg(command, HL_TEXT("x")), HL_INVALID_ARGUMENT, "spawned already");
    hl_command_free(command);
    OK(hl_command_new(supervisor, HL_TEXT("/etc/passwd"), &command));
    REFUSED(hl_command_spawn(command, HL_TEXT("craft"), &process), HL_COMMAND_NOT_EXECUTABLE, "/etc/passwd");
    hl_command_free(command);
    EXPECT(process == NULL);
}

int main(void) {
    hl_supervisor *supervisor = started();
    profile(supervisor, "brief grace", "{\"extends\": \"craft\", \"grace\": 0.1}");
    what_cannot_start_says_why(supervisor);
    output_and_exit_code_are_kept(supervisor);
    pipes_are_given_out_once(supervisor);
    streams_may_be_descriptors_of_the_host(supervisor);
    output_that_cannot_be_written_is_told(supervisor);
    profile(supervisor, "long grace", "{\"extends\": \"craft\", \"grace\": 1000}");
    a_killed_command_has_no_grace(supervisor);
    a_cancelled_command_is_dead_with_all_its_children(supervisor);
    what_a_command_leaves_behind_is_stopped_and_named(supervisor);
    what_a_command_leaves_behind_may_run_on(supervisor);
    a_command_has_a_group_of_its_own_if_asked(supervisor);
    a_command_does_without_a_cgroup_if_asked(supervisor);
    a_signal_reaches_the_command_and_its_ids_are_told(supervisor);
    a_freed_handle_leaves_the_command_to_the_supervisor(supervisor);
    ended(supervisor);
    return 0;
}
