//! The command line, the profile that it makes, and the exit status.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};

use crate::run::{PROGRAM, run, script, start_with_input, supervise};

/// `supervise` in a shell that may write files of `blocks` times 512 bytes.
fn with_small_files(blocks: u32, words: &str) -> Command {
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("ulimit -f {blocks}; exec {PROGRAM} {words}")]);
    sh.stdout(Stdio::piped()).stderr(Stdio::piped());
    sh
}

#[test]
fn a_file_size_limit_that_leaves_no_room_for_the_guardian_is_named() {
    let ran = run(with_small_files(128, "true"));
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    assert!(ran.stderr.contains("file size limit (ulimit -f) of 65536 bytes"), "{}", ran.stderr);
}

#[test]
fn an_incident_file_at_the_file_size_limit_is_told_and_ends_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let words = format!("--incidents {} --max-duration 100ms sleep 1000", file.path().display());
    // Whole lines, and a last one that the limit cut short.
    for byte in [b'\n', b'x'] {
        std::fs::write(file.path(), vec![byte; 2048 * 512]).unwrap();
        let ran = run(with_small_files(2048, &words));
        assert_eq!(ran.status, 124, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("incidents are missing") && ran.stderr.contains("too large"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn the_status_is_the_commands_own_and_that_of_timeout_where_it_cannot_start() {
    for words in [
        &["true"][..],
        &["false"],
        &["sh", "-c", "exit 200"],
        &["sh", "-c", "kill -KILL $$"],
        &["no-such-command-anywhere"],
        &["/no/such/command"],
        &["/etc/passwd"],
        &["/etc/passwd/x"],
        &["/"],
    ] {
        let mut timeout = Command::new("timeout");
        let theirs = timeout.arg("60").args(words).stderr(Stdio::null()).status().unwrap();
        let theirs = theirs
            .code()
            .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&theirs).unwrap());
        let ours = run(supervise(words));
        assert_eq!(ours.status, theirs, "{words:?}: {}", ours.stderr);
        assert_eq!(ours.stderr.is_empty(), !matches!(theirs, 126 | 127), "{words:?}: {}", ours.stderr);
    }
}

#[test]
fn streams_pass_byte_for_byte_whether_output_is_counted_or_not() {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for options in [&[][..], &["--max-output-mib", "100"]] {
        let mut command = script(options, "tee /dev/stderr");
        // Standard error is not text here.
        let mut errors = tempfile::tempfile().unwrap();
        command.stderr(errors.try_clone().unwrap());
        let ran = start_with_input(&mut command, bytes.clone()).wait();
        let mut copy = Vec::new();
        std::io::Seek::rewind(&mut errors).unwrap();
        std::io::Read::read_to_end(&mut errors, &mut copy).unwrap();
        assert_eq!(ran.status, 0);
        assert!(ran.stdout == bytes && copy == bytes, "{options:?}: {} {}", ran.stdout.len(), copy.len());
    }
}

#[test]
fn arguments_that_are_not_utf8_pass_unchanged() {
    let odd = OsString::from_vec(vec![0xff, b'a', 0xfe, b'\n']);
    let mut command = supervise(["printf", "%s"]);
    command.arg(&odd);
    let ran = run(command);
    assert_eq!((ran.status, ran.stdout), (0, odd.into_vec()));
    let ran = run(supervise([OsString::from("--"), OsString::from_vec(vec![b'/', 0xff])]));
    assert_eq!(ran.status, 127, "{}", ran.stderr);
}

#[test]
fn options_end_at_the_first_word_that_is_none() {
    let ran = run(supervise(["--quiet", "echo", "--quiet", "--", "-x"]));
    assert_eq!((ran.status, ran.stdout.as_slice()), (0, &b"--quiet -- -x\n"[..]));
    let ran = run(supervise(["--quiet", "--", "sh", "-c", "echo $1", "sh", "--help"]));
    assert_eq!((ran.status, ran.stdout.as_slice()), (0, &b"--help\n"[..]));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(supervise(["--help"]));
    let text = String::from_utf8(help.stdout).unwrap();
    assert_eq!(help.status, 0);
    for option in ["--profile ", "--profiles ", "--max-duration ", "--incidents ", "--observe", "124", "137"]
    {
        assert!(text.contains(option), "{option}: {text}");
    }
    let version = run(supervise(["--version"]));
    assert_eq!(version.stdout, format!("supervise (haltline) {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

/// A file on which every write fails.
fn full() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn help_that_cannot_be_written_ends_in_an_error_and_not_in_a_panic() {
    for word in ["--help", "--version"] {
        let mut command = supervise([word]);
        command.stdout(full());
        let ran = run(command);
        assert_eq!(ran.status, 125, "{word}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("supervise: cannot write to standard output: "), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        let mut command = supervise([word]);
        command.stdout(full()).stderr(full());
        assert_eq!(run(command).status, 125, "{word}: there is nowhere left to say it");
        // Whoever closed the pipe has read enough.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = supervise([word]);
        command.stdout(writer);
        let ran = run(command);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{word}");
    }
}

#[test]
fn a_report_that_cannot_be_written_changes_no_status() {
    for (words, status) in [
        (&["--max-duration", "100ms", "sleep", "1000"][..], 124),
        (&["true"], 0),
        (&["no-such-command-anywhere"], 127),
        (&["--nope"], 125),
    ] {
        let mut command = supervise(words);
        command.stderr(full());
        assert_eq!(run(command).status, status, "{words:?}");
    }
}

#[test]
fn mistakes_in_the_command_line_end_in_125_and_are_named() {
    for (words, says) in [
        (&["--max-memroy-mib", "5", "ls"][..], "did you mean \"--max-memory-mib\"?"),
        (&[][..], "no command"),
        (&["--max-memory-mib", "-1", "ls"], "--max-memory-mib: \"-1\" is out of range"),
        (&["--max-memory-mib", "nan", "ls"], "--max-memory-mib: \"nan\" is out of range"),
        (&["--max-memory-mib", "1e300", "ls"], "--max-memory-mib: \"1e300\" is more than there can be"),
        (&["--max-memory-mib", "0", "ls"], "--max-memory-mib: \"0\" would be broken at once"),
        (&["--max-memory-mib", "", "ls"], "--max-memory-mib: \"\" is not a number"),
        (&["--max-processes", "2.5", "ls"], "--max-processes: \"2.5\" is not a whole number"),
        (&["--max-cpu-percent", "inf", "ls"], "--max-cpu-percent: \"inf\""),
        (&["--max-duration", "0", "ls"], "--max-duration: 0 would"),
        (&["--max-duration", "-5s", "ls"], "--max-duration: \"-5s\" is negative"),
        (&["--max-duration", "1e300", "ls"], "longer than 100 years"),
        (&["--grace", "", "ls"], "--grace: \"\" is not a duration"),
        (&["--profile", "atack", "ls"], "did you mean \"attack\"?"),
        (&["--profile", "", "ls"], "no profile is named \"\""),
        (&["--profiles", "/no/such/folder", "ls"], "/no/such/folder"),
        (&["--incidents", "/no/such/folder/i.jsonl", "ls"], "/no/such/folder/i.jsonl"),
    ] {
        let ran = run(supervise(words));
        assert_eq!(ran.status, 125, "{words:?}: {}", ran.stderr);
        assert!(
            ran.stderr.starts_with("supervise: ") && ran.stderr.contains(says),
            "{words:?}: {}",
            ran.stderr
        );
        assert!(ran.stdout.is_empty(), "{words:?}: nothing ran");
    }
}

#[test]
fn a_profile_of_a_folder_holds_and_options_go_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let profile = r#"{ "max_duration": "100ms", "grace": "1s", "task": { "max_processes": 3 } }"#;
    std::fs::write(folder.path().join("short.json"), profile).unwrap();
    let folder = folder.path().to_str().unwrap();
    let ran = run(supervise(["--profiles", folder, "--profile", "short", "sleep", "1000"]));
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("max_duration: ") && ran.stderr.contains("over 0.1 s; stopped after"),
        "{}",
        ran.stderr
    );
    let over = ["--profiles", folder, "--profile", "short", "--max-duration", "1h"];
    assert_eq!(run(supervise(over.into_iter().chain(["sleep", "0.3"]))).status, 0);
    let many = run(script(&over, "for i in 1 2 3 4; do sleep 1000 & done; wait"));
    assert!(
        many.stderr.contains("task.max_processes: ") && many.stderr.contains("over 3 processes"),
        "{}",
        many.stderr
    );
}

#[test]
fn a_broken_profile_ends_in_125_and_names_file_key_and_value() {
    for (text, says) in [
        (r#"{ "max_duraton": "5m" }"#, &["max_duraton", "max_duration"][..]),
        (r#"{ "task": { "max_memory_mib": -5 } }"#, &["task.max_memory_mib", "-5"]),
        (r#"{ "grace": "soon" }"#, &["grace", "soon"]),
        (r#"{ "extends": "broken" }"#, &["extends"]),
        (r#"{ "max_duration": "#, &["line 1"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.json"), text).unwrap();
        let ran = run(supervise(["--profiles", folder.path().to_str().unwrap(), "--", "echo", "ran"]));
        assert_eq!(ran.status, 125, "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains("broken.json"), "{}", ran.stderr);
        assert!(says.iter().all(|s| ran.stderr.contains(s)), "{text}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn a_limit_that_a_command_cannot_be_held_to_is_refused_unless_it_is_advisory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("idle.json");
    let words = ["--profiles", folder.path().to_str().unwrap(), "--profile", "idle", "--", "sleep", "0.2"];
    std::fs::write(&path, r#"{ "task": { "max_idle": "50ms" } }"#).unwrap();
    let ran = run(supervise(words));
    assert_eq!(ran.status, 125);
    assert!(ran.stderr.contains("\"idle\"") && ran.stderr.contains("task.max_idle"), "{}", ran.stderr);
    std::fs::write(&path, r#"{ "task": { "max_idle": "50ms" }, "advisory": ["task.max_idle"] }"#).unwrap();
    assert_eq!(run(supervise(words)).status, 0);
}
