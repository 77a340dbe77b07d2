//! A future under supervision: the processor time of its polls is measured, and force drops it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::thread_clock::ThreadClock;
use crate::clock::{Clock, SystemClock, Time};
use crate::supervisor::cause::Cancelled;
use crate::supervisor::engine::TaskId;
use crate::supervisor::task::Token;

/// What the supervisor sees and steers of a future.
#[derive(Debug, Default)]
pub(crate) struct FutureState {
    polls: Mutex<Polls>,
    forced: AtomicBool,
    ready: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// What its polls have used.
#[derive(Debug, Default)]
struct Polls {
    done: Duration,
    last: Option<LastPoll>,
}

/// Where a future was polled last.
#[derive(Clone, Debug)]
pub(crate) struct LastPoll {
    pub(crate) thread: Arc<ThreadClock>,
    pub(crate) since: Time,
    /// The future in whose poll that was; 0 is none.
    pub(crate) around: TaskId,
    /// What the clock showed when it began, as long as it runs.
    running: Option<Before>,
}

/// The clock of the thread, or the system's where the thread's cannot be read.
#[derive(Clone, Copy, Debug)]
enum Before {
    Thread(Duration),
    System(Time),
}

impl LastPoll {
    pub(crate) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// What it has used so far, as long as it runs.
    fn used(&self) -> Duration {
        match self.running {
            Some(Before::Thread(before)) => {
                self.thread.read().map_or(Duration::ZERO, |now| now.saturating_sub(before))
            }
            Some(Before::System(since)) => SystemClock.now().since(since),
            None => Duration::ZERO,
        }
    }
}

/// Ends the poll that runs.
struct Polling<'a>(&'a FutureState);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let mut polls = self.0.polls.lock();
        if let Polls { done, last: Some(poll) } = &mut *polls {
            *done += poll.used();
            poll.running = None;
            poll.thread.poll(poll.around);
        }
    }
}

impl FutureState {
    /// Processor time used in polls, the one that runs now included, and where it was polled last.
    pub(crate) fn look(&self) -> (Duration, Option<LastPoll>) {
        // The poll cannot end meanwhile, so it is not counted twice and its thread is still its own.
        let polls = self.polls.lock();
        let running = polls.last.as_ref().map_or(Duration::ZERO, LastPoll::used);
        (polls.done + running, polls.last.clone())
    }

    /// A poll of this task runs from here until what is returned is dropped, by a panic too: the host may keep the
    /// future.
    fn poll_begins(&self, task: TaskId, since: Time) -> Polling<'_> {
        let thread = ThreadClock::current();
        let around = thread.poll(task);
        let before = thread.read().map_or_else(|| Before::System(SystemClock.now()), Before::Thread);
        self.polls.lock().last = Some(LastPoll { thread, since, around, running: Some(before) });
        Polling(self)
    }

    /// Whether it came to its own end, even if force was asked for during its last poll.
    pub(crate) fn left_by_itself(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Makes the next poll drop the future.
    pub(crate) fn force(&self) {
        self.forced.store(true, Ordering::Release);
    }

    /// Has the future polled soon. Runs code of the host's runtime.
    pub(crate) fn wake(&self) {
        // Taken and not cloned: cloning runs the runtime's code, which must not happen under the lock. The poll that
        // follows stores a waker again.
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Keeps the waker of the poll that runs now.
    fn keep_waker(&self, new: &Waker) {
        let kept = self.waker.lock().take();
        // Compared, cloned and dropped without the lock: all three run code of the host's runtime.
        let kept = kept.filter(|old| old.will_wake(new)).unwrap_or_else(|| new.clone());
        let replaced = self.waker.lock().replace(kept);
        drop(replaced);
    }
}

/// A future that runs as a supervised task. It resolves to the inner output, or to [`Cancelled`].
///
/// When the task is cancelled the inner future is polled once more at once, so that it can look at its token
/// and leave by itself within the grace of the profile; after that it is dropped where it stands. An output
/// that comes after the cancellation is still handed out. Dropping this future ends the task.
///
/// It is charged with the processor time of the threads that poll it, while they do; where the system does not tell
/// that, with the time that the polls take. One that another future polls, or that is polled in a section, is nested in
/// it as a [section](crate::supervisor::Task) is.
#[must_use = "a future does nothing unless it is polled"]
pub struct Supervised<F> {
    /// Boxed, so that it can be dropped in place before the wrapper is.
    inner: Option<Pin<Box<F>>>,
    state: Arc<FutureState>,
    token: Token,
}

impl<F: Future> Supervised<F> {
    pub(crate) fn new(state: Arc<FutureState>, token: Token) -> Self {
        Supervised { inner: None, state, token }
    }

    pub(crate) fn holding(mut self, inner: F) -> Self {
        self.inner = Some(Box::pin(inner));
        self
    }

    /// The token of the task.
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl<F: Future> Future for Supervised<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.state.keep_waker(cx.waker());
        // After the waker is stored: a force that comes now either is seen here or wakes us again.
        if this.state.forced.load(Ordering::Acquire) {
            this.inner = None;
        }
        let Some(inner) = &mut this.inner else {
            this.token.record().finish();
            return Poll::Ready(Err(this.token.record().cancelled()));
        };
        let record = this.token.record();
        let polling = this.state.poll_begins(record.id, record.home.inner.now());
        // A panic unwinds through here; the record then ends with the drop of the wrapper.
        let polled = inner.as_mut().poll(cx);
        drop(polling);
        match polled {
            Poll::Ready(output) => {
                this.state.ready.store(true, Ordering::Release);
                this.inner = None;
                this.token.record().finish();
                Poll::Ready(Ok(output))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F> Drop for Supervised<F> {
    fn drop(&mut self) {
        // The future first: the task is gone only when what it held is released.
        self.inner = None;
        self.token.record().finish();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::supervisor::Supervisor;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_poll_that_waits_uses_no_processor_and_one_that_works_does() {
        const MS: Duration = Duration::from_millis(1);
        let supervisor = Supervisor::builder().manual().unwrap();
        let poll = |work: fn()| {
            let future = |_| {
                std::future::poll_fn(move |_| {
                    work();
                    Poll::<()>::Pending
                })
            };
            let mut task = Box::pin(supervisor.supervise("polled", "craft", future).unwrap());
            let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            task.state.look().0
        };
        let waited = poll(|| std::thread::sleep(100 * MS));
        assert!(waited < 50 * MS, "{waited:?}");
        let worked = poll(|| {
            let clock = ThreadClock::current();
            let until = clock.read().unwrap() + 20 * MS;
            while clock.read().unwrap() < until {}
        });
        assert!(worked >= 20 * MS, "{worked:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_future_whose_poll_panicked_is_charged_no_further() {
        const MS: Duration = Duration::from_millis(1);
        let supervisor = Supervisor::builder().manual().unwrap();
        let panics = |_| std::future::poll_fn(|_| -> Poll<()> { panic!("no result") });
        let mut task = Box::pin(supervisor.supervise("panics", "craft", panics).unwrap());
        let poll = || drop(task.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).is_err());
        let before = task.state.look().0;
        let clock = ThreadClock::current();
        let until = clock.read().unwrap() + 5 * MS;
        while clock.read().unwrap() < until {}
        assert_eq!(task.state.look().0, before);
    }

    /// Whatever moment of a poll another thread looks at.
    #[test]
    fn a_poll_that_ends_while_it_is_read_is_not_counted_twice() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let mut most = Duration::ZERO;
        for _ in 0..2_000 {
            let busy = |_| {
                std::future::poll_fn(|_| {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_micros(200) {}
                    Poll::<()>::Pending
                })
            };
            let mut task = Box::pin(supervisor.supervise("busy", "craft", busy).unwrap());
            let (state, over) = (task.state.clone(), Arc::new(AtomicBool::new(false)));
            let (ready, reads) = mpsc::channel();
            let reader = {
                let over = over.clone();
                std::thread::spawn(move || {
                    let begun = Instant::now();
                    ready.send(()).unwrap();
                    let mut most = Duration::ZERO;
                    while !over.load(Ordering::Acquire) {
                        let read = state.look().0;
                        most = most.max(read.saturating_sub(begun.elapsed()));
                    }
                    most
                })
            };
            reads.recv().unwrap();
            let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            over.store(true, Ordering::Release);
            most = most.max(reader.join().unwrap());
        }
        assert_eq!(most, Duration::ZERO, "counted beyond the time that there was");
    }
}
