//! The profile that the command runs under, and the monitor that it needs.

use std::time::Duration;

use haltline::monitor::{Monitor, Source, Sources};
use haltline::supervisor::{Limit, Profile, Profiles};
use haltline::{Error, ErrorKind, Result};

use crate::option::Options;

/// The named profile, or one without limits, with the options laid over it.
pub(crate) fn profile(options: &Options, profiles: &Profiles) -> Result<Profile> {
    let mut builder = match &options.profile {
        Some(name) => {
            let base = profiles.get(name)?;
            let mut builder = Profile::builder(base.name()).extends(&base);
            if base.task().max_idle.is_some() {
                // A command makes no progress calls, so the limit would cancel whatever it does.
                if !base.advisory().contains(&Limit::TaskIdle) {
                    return Err(Error::new(
                        ErrorKind::LimitRefused,
                        format!(
                            "profile {name:?}: task.max_idle cannot be measured for a command, which reports no \
                             progress; remove the limit, or list \"task.max_idle\" under \"advisory\""
                        ),
                    ));
                }
                builder = builder.without(Limit::TaskIdle);
            }
            builder
        }
        None => Profile::builder("command-line"),
    };
    for (limit, bound) in &options.bounds {
        builder = builder.limit(*limit, *bound);
    }
    if let Some(longest) = options.max_duration {
        builder = builder.max_duration(longest);
    }
    if let Some(time) = options.sustain {
        builder = builder.sustain(time);
    }
    if let Some(time) = options.grace {
        builder = builder.grace(time);
    }
    builder.build()
}

/// How often a tree is looked at if a limit needs that.
const OFTEN: Duration = Duration::from_millis(100);
/// How often otherwise. Memory and output keep a time of their own, and so does the duration.
const SELDOM: Duration = Duration::from_secs(1);

/// A monitor that samples only if a limit of `profile` needs samples, and then only what it needs.
pub(crate) fn monitor(profile: &Profile) -> Result<Monitor> {
    let any = |limits: &[Limit]| limits.iter().any(|l| profile.bound(*l).is_some());
    let host = any(&[Limit::HostCpuPercent, Limit::HostMemoryPercent]);
    let samples = host || any(&[Limit::TaskCpuPercent]);
    let often = samples || any(&[Limit::TaskCpuSeconds, Limit::TaskProcesses]);
    let sources = match host {
        true => Sources::none().with(Source::Cpu).with(Source::Memory).with(Source::Limits),
        false => Sources::none(),
    };
    let builder = Monitor::builder().sources(sources).interval(if often { OFTEN } else { SELDOM });
    if samples { builder.start() } else { builder.manual() }
}
