//! Standard streams, pipes and terminals.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::run::{Mark, PROGRAM, run, script, start, state, supervise, until};

#[test]
fn a_reader_that_leaves_ends_the_command_promptly() {
    for options in ["", "--max-output-mib 1000", "--max-cpu-percent 1000"] {
        let begun = Instant::now();
        let mut sh = Command::new("sh");
        sh.args(["-c", &format!("{{ {{ {PROGRAM} {options} -- yes; echo $? >&3; }} | head -1; }} 3>&1")]);
        sh.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = run(sh);
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), "y\n141\n", "{options}: {}", ran.stderr);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_reader_that_never_reads_holds_nothing_up_once_the_tree_was_cancelled() {
    let mut command = supervise(["--max-output-mib", "100", "--max-duration", "300ms", "--", "yes"]);
    let (_kept, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    let begun = Instant::now();
    let ran = run(command);
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not read within 2s") && begun.elapsed() < Duration::from_secs(20),
        "{}",
        ran.stderr
    );
}

#[test]
fn counted_output_that_cannot_be_written_is_told() {
    let mut command = supervise(["--max-output-mib", "1", "--", "sh", "-c", "echo hi"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let ran = run(command);
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    let told = "supervise: 3 bytes of the output of \"sh\" are lost: No space left on device (os error 28)\n";
    assert_eq!(ran.stderr, told);
}

#[test]
fn closed_streams_are_survived() {
    for (redirect, status) in [("<&-", "0"), (">&-", "0"), ("2>&-", "0"), ("<&- >&- 2>&-", "0")] {
        for options in ["", "--max-output-mib 10", "--max-cpu-percent 1000"] {
            let mut sh = Command::new("sh");
            sh.args(["-c", &format!("({PROGRAM} {options} -- sh -c 'cat; exit 0' {redirect}); echo $?")]);
            sh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let ran = run(sh);
            assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), status, "{redirect}: {}", ran.stderr);
        }
    }
}

/// A line for the shell in a terminal of its own; what is typed comes from `keys` when the text was seen.
fn in_terminal(line: &str, keys: &[(&str, &str)]) -> Option<String> {
    if !Path::new("/usr/bin/script").exists() {
        println!("not checked: terminals (the program script is missing)");
        return None;
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut script = Command::new("script");
    script.args(["-qefc", line]).arg(log.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = script.spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    // The first line is a header that holds the line itself.
    let text = || {
        let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    };
    for (seen, keys) in keys {
        until(&format!("{seen:?} is seen in {:?}", text()), || text().contains(seen).then_some(()));
        std::io::Write::write_all(&mut typed, keys.as_bytes()).unwrap();
    }
    until("the terminal's program ends", || child.try_wait().unwrap());
    Some(text())
}

#[test]
fn in_a_terminal_the_command_reads_what_is_typed() {
    let line =
        format!("{PROGRAM} --max-duration 60s -- sh -c 'tty; echo go; read x; echo got:$x'; echo status:$?");
    if let Some(text) = in_terminal(&line, &[("go", "hello\n")]) {
        assert!(text.contains("/dev/pts/") && text.contains("got:hello"), "{text}");
        assert!(text.contains("status:0"), "{text}");
    }
}

#[test]
fn ctrl_c_in_a_terminal_lets_the_command_tidy_up_and_ends_in_130() {
    // It waits for a child in the background, which leaves SIGINT to the shell.
    let line = format!(
        "trap : INT; {PROGRAM} --grace 10s -- sh -c 'trap \"kill \\$!; sleep 0.3; echo tidied; exit 0\" INT; \
         sleep 1000 & echo go; wait'; echo status:$?"
    );
    if let Some(text) = in_terminal(&line, &[("go", "\x03")]) {
        assert!(text.contains("tidied") && text.contains("status:130"), "{text}");
        assert!(text.contains("left by itself on SIGINT"), "{text}");
    }
}

#[test]
fn ctrl_c_twice_in_a_terminal_kills_what_ignores_it() {
    let mark = Mark::new();
    // It answers late: two signals that meet before the first was taken are one. And it waits for a child in the
    // background: a signal that comes while a shell starts one in the foreground can be lost to both.
    let line = format!(
        "trap : INT; {PROGRAM} --grace 1h -- sh -c 'trap \"sleep 0.5; echo heard\" INT; trap \"\" TERM; echo go; \
         while :; do sleep {} & wait; done'; echo status:$?",
        mark.0
    );
    if let Some(text) = in_terminal(&line, &[("go", "\x03"), ("heard", "\x03")]) {
        assert!(text.contains("status:130") && text.contains("killed after"), "{text}");
        mark.assert_gone();
    }
}

#[test]
fn a_job_that_is_stopped_stops_whole_and_goes_on() {
    let mark = Mark::new();
    let mut command = script(&[], &format!("sleep {0} & sleep {0}", mark.0));
    command.process_group(0);
    let one = start(command);
    let sleepers = mark.await_sleepers(2);
    let group = rustix::process::Pid::from_raw(one.pid() as i32).unwrap();
    rustix::process::kill_process_group(group, Signal::TSTP).unwrap();
    let all: Vec<u32> = sleepers.into_iter().chain([one.pid()]).collect();
    until("all are stopped", || all.iter().all(|p| state(*p) == Some('T')).then_some(()));
    rustix::process::kill_process_group(group, Signal::CONT).unwrap();
    until("all go on", || all.iter().all(|p| state(*p) == Some('S')).then_some(()));
    one.signal(Signal::TERM);
    assert_eq!(one.wait().status, 143);
    mark.assert_gone();
}
