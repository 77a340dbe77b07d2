//! Threads for host code, one for each piece, so that one that blocks delays no other.

use std::cell::Cell;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Runs pieces of host code and can wait until they have left.
#[derive(Default)]
pub(crate) struct Errands(Mutex<Vec<JoinHandle<()>>>);

thread_local! {
    /// Whether this thread runs host code. It must not wait for itself.
    static ERRAND: Cell<bool> = const { Cell::new(false) };
}

impl Errands {
    /// Runs `work` on a thread of its own.
    pub(crate) fn run(&self, work: Box<dyn FnOnce() + Send>) {
        let spawned = std::thread::Builder::new().name("hl-errand".to_owned()).spawn(move || {
            ERRAND.set(true);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                tracing::error!("host code panicked while a task was being stopped");
            }
        });
        match spawned {
            Ok(thread) => {
                let mut threads = self.0.lock();
                threads.retain(|t| !t.is_finished());
                threads.push(thread);
            }
            Err(e) => tracing::error!(error = %e, "no thread could be started for host code; it was not run"),
        }
    }

    /// Waits until every piece so far has left; returns false if one had not by `until`. Host code does not wait
    /// for host code.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        if ERRAND.get() {
            return true;
        }
        loop {
            let next = self.0.lock().pop();
            match next.map(|thread| join_by(thread, until)) {
                None => return true,
                Some(Ok(())) => {}
                Some(Err(thread)) => {
                    self.0.lock().push(thread);
                    return false;
                }
            }
        }
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
    use std::sync::mpsc;

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
        assert!(errands.wait(Instant::now() + Duration::from_secs(20)));
        assert!(errands.0.lock().is_empty());
    }

    #[test]
    fn a_piece_does_not_wait_for_itself() {
        let errands = std::sync::Arc::new(Errands::default());
        let (done, seen) = mpsc::channel();
        let own = errands.clone();
        errands.run(Box::new(move || done.send(own.wait(Instant::now() + Duration::from_secs(60))).unwrap()));
        assert!(seen.recv_timeout(Duration::from_secs(20)).unwrap());
    }
}
