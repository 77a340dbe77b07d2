//! The guardian: one small process beside each supervised tree.
//!
//! It is the subreaper of that tree and of nothing else, so every orphan below it comes to it and two trees
//! are never confused. It starts the command, reaps, tells its host what happened, and carries out the
//! host's orders. If the host dies it stops the tree by itself: SIGTERM, a grace, SIGKILL, and then it leaves.
//!
//! It is compiled by the build script of `haltline` and embedded there; nothing has to be installed.

#![no_main]

mod command;
mod group;
mod signal;
mod sys;
mod table;
mod tree;
mod wire;

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use group::Group;
use sys::{PollFd, Reaped};
use tree::Tree;
use wire::{News, Order, PACKET, Payload, step};

/// Arguments: the control socket, the command's memory file, and a pidfd of the host or -1.
///
/// Defined here without the runtime of the standard library, which would ignore SIGPIPE and open files.
#[unsafe(no_mangle)]
pub extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let mut fds = [-1; 3];
    for (n, fd) in fds.iter_mut().enumerate().take((count.max(1) - 1) as usize) {
        // SAFETY: `count` C strings are there, the first being the name.
        let text = unsafe { CStr::from_ptr(*arguments.add(n + 1)) };
        *fd = text.to_str().ok().and_then(|t| t.parse().ok()).unwrap_or(-1);
    }
    let [control, payload, host] = fds;
    if control < 0 || payload < 0 {
        return 125;
    }
    sys::hold_signals();
    sys::become_guardian();
    for fd in fds {
        sys::close_on_exec(fd);
    }
    sys::wake_by(control);
    let me = std::process::id();
    let start_time = table::Table::system().stat(me).map_or(0, |s| s.start_time);
    sys::send_packet(control, &News::Hello { pid: me, start_time }.encode());
    match begin(control, payload, host) {
        Ok(guardian) => guardian.watch(),
        Err((step, errno)) => {
            sys::send_packet(control, &News::Failed { step, errno }.encode());
            1
        }
    }
}

fn begin(control: c_int, payload: c_int, host: c_int) -> Result<Guardian, (u32, i32)> {
    let mut bytes = Vec::new();
    // SAFETY: the host passed this descriptor for us to own.
    let mut file = unsafe { File::from_raw_fd(payload) };
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    drop(file);
    read.map_err(|e| (step::PAYLOAD, e.raw_os_error().unwrap_or(5)))?;
    let payload = Payload::decode(&bytes).ok_or((step::PAYLOAD, 22))?;
    drop(bytes);

    let group = (!payload.group.is_empty()).then(|| Group {
        directories: payload.group.iter().map(|p| PathBuf::from(OsStr::from_bytes(p))).collect(),
        is_v1: payload.group_is_v1,
    });
    let signals = sys::child_signals();
    let announce = |pid| {
        let start_time = table::Table::system().stat(pid).map_or(0, |s| s.start_time);
        sys::send_packet(control, &News::Forked { pid, start_time }.encode());
    };
    let started = match command::start(&payload, group.as_ref(), announce) {
        Ok(started) => started,
        Err(failure) => {
            // Reaps the child that failed, so that the group can go.
            while !matches!(sys::reap(), Reaped::NoChildren) {
                std::thread::sleep(Duration::from_micros(200));
            }
            Tree::new(group).remove_group();
            return Err(failure);
        }
    };
    // The command has its streams and its directory; holding them here would keep pipes open and mounts busy.
    sys::close_all_but(&mut [control, host, signals]);
    sys::enter(c"/");
    sys::hurry();
    let tree = Tree::new(group.filter(|_| started.grouped));
    let start_time = tree.table().stat(started.pid).map_or(0, |s| s.start_time);
    let news = News::Started { pid: started.pid, start_time, grouped: started.grouped };
    sys::send_packet(control, &news.encode());
    Ok(Guardian {
        control,
        host,
        signals,
        main: started.pid,
        main_left: false,
        met: false,
        asked: false,
        empty: false,
        keep_leftovers: payload.keep_leftovers,
        grace: Duration::from_millis(payload.grace_ms),
        host_here: true,
        plan: Plan::Watch,
        tree,
    })
}

/// What the guardian is about to do with the tree.
enum Plan {
    Watch,
    /// It was asked to leave and is killed at this moment.
    Grace(Option<Instant>),
    /// It is being killed; since when, when the next attempt is due, and how long that was waited for.
    Kill { since: Instant, next: Instant, pause: Duration },
}

struct Guardian {
    control: c_int,
    host: c_int,
    /// False once the host died, let go of the tree, or needs no more of it. News are still sent: a host that
    /// let go may be alive and count the tree.
    host_here: bool,
    signals: c_int,
    main: u32,
    main_left: bool,
    /// Whether what outlived it was met.
    met: bool,
    /// Whether the host has ordered an end.
    asked: bool,
    empty: bool,
    keep_leftovers: bool,
    grace: Duration,
    plan: Plan,
    tree: Tree,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// A group that the kernel has killed and that still has members by then is helped along one by one.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than a socket's buffer holds.
const MOST_ORDERS: usize = 1024;
/// More are not named, so that the socket's buffer cannot fill.
const MOST_LEFTOVERS: usize = 64;

impl Guardian {
    fn watch(mut self) -> c_int {
        loop {
            self.reap();
            if self.empty && !self.host_here {
                self.tree.remove_group();
                return 0;
            }
            let (control, host) = if self.host_here { (self.control, self.host) } else { (-1, -1) };
            let mut fds = [control, host, self.signals].map(PollFd::readable);
            sys::poll_all(&mut fds, self.timeout());
            if fds[2].is_ready() {
                sys::drain(self.signals);
            }
            if fds[0].is_ready() {
                self.obey();
            }
            if fds[1].is_ready() {
                self.lose_host();
            }
            if !self.empty {
                self.advance();
            }
        }
    }

    fn timeout(&self) -> c_int {
        let wait = match self.plan {
            Plan::Grace(Some(until)) => until.saturating_duration_since(Instant::now()),
            Plan::Kill { next, .. } => next.saturating_duration_since(Instant::now()),
            _ => return -1,
        };
        if self.empty { -1 } else { wait.as_millis().min(60_000) as c_int + 1 }
    }

    /// Takes every ended child. Having no child left is the proof that the tree is empty.
    fn reap(&mut self) {
        if self.empty {
            return;
        }
        loop {
            match sys::reap() {
                Reaped::NoneYet => {
                    // Children remain, whatever the process table shows of them at this moment.
                    if self.main_left && !self.met {
                        self.met = true;
                        self.meet_leftovers();
                    }
                    break;
                }
                Reaped::Child { pid, status, usage } => {
                    if pid == self.main && !self.main_left {
                        self.main_left = true;
                        let (cpu_us, max_rss_kib) = (usage.cpu_us(), usage.max_rss_kib());
                        self.tell(News::Exited { status, cpu_us, max_rss_kib });
                    }
                }
                Reaped::NoChildren => {
                    self.empty = true;
                    self.tell(News::Empty { cpu_us: sys::children_cpu_us() });
                    break;
                }
            }
        }
    }

    /// The main process has left and children remain.
    fn meet_leftovers(&mut self) {
        if self.asked || !self.host_here {
            return;
        }
        for s in self.tree.alive().iter().take(MOST_LEFTOVERS) {
            self.tell(News::Leftover { pid: s.pid, start_time: s.start_time, name: s.name });
        }
        if !self.keep_leftovers {
            self.stop();
        }
    }

    fn obey(&mut self) {
        let mut packet = [0; PACKET];
        let mut terminate = false;
        // What comes after so many has another turn: a host that sends without end must not put off the asking.
        for _ in 0..MOST_ORDERS {
            if !self.host_here {
                return;
            }
            let order = match sys::receive_packet(self.control, &mut packet) {
                None => break,
                Some(0) => return self.lose_host(),
                Some(n) => Order::decode(packet.get(..n).unwrap_or_default()),
            };
            match order {
                Some(Order::Terminate) => terminate = true,
                // Whoever has no grace is not asked first: asking thousands takes its time.
                Some(Order::Kill) => return self.kill(),
                Some(Order::Signal(number)) if !self.main_left => self.tree.signal(self.main, number),
                Some(Order::Quit) => return self.lose_host(),
                _ => {}
            }
        }
        if terminate {
            self.asked = true;
            self.tree.terminate();
        }
    }

    /// The host died or let go of the tree: from here on nobody else will stop it.
    fn lose_host(&mut self) {
        if !self.host_here {
            return;
        }
        self.host_here = false;
        if !self.empty && !matches!(self.plan, Plan::Grace(_) | Plan::Kill { .. }) {
            self.stop();
        }
    }

    /// SIGTERM now, SIGKILL after the grace.
    fn stop(&mut self) {
        self.tree.terminate();
        // A grace too long for the clock is a grace without end.
        self.plan = Plan::Grace(Instant::now().checked_add(self.grace));
    }

    fn kill(&mut self) {
        self.asked = true;
        let since = Instant::now();
        self.tree.kill(false);
        self.plan = Plan::Kill { since, next: Instant::now() + SHORTEST_PAUSE, pause: SHORTEST_PAUSE };
    }

    fn advance(&mut self) {
        match self.plan {
            Plan::Grace(Some(until)) if Instant::now() >= until => self.kill(),
            // Every end of a child comes by here, and thousands may end: each is no reason for another attempt.
            Plan::Kill { since, next, pause } if Instant::now() >= next => {
                self.reap();
                if !self.empty {
                    self.tree.kill(since.elapsed() >= PATIENCE);
                    let pause = (pause * 2).min(LONGEST_PAUSE);
                    self.plan = Plan::Kill { since, next: Instant::now() + pause, pause };
                }
            }
            _ => {}
        }
    }

    fn tell(&self, news: News) {
        sys::send_packet(self.control, &news.encode());
    }
}
