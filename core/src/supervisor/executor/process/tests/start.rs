//! Starting, and failing to.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::super::launch::AllBlocked;
use super::super::{Captured, image};
use super::{
    Cgroups, Command, INTERVAL, Output, PATIENCE, Recorder, Tree, began, marker, part, runs, shell, sleepers,
    spawn, until,
};
use crate::error::ErrorKind;

fn output_of(mut command: Command) -> Captured {
    command.stdout = Output::Capture(1 << 20);
    let tree = spawn(command);
    tree.wait_gone(PATIENCE).expect("gone");
    assert!(tree.wait_output(PATIENCE));
    tree.captured_stdout()
}

fn refused(command: Command) -> crate::Error {
    Tree::spawn(command, INTERVAL, Weak::<Recorder>::new()).unwrap_err()
}

#[test]
fn a_command_that_does_not_exist_is_not_found() {
    for program in ["haltline-no-such-command", "/nonexistent/command", "/etc/passwd/x"] {
        let mut command = shell("");
        command.program = program.into();
        let error = refused(command);
        assert_eq!(error.kind(), ErrorKind::CommandNotFound);
        assert!(error.message().contains(program), "{error}");
    }
}

#[test]
fn a_command_that_cannot_be_executed_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plain");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    for program in [file.as_os_str(), directory.path().as_os_str()] {
        let mut command = shell("");
        command.program = program.into();
        assert_eq!(refused(command).kind(), ErrorKind::CommandNotExecutable);
    }
}

#[test]
fn a_directory_that_cannot_be_entered_is_named() {
    let mut command = shell("true");
    command.cwd = Some("/nonexistent/here".into());
    let error = refused(command);
    assert_eq!(error.kind(), ErrorKind::SpawnFailed);
    assert!(error.message().contains("/nonexistent/here"), "{error}");
}

#[test]
fn bad_arguments_are_refused_before_anything_starts() {
    let mut empty = shell("");
    empty.program = OsString::new();
    let mut program = shell("");
    program.program = "s\0h".into();
    let mut directory = shell("");
    directory.cwd = Some("/\0".into());
    for command in [empty, program, directory] {
        assert_eq!(refused(command).kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_bad_argument_or_variable_is_named_by_its_place_and_what_it_holds_is_not_told() {
    let mut argument = shell("");
    argument.args.push("--password=hunter2\0".into());
    let mut value = shell("");
    value.env.push(("API_TOKEN".into(), Some("hunter2\0".into())));
    let mut whole = shell("");
    whole.env.push(("API_TOKEN=hunter2".into(), Some("".into())));
    let mut name = shell("");
    name.env.push(("API_TOKEN\0".into(), Some("hunter2".into())));
    for (command, place) in
        [(argument, "argument 3"), (value, "\"API_TOKEN\""), (whole, "\"API_TOKEN\""), (name, "API_TOKEN")]
    {
        let error = refused(command);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let said = format!("{error} {error:?}");
        assert!(said.contains(place), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn arguments_environment_and_directory_arrive_byte_for_byte() {
    let odd = OsString::from_vec(vec![b'x', 0xff, 0xfe, b' ', b'\n', b'y']);
    let mut command = shell("printf %s \"$1\" ; printf %s \"$ODD\" ; pwd");
    command.args.extend(["sh".into(), odd.clone()]);
    command.env = vec![("ODD".into(), Some(odd.clone())), ("PATH".into(), std::env::var_os("PATH"))];
    command.cwd = Some("/usr".into());
    let mut expected = odd.clone().into_vec();
    expected.extend(odd.into_vec());
    expected.extend(b"/usr\n");
    assert_eq!(output_of(command).bytes, expected);
}

#[test]
fn a_command_is_looked_up_in_the_path_that_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haltline-test-command");
    // Without a first line that names an interpreter, as `execvp` takes it.
    std::fs::write(&file, "echo found\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = shell("");
    command.program = "haltline-test-command".into();
    command.args.clear();
    command.env = vec![("PATH".into(), Some(directory.path().into()))];
    assert_eq!(output_of(command).bytes, b"found\n");
}

#[test]
fn a_cleared_environment_is_empty() {
    let mut command = shell("");
    command.program = "/usr/bin/env".into();
    command.args.clear();
    command.env_clear = true;
    command.env = vec![("ONE".into(), Some("1".into())), ("GONE".into(), None)];
    assert_eq!(output_of(command).bytes, b"ONE=1\n");
}

/// Blocked and ignored signals from the text of `/proc/<pid>/status`, without 32 and 33, which the C library
/// keeps for itself and leaves ignored in its own children.
fn blocked_and_ignored(status: &[u8]) -> [u64; 2] {
    let text = String::from_utf8_lossy(status);
    ["SigBlk:", "SigIgn:"].map(|name| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & !(0b11 << 31)
    })
}

#[test]
fn the_command_starts_with_the_signals_of_a_plain_child() {
    let script = "cat /proc/self/status";
    let plain = std::process::Command::new("/bin/sh").args(["-c", script]).output().unwrap();
    // SIGPIPE is ignored in this process, as in every Rust program, and must not be in the command; what was
    // ignored on purpose, as by `nohup`, stays so.
    let _blocked = AllBlocked::new();
    let ours = blocked_and_ignored(&output_of(shell(script)).bytes);
    assert_eq!(ours, blocked_and_ignored(&plain.stdout));
    assert_eq!((ours[0], ours[1] & (1 << (libc::SIGPIPE - 1))), (0, 0));
}

#[test]
fn the_command_has_no_more_descriptors_than_a_plain_child() {
    let script = "ls /proc/$$/fd";
    let plain = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .unwrap();
    for mode in super::MODES {
        let mut command = shell(script);
        command.cgroups = mode;
        let ours = String::from_utf8(output_of(command).bytes).unwrap();
        assert_eq!(ours, String::from_utf8_lossy(&plain.stdout), "{mode:?}");
    }
}

#[test]
fn a_process_group_of_its_own_is_given_only_if_asked_for() {
    for own_group in [false, true] {
        let mut command = shell("cut -d' ' -f5 /proc/$$/stat");
        command.own_group = own_group;
        command.stdout = Output::Capture(100);
        let tree = spawn(command);
        tree.wait_gone(PATIENCE).expect("gone");
        assert!(tree.wait_output(PATIENCE));
        let group: i32 = String::from_utf8(tree.captured_stdout().bytes).unwrap().trim().parse().unwrap();
        // SAFETY: no memory is involved.
        let ours = unsafe { libc::getpgrp() };
        assert_eq!(group, if own_group { tree.main_pid() as i32 } else { ours });
    }
}

/// A host that starts a thousand commands on eight threads, each of which leaves a sleeper behind. Alone in its process,
/// whose descriptors and threads are counted.
pub(super) fn thousand_starts() {
    let mark = marker();
    let start = |n: i32| {
        let mut command = shell(&format!("sleep {mark} & exit {}", n % 100));
        command.cgroups = super::MODES[n as usize % super::MODES.len()];
        let tree = spawn(command);
        // Its id alone may be another's by the end.
        let guardian = (tree.guardian_pid(), began(tree.guardian_pid()));
        let exit = tree.wait_exit(PATIENCE).expect("exit");
        assert_eq!(exit.code, Some(n % 100));
        tree.wait_gone(PATIENCE).expect("gone");
        assert_eq!(tree.leftovers().len(), 1);
        (guardian, tree.group_directory())
    };
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    // Some descriptors stay from the first tree on. The thread that serves all trees leaves with the last.
    let threads = count("/proc/self/task");
    (0..3).for_each(|n| drop(start(n)));
    until("the first are over", || count("/proc/self/task") == threads);
    let descriptors = count("/proc/self/fd");
    let started: Vec<_> = std::thread::scope(|scope| {
        let thread = || scope.spawn(|| (0..125).map(start).collect::<Vec<_>>());
        let threads: Vec<_> = (0..8).map(|_| thread()).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(started.len(), 1000);
    assert_eq!(sleepers(&mark), [0u32; 0]);
    let left = |(pid, since): (u32, Option<u64>)| began(pid) == since && runs(pid);
    until("every guardian left", || !started.iter().any(|(guardian, _)| left(*guardian)));
    let groups: Vec<_> = started.iter().filter_map(|(_, group)| group.as_ref()).collect();
    until("every group is removed", || groups.iter().all(|group| !group.exists()));
    until("as many descriptors and threads as before", || {
        count("/proc/self/fd") == descriptors && count("/proc/self/task") == threads
    });
    println!("{} groups, {descriptors} descriptors, {threads} threads", groups.len());
}

#[test]
fn a_thousand_starts_on_many_threads_leave_nothing_behind() {
    let (mut child, mut out) = part::child("thousand-starts", "");
    let mut said = String::new();
    out.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    println!("{said}");
}

/// Prints what the README and BENCHMARKS want to know. The bounds guard against a slip of magnitude, so the least of many
/// starts counts, which other load on the machine does not change much.
#[test]
fn a_start_takes_milliseconds_and_its_guardian_takes_little_memory() {
    let mut plain = Duration::MAX;
    let mut ours = [Duration::MAX; super::MODES.len()];
    for _ in 0..40 {
        let start = Instant::now();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        plain = plain.min(start.elapsed());
        child.wait().unwrap();
        for (least, mode) in ours.iter_mut().zip(super::MODES) {
            let mut command = Command::new("/bin/true");
            command.cgroups = mode;
            let start = Instant::now();
            let tree = spawn(command);
            *least = (*least).min(start.elapsed());
            tree.wait_gone(PATIENCE).expect("gone");
        }
    }
    println!("least of 40 spawns: std::process {plain:?}, {:?} {ours:?}", super::MODES);
    assert!(ours.iter().all(|least| *least < Duration::from_millis(50)), "{ours:?}");
    let mark = marker();
    let mut command = shell(&format!("exec sleep {mark}"));
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("it sleeps", || sleepers(&mark).len() == 1);
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", tree.guardian_pid())).unwrap();
    let kib = |name: &str| -> u64 {
        let line = rollup.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    println!("guardian: resident {} KiB, of its own share {} KiB", kib("Rss:"), kib("Pss:"));
    assert!(kib("Rss:") < 8 << 10);
    println!("guardian program {} bytes", image::SIZE);
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
}
