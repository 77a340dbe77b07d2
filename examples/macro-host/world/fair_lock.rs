//! A lock that serves in the order of asking, so that who holds it long slows the others and starves nobody.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct FairLock {
    turns: Mutex<Turns>,
    changed: Condvar,
}

#[derive(Default)]
struct Turns {
    asked: u64,
    serving: u64,
}

/// Gives the lock back when it is dropped.
pub(crate) struct Held<'a>(&'a FairLock);

impl FairLock {
    pub(crate) fn hold(&self) -> Held<'_> {
        let mut turns = self.turns();
        let mine = turns.asked;
        turns.asked += 1;
        while turns.serving != mine {
            turns = self.changed.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        Held(self)
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Two counters that are each changed in one step are whole even after a panic.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.turns().serving += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn one_that_asks_again_at_once_waits_behind_the_others() {
        let lock = Arc::new(FairLock::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = lock.hold();
        let mut threads = Vec::new();
        for who in 0..3 {
            let (of_thread, seen) = (lock.clone(), order.clone());
            threads.push(std::thread::spawn(move || {
                let _held = of_thread.hold();
                seen.lock().unwrap().push(who);
            }));
            while lock.turns().asked < who + 2 {
                std::thread::yield_now();
            }
        }
        drop(held);
        let _again = lock.hold();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    }
}
