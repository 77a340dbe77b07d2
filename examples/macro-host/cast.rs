//! Who plays what. This record decides who misbehaves; the engine never sees it.

use haltline::supervisor::{Limit, Outcome};

/// Each macro and the built-in profile that its own extends.
const MACROS: [(&str, &str); 14] = [
    ("heal", "heal"),
    ("buff", "buff"),
    ("attack", "attack"),
    ("craft", "craft"),
    ("travel", "travel"),
    ("dance", "dance"),
    ("farm", "craft"),
    ("fish", "buff"),
    ("guard", "attack"),
    ("mine", "craft"),
    ("trade", "travel"),
    ("scout", "travel"),
    ("gather", "craft"),
    ("duel", "attack"),
];

/// What a macro does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    // These misbehave.
    Memory,
    Overrun,
    Cpu,
    Deaf,
    Frames,
    Daemon,
    Latency,
    Response,
    // These do not.
    Thread,
    Process,
    Future,
    Errand,
}

/// How a macro runs, which settles the task limits of its profile, whether it misbehaves or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Thread,
    Process,
    Future,
    /// A thread with little time to finish.
    Errand,
}

/// The rule that must cancel a misbehaving macro, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) rule: Limit,
    pub(crate) outcome: Outcome,
}

/// One macro of the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// The built-in profile that its own extends.
    pub(crate) base: &'static str,
    pub(crate) role: Role,
}

/// All macros: first those that misbehave, in the order of their acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cast(Vec<Member>);

/// One role for each macro: those that misbehave in the order of their acts, then the healthy ones.
const ROLES: [Role; MACROS.len()] = [
    Role::Memory,
    Role::Overrun,
    Role::Cpu,
    Role::Deaf,
    Role::Frames,
    Role::Daemon,
    Role::Latency,
    Role::Response,
    Role::Thread,
    Role::Thread,
    Role::Process,
    Role::Process,
    Role::Future,
    Role::Errand,
];

impl Cast {
    /// Deals the roles. The same seed deals the same.
    pub(crate) fn of_seed(seed: u64) -> Cast {
        let mut macros = MACROS;
        let mut random = Random(seed);
        for i in (1..macros.len()).rev() {
            macros.swap(i, random.below(i + 1));
        }
        let deal = |(&(name, base), role)| Member { name, base, role };
        Cast(macros.iter().zip(ROLES).map(deal).collect())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    pub(crate) fn misbehaving(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|m| m.role.fate().is_some())
    }

    pub(crate) fn healthy(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|m| m.role.fate().is_none())
    }
}

impl Role {
    /// What must become of it, or `None` for one that must survive.
    pub(crate) const fn fate(self) -> Option<Fate> {
        let (rule, outcome) = match self {
            Role::Memory => (Limit::HostMemoryPercent, Outcome::Killed),
            Role::Overrun => (Limit::MaxDuration, Outcome::Stopped),
            Role::Cpu => (Limit::HostCpuPercent, Outcome::Stopped),
            Role::Deaf => (Limit::TaskIdle, Outcome::StillRunning),
            Role::Frames => (Limit::HostFps, Outcome::Stopped),
            Role::Daemon => (Limit::TaskProcesses, Outcome::Killed),
            Role::Latency => (Limit::HostLatencyMs, Outcome::Stopped),
            Role::Response => (Limit::HostResponseMs, Outcome::Stopped),
            Role::Thread | Role::Process | Role::Future | Role::Errand => return None,
        };
        Some(Fate { rule, outcome })
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Role::Memory | Role::Cpu | Role::Daemon | Role::Process => Kind::Process,
            Role::Deaf | Role::Frames | Role::Latency | Role::Response | Role::Thread => Kind::Thread,
            Role::Overrun | Role::Errand => Kind::Errand,
            Role::Future => Kind::Future,
        }
    }

    /// What it does, for the reader.
    pub(crate) const fn plot(self) -> &'static str {
        match self {
            Role::Memory => "takes more and more memory and ignores SIGTERM",
            Role::Overrun => "does not finish in its time",
            Role::Cpu => "spins on every core",
            Role::Deaf => "hangs: no progress, and it never looks at its token",
            Role::Frames => "keeps the scene locked, so that the game cannot draw",
            Role::Daemon => "hides a grandchild by a double fork, which starts more; all ignore SIGTERM",
            Role::Latency => "keeps the session locked, so that the game server answers late",
            Role::Response => "keeps the market locked, so that requests take long",
            Role::Thread => "healthy thread",
            Role::Process => "healthy process",
            Role::Future => "healthy future",
            Role::Errand => "healthy errand",
        }
    }
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Thread | Kind::Errand => "thread",
            Kind::Process => "process",
            Kind::Future => "future",
        }
    }
}

/// SplitMix64: a few lines, and even seeds that differ in one bit deal differently.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        // The bias is below one part in 10^18.
        (self.next() % end as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_macro_plays_once_and_every_role_is_dealt() {
        for seed in 0..200 {
            let cast = Cast::of_seed(seed);
            let names: BTreeSet<_> = cast.all().map(|m| m.name).collect();
            assert_eq!(names.len(), MACROS.len());
            assert_eq!(cast.misbehaving().count(), 8);
            assert_eq!(cast.all().map(|m| m.role).collect::<Vec<_>>(), ROLES);
        }
    }

    #[test]
    fn the_seed_settles_who_misbehaves() {
        assert_eq!(Cast::of_seed(5), Cast::of_seed(5));
        let hogs: BTreeSet<_> =
            (0..200).filter_map(|s| Cast::of_seed(s).misbehaving().next().map(|m| m.name)).collect();
        assert_eq!(hogs.len(), MACROS.len(), "each macro is the memory hog for some seed");
    }

    #[test]
    fn all_six_built_in_profiles_are_extended() {
        let bases: BTreeSet<_> = MACROS.iter().map(|(_, base)| *base).collect();
        assert_eq!(
            bases.into_iter().collect::<Vec<_>>(),
            ["attack", "buff", "craft", "dance", "heal", "travel"]
        );
    }
}
