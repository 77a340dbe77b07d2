//! The processor time of a thread, read from any other thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::turns::Turns;
use crate::supervisor::engine::TaskId;

/// The clock of one thread. It stops being readable when the thread ends, so a reused thread id is never read.
#[derive(Debug)]
pub(crate) struct ThreadClock {
    id: Option<ClockId>,
    alive: AtomicBool,
    turns: Turns,
    /// The future that is polled on it; 0 is none. Only the thread itself looks at it.
    polled: AtomicU64,
}

/// Marks the clock when its thread ends.
struct Owner(Arc<ThreadClock>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.alive.store(false, Ordering::Release);
    }
}

#[cfg(test)]
thread_local! {
    /// How many clocks the calling thread has read.
    pub(crate) static READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

thread_local! {
    static OWN: Owner = Owner(Arc::new(ThreadClock::new(ClockId::of_this_thread(), true)));
}

impl ThreadClock {
    /// The clock of the calling thread.
    #[inline]
    pub(crate) fn current() -> Arc<ThreadClock> {
        // A thread that is already tearing down its locals gets a clock that cannot be read.
        OWN.try_with(|own| own.0.clone()).unwrap_or_else(|_| Arc::new(ThreadClock::new(None, false)))
    }

    fn new(id: Option<ClockId>, alive: bool) -> Self {
        ThreadClock { id, alive: AtomicBool::new(alive), turns: Turns::default(), polled: AtomicU64::new(0) }
    }

    /// Which coroutines of this thread are inside of sections.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Says which future is polled on the calling thread, whose clock this is. Returns which one was until now.
    pub(super) fn poll(&self, future: TaskId) -> TaskId {
        let before = self.polled.load(Ordering::Relaxed);
        self.polled.store(future, Ordering::Relaxed);
        before
    }

    /// Processor time since the thread began, or `None` if that is not known or the thread is gone.
    pub(crate) fn read(&self) -> Option<Duration> {
        #[cfg(test)]
        READS.set(READS.get() + 1);
        let time = self.id.as_ref()?.read()?;
        // Asked after the read: if the thread still lived then, its id was its own.
        self.alive.load(Ordering::Acquire).then_some(time)
    }
}

#[cfg(target_os = "linux")]
use linux::ClockId;
#[cfg(not(target_os = "linux"))]
use other::ClockId;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct ClockId(libc::clockid_t);

    impl ClockId {
        pub(super) fn of_this_thread() -> Option<ClockId> {
            let mut id = 0;
            // SAFETY: `pthread_self` is always valid for the calling thread, and `id` is a place to write to.
            let status = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut id) };
            (status == 0).then_some(ClockId(id))
        }

        pub(super) fn read(&self) -> Option<Duration> {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: `time` is a place to write to; an id of a thread that ended is answered with EINVAL.
            let status = unsafe { libc::clock_gettime(self.0, &mut time) };
            (status == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::time::Duration;

    /// Not implemented: processor time of threads is unknown here.
    #[derive(Debug)]
    pub(super) struct ClockId;

    impl ClockId {
        pub(super) fn of_this_thread() -> Option<ClockId> {
            None
        }
        pub(super) fn read(&self) -> Option<Duration> {
            None
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn another_threads_clock_advances_with_its_work_and_is_unknown_after_its_end() {
        let (send, receive) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            send.send(ThreadClock::current()).unwrap();
            while ended.try_recv().is_err() {}
        });
        let clock = receive.recv().unwrap();
        let first = clock.read().unwrap();
        while clock.read().unwrap() < first + Duration::from_millis(2) {}
        end.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(clock.read(), None);
    }
}
