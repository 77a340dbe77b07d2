//! The numbers in the limit files.

use std::fs;
use std::path::{Path, PathBuf};

use super::hierarchy::{Levels, Version};

/// The tightest CPU limit of all levels, and the folder that has it.
pub(super) fn cpu(levels: &Levels) -> Option<(f64, PathBuf)> {
    let limits = levels.folders.iter().filter_map(|folder| {
        let (quota, period) = match levels.version {
            Version::V2 => {
                let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
                let mut words = text.split_ascii_whitespace();
                (words.next()?.parse::<f64>().ok()?, words.next()?.parse::<f64>().ok()?)
            }
            Version::V1 => {
                (number(&folder.join("cpu.cfs_quota_us"))?, number(&folder.join("cpu.cfs_period_us"))?)
            }
        };
        // No limit is "max" in v2 and -1 in v1.
        let cores = quota / period;
        (quota > 0.0 && period > 0.0 && cores.is_finite()).then(|| (cores, folder.clone()))
    });
    limits.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// The memory limit of each level that has one, with its folder.
pub(super) fn memory(levels: &Levels) -> Vec<(u64, PathBuf)> {
    let file = match levels.version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let limit = |folder: &PathBuf| {
        let limit = fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok()?;
        // v1 says "no limit" as the largest multiple of a page that fits.
        (limit > 0 && limit < i64::MAX as u64 / 2).then(|| (limit, folder.clone()))
    };
    levels.folders.iter().filter_map(limit).collect()
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
fn core_list(list: &str) -> Option<Vec<bool>> {
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

fn number(path: &Path) -> Option<f64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_and_nonsense_is_refused() {
        assert_eq!(core_list("0-1,3"), Some(vec![true, true, false, true]));
        assert_eq!(core_list("2"), Some(vec![false, false, true]));
        for list in ["", "a", "3-1", "0-99999999999", "1,"] {
            assert_eq!(core_list(list), None, "{list}");
        }
    }
}
