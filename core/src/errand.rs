//! Threads for host code, so that a piece that blocks delays neither another nor a thread that watches.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long a thread waits for its next piece before it leaves.
const LINGER: Duration = Duration::from_millis(200);
/// How long after a thread could not be started the next attempt is made.
pub(crate) const RETRY: Duration = Duration::from_millis(50);

/// A piece of host code.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Host) };
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Host,
    /// Runs host code, and must not wait for itself.
    Errand,
    /// Watches, and must run no host code.
    Watcher,
}

/// Says that the calling thread watches and is never to run host code.
pub(crate) fn become_watcher() {
    ROLE.set(Role::Watcher);
}

/// Says that the calling thread, until its end, runs host code that haltline waits for: a shutdown that this code asks
/// for does not wait for it. For bindings whose handlers run on threads of their language.
pub fn become_errand() {
    ROLE.set(Role::Errand);
}

/// Whether the calling thread must run no host code.
pub(crate) fn is_watcher() -> bool {
    ROLE.get() == Role::Watcher
}

/// Runs pieces of host code side by side, on as many threads as block at one time. Where no thread can be had, a
/// piece waits until there is one.
#[derive(Default)]
pub(crate) struct Errands(Arc<Crew>);

#[derive(Default)]
struct Crew {
    state: Mutex<State>,
    /// There is a piece to take, or nothing will come any more.
    work: Condvar,
    /// Nothing runs and nothing waits.
    quiet: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Threads that can take a piece, those that are about to start included.
    idle: usize,
    busy: usize,
    threads: Vec<JoinHandle<()>>,
    leaving: bool,
}

impl State {
    fn is_quiet(&self) -> bool {
        self.busy == 0 && self.waiting.is_empty()
    }

    fn is_short_of_threads(&self) -> bool {
        self.waiting.len() > self.idle
    }
}

impl Errands {
    /// Runs `work` soon, on a thread that nothing else needs. Returns whether there was none to be had: then it waits
    /// for a [`retry`](Errands::retry).
    pub(crate) fn run(&self, work: Work) -> bool {
        let mut state = self.0.state.lock();
        state.leaving = false;
        state.waiting.push_back(work);
        if state.is_short_of_threads() {
            drop(state);
            self.retry()
        } else {
            self.0.work.notify_one();
            false
        }
    }

    /// Starts a thread if a piece waits for one. Returns whether one still does.
    pub(crate) fn retry(&self) -> bool {
        let mut state = self.0.state.lock();
        if !state.is_short_of_threads() {
            return false;
        }
        state.idle += 1;
        drop(state);
        let crew = self.0.clone();
        let thread = std::thread::Builder::new().name("hl-errand".to_owned()).spawn(move || crew.work());
        let mut state = self.0.state.lock();
        match thread {
            Ok(thread) => {
                state.threads.retain(|t| !t.is_finished());
                state.threads.push(thread);
            }
            // The system has no thread left for us: the next attempt may find one, and so may a piece that ends.
            Err(_) => state.idle -= 1,
        }
        state.is_short_of_threads()
    }

    /// Waits until every piece so far has been run and its thread has left; returns false if that was not so by
    /// `until`. Host code does not wait for host code.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        if ROLE.get() == Role::Errand {
            return true;
        }
        loop {
            self.retry();
            let mut state = self.0.state.lock();
            if state.is_quiet() {
                state.leaving = true;
                self.0.work.notify_all();
                break;
            }
            let now = Instant::now();
            if now >= until {
                return false;
            }
            self.0.quiet.wait_until(&mut state, until.min(now + RETRY));
        }
        loop {
            let Some(thread) = self.0.state.lock().threads.pop() else { return true };
            if let Err(thread) = join_by(thread, until) {
                self.0.state.lock().threads.push(thread);
                return false;
            }
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.0.state.lock().leaving = true;
        self.0.work.notify_all();
    }
}

impl Crew {
    fn work(&self) {
        become_errand();
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                state.idle -= 1;
                state.busy += 1;
                drop(state);
                run_guarded(work);
                state = self.state.lock();
                state.idle += 1;
                state.busy -= 1;
                if state.is_quiet() {
                    self.quiet.notify_all();
                }
                continue;
            }
            let late = !state.leaving && self.work.wait_for(&mut state, LINGER).timed_out();
            if state.waiting.is_empty() && (late || state.leaving) {
                state.idle -= 1;
                return;
            }
        }
    }
}

fn run_guarded(work: Work) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        // The subscriber of the log is host code too.
        let _ = catch_unwind(|| tracing::error!("host code that haltline called panicked"));
    }
}

/// Runs pieces of host code one after another, in the order they came.
#[derive(Clone, Default)]
pub(crate) struct InTurn(Arc<Turn>);

#[derive(Default)]
struct Turn {
    errands: Errands,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Work>,
    running: bool,
}

impl InTurn {
    /// Runs `work` after all that came before it. Returns as [`Errands::run`].
    pub(crate) fn run(&self, work: Work) -> bool {
        let mut line = self.0.line.lock();
        line.waiting.push_back(work);
        if std::mem::replace(&mut line.running, true) {
            return false;
        }
        drop(line);
        // Held weakly: what waits does not keep alive what it waits in.
        let turn = Arc::downgrade(&self.0);
        self.0.errands.run(Box::new(move || {
            while let Some(turn) = turn.upgrade() {
                let mut line = turn.line.lock();
                let Some(work) = line.waiting.pop_front() else {
                    line.running = false;
                    return;
                };
                drop(line);
                run_guarded(work);
            }
        }))
    }

    /// As [`run`](InTurn::run), unless `most` pieces wait already: then `work` is given up.
    pub(crate) fn run_unless_full(&self, most: usize, work: Work) {
        if self.0.line.lock().waiting.len() < most {
            self.run(work);
        }
    }

    /// As [`Errands::retry`].
    pub(crate) fn retry(&self) -> bool {
        self.0.errands.retry()
    }

    /// Waits until all that came before this call has been run; returns false if it had not by `until`.
    pub(crate) fn flush(&self, until: Instant) -> bool {
        // No channel: to wait on one, the standard library leaves a few bytes behind on a thread that is not Rust's.
        let passed = Arc::new((Mutex::new(false), Condvar::new()));
        let pass = passed.clone();
        self.run(Box::new(move || {
            *pass.0.lock() = true;
            pass.1.notify_all();
        }));
        loop {
            self.retry();
            let mut seen = passed.0.lock();
            if *seen {
                return true;
            }
            let now = Instant::now();
            if now >= until {
                return false;
            }
            passed.1.wait_until(&mut seen, until.min(now + RETRY));
        }
    }

    /// As [`Errands::wait`].
    pub(crate) fn wait(&self, until: Instant) -> bool {
        self.0.errands.wait(until)
    }
}

impl std::fmt::Debug for InTurn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InTurn").field("waiting", &self.0.line.lock().waiting.len()).finish()
    }
}

/// Waits for the end of a thread; gives it back if it has not ended by `until`.
pub(crate) fn join_by(thread: JoinHandle<()>, until: Instant) -> Result<(), JoinHandle<()>> {
    // A thread that is about to leave does so within microseconds; one that blocks is looked at now and then.
    let mut pause = Duration::from_micros(50);
    while !thread.is_finished() {
        if Instant::now() >= until {
            return Err(thread);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    // Panics were caught inside.
    let _ = thread.join();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_piece_that_blocks_is_waited_for_and_delays_no_other() {
        let errands = Errands::default();
        let (release, blocked) = mpsc::channel::<()>();
        let (done, seen) = mpsc::channel();
        errands.run(Box::new(move || {
            let _ = blocked.recv();
        }));
        errands.run(Box::new(move || done.send(()).unwrap()));
        seen.recv().unwrap();
        assert!(!errands.wait(Instant::now()));
        drop(release);
        assert!(errands.wait(soon()));
        let state = errands.0.state.lock();
        assert_eq!((state.threads.len(), state.idle, state.busy), (0, 0, 0));
    }

    #[test]
    fn a_piece_does_not_wait_for_itself() {
        let errands = Arc::new(Errands::default());
        let (done, seen) = mpsc::channel();
        let own = errands.clone();
        errands.run(Box::new(move || done.send(own.wait(Instant::now() + Duration::from_secs(60))).unwrap()));
        assert!(seen.recv_timeout(Duration::from_secs(20)).unwrap());
    }

    #[test]
    fn many_short_pieces_share_threads_and_a_panic_among_them_is_caught() {
        let errands = Errands::default();
        let ran = Arc::new(AtomicUsize::new(0));
        for n in 0..2_000 {
            let ran = ran.clone();
            errands.run(Box::new(move || {
                ran.fetch_add(1, Ordering::SeqCst);
                assert!(n != 7, "the seventh panics");
            }));
        }
        assert!(errands.wait(soon()));
        assert_eq!(ran.load(Ordering::SeqCst), 2_000);
        // After a wait it goes on as before.
        let (done, seen) = mpsc::channel();
        errands.run(Box::new(move || done.send(()).unwrap()));
        seen.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn pieces_in_turn_keep_their_order_past_a_panic() {
        let line = InTurn::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for n in 0..200 {
            let seen = seen.clone();
            line.run(Box::new(move || {
                seen.lock().push(n);
                assert!(n != 7, "the seventh panics");
            }));
        }
        assert!(line.wait(soon()));
        assert_eq!(*seen.lock(), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_line_gives_up_what_comes_last() {
        let line = InTurn::default();
        let (release, blocked) = mpsc::channel::<()>();
        let (began, seen) = mpsc::channel();
        line.run(Box::new(move || {
            began.send(()).unwrap();
            let _ = blocked.recv();
        }));
        seen.recv().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..9 {
            let ran = ran.clone();
            line.run_unless_full(
                5,
                Box::new(move || {
                    ran.fetch_add(1, Ordering::SeqCst);
                }),
            );
        }
        drop(release);
        assert!(line.wait(soon()));
        assert_eq!(ran.load(Ordering::SeqCst), 5);
    }
}
