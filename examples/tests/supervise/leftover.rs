//! What a command leaves behind and supervise may not signal.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::process::Signal;

use crate::run::{Mark, PROGRAM, is_alive, script, send, start, until};

/// As the system calls a user with no rights.
const NOBODY: u32 = 65534;

/// A folder that everybody may enter, with supervise and a program that makes whoever runs it root.
struct Stage(tempfile::TempDir);

impl Stage {
    fn set() -> Result<Stage, &'static str> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can make a program that runs as another user");
        }
        let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|p| Path::new(p).exists());
        let Some(setpriv) = setpriv else { return Err("there is no setpriv") };
        let stage = Stage(tempfile::tempdir().unwrap());
        let flags = rustix::fs::statvfs(stage.0.path()).unwrap().f_flag;
        if flags.intersects(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NOEXEC) {
            return Err("the folder for temporary files is mounted with nosuid or noexec");
        }
        if fs::read_to_string("/proc/self/status").unwrap().contains("NoNewPrivs:\t1") {
            return Err("no program gains rights here");
        }
        fs::set_permissions(stage.0.path(), Permissions::from_mode(0o777)).unwrap();
        for (from, name, mode) in [(PROGRAM, "supervise", 0o755), (setpriv, "become-root", 0o4755)] {
            fs::copy(from, stage.path(name)).unwrap();
            fs::set_permissions(stage.path(name), Permissions::from_mode(mode)).unwrap();
        }
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Ends the process with the rights of this test, also if the test fails.
struct Stray(u32);

impl Drop for Stray {
    fn drop(&mut self) {
        send(self.0, Signal::KILL);
    }
}

#[test]
fn what_may_not_be_signalled_ends_in_125_with_its_process_ids() {
    let stage = match Stage::set() {
        Ok(stage) => stage,
        Err(why) => return println!("not checked: leftovers of another user ({why})"),
    };
    let mark = Mark::new();
    let line = format!(
        "{} --reuid 0 --regid 0 --clear-groups sleep {} </dev/null >/dev/null 2>&1 & until test -e {}; do sleep 0.05; done; exit 7",
        stage.path("become-root").display(),
        mark.0,
        stage.path("go").display(),
    );
    let words = script(&["--grace", "100ms"], &line);
    let mut command = std::process::Command::new(stage.path("supervise"));
    command.args(words.get_args()).uid(NOBODY).gid(NOBODY).current_dir(stage.0.path());
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let one = start(command);
    let leftover = mark.await_sleepers(1)[0];
    let stray = Stray(leftover);
    fs::write(stage.path("go"), "").unwrap();
    let ran = one.wait();
    let lived = is_alive(leftover);
    drop(stray);
    until("it is gone", || (!is_alive(leftover)).then_some(()));
    assert!(lived, "it was signalled after all, so this shows nothing");
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    let named = format!("\"sh\" ended and left a process behind: {leftover} (sleep)");
    assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    assert!(ran.stderr.contains("what it left behind did not leave; still running after "), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!(": process {leftover}\n")), "{}", ran.stderr);
    assert!(!ran.stderr.contains("now stopped"), "{}", ran.stderr);
}
