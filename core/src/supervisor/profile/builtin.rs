//! The six profiles that need no file.

use std::sync::Arc;
use std::time::Duration;

use super::{HostLimits, Level, Profile, Settings};

/// The names of the built-in profiles, in alphabetical order.
pub(super) const NAMES: [&str; 6] = ["attack", "buff", "craft", "dance", "heal", "travel"];

const RELAXED: HostLimits = row(90.0, 90.0, 10.0, 1000.0, 2000.0);
const STANDARD: HostLimits = row(80.0, 85.0, 15.0, 500.0, 1000.0);
const STRICT: HostLimits = row(70.0, 80.0, 20.0, 300.0, 500.0);

const fn row(cpu: f64, memory: f64, fps: f64, latency: f64, response: f64) -> HostLimits {
    HostLimits {
        max_cpu_percent: Some(cpu),
        max_memory_percent: Some(memory),
        min_fps: Some(fps),
        max_latency_ms: Some(latency),
        max_response_ms: Some(response),
    }
}

/// The built-in profile of this name.
pub(super) fn get(name: &str) -> Option<Profile> {
    let (level, seconds, host) = match name {
        "heal" => (Level::Safe, 60, RELAXED),
        "buff" => (Level::Safe, 120, RELAXED),
        "attack" => (Level::Risky, 300, STANDARD),
        "craft" => (Level::Safe, 600, RELAXED),
        "travel" => (Level::Risky, 180, STANDARD),
        "dance" => (Level::Dangerous, 3600, STRICT),
        _ => return None,
    };
    let max_duration = Some(Duration::from_secs(seconds));
    Some(Profile(Arc::new(Settings { level, max_duration, host, ..Settings::default_of(name) })))
}

impl Profile {
    /// One of the six built in: `attack`, `buff`, `craft`, `dance`, `heal`, `travel`.
    pub fn built_in(name: &str) -> Option<Profile> {
        get(name)
    }
}

/// All six.
pub(super) fn all() -> impl Iterator<Item = Profile> {
    NAMES.iter().filter_map(|name| get(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::limit::Limit;

    #[test]
    fn the_six_have_their_documented_settings() {
        let table: Vec<_> = all()
            .map(|p| {
                let host: Vec<f64> =
                    Limit::ALL.iter().filter(|l| l.is_host()).filter_map(|l| p.bound(*l)).collect();
                (p.name().to_owned(), p.level(), p.max_duration().unwrap().as_secs(), host)
            })
            .collect();
        let relaxed = vec![90.0, 90.0, 10.0, 1000.0, 2000.0];
        let standard = vec![80.0, 85.0, 15.0, 500.0, 1000.0];
        let strict = vec![70.0, 80.0, 20.0, 300.0, 500.0];
        let expected = [
            ("attack", Level::Risky, 300, &standard),
            ("buff", Level::Safe, 120, &relaxed),
            ("craft", Level::Safe, 600, &relaxed),
            ("dance", Level::Dangerous, 3600, &strict),
            ("heal", Level::Safe, 60, &relaxed),
            ("travel", Level::Risky, 180, &standard),
        ]
        .map(|(name, level, seconds, host)| (name.to_owned(), level, seconds, host.clone()));
        assert_eq!(table, expected);
    }

    #[test]
    fn no_built_in_has_a_limit_that_an_executor_would_refuse() {
        use crate::supervisor::limit::ExecutorKind;
        for p in all() {
            assert!(p.accepts(ExecutorKind::Custom).is_ok(), "{}", p.name());
        }
    }
}
