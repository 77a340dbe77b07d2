//! Reads the bound of a limit and the length of a time as an option gives them.

use std::time::Duration;

use haltline::duration;
use haltline::supervisor::{Limit, Profile};

/// The bound of `limit` that `text` says.
pub(crate) fn bound(option: &str, limit: Limit, text: &str) -> Result<f64, String> {
    let what = unit(limit);
    let value: f64 = text
        .trim()
        .parse()
        .map_err(|_| format!("{option}: {text:?} is not a number; give {what} above 0"))?;
    if Profile::builder("command-line").limit(limit, value).build().is_ok() {
        return Ok(value);
    }
    Err(if limit == Limit::TaskProcesses && value.is_finite() && value > 0.0 && value.fract() != 0.0 {
        format!("{option}: {text:?} is not a whole number of processes")
    } else if value > 0.0 {
        format!(
            "{option}: {text:?} is more than there can be; leave the option out if there is to be no limit"
        )
    } else if value == 0.0 {
        format!("{option}: {text:?} would be broken at once; give {what} above 0, or leave the option out")
    } else {
        format!("{option}: {text:?} is out of range; give {what} above 0")
    })
}

/// The time that `text` says.
pub(crate) fn time(option: &str, text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|e| format!("{option}: {e}"))
}

fn unit(limit: Limit) -> &'static str {
    match limit.unit() {
        "%" => "percent of one core",
        "s" => "seconds",
        unit => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_bounds_are_refused_with_the_option_and_the_value() {
        for (text, says) in [
            ("-1", "out of range"),
            ("nan", "out of range"),
            ("-inf", "out of range"),
            ("inf", "more than there can be"),
            ("1e300", "more than there can be"),
            ("0", "broken at once"),
            ("0.0", "broken at once"),
            ("", "not a number"),
            ("12 MiB", "not a number"),
        ] {
            let message = bound("--max-memory-mib", Limit::TaskMemoryMib, text).unwrap_err();
            assert!(message.starts_with(&format!("--max-memory-mib: {text:?}")), "{message}");
            assert!(message.contains(says), "{message}");
        }
        let message = bound("--max-processes", Limit::TaskProcesses, "1.5").unwrap_err();
        assert!(message.contains("whole number"), "{message}");
    }
}
