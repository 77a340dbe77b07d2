//! Host code that panics, hangs or stays: stoppers and handlers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};

use haltline::supervisor::{Outcome, Stopper, Supervisor, Token};
use stage::{MS, S, quick, wait_for};

#[test]
fn a_handler_that_panics_holds_up_neither_the_next_nor_the_shutdown_and_a_late_one_runs_at_once() {
    let supervisor = Supervisor::builder().verify(50 * MS).start().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let deaf = supervisor.spawn("deaf", quick("p").build().unwrap(), move |_| held.recv().is_ok()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    deaf.on_cancel(|_| panic!("a handler panics"));
    let kept = seen.clone();
    deaf.on_cancel(move |outcome| kept.lock().unwrap().push(outcome));
    deaf.cancel("test");
    assert_eq!(deaf.wait_outcome(10 * S), Some(Outcome::StillRunning));
    wait_for("the second handler runs", || seen.lock().unwrap().len() == 1);
    // Added when the outcome is known: it runs here, and the late end calls nobody again.
    let kept = seen.clone();
    deaf.on_cancel(move |outcome| kept.lock().unwrap().push(outcome));
    assert_eq!(*seen.lock().unwrap(), [Outcome::StillRunning; 2]);
    drop(release);
    wait_for("it leaves late", || deaf.outcome() == Some(Outcome::Stopped));
    supervisor.shutdown(10 * S).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
}

/// Work whose stopper panics over all that it is asked, or over the request alone.
struct Panicking {
    only_at_first: bool,
    forced: AtomicBool,
}

impl Stopper for Panicking {
    fn request(&self) {
        panic!("as planned");
    }
    fn force(&self) -> bool {
        self.forced.store(true, Ordering::SeqCst);
        assert!(self.only_at_first, "as planned");
        true
    }
    fn is_gone(&self) -> bool {
        assert!(self.only_at_first, "as planned");
        self.forced.load(Ordering::SeqCst)
    }
}

#[test]
fn a_stopper_that_panics_is_asked_further_and_never_taken_at_its_word() {
    let supervisor = Supervisor::builder().verify(200 * MS).start().unwrap();
    for (only_at_first, outcome) in [(true, Outcome::Killed), (false, Outcome::StillRunning)] {
        let work = Arc::new(Panicking { only_at_first, forced: AtomicBool::new(false) });
        let task = supervisor.start_with("foreign", quick("p").build().unwrap(), work.clone()).unwrap();
        task.cancel("stop");
        assert_eq!(task.wait_outcome(10 * S), Some(outcome));
        assert!(work.forced.load(Ordering::SeqCst));
    }
}

/// Work whose stopper hangs in its request and can still be forced.
#[derive(Default)]
struct Hanging {
    gone: AtomicBool,
    release: Condvar,
    released: Mutex<bool>,
}

impl Stopper for Hanging {
    fn request(&self) {
        let held = self.released.lock().unwrap();
        drop(self.release.wait_while(held, |released| !*released).unwrap());
    }
    fn force(&self) -> bool {
        self.gone.store(true, Ordering::SeqCst);
        true
    }
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

#[test]
fn a_stopper_that_hangs_in_its_request_is_forced_after_the_grace_and_at_once_without_one() {
    let stops: [fn(&Token) -> bool; 2] = [|token| token.cancel("test"), |token| token.kill("test")];
    for stop in stops {
        let supervisor = Supervisor::builder().start().unwrap();
        let work = Arc::new(Hanging::default());
        let task = supervisor.start_with("hangs", quick("p").build().unwrap(), work.clone()).unwrap();
        assert!(stop(task.token()));
        assert_eq!(task.wait_outcome(10 * S), Some(Outcome::Killed));
        *work.released.lock().unwrap() = true;
        work.release.notify_all();
        supervisor.shutdown(10 * S).unwrap();
    }
}

/// Work that stays although it was asked and forced, until it leaves after all.
#[derive(Default)]
struct Stubborn(AtomicBool);

impl Stopper for Stubborn {
    fn request(&self) {}
    fn force(&self) -> bool {
        true
    }
    fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_dropped_handle_is_no_proof_that_the_work_is_gone() {
    let supervisor = Supervisor::builder().verify(50 * MS).start().unwrap();
    let work = Arc::new(Stubborn::default());
    let task = supervisor.start_with("stubborn", quick("p").build().unwrap(), work.clone()).unwrap();
    let token = task.token().clone();
    task.cancel("test");
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::StillRunning));
    drop(task);
    std::thread::sleep(300 * MS);
    assert_eq!((token.outcome(), supervisor.active().len()), (Some(Outcome::StillRunning), 1));
    work.0.store(true, Ordering::SeqCst);
    wait_for("it is seen to be gone", || token.outcome() == Some(Outcome::Killed));
    assert!(supervisor.active().is_empty());
}
