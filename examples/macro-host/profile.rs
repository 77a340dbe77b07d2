//! The profiles of the macros: the built-in ones with limits that fit this machine.

use std::time::Duration;

use haltline::Result;
use haltline::supervisor::{Blame, Limit, Profile, Profiles};

use crate::cast::{Cast, Kind};
use crate::limits::Limits;

/// How long a host limit must be broken.
pub(crate) const SUSTAIN: Duration = Duration::from_secs(1);
/// How long a cancelled macro may take to leave.
pub(crate) const GRACE: Duration = Duration::from_millis(700);

/// One profile for each macro, under its name. It depends on how the macro runs, never on whether it behaves.
pub(crate) fn derive(cast: &Cast, limits: &Limits, blame: Blame) -> Result<Profiles> {
    let built_in = Profiles::new();
    let derived = Profiles::new();
    for member in cast.all() {
        let mut profile = Profile::builder(member.name)
            .extends(&built_in.get(member.base)?)
            .sustain(SUSTAIN)
            .grace(GRACE)
            .blame(blame);
        for (limit, bound) in [
            (Limit::HostCpuPercent, &limits.cpu),
            (Limit::HostMemoryPercent, &limits.memory),
            (Limit::HostFps, &limits.fps),
            (Limit::HostLatencyMs, &limits.latency),
            (Limit::HostResponseMs, &limits.response),
        ] {
            profile = match bound {
                Ok(bound) => profile.limit(limit, *bound),
                // That of the built-in profile knows nothing of this machine.
                Err(_) => profile.without(limit),
            };
        }
        let profile = match member.role.kind() {
            Kind::Thread | Kind::Future => profile.task_max_idle(Duration::from_millis(1500)),
            Kind::Errand => profile.max_duration(Duration::from_millis(1500)),
            // A double fork needs three for a moment.
            Kind::Process => profile.task_max_processes(3),
        };
        derived.insert(profile.build()?);
    }
    Ok(derived)
}
