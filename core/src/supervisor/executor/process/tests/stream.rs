//! The standard streams.

use std::io::{Read, Write};
use std::time::Duration;

use super::super::{Input, Output};
use super::{PATIENCE, part, shell, spawn, until, watched};

#[test]
fn given_bytes_arrive_and_end() {
    let mut command = shell("cat");
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    command.stdin = Input::Bytes(bytes.clone());
    command.stdout = Output::Capture(usize::MAX);
    let tree = spawn(command);
    tree.wait_gone(PATIENCE).expect("gone");
    assert!(tree.wait_output(PATIENCE));
    assert_eq!(tree.captured_stdout().bytes, bytes);
}

#[test]
fn pipes_reach_the_caller_counted_or_not() {
    for count in [false, true] {
        let mut command = shell("tr a-z A-Z ; echo oops >&2");
        command.stdin = Input::Piped;
        command.stdout = Output::Piped;
        command.stderr = Output::Capture(100);
        command.count_output = count;
        let tree = spawn(command);
        tree.take_stdin().unwrap().write_all(b"quiet").unwrap();
        let mut text = String::new();
        tree.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "QUIET");
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert!(tree.wait_output(PATIENCE));
        assert_eq!(tree.captured_stderr().bytes, b"oops\n");
        assert!(tree.take_stdout().is_none());
        // What the pumps passed on after the end was seen is in the handle's count.
        assert!(report.last_use.output_bytes.is_some() == count);
        assert_eq!(tree.latest_use().output_bytes, count.then_some(10));
    }
}

#[test]
fn captured_output_stops_at_its_cap_and_the_rest_is_counted() {
    let mut command = shell("head -c 1000000 /dev/zero");
    command.stdout = Output::Capture(1000);
    let tree = spawn(command);
    tree.wait_gone(PATIENCE).expect("gone");
    assert!(tree.wait_output(PATIENCE));
    let kept = tree.captured_stdout();
    assert_eq!((kept.bytes.len(), kept.dropped), (1000, 999_000));
}

#[test]
fn a_flood_is_counted_and_looked_at_as_soon_as_it_passes_the_limit() {
    let mut command = shell("exec cat /dev/zero");
    command.count_output = true;
    command.output_limit = Some(16 << 20);
    // An interval that would never come around: only the limit brings a look.
    let (tree, recorder) = super::watched_every(Duration::from_secs(3600), command);
    // The first look may have seen it already.
    until("the look", || {
        let looks = recorder.looks.lock();
        looks.len() > 1 || looks.iter().any(|l| l.output_bytes > Some(16 << 20))
    });
    tree.kill();
    let report = tree.wait_gone(PATIENCE).expect("gone");
    assert!(report.last_use.output_bytes > Some(16 << 20));
}

#[test]
fn a_destination_that_is_full_holds_the_command_back() {
    let mut command = shell("exec cat /dev/zero");
    command.stdout = Output::Piped;
    command.count_output = true;
    let (tree, _) = watched(command);
    let out = tree.take_stdout().unwrap();
    until("output", || tree.latest_use().output_bytes > Some(0));
    let mut last = None;
    // It stands still once both pipes and the buffer between them are full.
    until("it stands still", || {
        let now = tree.latest_use().output_bytes;
        let still = now == last;
        last = now;
        std::thread::sleep(Duration::from_millis(20));
        still
    });
    assert!(last < Some(1 << 20), "{last:?}");
    drop(out);
    // The reader left: the command finds a broken pipe, as without us.
    let exit = tree.wait_exit(PATIENCE).expect("exit");
    assert_eq!(exit.signal, Some(libc::SIGPIPE));
}

#[test]
fn a_pipe_ends_with_the_tree_and_not_with_the_guardian() {
    let mut command = shell("echo done");
    command.stdout = Output::Piped;
    let tree = spawn(command);
    let mut text = String::new();
    tree.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "done\n");
    tree.wait_gone(PATIENCE).expect("gone");
    // Nothing of the test program's own is in the way.
    assert!(part::command("none").args.len() == 3);
}
