//! Where each task's figures lie, so that columns of figures replace maps.

use crate::supervisor::engine::id_map::IdMap;
use crate::supervisor::engine::{TaskId, TaskReading};

/// Gives every listed task a seat that it keeps while somebody remembers it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats {
    by_id: IdMap<u32>,
    ids: Vec<TaskId>,
    /// The round in which each seat was last taken.
    taken: Vec<u64>,
    free: Vec<u32>,
    round: u64,
    /// The seat of each task of the present round, in the order of the readings.
    of: Vec<u32>,
}

impl Seats {
    /// Seats all tasks of one sample and hands each to `note` with its seat and whether that is new. Tasks that were
    /// listed last in a round before `since` give up theirs.
    pub(super) fn take(
        &mut self,
        tasks: &[TaskReading],
        since: u64,
        mut note: impl FnMut(&TaskReading, usize, bool),
    ) {
        self.round += 1;
        self.of.clear();
        self.of.reserve(tasks.len());
        self.by_id.reserve(tasks.len().saturating_sub(self.by_id.len()));
        let mut guess = 0;
        for task in tasks {
            let (seat, new) = self.seat(task.id, guess);
            self.taken[seat as usize] = self.round;
            self.of.push(seat);
            guess = seat as usize + 1;
            note(task, seat as usize, new);
        }
        if self.by_id.len() > tasks.len() {
            self.free_before(since.min(self.round));
        }
    }

    fn seat(&mut self, id: TaskId, guess: usize) -> (u32, bool) {
        // Mostly tasks come in the order of the sample before, and so of their seats.
        if self.ids.get(guess) == Some(&id) && self.taken[guess] + 1 == self.round {
            return (guess as u32, false);
        }
        if let Some(seat) = self.by_id.get(&id) {
            return (*seat, false);
        }
        let seat = self.free.pop().unwrap_or_else(|| {
            self.ids.push(id);
            self.taken.push(0);
            self.ids.len() as u32 - 1
        });
        self.ids[seat as usize] = id;
        self.by_id.insert(id, seat);
        (seat, true)
    }

    fn free_before(&mut self, since: u64) {
        let Seats { by_id, taken, free, .. } = self;
        by_id.retain(|_, seat| {
            let stays = taken[*seat as usize] >= since;
            if !stays {
                free.push(*seat);
            }
            stays
        });
    }

    /// The present round, counted from 1.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The seat of the task at this place in the present readings.
    #[inline]
    pub(super) fn of(&self, index: usize) -> usize {
        self.of[index] as usize
    }

    /// How many seats there are, free ones included.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The seat of a task that is listed now, or is remembered.
    pub(super) fn find(&self, id: TaskId) -> Option<usize> {
        self.by_id.get(&id).map(|seat| *seat as usize)
    }

    /// Frees every seat.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.ids.clear();
        self.taken.clear();
        self.free.clear();
        self.of.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::engine::test::{profile, task};

    /// The seats of these tasks, and which of them are new.
    fn take(seats: &mut Seats, ids: &[TaskId]) -> Vec<(usize, bool)> {
        let p = profile(|_| ());
        let tasks: Vec<TaskReading> = ids.iter().map(|id| task(*id, &p)).collect();
        let mut seen = Vec::new();
        let since = seats.round();
        seats.take(&tasks, since, |_, seat, new| seen.push((seat, new)));
        assert!((0..ids.len()).all(|i| seats.of(i) == seen[i].0));
        seen
    }

    #[test]
    fn a_task_keeps_its_seat_in_any_order_and_while_it_is_remembered() {
        let mut seats = Seats::default();
        assert_eq!(take(&mut seats, &[5, 3, 9]), [(0, true), (1, true), (2, true)]);
        assert_eq!(take(&mut seats, &[9, 5, 3]), [(2, false), (0, false), (1, false)]);
        // 3 was listed in the round before, and is remembered once.
        assert_eq!(take(&mut seats, &[9, 5]), [(2, false), (0, false)]);
        assert_eq!(take(&mut seats, &[3, 9, 5]), [(1, false), (2, false), (0, false)]);
        for _ in 0..2 {
            assert_eq!(take(&mut seats, &[9, 5]), [(2, false), (0, false)]);
        }
        assert_eq!(take(&mut seats, &[5, 7, 9]), [(0, false), (1, true), (2, false)], "3 left, 7 came");
        assert_eq!(take(&mut seats, &[3, 5]), [(3, true), (0, false)], "3 is new, whatever it was");
        seats.clear();
        assert_eq!(take(&mut seats, &[3]), [(0, true)]);
    }
}
