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
    by_profile: IdMap<Watch>,
    pass: u64,
    /// The profile looked at last: tasks of one profile often stand together.
    last: Option<(u64, bool)>,
    /// One bit a host limit: broken for some task, cancelled ones included.
    broken: u8,
    /// A timer of a limit that is ranked by processor time began in this pass.
    began: bool,
}

/// The timers of one profile.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pass: u64,
    sustain: Duration,
    blame: Blame,
    broken: u8,
    timers: [Timer; 5],
}

impl Watch {
    /// Whether the limit is broken in the present sample.
    pub(super) fn is_broken(&self, limit: usize) -> bool {
        self.broken & (1 << limit) != 0
    }

    /// Whether the limit is broken in the present sample and was for the whole sustain time.
    pub(super) fn is_in_breach(&self, limit: usize) -> bool {
        self.is_broken(limit) && self.held(limit) >= self.sustain
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
    /// The longest time it has been broken for a profile that it is in breach for.
    pub(super) held: Duration,
    /// The longest sustain time of those profiles.
    pub(super) sustain: Duration,
}

impl Watches {
    /// Begins a pass over the tasks.
    pub(super) fn begin(&mut self, pass: u64) {
        self.pass = pass;
        self.last = None;
        self.broken = 0;
        self.began = false;
    }

    /// Looks at the profile of one task. `active` is whether that task may still be cancelled.
    pub(super) fn look(&mut self, at: Time, profile: &Profile, active: bool, values: &[Option<f64>; 5]) {
        let serial = profile.0.serial;
        if self.last == Some((serial, active)) {
            return;
        }
        self.last = Some((serial, active));

        let limits = profile.host();
        let bounds = [
            limits.max_cpu_percent,
            limits.max_memory_percent,
            limits.min_fps,
            limits.max_latency_ms,
            limits.max_response_ms,
        ];
        let mut broken = 0u8;
        for (i, limit) in HOST_LIMITS.into_iter().enumerate() {
            if let (Some(bound), Some(value)) = (bounds[i], values[i]) {
                broken |= u8::from(limit.is_broken(bound, value)) << i;
            }
        }
        self.broken |= broken;
        if !active || (broken == 0 && self.by_profile.is_empty()) {
            return;
        }
        let watch = if broken == 0 {
            match self.by_profile.get_mut(&serial) {
                Some(watch) => watch,
                None => return,
            }
        } else {
            self.by_profile.entry(serial).or_insert_with(|| Watch {
                pass: 0,
                sustain: profile.sustain(),
                blame: profile.blame(),
                broken: 0,
                timers: [Timer::default(); 5],
            })
        };
        if watch.pass == self.pass {
            return;
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
    }

    /// Ends the pass: forgets profiles without a running task or a running timer.
    pub(super) fn finish(&mut self) {
        let pass = self.pass;
        self.by_profile.retain(|_, w| w.pass == pass && w.timers.iter().any(Timer::is_running));
    }

    /// Forgets all timers.
    pub(super) fn reset(&mut self) {
        self.by_profile.clear();
    }

    /// The timers of a profile, if it has any.
    pub(super) fn get(&self, profile: &Profile) -> Option<&Watch> {
        self.by_profile.get(&profile.0.serial)
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
        let timed = |w: &Watch| w.timers.iter().enumerate().any(|(i, t)| i != MEMORY && t.is_running());
        self.by_profile
            .values()
            .filter(|w| timed(w))
            .map(|w| (w.sustain, w.sustain))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The limits in breach for profiles that blame in this way, the one that has been broken longest first;
    /// ties in the order of the metrics.
    pub(super) fn in_breach(&self, blame: Blame) -> impl Iterator<Item = InBreach> + use<> {
        let mut found: [Option<InBreach>; 5] = [None; 5];
        for watch in self.by_profile.values().filter(|w| w.blame == blame) {
            for (limit, slot) in found.iter_mut().enumerate() {
                if watch.is_in_breach(limit) {
                    let (held, sustain) = (watch.held(limit), watch.sustain);
                    let most = slot.get_or_insert(InBreach { limit, held, sustain });
                    most.held = most.held.max(held);
                    most.sustain = most.sustain.max(sustain);
                }
            }
        }
        // A stable sort: equal times stay in the order of the metrics.
        found.sort_by_key(|b| std::cmp::Reverse(b.map(|b| b.held)));
        found.into_iter().flatten()
    }
}
