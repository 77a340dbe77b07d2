//! Builds a profile in code.

use std::sync::Arc;
use std::time::Duration;

use super::change::Change;
use super::{Blame, Level, Profile, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::limit::Limit;

/// Builds a [`Profile`]; made by [`Profile::builder`].
///
/// Without further calls: level safe, no limits, sustain 3 s, grace 5 s, cancels, blames the culprit. Limits
/// carry the names of their keys in a file, the dot written as an underscore.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use haltline::supervisor::{Level, Profile};
///
/// let mining = Profile::builder("mining")
///     .level(Level::Risky)
///     .max_duration(Duration::from_secs(300))
///     .host_max_cpu_percent(80.0)
///     .build()?;
/// assert_eq!(mining.host().max_cpu_percent, Some(80.0));
///
/// let deep = Profile::builder("deep-mining").extends(&mining).no_max_duration().build()?;
/// assert_eq!(deep.level(), Level::Risky);
/// assert_eq!(deep.max_duration(), None);
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call build() to get the profile"]
pub struct ProfileBuilder {
    name: String,
    base: Option<Profile>,
    changes: Vec<Change>,
}

impl Profile {
    /// Starts a profile of this name, without limits whatever the name.
    ///
    /// A built-in profile is [`Profile::built_in`]; [`extends`](ProfileBuilder::extends) begins with its settings. A
    /// profile under the name of a built-in one takes its place where it is added.
    pub fn builder(name: impl Into<String>) -> ProfileBuilder {
        ProfileBuilder { name: name.into(), base: None, changes: Vec::new() }
    }
}

impl Settings {
    /// What a profile holds before anything is set.
    pub(super) fn default_of(name: &str) -> Settings {
        Settings {
            serial: Settings::next_serial(),
            name: name.to_owned(),
            level: Level::Safe,
            max_duration: None,
            sustain: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            auto_cancel: true,
            blame: Blame::Culprit,
            notify: Vec::new(),
            host: super::HostLimits::default(),
            task: super::TaskLimits::default(),
            advisory: Vec::new(),
        }
    }

    /// The settings of `base`, or the defaults, under a name and a serial of their own.
    pub(super) fn under(name: &str, base: Option<&Settings>) -> Settings {
        match base {
            None => Settings::default_of(name),
            Some(base) => Settings { serial: Settings::next_serial(), name: name.to_owned(), ..base.clone() },
        }
    }
}

/// Why `name` cannot be the name of a profile, if it cannot. It appears in records, addresses and file names.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("a profile needs a name")
    } else if name.len() > 128 {
        Some("the name of a profile is at most 128 bytes long")
    } else if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        Some("the name of a profile holds no control characters and no slashes")
    } else {
        None
    }
}

macro_rules! bounds {
    ($($(#[$doc:meta])* $name:ident = $limit:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(self, value: f64) -> Self {
                self.limit(Limit::$limit, value)
            }
        )*
    };
}

impl ProfileBuilder {
    /// Takes over everything that `base` sets and this builder does not, wherever in the chain it is called.
    pub fn extends(mut self, base: &Profile) -> Self {
        self.base = Some(base.clone());
        self
    }

    /// How much harm a task may do.
    pub fn level(self, level: Level) -> Self {
        self.with(Change::Level(level))
    }

    /// How long a task may run; above zero.
    pub fn max_duration(self, longest: Duration) -> Self {
        self.with(Change::Time(Limit::MaxDuration, longest))
    }

    /// Lets a task run for ever, whatever the base says.
    pub fn no_max_duration(self) -> Self {
        self.without(Limit::MaxDuration)
    }

    /// How long a host limit, or `task.max_cpu_percent`, must stay broken before it counts. Zero is one sample.
    pub fn sustain(self, time: Duration) -> Self {
        self.with(Change::Sustain(time))
    }

    /// How long a cancelled task may take to leave by itself. Zero forces at once.
    pub fn grace(self, time: Duration) -> Self {
        self.with(Change::Grace(time))
    }

    /// Whether a breach cancels; otherwise it is only recorded.
    pub fn auto_cancel(self, on: bool) -> Self {
        self.with(Change::AutoCancel(on))
    }

    /// Who is cancelled when a host limit breaks.
    pub fn blame(self, blame: Blame) -> Self {
        self.with(Change::Blame(blame))
    }

    /// The names of the notifiers to tell, in place of the base's.
    pub fn notify<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.with(Change::Notify(names.into_iter().map(Into::into).collect()))
    }

    /// Task limits that an executor may fail to enforce without being refused, in place of the base's.
    pub fn advisory(self, limits: &[Limit]) -> Self {
        self.with(Change::Advisory(limits.to_vec()))
    }

    /// The bound of any limit in its [unit](Limit::unit).
    pub fn limit(self, limit: Limit, bound: f64) -> Self {
        self.with(Change::Bound(limit, bound))
    }

    /// Removes a limit that the base has.
    pub fn without(self, limit: Limit) -> Self {
        self.with(Change::Remove(limit))
    }

    bounds! {
        /// Above 0 and at most 100 percent of what the machine or container may use.
        host_max_cpu_percent = HostCpuPercent;
        /// Above 0 and at most 100 percent of what the machine or container may use.
        host_max_memory_percent = HostMemoryPercent;
        /// Frames per second; broken from below.
        host_min_fps = HostFps;
        /// Milliseconds.
        host_max_latency_ms = HostLatencyMs;
        /// Milliseconds.
        host_max_response_ms = HostResponseMs;
        /// Percent of one core; may be above 100.
        task_max_cpu_percent = TaskCpuPercent;
        /// Processor seconds in all.
        task_max_cpu_seconds = TaskCpuSeconds;
        /// MiB of the whole tree.
        task_max_memory_mib = TaskMemoryMib;
        /// MiB written to standard output and standard error together.
        task_max_output_mib = TaskOutputMib;
    }

    /// Processes of the tree at one time.
    pub fn task_max_processes(self, count: u64) -> Self {
        self.limit(Limit::TaskProcesses, count as f64)
    }

    /// Longest time without a progress call; above zero.
    pub fn task_max_idle(self, longest: Duration) -> Self {
        self.with(Change::Time(Limit::TaskIdle, longest))
    }

    /// Checks every value and makes the profile.
    ///
    /// # Errors
    /// [`InvalidProfile`](ErrorKind::InvalidProfile) naming the profile, the key and the value: a limit that is
    /// zero, negative, NaN, infinite or above its range, a time beyond 100 years, an advisory host limit, or
    /// a name that is empty, longer than 128 bytes, or holds control characters or slashes.
    pub fn build(self) -> Result<Profile> {
        if let Some(fault) = name_fault(&self.name) {
            return Err(Error::new(ErrorKind::InvalidProfile, format!("{fault}, unlike {:?}", self.name)));
        }
        let mut settings = Settings::under(&self.name, self.base.as_ref().map(|b| &*b.0));
        for change in &self.changes {
            change.check().map_err(|f| {
                let what = format!("profile {:?}: {}: {}", self.name, f.key, f.message);
                Error::new(ErrorKind::InvalidProfile, what)
            })?;
            change.apply(&mut settings);
        }
        Ok(Profile(Arc::new(settings)))
    }

    pub(super) fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(b: ProfileBuilder) -> String {
        let e = b.build().expect_err("must be refused");
        assert_eq!(e.kind(), ErrorKind::InvalidProfile);
        e.to_string()
    }

    #[test]
    fn a_profile_without_settings_has_the_documented_defaults() {
        let p = Profile::builder("plain").build().unwrap();
        assert_eq!(p.level(), Level::Safe);
        assert_eq!(p.sustain(), Duration::from_secs(3));
        assert_eq!(p.grace(), Duration::from_secs(5));
        assert!(p.auto_cancel());
        assert_eq!(p.blame(), Blame::Culprit);
        assert!(p.notify().is_empty() && p.advisory().is_empty());
        assert!(Limit::ALL.iter().all(|l| p.bound(*l).is_none()));
    }

    #[test]
    fn every_limit_can_be_set_by_name_and_removed_again() {
        for (n, limit) in Limit::ALL.into_iter().enumerate() {
            let value = n as f64 + 1.0;
            let p = Profile::builder("p").limit(limit, value).build().unwrap();
            assert_eq!(p.bound(limit), Some(value), "{limit}");
            assert_eq!(Limit::ALL.iter().filter(|l| p.bound(**l).is_some()).count(), 1, "{limit}");
            let q = Profile::builder("q").without(limit).extends(&p).build().unwrap();
            assert_eq!(q.bound(limit), None, "{limit}");
        }
    }

    #[test]
    fn the_methods_set_the_limit_they_are_named_after() {
        let p = Profile::builder("p")
            .host_max_cpu_percent(1.0)
            .host_max_memory_percent(2.0)
            .host_min_fps(3.0)
            .host_max_latency_ms(4.0)
            .host_max_response_ms(5.0)
            .task_max_cpu_percent(6.0)
            .task_max_cpu_seconds(7.0)
            .task_max_memory_mib(8.0)
            .task_max_processes(9)
            .task_max_output_mib(10.0)
            .task_max_idle(Duration::from_secs(11))
            .build()
            .unwrap();
        let values: Vec<_> = Limit::ALL.iter().filter_map(|l| p.bound(*l)).collect();
        assert_eq!(values, (1..=11).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn values_that_no_one_can_mean_are_refused_with_key_and_value() {
        for limit in Limit::ALL {
            for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
                let e = refused(Profile::builder("p").limit(limit, bad));
                assert!(e.contains("profile \"p\"") && e.contains(limit.name()), "{e}");
                assert!(e.contains(if bad == 0.0 { "0 would" } else { "out of range" }), "{e}");
            }
        }
        assert!(refused(Profile::builder("p").host_max_cpu_percent(100.1)).contains("100.1"));
        assert!(Profile::builder("p").task_max_cpu_percent(800.0).build().is_ok());
        assert!(refused(Profile::builder("p").limit(Limit::TaskProcesses, 1.5)).contains("whole number"));
        assert!(refused(Profile::builder("p").max_duration(Duration::ZERO)).contains("above zero"));
        assert!(refused(Profile::builder("p").limit(Limit::MaxDuration, 1e-30)).contains("above zero"));
        for b in [
            Profile::builder("p").max_duration(Duration::MAX),
            Profile::builder("p").task_max_idle(Duration::MAX),
            Profile::builder("p").sustain(Duration::MAX),
            Profile::builder("p").grace(Duration::MAX),
        ] {
            assert!(refused(b).contains("100 years"));
        }
        assert!(Profile::builder("p").sustain(Duration::ZERO).grace(Duration::ZERO).build().is_ok());
    }

    #[test]
    fn names_and_lists_are_checked() {
        for bad in ["", "  ", "a/b", "a\nb", "a\0", &"x".repeat(129)] {
            refused(Profile::builder(bad));
        }
        assert!(Profile::builder("Überfall 2").build().is_ok());
        assert!(refused(Profile::builder("p").notify([" "])).contains("notify"));
        let e = refused(Profile::builder("p").advisory(&[Limit::TaskIdle, Limit::HostFps]));
        assert!(e.contains("advisory") && e.contains("host.min_fps"), "{e}");
    }

    #[test]
    fn a_profile_made_from_another_is_told_apart_from_it() {
        let a = Profile::builder("a").build().unwrap();
        let b = Profile::builder("a").extends(&a).build().unwrap();
        assert_ne!(a.0.serial, b.0.serial);
    }
}
