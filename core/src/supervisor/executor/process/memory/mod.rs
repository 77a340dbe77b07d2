//! How much memory a tree has, with the pages that its processes share counted once.
//!
//! Only page tables tell what is shared, and walking them is dear. So they are read in rounds: each look reads a few
//! processes, the seemingly largest first, until all of them were read. In between, what was read stands, together with
//! what a process has grown since by memory of its own.
//!
//! Readings of different moments do not add up: what one process had alone, others may have shared when they were read.
//! So a limit is broken only by what no two readings can both have counted.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::table::{Shares, Stat, Table};

/// One look reads page tables for no longer than this, and for one process of a round and one newcomer in any case.
/// Those of 1 GiB take about 10 ms.
pub(super) const LONGEST_READ: Duration = Duration::from_millis(5);

/// So many times as long where a limit seems to be exceeded.
const DOUBT: u32 = 4;

/// A tree that changes little is read anew after so many times as long as reading it took.
const REST: u32 = 50;

/// A change of one part in this many is not little.
const LITTLE: u64 = 8;

type Key = (u32, u64);

/// The memory of one tree.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<Key, Known>,
    /// Who has not been read in this round, with the resident size when it began. Those that came after that do not
    /// hold it up.
    waiting: HashMap<Key, u64>,
    round: u64,
    /// What reading in this round took.
    cost: Duration,
    /// When a tree that changes little is read anew.
    rested: Option<Instant>,
    /// The resident sizes added up when the round began.
    resident: u64,
    /// What those had that have left since: others may have shared it.
    left: u64,
    in_doubt: bool,
}

/// What the page tables of one process showed, or what it had when it was first seen. Sizes are in bytes.
#[derive(Debug)]
struct Known {
    /// Whether its page tables were read.
    is_read: bool,
    /// When that was, or when it was first seen.
    round: u64,
    resident: u64,
    anonymous: Option<u64>,
    faults: u64,
    proportional: u64,
    /// What no other process had.
    private: u64,
    /// Its part of what others have too. No two readings of the round count more than there is.
    part: u64,
    /// All that it shares through forks before the round.
    shared: u64,
}

/// One process at this look.
struct Size<'a> {
    stat: &'a Stat,
    resident: u64,
    /// By how much it has grown by memory of its own since then.
    grown: u64,
    /// By how much it has shrunk since then.
    lost: u64,
    /// Whether it runs in its parent's memory.
    lent: bool,
    /// What it seems to have; the resident size until it is read.
    seems: u64,
}

impl Size<'_> {
    fn key(&self) -> Key {
        (self.stat.pid, self.stat.start_time)
    }
}

impl Known {
    /// One whose page tables are not read yet.
    fn new(table: &Table, page: u64, size: &Size<'_>, round: u64) -> Known {
        let pages = table.pages(size.stat);
        let bytes = |pages: u64| pages.saturating_mul(page);
        Known {
            is_read: false,
            round,
            resident: pages.map_or(size.resident, |(resident, _)| bytes(resident)),
            anonymous: pages.map(|(_, anonymous)| bytes(anonymous)),
            faults: size.stat.faults,
            proportional: 0,
            private: 0,
            part: 0,
            shared: 0,
        }
    }
}

impl Memory {
    /// Whether a round has begun and not ended.
    pub(super) fn is_reading(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the tree seems to be over its limit, and more must be read to be sure.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Forgets what was read: the tree is too small for it to matter.
    pub(super) fn forget(&mut self) {
        *self = Memory { round: self.round, ..Memory::default() };
    }

    /// What the processes have in all, each given with its resident size by [`Table::pages`]: sizes of another source
    /// cannot be compared with what is read here.
    ///
    /// More than `limit` is said only of what is there for sure.
    pub(super) fn measure(
        &mut self,
        table: &Table,
        page: u64,
        processes: &[(u64, &Stat)],
        limit: Option<u64>,
        longest: Duration,
    ) -> u64 {
        let mut sizes: Vec<Size<'_>> =
            processes.iter().map(|(resident, stat)| self.size(table, page, *resident, stat)).collect();
        sizes.sort_by_key(|size| Reverse(size.seems));
        let keys: HashSet<Key> = sizes.iter().map(Size::key).collect();
        let left = self.known.extract_if(|key, _| !keys.contains(key)).map(|(_, known)| known.proportional);
        self.left = left.fold(self.left, u64::saturating_add);
        self.waiting.retain(|key, _| keys.contains(key));
        if self.waiting.is_empty() && self.is_due(page, &sizes, limit) {
            self.round += 1;
            self.waiting = sizes.iter().map(|size| (size.key(), size.resident)).collect();
            self.resident = sum(sizes.iter().map(|size| size.resident));
            (self.cost, self.left) = (Duration::ZERO, 0);
        }
        for size in &sizes {
            self.known.entry(size.key()).or_insert_with(|| Known::new(table, page, size, self.round));
        }
        if self.is_reading() {
            let longest = if self.in_doubt { longest * DOUBT } else { longest };
            self.read_some(table, page, &mut sizes, longest);
        }
        let ratio = self.ratio();
        let all = sum(sizes.iter().map(|size| match self.is_read(size) {
            true => size.seems,
            false => ((size.resident as f64 * ratio) as u64).max(size.grown),
        }));
        let Some(limit) = limit.filter(|limit| all > *limit) else {
            self.in_doubt = false;
            return all;
        };
        let mut least = self.least(&sizes);
        if least > limit {
            // Some of it may have been given back while the others were read.
            see_again(table, page, &mut sizes);
            least = self.least(&sizes);
        }
        let told = all.min(limit.max(least));
        self.in_doubt = told < all;
        told
    }

    fn size<'a>(&self, table: &Table, page: u64, resident: u64, stat: &'a Stat) -> Size<'a> {
        let mut size = Size { stat, resident, grown: 0, lost: 0, lent: false, seems: resident };
        let Some(known) = self.known.get(&size.key()) else { return size };
        size.lost = known.resident.saturating_sub(resident);
        let more = resident.saturating_sub(known.resident);
        if more > 0 {
            // A file that several processes map makes each of them grow; memory of its own is nobody else's.
            let own = table.pages(stat).map(|(_, now)| now.saturating_mul(page)).zip(known.anonymous);
            size.grown = own.map_or(more, |(now, then)| now.saturating_sub(then).min(more));
        }
        if known.is_read {
            size.seems = known.proportional.saturating_add(size.grown).min(resident);
        }
        size
    }

    fn is_read(&self, size: &Size<'_>) -> bool {
        self.known.get(&size.key()).is_some_and(|known| known.is_read)
    }

    /// Whether to read all of them anew: they may be over the limit, or have changed, or a long time has passed.
    fn is_due(&self, page: u64, sizes: &[Size<'_>], limit: Option<u64>) -> bool {
        let most = sum(sizes.iter().map(|size| {
            // Writing to a page that was shared makes one of its own, and no size tells of it.
            let before = self.known.get(&size.key()).map_or(0, |known| known.faults);
            let written = size.stat.faults.saturating_sub(before).saturating_mul(page);
            size.seems.saturating_add(written).min(size.resident)
        }));
        let resident = sum(sizes.iter().map(|size| size.resident));
        let new = sizes.iter().filter(|size| !self.is_read(size));
        let changed = resident.abs_diff(self.resident).max(sum(new.map(|size| size.resident)));
        limit.is_some_and(|limit| most.saturating_add(self.left) > limit)
            || changed > resident / LITTLE
            || self.rested.is_none_or(|rested| Instant::now() >= rested)
    }

    /// Reads those that this round has not read, in turn one of those it waits for and one newcomer.
    fn read_some(&mut self, table: &Table, page: u64, sizes: &mut [Size<'_>], longest: Duration) {
        let begun = Instant::now();
        let is_read = |known: &Known| known.is_read && known.round == self.round;
        let unread = sizes.iter_mut().filter(|size| !self.known.get(&size.key()).is_some_and(is_read));
        let (members, newcomers): (Vec<_>, Vec<_>) =
            unread.partition(|s| self.waiting.contains_key(&s.key()));
        let (mut members, mut newcomers) = (members.into_iter(), newcomers.into_iter());
        loop {
            let mut found = false;
            for size in [members.next(), newcomers.next()].into_iter().flatten() {
                found = true;
                self.read_one(table, page, size);
            }
            if !found || begun.elapsed() >= longest {
                break;
            }
        }
        self.cost += begun.elapsed();
        self.rested = Some(Instant::now() + self.cost * REST);
    }

    fn read_one(&mut self, table: &Table, page: u64, size: &mut Size<'_>) {
        let shares = table.shares(size.stat).unwrap_or_else(|| {
            // It is leaving and has no memory any more, or its size is all that may be read.
            let now = resident_now(table, page, size.stat);
            Shares { proportional: now, private: now }
        });
        // Later than the reading: what it has grown in between is missing instead of counted twice.
        let mut known = Known::new(table, page, size, self.round);
        (known.is_read, known.proportional, known.private) = (true, shares.proportional, shares.private);
        // What it has given back in between, all of it if it has left, counts as lost from now on.
        known.resident = known.resident.max(size.resident);
        // What a newcomer shares, an older reading of the one that it came from counts.
        if let Some(before) = self.waiting.remove(&size.key()) {
            // So it is with a file that it mapped since: of each such page it has at most half.
            let mapped = known.resident.saturating_sub(before) / 2;
            known.part = shares.proportional.saturating_sub(shares.private).saturating_sub(mapped);
            known.shared = known.anonymous.unwrap_or(0).saturating_sub(shares.private);
        }
        *size = Size { resident: known.resident, grown: 0, lost: 0, seems: shares.proportional, ..*size };
        self.known.insert(size.key(), known);
    }

    /// Which part of a resident size is its process's own, by this round.
    fn ratio(&self) -> f64 {
        let read = || self.known.values().filter(|known| known.is_read && known.round == self.round);
        match sum(read().map(|read| read.resident)) {
            0 => 1.0,
            resident => (sum(read().map(|read| read.proportional)) as f64 / resident as f64).min(1.0),
        }
    }

    /// What is there for sure: what each has alone, which no other can have until it gives it back, and of what this
    /// round saw shared the parts, or all that one of them shares.
    fn least(&self, sizes: &[Size<'_>]) -> u64 {
        let (mut private, mut in_round, mut parts, mut shared) = (0u64, 0u64, 0u64, 0u64);
        for size in sizes {
            let Some(known) = self.known.get(&size.key()) else { continue };
            let own = if size.lent { 0 } else { known.private.saturating_add(size.grown) };
            let lost = size.lost.saturating_sub(own);
            let own = own.saturating_sub(size.lost);
            private = private.saturating_add(own);
            if known.round == self.round {
                in_round = in_round.saturating_add(own);
                parts = parts.saturating_add(known.part.saturating_sub(lost));
                shared = shared.max(known.shared.saturating_sub(lost));
            }
        }
        private.max(in_round.saturating_add(parts.max(shared)))
    }
}

pub(super) fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// Takes away what the processes have given back since they were looked at, and what is another's.
fn see_again(table: &Table, page: u64, sizes: &mut [Size<'_>]) {
    let now: HashMap<u32, u64> =
        sizes.iter().map(|size| (size.stat.pid, resident_now(table, page, size.stat))).collect();
    for size in sizes {
        let left = now.get(&size.stat.pid).copied().unwrap_or(0);
        size.lost = size.lost.saturating_add(size.resident.saturating_sub(left));
        // After a vfork a child has its parent's memory until it starts a program. It is as large to the page, and has
        // not touched so much itself.
        let touched = size.stat.faults.saturating_mul(page);
        size.lent = now.get(&size.stat.parent) == Some(&left) && touched < left;
    }
}

fn resident_now(table: &Table, page: u64, of: &Stat) -> u64 {
    let now = table.stat(of.pid).filter(|now| now.start_time == of.start_time);
    now.and_then(|now| table.pages(&now)).map_or(0, |(resident, _)| resident.saturating_mul(page))
}

#[cfg(test)]
mod tests;
