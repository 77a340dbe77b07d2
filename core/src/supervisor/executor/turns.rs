//! Which coroutines are inside of sections on one thread.

use parking_lot::Mutex;

/// Coroutines take turns on their thread, whose clock does not tell one from the other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// The coroutine of each open section.
    coroutines: Vec<u64>,
    seen: u64,
}

impl Open {
    /// Counts if sections of several coroutines are open.
    fn see(&mut self) {
        self.seen += u64::from(self.coroutines.iter().any(|c| *c != self.coroutines[0]));
    }
}

impl Turns {
    pub(super) fn enter(&self, coroutine: u64) {
        let mut open = self.0.lock();
        open.coroutines.push(coroutine);
        open.see();
    }

    pub(super) fn leave(&self, coroutine: u64) {
        let mut open = self.0.lock();
        open.see();
        if let Some(place) = open.coroutines.iter().position(|c| *c == coroutine) {
            open.coroutines.swap_remove(place);
        }
    }

    /// A number that is another one than at the last look if sections of several coroutines were open meanwhile, or are.
    pub(crate) fn look(&self) -> u64 {
        let mut open = self.0.lock();
        open.see();
        open.seen
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_of_every_moment_at_which_several_coroutines_were_inside() {
        let turns = Turns::default();
        let first = turns.look();
        turns.enter(1);
        turns.enter(1);
        turns.leave(1);
        assert_eq!(turns.look(), first, "one coroutine nests as it likes");
        turns.enter(2);
        turns.leave(2);
        let second = turns.look();
        assert_ne!(second, first, "one that came and went");
        assert_eq!(turns.look(), second);
        turns.enter(2);
        let third = turns.look();
        let fourth = turns.look();
        assert!(second != third && third != fourth, "as long as both are inside");
        turns.leave(1);
        assert_ne!(turns.look(), fourth, "both were inside until one left");
        let fifth = turns.look();
        assert_eq!(turns.look(), fifth);
    }
}
