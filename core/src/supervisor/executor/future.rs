//! A future under supervision: its polls are timed, and force drops it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, SystemClock, Time};
use crate::supervisor::cause::Cancelled;
use crate::supervisor::task::Token;

/// What the supervisor sees and steers of a future.
#[derive(Debug, Default)]
pub(crate) struct FutureState {
    polled_nanos: AtomicU64,
    /// When the poll that runs now began; zero between polls.
    polling_since: AtomicU64,
    forced: AtomicBool,
    ready: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl FutureState {
    /// Time spent in polls, the one that runs now included.
    pub(crate) fn poll_time(&self) -> Duration {
        loop {
            // In this order: a poll that ends in between is missing once instead of counted twice.
            let done = Duration::from_nanos(self.polled_nanos.load(Ordering::Acquire));
            let since = self.polling_since.load(Ordering::Acquire);
            if since == 0 {
                return done;
            }
            let now = SystemClock.now();
            // Where that poll has ended meanwhile, `now` may lie behind its end.
            if self.polling_since.load(Ordering::Acquire) == since {
                return done + now.since(Time::from_nanos(since));
            }
        }
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
        let begun = SystemClock.now().as_nanos().max(1);
        this.state.polling_since.store(begun, Ordering::Release);
        // A panic unwinds through here; the record then ends with the drop of the wrapper.
        let polled = inner.as_mut().poll(cx);
        let spent = SystemClock.now().as_nanos() - begun;
        // In this order, as the reader's: what is added already runs no more.
        this.state.polling_since.store(0, Ordering::Release);
        this.state.polled_nanos.fetch_add(spent, Ordering::AcqRel);
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
        self.state.polling_since.store(0, Ordering::Release);
        self.token.record().finish();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::supervisor::Supervisor;

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
                        let read = state.poll_time();
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
