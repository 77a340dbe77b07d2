//! The numbers in the limit files.

use std::fs;
use std::path::PathBuf;

use super::hierarchy::{Levels, Version};

/// The tightest CPU limit of all levels, and the folder that has it.
pub(super) fn cpu(levels: &Levels) -> Option<(f64, PathBuf)> {
    let limits = levels.folders.iter().filter_map(|folder| {
        let text = |file| fs::read_to_string(folder.join(file)).ok();
        let cores = match levels.version {
            Version::V2 => {
                let both = text("cpu.max")?;
                let mut words = both.split_ascii_whitespace();
                quota(words.next()?, words.next()?)
            }
            Version::V1 => quota(&text("cpu.cfs_quota_us")?, &text("cpu.cfs_period_us")?),
        };
        Some((cores?, folder.clone()))
    });
    limits.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Cores, of microseconds in each period. No limit is "max" in v2 and -1 in v1.
pub(super) fn quota(quota: &str, period: &str) -> Option<f64> {
    let quota: u64 = quota.trim().parse().ok()?;
    let period: u64 = period.trim().parse().ok()?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// The memory limit of each level that has one, with its folder.
pub(super) fn memory(levels: &Levels) -> Vec<(u64, PathBuf)> {
    let file = match levels.version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let limit = |folder: &PathBuf| {
        let limit = bytes(&fs::read_to_string(folder.join(file)).ok()?)?;
        Some((limit, folder.clone()))
    };
    levels.folders.iter().filter_map(limit).collect()
}

/// Bytes. No limit is "max" in v2, and in v1 the largest multiple of a page that fits.
pub(super) fn bytes(limit: &str) -> Option<u64> {
    limit.trim().parse().ok().filter(|bytes| *bytes > 0 && *bytes < i64::MAX as u64 / 2)
}

/// The cores that may be used by their numbers, or `None` without such a limit.
pub(super) fn cores(levels: &Levels) -> Option<Vec<bool>> {
    let files: &[&str] = match levels.version {
        Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
        Version::V2 => &["cpuset.cpus.effective"],
    };
    // The nearest level that says anything: what is effective there takes the levels above into account.
    let text = levels
        .folders
        .iter()
        .flat_map(|folder| files.iter().map(move |file| folder.join(file)))
        .find_map(|path| fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty()))?;
    core_list(text.trim())
}

/// `0-2,5`
pub(super) fn core_list(list: &str) -> Option<Vec<bool>> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to || to >= 65_536 {
            return None;
        }
        if cores.len() <= to {
            cores.resize(to + 1, false);
        }
        cores[from..=to].fill(true);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_two_whole_numbers_or_none() {
        assert_eq!(quota("150000", "100000\n"), Some(1.5));
        for (us, period) in
            [("max", "100000"), ("-1", "100000"), ("0", "1"), ("1", "0"), ("1e300", "1"), ("inf", "1")]
        {
            assert_eq!(quota(us, period), None, "{us} {period}");
        }
        assert_eq!(
            (bytes("4096\n"), bytes("max"), bytes("0"), bytes("9223372036854771712")),
            (Some(4096), None, None, None)
        );
    }

    #[test]
    fn lists_of_cores_are_read_and_nonsense_is_refused() {
        assert_eq!(core_list("0-1,3"), Some(vec![true, true, false, true]));
        assert_eq!(core_list("2"), Some(vec![false, false, true]));
        for list in ["", "a", "3-1", "0-99999999999", "1,"] {
            assert_eq!(core_list(list), None, "{list}");
        }
    }
}
