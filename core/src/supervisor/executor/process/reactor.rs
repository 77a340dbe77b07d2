//! The one thread that follows all trees of this process.
//!
//! It starts with the first tree and ends when it has been without one for a while. A forked child has none
//! of its parent's trees and starts a thread of its own if it starts a tree.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, Timespec, epoll};

use super::core::Core;
use super::follow::Follow;
use super::launch::AllBlocked;
use crate::clock::{Clock, SystemClock, Time};
use crate::error::{Error, ErrorKind, Result};

/// How long the thread stays without a tree.
const LINGER: Duration = Duration::from_secs(1);
const WAKE: u64 = u64::MAX;

struct Reactor {
    owner: u32,
    wake: OwnedFd,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    incoming: Vec<Arc<Core>>,
    /// The thread, from its start until it decides to leave.
    thread: Option<JoinHandle<()>>,
    /// Whether it follows a tree.
    busy: bool,
    /// Counts the threads that were sent away; one of an earlier count takes no more trees.
    dismissed: u64,
}

/// Without a lock, which a fork could leave locked. A reactor is never freed: a forked child leaves its parent's alone,
/// because the thread whose handle it holds is none of the child's.
static CURRENT: AtomicPtr<Reactor> = AtomicPtr::new(std::ptr::null_mut());

/// Follows `core` from now on.
pub(super) fn follow(core: Arc<Core>) -> Result<()> {
    let reactor = current().map_err(|e| Error::io("making an event descriptor", e))?;
    let mut queue = reactor.queue.lock();
    queue.incoming.push(core);
    queue.busy = true;
    if queue.thread.is_some() {
        drop(queue);
        reactor.wake();
        return Ok(());
    }
    let run = {
        let dismissed = queue.dismissed;
        move || {
            crate::errand::become_watcher();
            reactor.run(dismissed, &Poll::new(&reactor.wake));
        }
    };
    let signals = AllBlocked::new();
    let started = std::thread::Builder::new().name("hl-process".into()).spawn(run);
    drop(signals);
    match started {
        Ok(thread) => {
            queue.thread = Some(thread);
            Ok(())
        }
        Err(e) => {
            queue.incoming.clear();
            queue.busy = false;
            Err(Error::new(ErrorKind::SpawnFailed, "cannot start the thread that follows process trees")
                .because(e))
        }
    }
}

/// Has the thread look at what changed.
pub(super) fn wake() {
    if let Some(reactor) = own() {
        reactor.wake();
    }
}

/// Sends the thread away if it has no tree any more, and waits until it has left. What a stopped tree has left to do
/// takes it a moment; that moment ends at `until`, and trees that live on are not waited for.
pub(crate) fn leave(until: Instant) {
    let Some(reactor) = own() else { return };
    let until = until.min(Instant::now() + LINGER / 10);
    while let Err(()) = reactor.dismiss() {
        if Instant::now() >= until {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The reactor of this process, if there is one.
fn own() -> Option<&'static Reactor> {
    // SAFETY: what is stored came from a box and is never freed.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.filter(|r| r.owner == std::process::id())
}

fn current() -> io::Result<&'static Reactor> {
    loop {
        let seen = CURRENT.load(Ordering::Acquire);
        if let Some(reactor) = own() {
            return Ok(reactor);
        }
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let owner = std::process::id();
        let fresh = Box::into_raw(Box::new(Reactor { owner, wake, queue: Mutex::default() }));
        // Of two threads that get here at once, one wins and both take what is there then.
        if CURRENT.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: it was not stored, so nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

impl Reactor {
    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Sends the thread away and waits for it, unless it follows trees.
    fn dismiss(&self) -> Result<(), ()> {
        let mut queue = self.queue.lock();
        if queue.busy {
            return Err(());
        }
        queue.dismissed += 1;
        let thread = queue.thread.take();
        drop(queue);
        if let Some(thread) = thread {
            self.wake();
            // It follows nothing and takes nothing more, so its end is near. It does not panic.
            let _ = thread.join();
        }
        Ok(())
    }

    fn run(&self, dismissed: u64, poll: &Poll) {
        let mut trees = HashMap::new();
        let mut serial = 0;
        let mut idle_since: Option<Time> = None;
        loop {
            let incoming = {
                let mut queue = self.queue.lock();
                let lingered = idle_since.is_some_and(|t| SystemClock.now().since(t) >= LINGER);
                if queue.dismissed != dismissed {
                    return;
                }
                if trees.is_empty() && queue.incoming.is_empty() && lingered {
                    queue.thread = None;
                    return;
                }
                std::mem::take(&mut queue.incoming)
            };
            for core in incoming {
                poll.add(&core, serial);
                trees.insert(serial, Follow::new(core));
                serial += 1;
            }
            let now = SystemClock.now();
            for follow in trees.values_mut() {
                follow.tick(now);
            }
            trees.retain(|_, follow| {
                if follow.is_done() {
                    poll.remove(&follow.core);
                }
                !follow.is_done()
            });
            if trees.is_empty() {
                let mut queue = self.queue.lock();
                queue.busy = !queue.incoming.is_empty();
            }
            let next = trees.values().map(Follow::due).min();
            idle_since = if trees.is_empty() { idle_since.or(Some(now)) } else { None };
            let until = next.unwrap_or(now + LINGER);
            poll.wait(until.since(SystemClock.now()), &self.wake, |tree, what| {
                let Some(follow) = trees.get_mut(&tree) else { return };
                match what {
                    What::News => {
                        if !follow.hear() {
                            poll.deafen(&follow.core);
                        }
                    }
                    What::GuardianEnded => {
                        poll.forget_guardian(&follow.core);
                        follow.guardian_ended();
                    }
                }
            });
        }
    }
}

enum What {
    News,
    GuardianEnded,
}

/// The descriptors of all trees. Without it (out of descriptors) the thread wakes every few milliseconds, and hears each
/// tree when it looks at it.
struct Poll(Option<OwnedFd>);

impl Poll {
    fn new(wake: &OwnedFd) -> Poll {
        let poll = Poll(epoll::create(epoll::CreateFlags::CLOEXEC).ok());
        poll.watch(wake, WAKE);
        poll
    }

    fn watch(&self, fd: impl AsFd, data: u64) {
        if let Some(poll) = &self.0 {
            let _ = epoll::add(poll, fd, epoll::EventData::new_u64(data), epoll::EventFlags::IN);
        }
    }

    fn unwatch(&self, fd: impl AsFd) {
        if let Some(poll) = &self.0 {
            let _ = epoll::delete(poll, fd);
        }
    }

    fn add(&self, core: &Core, serial: u64) {
        self.watch(core.control(), serial * 2);
        if let Some(guardian) = &core.guardian_fd {
            self.watch(guardian, serial * 2 + 1);
        }
    }

    fn deafen(&self, core: &Core) {
        self.unwatch(core.control());
    }

    fn forget_guardian(&self, core: &Core) {
        if let Some(guardian) = &core.guardian_fd {
            self.unwatch(guardian);
        }
    }

    fn remove(&self, core: &Core) {
        self.deafen(core);
        self.forget_guardian(core);
    }

    fn wait(&self, timeout: Duration, wake: &OwnedFd, mut tell: impl FnMut(u64, What)) {
        let mut room = [MaybeUninit::<epoll::Event>::uninit(); 64];
        let timeout = Timespec {
            tv_sec: timeout.as_secs().min(3600) as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let Some(poll) = &self.0 else {
            std::thread::sleep(Duration::from_millis(5));
            return;
        };
        let Ok((events, _)) = epoll::wait(poll, &mut room[..], Some(&timeout)) else { return };
        for event in events {
            let data = event.data.u64();
            if data == WAKE {
                let mut count = [0; 8];
                let _ = rustix::io::read(wake, &mut count);
            } else {
                tell(data / 2, if data % 2 == 0 { What::News } else { What::GuardianEnded });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::atomic::AtomicBool;

    use rustix::net::SendFlags;

    use super::super::TreeWatcher;
    use super::super::core::Parts;
    use super::super::wire::News;
    use super::*;

    #[derive(Default)]
    struct Gone(AtomicBool);

    impl TreeWatcher for Gone {
        fn looked(&self) {}
        fn unseen(&self, _: Option<&str>) -> bool {
            true
        }
        fn overdue(&self) {}
        fn lost(&self) {}
        fn gone(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_tree_that_no_descriptor_is_left_to_wait_for_is_heard_all_the_same() {
        // No such processes: what is told is all there is to know.
        let (parts, guardian) = Parts::of_nobody();
        let told = Arc::new(Gone::default());
        let weak: Weak<Gone> = Arc::downgrade(&told);
        let core = Arc::new(Core::new(Parts { interval: Duration::from_millis(20), watcher: weak, ..parts }));
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let reactor = Reactor { owner: std::process::id(), wake, queue: Mutex::default() };
        reactor.queue.lock().incoming.push(core.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| reactor.run(0, &Poll(None)));
            rustix::net::send(&guardian, &News::Empty { cpu_us: 7 }.encode(), SendFlags::empty()).unwrap();
            let until = Instant::now() + Duration::from_secs(10);
            while !told.0.load(Ordering::SeqCst) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Sends the thread away whatever was seen.
            reactor.queue.lock().dismissed += 1;
        });
        assert!(told.0.load(Ordering::SeqCst) && core.is_gone());
        let report = core.known.lock().report.clone().unwrap();
        assert!(report.proved && report.last_use.cpu_time == Some(Duration::from_micros(7)));
    }
}
