//! Measures a tree, and decides when to look again.

use std::collections::HashSet;
use std::time::Duration;

use super::group::Group;
use super::memory::{self, LONGEST_READ, Memory};
use super::table::{Stat, Table};
use super::{ProcessId, TreeUse, cgroup};
use crate::clock::Time;
use crate::monitor::system;

/// A tree larger than this is measured in part and reported as "at least".
const BUDGET: usize = 2048;
/// So many are looked at before too many are told of.
const CROWD: usize = 64;
/// No task is expected to touch fresh memory faster than this, in bytes a second.
const FASTEST_GROWTH: u64 = 2 << 30;
/// Looking more often than this costs more than it tells.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// Nearer a limit, a general interval longer than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A tree that has no more than this is not what fills a machine, even if much of it is counted twice.
const SMALL: u64 = 64 << 20;
/// Of the thread that looks, at most one part in this many goes to one tree.
const SHARE_OF_LOOKS: u32 = 5;

/// How long to wait before a look at a tree that was seen to use `used` bytes.
///
/// A tree with a memory limit is looked at before the fastest expected growth could carry it from `used` to
/// the limit; `cost` is what the last look took.
pub(super) fn next_look(
    limit: Option<u64>,
    used: Option<u64>,
    interval: Duration,
    cost: Duration,
) -> Duration {
    let wait = match limit {
        None => interval,
        Some(limit) => {
            // Unknown use may be at the limit.
            let headroom = limit.saturating_sub(used.unwrap_or(limit));
            let reach = Duration::from_secs_f64(headroom as f64 / FASTEST_GROWTH as f64);
            reach.clamp(SHORTEST_WAIT, LONGEST_WAIT).min(interval)
        }
    };
    wait.max(SHORTEST_WAIT).max(cost.saturating_mul(SHARE_OF_LOOKS - 1))
}

/// Whether about is not good enough for what the processes have in memory.
fn needs_exact(limits: Limits, resident: u64) -> bool {
    limits.memory.is_some_and(|limit| resident > limit / 2) || limits.host_memory && resident > SMALL
}

/// The bounds that say how closely a tree is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Bytes.
    pub(super) memory: Option<u64>,
    /// Whether the tree's memory is compared with what the machine uses.
    pub(super) host_memory: bool,
    pub(super) processes: Option<u64>,
}

/// Measures one tree.
#[derive(Debug)]
pub(super) struct Meter {
    table: Table,
    page: u64,
    ticks_per_second: u64,
    /// The largest processor time so far. A process that ends between two reads is missing from a sum, so a
    /// sum may fall; time does not.
    cpu_time: Duration,
    memory: Memory,
}

impl Meter {
    pub(super) fn new() -> Meter {
        Meter::of(Table::system())
    }

    pub(super) fn of(table: Table) -> Meter {
        Meter {
            table,
            page: system(libc::_SC_PAGESIZE, 4096),
            ticks_per_second: system(libc::_SC_CLK_TCK, 100),
            cpu_time: Duration::ZERO,
            memory: Memory::default(),
        }
    }

    /// Looks at the tree below `guardian`; returns what it uses, and its processes that can run. `crowd` is told of more
    /// processes than allowed as soon as so many were found: to look at all of a burst of forks takes long.
    pub(super) fn look(
        &mut self,
        guardian: ProcessId,
        group: Option<&Group>,
        limits: Limits,
        at: Time,
        crowd: impl Fn(u64),
    ) -> (TreeUse, Vec<Stat>) {
        // The guardian is read first and parents before children: what ends in between is missing from this
        // sum instead of being counted twice.
        // The host cannot read its process table, or the guardian has just left: unknown, not zero.
        let unknown = (TreeUse { at, ..TreeUse::default() }, Vec::new());
        let own = self.table.stat(guardian.pid).filter(|s| s.start_time == guardian.start_time);
        let Some(own) = own else { return unknown };
        let reaped = own.child_ticks;
        let most = limits.processes.map(|n| usize::try_from(n).unwrap_or(BUDGET));
        let budget = most.map_or(BUDGET, |n| BUDGET.max(n.saturating_add(1)));
        let few = most.map_or(budget, |n| n.saturating_mul(2).clamp(CROWD, budget));
        let mut walk = self.table.descendants(guardian.pid, few);
        if walk.cut && few < budget {
            let count = walk.processes.iter().filter(|s| s.is_alive()).count();
            if most.is_some_and(|most| count > most) {
                crowd(count as u64);
            }
            walk = self.table.descendants(guardian.pid, budget);
        }
        if walk.failed {
            return unknown;
        }
        let ticks = walk.processes.iter().fold(reaped, |sum, s| sum + s.ticks + s.child_ticks);
        let summed = Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / self.ticks_per_second));
        self.saw_cpu(summed.max(group.and_then(cgroup::cpu_time).unwrap_or_default()));

        let mut alive = walk.processes;
        alive.retain(Stat::is_alive);
        let seen = TreeUse {
            cpu_time: Some(self.cpu_time),
            memory_bytes: self.memory(&alive, limits),
            processes: Some(alive.len() as u64),
            output_bytes: None,
            at,
        };
        (seen, alive)
    }

    /// Takes a processor time from another source; returns the largest known.
    pub(super) fn saw_cpu(&mut self, time: Duration) -> Duration {
        self.cpu_time = self.cpu_time.max(time);
        self.cpu_time
    }

    /// `None` if it is unknown of one process and the others alone are not over the limit.
    fn memory(&mut self, alive: &[Stat], limits: Limits) -> Option<u64> {
        let mut sizes = Vec::with_capacity(alive.len());
        for stat in alive {
            if let Some(pages) = self.table.resident_pages(stat) {
                sizes.push((pages.saturating_mul(self.page), stat));
            }
        }
        let whole = sizes.len() == alive.len();
        let mut sum = memory::sum(sizes.iter().map(|(resident, _)| *resident));
        let needs_exact = needs_exact(limits, sum);
        if needs_exact {
            for (resident, stat) in &mut sizes {
                if let Some((pages, _)) = self.table.pages(stat) {
                    *resident = pages.saturating_mul(self.page);
                }
            }
            sum = memory::sum(sizes.iter().map(|(resident, _)| *resident));
        }
        if needs_exact && alive.len() > 1 {
            // Each of them counts what they share.
            sum = self.memory.measure(&self.table, self.page, &sizes, limits.memory, LONGEST_READ);
        } else {
            self.memory.forget();
        }
        (whole || limits.memory.is_some_and(|limit| sum > limit)).then_some(sum)
    }

    /// Some of what is below `guardian`; nothing if its id belongs to another by now.
    pub(super) fn below(&self, guardian: ProcessId) -> Vec<Stat> {
        let below = self.table.descendants(guardian.pid, 16).processes;
        // After the walk: whoever is the same at its end was it all along.
        let same = self.table.stat(guardian.pid).is_some_and(|s| s.start_time == guardian.start_time);
        if same { below } else { Vec::new() }
    }

    /// Whether the next look goes on with what this one left for it.
    pub(super) fn is_reading(&self) -> bool {
        self.memory.is_reading()
    }

    /// Whether more must be read to be sure that the tree is over its limit.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.memory.is_in_doubt()
    }

    /// The processes of `known` that still run, with all that descends from them now. One that cannot be looked at
    /// counts as running if `unseen_runs`.
    pub(super) fn refresh(&self, known: &[Stat], unseen_runs: bool) -> Vec<Stat> {
        let mut alive = Vec::new();
        let mut seen = HashSet::new();
        for old in known {
            let now = match self.table.read(old.pid) {
                Ok(now) => now.filter(|s| s.start_time == old.start_time),
                Err(_) => unseen_runs.then(|| old.clone()),
            };
            let Some(now) = now.filter(Stat::is_alive) else { continue };
            if seen.insert((now.pid, now.start_time)) {
                let below = self.table.descendants(now.pid, BUDGET).processes;
                alive.push(now);
                alive
                    .extend(below.into_iter().filter(|s| s.is_alive() && seen.insert((s.pid, s.start_time))));
            }
        }
        alive
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_tree_without_a_memory_limit_is_looked_at_in_the_general_interval() {
        let second = Duration::from_secs(1);
        assert_eq!(next_look(None, Some(u64::MAX), second, Duration::ZERO), second);
        assert_eq!(
            next_look(None, None, Duration::from_millis(50), Duration::ZERO),
            Duration::from_millis(50)
        );
    }

    #[test]
    fn looks_come_faster_as_the_limit_comes_near_and_stay_within_bounds() {
        let wait = |used| next_look(Some(512 * MIB), Some(used), Duration::from_secs(5), Duration::ZERO);
        assert_eq!(wait(0), Duration::from_millis(250));
        assert_eq!(wait(256 * MIB), Duration::from_millis(125));
        assert_eq!(wait(511 * MIB), SHORTEST_WAIT);
        assert_eq!(wait(u64::MAX), SHORTEST_WAIT);
        let huge = next_look(Some(u64::MAX), Some(0), Duration::from_secs(60), Duration::ZERO);
        assert_eq!(huge, LONGEST_WAIT);
    }

    #[test]
    fn a_hog_of_one_gib_a_second_is_seen_within_a_tenth_over_its_limit() {
        let (limit, rate) = (512.0 * MIB as f64, (1u64 << 30) as f64);
        for start_ms in 0..250 {
            let mut used = rate * f64::from(start_ms) / 1000.0;
            while used <= limit {
                let wait =
                    next_look(Some(limit as u64), Some(used as u64), Duration::from_secs(1), Duration::ZERO);
                used += rate * wait.as_secs_f64();
            }
            assert!(used < limit * 1.1, "{used} from {start_ms} ms");
        }
    }

    #[test]
    fn a_dear_look_is_not_repeated_at_once() {
        let wait = next_look(Some(1), Some(1), Duration::from_secs(1), Duration::from_millis(30));
        assert_eq!(wait, Duration::from_millis(120));
    }

    #[test]
    fn memory_is_read_exactly_only_where_it_matters() {
        let task = Limits { memory: Some(100), ..Limits::default() };
        assert!(!needs_exact(task, 50));
        assert!(needs_exact(task, 51));
        assert!(!needs_exact(Limits::default(), u64::MAX));
        let host = Limits { host_memory: true, ..Limits::default() };
        assert!(!needs_exact(host, SMALL));
        assert!(needs_exact(host, SMALL + 1));
    }
}
