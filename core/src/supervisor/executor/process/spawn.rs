//! Starts a tree.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::core::{Core, Parts};
use super::follow::Follow;
use super::group::Group;
use super::image::{self, Image, above_streams};
use super::launch::{Launch, launch};
use super::look::Limits;
use super::output::{Ends, Flow, Streams};
use super::table::Table;
use super::wire::{News, PACKET, Payload, step};
use super::{Command, ProcessId, TreeWatcher, cgroup, reactor};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::file::fill;

/// A guardian that says nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A guardian that says nothing for this long may have been stopped by the command, which runs already.
const NUDGE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What outlives the main process is killed after its grace, and may take this much longer to be seen to leave.
const AFTER_GRACE: Duration = Duration::from_secs(1);

/// Starts `command`; returns once it was executed.
pub(super) fn spawn(
    command: &Command,
    interval: Duration,
    watcher: Weak<dyn TreeWatcher>,
) -> Result<(Arc<Core>, Ends)> {
    let mut payload = payload(command)?;
    let flow = Arc::new(Flow::new(command)?);
    let streams = Streams::prepare(command)?;
    let group = cgroup::create(command.cgroups).map(Unused);
    if let Some(Unused(group)) = &group {
        payload.group = group.directories.iter().map(|d| d.as_os_str().as_bytes().to_vec()).collect();
        payload.group_is_v1 = group.is_v1;
    }
    let system = |e: io::Error| {
        Error::new(ErrorKind::SpawnFailed, format!("cannot start a guardian for {:?}: {e}", command.program))
            .because(e)
    };
    let written = memory_file(&payload.encode()).map_err(system)?;
    let started = start(&written, &streams).map_err(|failure| match failure {
        Failure::System(e) => system(e),
        Failure::Told(step, errno) => explain(command, step, errno),
    })?;
    let group = group.and_then(|g| started.grouped.then(|| g.keep()));
    let held = group.as_ref().is_some_and(|g| started.told || is_member(g, started.main.pid));
    let core = Arc::new(Core::new(Parts {
        guardian: started.guardian,
        main: started.main,
        control: started.control,
        guardian_fd: started.guardian_fd,
        group,
        held,
        interval,
        limits: Limits {
            memory: command.memory_limit,
            host_memory: command.host_memory,
            processes: command.process_limit,
        },
        leave_within: (!command.keep_leftovers).then(|| command.grace.saturating_add(AFTER_GRACE)),
        flow: flow.clone(),
        watcher,
        first: Table::system().stat(started.main.pid).filter(|s| s.start_time == started.main.start_time),
    }));
    let followed = streams
        .flow(&flow, &Arc::downgrade(&core))
        .and_then(|ends| reactor::follow(core.clone()).map(|()| ends));
    match followed {
        Ok(ends) => Ok((core, ends)),
        Err(error) => {
            take_back(&core);
            Err(error)
        }
    }
}

/// The command runs and nobody can follow it, for want of a thread: kills it, and waits until all of it is gone.
#[cold]
fn take_back(core: &Arc<Core>) {
    core.kill();
    let mut follow = Follow::new(core.clone());
    let begun = Instant::now();
    // What the system does not let go of is not waited for without end; its guardian goes on killing.
    while !follow.is_done() && begun.elapsed() < PATIENCE {
        follow.tick(SystemClock.now());
        let pause = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    reap(core.guardian_fd.as_ref());
}

/// A group that is removed again unless the tree uses it.
struct Unused(Group);

impl Unused {
    fn keep(mut self) -> Group {
        Group { directories: std::mem::take(&mut self.0.directories), is_v1: self.0.is_v1 }
    }
}

impl Drop for Unused {
    fn drop(&mut self) {
        self.0.remove();
    }
}

struct Started {
    control: OwnedFd,
    guardian: ProcessId,
    guardian_fd: Option<OwnedFd>,
    main: ProcessId,
    grouped: bool,
    /// Whether the guardian lived to say so.
    told: bool,
}

enum Failure {
    System(io::Error),
    Told(u32, i32),
}

impl<E: Into<io::Error>> From<E> for Failure {
    fn from(e: E) -> Failure {
        Failure::System(e.into())
    }
}

fn start(payload: &OwnedFd, streams: &Streams) -> std::result::Result<Started, Failure> {
    let image = image::get()?;
    match attempt(image, payload, streams) {
        // Some systems forbid to execute what lies in memory.
        Err(Failure::Told(step::GUARDIAN, libc::EACCES | libc::EPERM | libc::ENOSYS)) => {
            match image::instead_of(image) {
                Some(other) => attempt(other?, payload, streams),
                None => Err(Failure::Told(step::GUARDIAN, libc::EACCES)),
            }
        }
        other => other,
    }
}

fn attempt(image: &Image, payload: &OwnedFd, streams: &Streams) -> std::result::Result<Started, Failure> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let (control, theirs) = (above_streams(ours)?, above_streams(theirs)?);
    // A child that the host forks holds a copy of our end, so its closing alone does not tell that the host
    // died. Kernels before 5.3 have only that.
    let host = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).ok();
    let host = host.map(above_streams).transpose()?;

    let mut argv = vec![CString::from(c"hl-guardian")];
    for fd in [Some(theirs.as_raw_fd()), Some(payload.as_raw_fd()), host.as_ref().map(|h| h.as_raw_fd())] {
        argv.push(CString::new(fd.unwrap_or(-1).to_string()).map_err(io::Error::from)?);
    }
    let mut kept: Vec<BorrowedFd<'_>> = vec![theirs.as_fd(), payload.as_fd()];
    kept.extend(host.as_ref().map(|h| h.as_fd()));
    let [stdin, stdout, stderr] = &streams.given;
    launch(&Launch {
        program: image.as_fd(),
        argv: &argv,
        streams: [stdin, stdout, stderr].map(|s| s.as_ref().map(|fd| fd.as_fd())),
        kept: &kept,
        control: theirs.as_fd(),
    })?;
    drop(theirs);

    let guardian = match receive(&control, None)? {
        News::Hello { pid, start_time } => ProcessId { pid, start_time },
        News::Failed { step, errno } => return Err(Failure::Told(step, errno)),
        _ => return Err(io::Error::other("the guardian did not say hello").into()),
    };
    let guardian_fd = i32::try_from(guardian.pid)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
        .map(above_streams)
        .transpose()?;
    let mut news = receive(&control, guardian_fd.as_ref());
    let mut forked = None;
    if let Ok(News::Forked { pid, start_time }) = news {
        forked = Some(ProcessId { pid, start_time });
        news = receive(&control, guardian_fd.as_ref());
    }
    match (news, forked) {
        // The first thing that the command did was to kill its guardian. It is known and will be stopped.
        (Err(_), Some(main)) => {
            Ok(Started { control, guardian, guardian_fd, main, grouped: true, told: false })
        }
        (Ok(News::Started { pid, start_time, grouped }), _) => {
            let main = ProcessId { pid, start_time };
            Ok(Started { control, guardian, guardian_fd, main, grouped, told: true })
        }
        (other, _) => {
            drop(control);
            reap(guardian_fd.as_ref());
            match other? {
                News::Failed { step, errno } => Err(Failure::Told(step, errno)),
                _ => Err(io::Error::other("the guardian did not say whether the command runs").into()),
            }
        }
    }
}

fn is_member(group: &Group, pid: u32) -> bool {
    group.members().is_some_and(|members| members.contains(&pid))
}

/// Takes the guardian's record if it is our child, which it is only where we are init or a subreaper.
fn reap(guardian: Option<&OwnedFd>) {
    let Some(guardian) = guardian else { return };
    let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
    let _ = rustix::event::poll(&mut [PollFd::new(guardian, PollFlags::IN)], Some(&timeout));
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOHANG;
    let _ = rustix::process::waitid(rustix::process::WaitId::PidFd(guardian.as_fd()), options);
}

fn receive(control: &OwnedFd, guardian: Option<&OwnedFd>) -> io::Result<News> {
    let start = Instant::now();
    loop {
        match rustix::event::poll(&mut [PollFd::new(control, PollFlags::IN)], Some(&NUDGE)) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
            Ok(0) if start.elapsed() > PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) => {
                if let Some(guardian) = guardian {
                    let _ = rustix::process::pidfd_send_signal(guardian, Signal::CONT);
                }
                continue;
            }
            Ok(_) => {}
        }
        let mut packet = [0; PACKET];
        match rustix::net::recv(control, &mut packet[..], RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(e) => return Err(e.into()),
            Ok((0, _)) => return Err(io::Error::other("the guardian ended at once")),
            Ok((n, _)) => {
                return News::decode(packet.get(..n).unwrap_or_default())
                    .ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
    }
}

#[cold]
fn explain(command: &Command, step: u32, errno: i32) -> Error {
    let cause = io::Error::from_raw_os_error(errno);
    let program = &command.program;
    let transient = matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE);
    let (kind, message) = match step {
        step::EXEC if matches!(errno, libc::ENOENT | libc::ENOTDIR) => {
            (ErrorKind::CommandNotFound, format!("command {program:?} was not found"))
        }
        step::EXEC if !transient => {
            (ErrorKind::CommandNotExecutable, format!("command {program:?} cannot be executed: {cause}"))
        }
        step::DIRECTORY => (
            ErrorKind::SpawnFailed,
            format!(
                "cannot enter the directory {:?} for command {program:?}: {cause}",
                command.cwd.clone().unwrap_or_default()
            ),
        ),
        step::GUARDIAN | step::CLONE => {
            (ErrorKind::SpawnFailed, format!("cannot start a guardian for {program:?}: {cause}"))
        }
        _ => (ErrorKind::SpawnFailed, format!("cannot start command {program:?}: {cause}")),
    };
    Error::new(kind, message).because(cause)
}

fn payload(command: &Command) -> Result<Payload> {
    let program = &command.program;
    // What an argument or a variable holds may be a secret, so only its place is named.
    let refuse = |what: String| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("{what} of command {program:?} holds a zero byte; pass it without"),
        )
    };
    let has_zero = |text: &OsStr| text.as_bytes().contains(&0);
    if program.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the command is empty; name a program"));
    }
    if has_zero(program) {
        return Err(refuse("the name".to_owned()));
    }
    if let Some(n) = command.args.iter().position(|word| has_zero(word)) {
        return Err(refuse(format!("argument {}", n + 1)));
    }
    let mut env: Vec<(OsString, OsString)> =
        if command.env_clear { Vec::new() } else { std::env::vars_os().collect() };
    for (name, value) in &command.env {
        if name.is_empty() {
            let message = "the name of an environment variable is empty; give it one";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        // A whole `NAME=value` may have come as the name.
        if let Some(end) = name.as_bytes().iter().position(|b| *b == b'=') {
            let own = String::from_utf8_lossy(name.as_bytes().get(..end).unwrap_or_default()).into_owned();
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the name of environment variable {own:?} goes on with \"=\"; pass the value apart"),
            ));
        }
        if has_zero(name) || value.as_deref().is_some_and(has_zero) {
            return Err(refuse(format!("environment variable {name:?}")));
        }
        env.retain(|(n, _)| n != name);
        if let Some(value) = value {
            env.push((name.clone(), value.clone()));
        }
    }
    let mut list = Vec::with_capacity(env.len());
    for (name, value) in env {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        list.push(pair.into_vec());
    }
    let directory = command.cwd.as_ref().map(|d| d.as_os_str().to_owned());
    if let Some(directory) = directory.as_ref().filter(|d| has_zero(d)) {
        return Err(refuse(format!("the directory {directory:?}")));
    }
    let argv = [&command.program].into_iter().chain(&command.args);
    Ok(Payload {
        argv: argv.map(|w| w.as_bytes().to_vec()).collect(),
        env: list,
        directory: directory.map(OsString::into_vec),
        group: Vec::new(),
        group_is_v1: false,
        own_group: command.own_group,
        keep_leftovers: command.keep_leftovers,
        grace_ms: u64::try_from(command.grace.as_millis()).unwrap_or(u64::MAX),
    })
}

fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = above_streams(rustix::fs::memfd_create(c"haltline-command", MemfdFlags::CLOEXEC)?)?;
    let mut file = File::from(fd);
    fill(&mut file, bytes)?;
    Ok(file.into())
}
