//! Reads and writes durations as people write them, and finds the nearest name for a misspelt one.

use std::fmt;
use std::time::Duration;

/// Longer than any real setting: 100 years. Durations beyond it are taken for mistakes.
pub const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

/// Why a text or a number is not a duration: a sentence that names the value and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// Reads `"5m"`, `"1h 30m"`, `"250ms"`, or a plain number of seconds such as `"90"` or `"0.5"`.
///
/// Units are those of the `humantime` crate, from `ns` to `years`; note that `m` is minutes and `M` months.
///
/// # Errors
/// [`Invalid`] if the text is no duration, is negative, or is longer than [`LONGEST`].
///
/// # Example
/// ```
/// use std::time::Duration;
/// use haltline::duration;
///
/// assert_eq!(duration::parse("1h 30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(duration::parse("0.5"), Ok(Duration::from_millis(500)));
/// assert!(duration::parse("soon").unwrap_err().to_string().contains("\"soon\""));
/// ```
pub fn parse(text: &str) -> Result<Duration, Invalid> {
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return from_secs(seconds);
    }
    if trimmed.starts_with('-') {
        return Err(Invalid(format!("{} is negative; a duration is zero or more", shown(text))));
    }
    match humantime::parse_duration(trimmed) {
        Ok(d) if d <= LONGEST => Ok(d),
        Ok(_) => Err(too_long(shown(text))),
        Err(_) => Err(Invalid(format!(
            "{} is not a duration; write \"90s\", \"5m\", \"1h 30m\", or a number of seconds",
            shown(text)
        ))),
    }
}

/// The duration of `seconds`, fractions allowed.
///
/// # Errors
/// [`Invalid`] for a negative or infinite number, for NaN, and beyond [`LONGEST`].
pub fn from_secs(seconds: f64) -> Result<Duration, Invalid> {
    if seconds < 0.0 {
        return Err(Invalid(format!("{} is negative; a duration is zero or more seconds", spelt(seconds))));
    }
    if seconds > LONGEST.as_secs_f64() {
        return Err(too_long(spelt(seconds)));
    }
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Invalid(format!("{seconds} is not a duration; give a number of seconds")))
}

/// The shortest spelling that [`parse`] reads back as the same duration, such as `1h 30m`.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A number for a message: with an exponent where it would otherwise be a long row of digits.
pub(crate) fn spelt(number: f64) -> String {
    if number == 0.0 || !number.is_finite() || (1e-6..1e16).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// The one of `candidates` that a misspelt `name` most likely means, or `None` if none is near.
///
/// Near is at most two edits (insert, delete, replace, swap neighbours), fewer for short names, or one name
/// within the other. Case, and `-` for `_`, do not count.
pub fn nearest<'a, S: AsRef<str> + ?Sized + 'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a S>,
) -> Option<&'a str> {
    let wanted = folded(name);
    // A name this long is not a slip of the finger, and comparing it would cost its square.
    if wanted.is_empty() || wanted.len() > 64 {
        return None;
    }
    let allowed = if wanted.len() <= 3 { 1 } else { 2 };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let candidate = candidate.as_ref();
        let other = folded(candidate);
        let edits = distance(&wanted, &other);
        let score = if edits <= allowed && edits < other.len() {
            edits
        } else if wanted.len() >= 3
            && other.len() >= 3
            && (within(&wanted, &other) || within(&other, &wanted))
        {
            allowed + other.len().abs_diff(wanted.len())
        } else {
            continue;
        };
        if best.is_none_or(|(s, _)| score < s) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Vec<char> {
    name.chars().take(65).flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect()
}

fn within(inner: &[char], outer: &[char]) -> bool {
    outer.windows(inner.len()).any(|w| w == inner)
}

/// Optimal string alignment distance: three rows of the usual table.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

fn too_long(value: impl fmt::Display) -> Invalid {
    Invalid(format!("{value} is longer than 100 years, the longest that can be given"))
}

/// The text quoted, cut to a length that fits a line.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, ms) in [
            ("5m", 300_000),
            (" 1h 30m ", 5_400_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("90", 90_000),
            ("0.25", 250),
            ("0", 0),
            ("0s", 0),
            ("2 days", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refusals_name_the_value_and_what_would_be_right() {
        for (text, says) in [
            ("", "not a duration"),
            ("soon", "not a duration"),
            ("5 parsecs", "not a duration"),
            ("-5m", "negative"),
            ("-1", "negative"),
            ("nan", "not a duration"),
            ("inf", "longer than 100 years"),
            ("1e300", "1e300 is longer than 100 years"),
            ("-1e300", "-1e300 is negative"),
            ("3155760001", "3155760001 is longer than 100 years"),
            ("101 years", "longer than 100 years"),
            ("99999999999999999999 years", "not a duration"),
        ] {
            let e = parse(text).expect_err(text).to_string();
            assert!(e.contains(says), "{text}: {e}");
        }
        assert!(parse(&"x".repeat(10_000)).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["attack", "buff", "craft", "dance", "heal", "travel"];
        assert_eq!(nearest("atack", names), Some("attack"));
        assert_eq!(nearest("ATTACK", names), Some("attack"));
        assert_eq!(nearest("hael", names), Some("heal"));
        assert_eq!(nearest("danse", names), Some("dance"));
        assert_eq!(nearest("quux", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("cpu_percent", ["max_cpu_percent", "min_fps"]), Some("max_cpu_percent"));
        assert_eq!(nearest("max-cpu-percent", ["max_cpu_percent"]), Some("max_cpu_percent"));
        assert_eq!(nearest(&"a".repeat(100_000), names), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(nanos in 0..LONGEST.as_nanos() as u64) {
            let d = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(d)), Ok(d));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", near in "[0-9.eE+\\- a-zA-Z]{0,24}") {
            let _ = parse(&text);
            let _ = parse(&near);
            let _ = nearest(&text, ["max_duration", near.as_str()]);
        }
    }
}
