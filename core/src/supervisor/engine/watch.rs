//! How long each profile's host limits have been broken.

use std::time::Duration;

use super::id_map::IdMap;
use super::metric::{HOST_LIMITS, MEMORY};
use super::timer::Timer;
use crate::clock::Time;
use crate::supervisor::profile::{Blame, Profile};

/// Timers of the profiles that have a broken host limit and a running task.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    /// Where each profile's timers lie.
    slots: IdMap<u32>,
    watches: Vec<Watch>,
    free: Vec<u32>,
    pass: u64,
    /// How many tasks the pass looks at.
    tasks: usize,
    /// What was found for the task looked at last: tasks of one profile often stand together.
    last: Option<(u64, bool, Look)>,
    /// One bit a host limit: broken for some task, cancelled ones included.
    broken: u8,
    /// A timer of a limit that is ranked by processor time began in this pass.
    began: bool,
    /// What the pass found, for profiles that blame the culprit and for those that blame any.
    culprit: [Option<InBreach>; 5],
    any: [Option<InBreach>; 5],
    /// The shortest and the longest sustain time of running timers of limits that are ranked by processor time.
    cpu_sustain: Option<(u64, u64)>,
}

/// Profiles for which places are made one by one.
const MANY: usize = 64;

/// What the pass found for one task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Where the timers of its profile lie. Only of use where a bit of `broken` is set.
    slot: u32,
    /// One bit a host limit: broken in the present sample. Zero for a task that may not be cancelled any more.
    broken: u8,
}

impl Look {
    /// Whether the task may be cancelled and its own profile's bound is broken now.
    pub(super) fn is_broken(self, limit: usize) -> bool {
        self.broken & (1 << limit) != 0
    }
}

/// The timers of one profile.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    serial: u64,
    /// Nanoseconds.
    sustain: u64,
    blame: Blame,
    /// No bound is not a number.
    bounds: [f64; 5],
    /// The pass that saw it last; zero in a place that is free.
    pass: u64,
    broken: u8,
    timers: [Timer; 5],
}

impl Watch {
    /// Whether the limit is broken in the present sample and was for the whole sustain time.
    pub(super) fn is_in_breach(&self, limit: usize) -> bool {
        self.broken & (1 << limit) != 0 && self.timers[limit].held_nanos() >= self.sustain
    }

    /// How long the limit has been broken.
    pub(super) fn held(&self, limit: usize) -> Duration {
        self.timers[limit].held()
    }
}

/// A host limit that is in breach for at least one profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct InBreach {
    pub(super) limit: usize,
    /// The longest time it has been broken for a profile that it is in breach for, in nanoseconds.
    held: u64,
    /// The bound that has been broken so long; of several the lowest.
    pub(super) bound: f64,
    /// The longest sustain time of those profiles, in nanoseconds.
    sustain: u64,
}

impl InBreach {
    /// The longest time the limit has been broken for a profile that it is in breach for.
    pub(super) fn held(&self) -> Duration {
        Duration::from_nanos(self.held)
    }

    /// The longest sustain time of those profiles.
    pub(super) fn sustain(&self) -> Duration {
        Duration::from_nanos(self.sustain)
    }
}

impl Watches {
    /// Begins a pass over the tasks.
    pub(super) fn begin(&mut self, pass: u64, tasks: usize) {
        self.pass = pass;
        self.tasks = tasks;
        self.last = None;
        self.broken = 0;
        self.began = false;
    }

    /// Looks at the profile of one task. `active` is whether that task may still be cancelled.
    #[inline]
    pub(super) fn look(
        &mut self,
        at: Time,
        profile: &Profile,
        active: bool,
        values: &[Option<f64>; 5],
    ) -> Look {
        let serial = profile.0.serial;
        match self.last {
            Some((s, a, look)) if s == serial && a == active => look,
            _ => {
                let look = self.look_anew(at, profile, active, values);
                self.last = Some((serial, active, look));
                look
            }
        }
    }

    fn look_anew(&mut self, at: Time, profile: &Profile, active: bool, values: &[Option<f64>; 5]) -> Look {
        let bounds = bounds(profile);
        let mut broken = 0u8;
        for (i, limit) in HOST_LIMITS.into_iter().enumerate() {
            if let (Some(bound), Some(value)) = (bounds[i], values[i]) {
                broken |= u8::from(limit.is_broken(bound, value)) << i;
            }
        }
        self.broken |= broken;
        if !active || (broken == 0 && self.slots.is_empty()) {
            return Look::default();
        }
        let slot = match self.slot(profile) {
            Some(slot) => slot,
            None if broken == 0 => return Look::default(),
            None => self.open(profile),
        };
        let look = Look { slot, broken };
        let watch = &mut self.watches[slot as usize];
        if watch.pass == self.pass {
            return look;
        }
        watch.pass = self.pass;
        watch.broken = broken;
        for (i, timer) in watch.timers.iter_mut().enumerate() {
            if broken & (1 << i) != 0 {
                self.began |= !timer.is_running() && i != MEMORY;
                timer.broken(at);
            } else if values[i].is_some() {
                timer.clean();
            } else {
                timer.unknown();
            }
        }
        look
    }

    /// A task left one profile for another: what was counted for a bound that both have goes on.
    pub(super) fn carry_over(&mut self, from: &Profile, to: &Profile) {
        let Some(from) = self.slots.get(&from.0.serial).map(|slot| self.watches[*slot as usize].clone())
        else {
            return;
        };
        let bounds = bounds(to);
        let same = |i: usize| bounds[i] == Some(from.bounds[i]) && from.timers[i].is_running();
        if !(0..bounds.len()).any(same) {
            return;
        }
        let slot = match self.slots.get(&to.0.serial) {
            Some(slot) => *slot,
            None => self.open(to),
        };
        let watch = &mut self.watches[slot as usize];
        for i in (0..bounds.len()).filter(|i| same(*i)) {
            if watch.timers[i].held_nanos() <= from.timers[i].held_nanos() {
                watch.timers[i] = from.timers[i];
            }
        }
        // As one that the last pass saw.
        watch.pass = watch.pass.max(from.pass);
    }

    fn slot(&self, profile: &Profile) -> Option<u32> {
        // Timers were opened in the order of the tasks, and mostly are asked for in the same order.
        let guess = self.last.map_or(0, |(_, _, look)| look.slot + 1);
        match self.watches.get(guess as usize) {
            Some(watch) if watch.pass > 0 && watch.serial == profile.0.serial => Some(guess),
            _ => self.slots.get(&profile.0.serial).copied(),
        }
    }

    fn open(&mut self, profile: &Profile) -> u32 {
        let watch = Watch {
            serial: profile.0.serial,
            sustain: u64::try_from(profile.sustain().as_nanos()).unwrap_or(u64::MAX),
            blame: profile.blame(),
            bounds: bounds(profile).map(|bound| bound.unwrap_or(f64::NAN)),
            pass: 0,
            broken: 0,
            timers: [Timer::default(); 5],
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.watches[slot as usize] = watch;
                slot
            }
            None => {
                // So many profiles, and there may be one for each task: not to be moved again and again.
                if self.watches.len() == MANY {
                    self.watches.reserve(self.tasks);
                    self.slots.reserve(self.tasks);
                }
                self.watches.push(watch);
                self.watches.len() as u32 - 1
            }
        };
        self.slots.insert(profile.0.serial, slot);
        slot
    }

    /// Ends the pass: forgets profiles without a running task or a running timer, and sums the others up.
    pub(super) fn finish(&mut self) {
        (self.culprit, self.any, self.cpu_sustain) = ([None; 5], [None; 5], None);
        for (slot, watch) in (0u32..).zip(&mut self.watches) {
            if watch.pass == 0 {
                continue;
            }
            if watch.pass != self.pass || !watch.timers.iter().any(Timer::is_running) {
                watch.pass = 0;
                self.slots.remove(&watch.serial);
                self.free.push(slot);
                continue;
            }
            let sustain = watch.sustain;
            if watch.timers.iter().enumerate().any(|(i, t)| i != MEMORY && t.is_running()) {
                let (least, most) = self.cpu_sustain.unwrap_or((sustain, sustain));
                self.cpu_sustain = Some((least.min(sustain), most.max(sustain)));
            }
            let found = match watch.blame {
                Blame::Culprit => &mut self.culprit,
                Blame::Any => &mut self.any,
            };
            for (limit, found) in found.iter_mut().enumerate() {
                if watch.is_in_breach(limit) {
                    let bound = watch.bounds[limit];
                    let held = watch.timers[limit].held_nanos();
                    let most = found.get_or_insert(InBreach { limit, held, bound, sustain });
                    most.sustain = most.sustain.max(sustain);
                    if held > most.held {
                        (most.held, most.bound) = (held, bound);
                    } else if held == most.held {
                        most.bound = most.bound.min(bound);
                    }
                }
            }
        }
        if self.slots.is_empty() {
            self.reset();
        }
    }

    /// Forgets all timers.
    pub(super) fn reset(&mut self) {
        self.slots.clear();
        self.watches.clear();
        self.free.clear();
    }

    /// The timers of a task's profile.
    pub(super) fn get(&self, look: Look) -> Option<&Watch> {
        self.watches.get(look.slot as usize)
    }

    /// Whether some task's profile has `limit` broken in the present sample.
    pub(super) fn is_broken(&self, limit: usize) -> bool {
        self.broken & (1 << limit) != 0
    }

    /// Whether a timer of a limit that is ranked by processor time began in this pass.
    pub(super) fn began(&self) -> bool {
        self.began
    }

    /// The shortest and the longest sustain time among running timers of limits that are ranked by
    /// processor time.
    pub(super) fn cpu_sustain(&self) -> Option<(Duration, Duration)> {
        self.cpu_sustain.map(|(least, most)| (Duration::from_nanos(least), Duration::from_nanos(most)))
    }

    /// The limits in breach for profiles that blame in this way, the one that has been broken longest first;
    /// ties in the order of the metrics.
    pub(super) fn in_breach(&self, blame: Blame) -> impl Iterator<Item = InBreach> + use<> {
        let mut found = match blame {
            Blame::Culprit => self.culprit,
            Blame::Any => self.any,
        };
        // A stable sort: equal times stay in the order of the metrics.
        found.sort_by_key(|b| std::cmp::Reverse(b.map(|b| b.held)));
        found.into_iter().flatten()
    }
}

/// The bounds of a profile in the order of [`HOST_LIMITS`].
fn bounds(profile: &Profile) -> [Option<f64>; 5] {
    let limits = profile.host();
    [
        limits.max_cpu_percent,
        limits.max_memory_percent,
        limits.min_fps,
        limits.max_latency_ms,
        limits.max_response_ms,
    ]
}
