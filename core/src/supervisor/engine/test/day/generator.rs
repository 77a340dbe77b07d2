//! The load generator of the simulated day. Its plan is the record of who the culprits are.

use super::super::TaskId;

pub(super) const DAY: u64 = 86_400;
pub(super) const TASKS: usize = 10_000;
/// Every slot has one scene, and time for the machine to calm down after it.
const SLOT: u64 = 240;

/// What harms the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Harm {
    Cpu,
    Memory,
    Frames,
    Latency,
}

pub(super) const HARMS: [Harm; 4] = [Harm::Cpu, Harm::Memory, Harm::Frames, Harm::Latency];

/// One task of the day.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) id: TaskId,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) profile: usize,
    /// Cores while it behaves.
    pub(super) cores: f64,
    /// Bytes while it behaves.
    pub(super) bytes: u64,
    /// What it does and from when, if it is a culprit.
    pub(super) harm: Option<(Harm, u64)>,
    /// Whether no other scene touches its own.
    pub(super) lone: bool,
    /// How long it takes to leave once cancelled.
    pub(super) leaves: u64,
}

/// Load from outside.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) harm: Harm,
}

/// The whole day, by start.
pub(super) struct Day {
    pub(super) tasks: Vec<Plan>,
    pub(super) outside: Vec<Outside>,
    pub(super) dice: Dice,
    /// When a task with much memory runs.
    big: Vec<(u64, u64)>,
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same day for the same seed, on every machine.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    pub(super) fn part(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

impl Day {
    pub(super) fn new(seed: u64) -> Self {
        let mut day = Day { tasks: Vec::new(), outside: Vec::new(), dice: Dice(seed), big: Vec::new() };
        for slot in 1..DAY / SLOT - 1 {
            day.scene(slot * SLOT + 60);
        }
        while day.tasks.len() < TASKS {
            let start = day.dice.within(0, DAY - 1);
            let end = start + day.dice.within(30, 400);
            day.task(start, end, None, true);
        }
        day.tasks.sort_by_key(|t| t.start);
        for (i, task) in day.tasks.iter_mut().enumerate() {
            task.id = i as TaskId + 1;
        }
        day
    }

    /// Something goes wrong at about `at`.
    fn scene(&mut self, at: u64) {
        let harm = |dice: &mut Dice| HARMS[dice.within(0, 4) as usize];
        match self.dice.within(0, 10) {
            0..5 => {
                let harm = harm(&mut self.dice);
                self.culprit(at, harm, true);
            }
            5..8 => {
                for _ in 0..2 {
                    let (at, harm) = (at + self.dice.within(0, 8), harm(&mut self.dice));
                    self.culprit(at, harm, false);
                }
            }
            _ => {
                let (harm, to) = (harm(&mut self.dice), at + self.dice.within(20, 120));
                self.outside.push(Outside { from: at, to, harm });
            }
        }
    }

    fn culprit(&mut self, at: u64, harm: Harm, lone: bool) {
        let start = at - self.dice.within(10, 50);
        self.task(start, at + 150, Some((harm, at)), lone);
    }

    fn task(&mut self, start: u64, end: u64, harm: Option<(Harm, u64)>, lone: bool) {
        let dice = &mut self.dice;
        // A few honest workers are large, and are still nobody's culprit.
        let cores = if dice.one_in(50) { dice.part(0.3, 0.5) } else { dice.part(0.01, 0.08) };
        let wants_big = harm.is_none() && dice.one_in(20);
        // One at a time, or the outside load would not fit beside them.
        let is_big = wants_big && !self.big.iter().any(|(s, e)| start <= *e && *s <= end);
        if is_big {
            self.big.push((start, end));
        }
        let mib = if is_big { dice.within(13_000, 13_500) } else { dice.within(20, 100) };
        let (profile, leaves) = (dice.within(0, 3) as usize, dice.within(1, 6));
        self.tasks.push(Plan { id: 0, start, end, profile, cores, bytes: mib << 20, harm, lone, leaves });
    }
}
