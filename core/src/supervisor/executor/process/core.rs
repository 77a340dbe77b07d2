//! What the handle of a tree and the thread that follows it share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::Signal;

use super::group::Group;
use super::look::Limits;
use super::output::Flow;
use super::table::Stat;
use super::wire::Order;
use super::{Exit, Leftover, ProcessId, TreeReport, TreeUse, TreeWatcher, reactor};
use crate::clock::{Clock, SystemClock, Time};

/// One tree.
pub(super) struct Core {
    /// The process that started the tree. A copy of the handle in a forked child does nothing.
    pub(super) owner: u32,
    pub(super) guardian: ProcessId,
    pub(super) main: ProcessId,
    pub(super) control: OwnedFd,
    /// Holds the guardian; `None` on kernels without pidfd.
    pub(super) guardian_fd: Option<OwnedFd>,
    pub(super) group: Option<Group>,
    /// Whether it is known that the group held the tree from its start.
    pub(super) held: bool,
    pub(super) interval: Duration,
    limits: Mutex<Limits>,
    /// How long what outlives the main process may take to leave; `None` if it may stay.
    pub(super) leave_within: Option<Duration>,
    pub(super) flow: Arc<Flow>,
    pub(super) watcher: Weak<dyn TreeWatcher>,
    pub(super) known: Mutex<Known>,
    pub(super) changed: Condvar,
    pub(super) gone: AtomicBool,
    /// When force was first asked for, in nanoseconds of the system clock; zero before that.
    kill_since: AtomicU64,
    look_now: AtomicBool,
    /// Orders for which there was no room.
    unsent: Mutex<Vec<Order>>,
}

/// What was learnt so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) last_use: TreeUse,
    /// The processes that could run at the last look.
    pub(super) alive: Vec<Stat>,
    pub(super) exit: Option<Exit>,
    /// What outlived the main process.
    pub(super) leftovers: Vec<Leftover>,
    pub(super) report: Option<TreeReport>,
    /// Whether the guardian has left too and the group was removed.
    pub(super) cleared: bool,
}

/// What a new tree is made of.
pub(super) struct Parts {
    pub(super) guardian: ProcessId,
    pub(super) main: ProcessId,
    pub(super) control: OwnedFd,
    pub(super) guardian_fd: Option<OwnedFd>,
    pub(super) group: Option<Group>,
    pub(super) held: bool,
    pub(super) interval: Duration,
    pub(super) limits: Limits,
    pub(super) leave_within: Option<Duration>,
    pub(super) flow: Arc<Flow>,
    pub(super) watcher: Weak<dyn TreeWatcher>,
    /// The main process, so that a guardian that is killed at once leaves something to go by.
    pub(super) first: Option<Stat>,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Core {
        let known = Known { alive: parts.first.into_iter().collect(), ..Known::default() };
        Core {
            owner: std::process::id(),
            guardian: parts.guardian,
            main: parts.main,
            control: parts.control,
            guardian_fd: parts.guardian_fd,
            group: parts.group,
            held: parts.held,
            interval: parts.interval,
            limits: Mutex::new(parts.limits),
            leave_within: parts.leave_within,
            flow: parts.flow,
            watcher: parts.watcher,
            known: Mutex::new(known),
            changed: Condvar::new(),
            gone: AtomicBool::new(false),
            kill_since: AtomicU64::new(0),
            look_now: AtomicBool::new(false),
            unsent: Mutex::default(),
        }
    }

    /// The bounds that say how closely the tree is looked at.
    pub(super) fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Looks by other bounds, from now on.
    pub(super) fn set_limits(&self, limits: Limits) {
        *self.limits.lock() = limits;
        self.look_soon();
    }

    #[cfg(test)]
    pub(super) fn hold_limits(&self) -> parking_lot::MutexGuard<'_, Limits> {
        self.limits.lock()
    }

    /// Whether this process started the tree.
    pub(super) fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Tells the guardian; never blocks. A guardian that the task stopped is woken first.
    pub(super) fn order(&self, order: Order) {
        if matches!(order, Order::Terminate | Order::Kill) {
            self.flow.hurry();
        }
        if self.is_gone() && order != Order::Quit {
            return;
        }
        // Behind signals that fill the buffer it has to wait; a closed one is seen by the thread that follows.
        if self.send(order) == Err(Errno::AGAIN) {
            let mut unsent = self.unsent.lock();
            if !unsent.contains(&order) {
                unsent.push(order);
            }
            drop(unsent);
            reactor::wake();
        }
    }

    /// Tries again to send what found no room. Returns whether all of it is sent.
    pub(super) fn send_again(&self) -> bool {
        let mut unsent = self.unsent.lock();
        unsent.retain(|order| self.send(*order) == Err(Errno::AGAIN));
        unsent.is_empty()
    }

    /// Has the guardian signal the main process; never blocks. Signals that find no room are not kept.
    pub(super) fn signal(&self, number: i32) -> Result<(), Errno> {
        if self.is_gone() { Ok(()) } else { self.send(Order::Signal(number)) }
    }

    fn send(&self, order: Order) -> Result<(), Errno> {
        self.wake_guardian();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.control, &order.encode(), flags).map(|_| ())
    }

    pub(super) fn kill(&self) {
        if self.is_gone() {
            return;
        }
        let now = SystemClock.now().as_nanos().max(1);
        let _ = self.kill_since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        self.order(Order::Kill);
        self.look_soon();
    }

    /// When force was first asked for.
    pub(super) fn kill_since(&self) -> Option<Time> {
        Some(self.kill_since.load(Ordering::Acquire)).filter(|n| *n != 0).map(Time::from_nanos)
    }

    /// Has the tree looked at at once.
    pub(super) fn look_soon(&self) {
        self.look_now.store(true, Ordering::Release);
        reactor::wake();
    }

    pub(super) fn take_look_now(&self) -> bool {
        self.look_now.swap(false, Ordering::AcqRel)
    }

    /// Nobody wants the tree any more: the guardian sees the end of the connection and stops the tree, while
    /// what it reports still arrives here.
    pub(super) fn let_go(&self) {
        let _ = rustix::net::shutdown(&self.control, rustix::net::Shutdown::Write);
        self.wake_guardian();
    }

    /// The task runs under the same user and may have stopped its guardian.
    pub(super) fn wake_guardian(&self) {
        if let Some(guardian) = &self.guardian_fd {
            let _ = rustix::process::pidfd_send_signal(guardian, Signal::CONT);
        }
    }

    pub(super) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// The process's identity and name.
pub(super) fn leftover(stat: &Stat) -> Leftover {
    Leftover { id: ProcessId { pid: stat.pid, start_time: stat.start_time }, name: name(&stat.name) }
}

pub(super) fn name(padded: &[u8; 16]) -> String {
    let end = padded.iter().position(|b| *b == 0).unwrap_or(padded.len());
    String::from_utf8_lossy(padded.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
impl Parts {
    /// Those of a tree without a process, and the guardian's end of its connection.
    pub(super) fn of_nobody() -> (Parts, OwnedFd) {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let (control, guardian) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let nobody = ProcessId { pid: u32::MAX, start_time: 1 };
        let parts = Parts {
            guardian: nobody,
            main: nobody,
            control,
            guardian_fd: None,
            group: None,
            held: false,
            interval: Duration::from_secs(1),
            limits: Limits::default(),
            leave_within: None,
            flow: Arc::new(Flow::new(&super::Command::new("nothing")).unwrap()),
            watcher: Weak::<super::tests::Recorder>::new(),
            first: None,
        };
        (parts, guardian)
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::RecvFlags;

    use super::super::wire::PACKET;
    use super::*;

    #[test]
    fn an_order_that_finds_no_room_is_sent_as_soon_as_there_is_some() {
        let (parts, guardian) = Parts::of_nobody();
        let core = Core::new(parts);
        let mut sent = 0;
        while core.signal(23).is_ok() {
            sent += 1;
        }
        core.order(Order::Terminate);
        core.order(Order::Terminate);
        core.order(Order::Kill);
        assert!(!core.send_again());
        let hear = || {
            let mut packet = [0; PACKET];
            let heard = rustix::net::recv(&guardian, &mut packet[..], RecvFlags::DONTWAIT);
            heard.ok().and_then(|_| Order::decode(&packet))
        };
        for _ in 0..sent {
            assert_eq!(hear(), Some(Order::Signal(23)));
        }
        assert_eq!(hear(), None);
        assert!(core.send_again() && core.send_again());
        assert_eq!([hear(), hear(), hear()], [Some(Order::Terminate), Some(Order::Kill), None]);
        assert_eq!(core.signal(23), Ok(()));
    }
}
