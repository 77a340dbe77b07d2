//! The parsers of this folder as the fuzz targets call them.

use std::path::{Path, PathBuf};

use super::{hierarchy, limit};

/// A line of `/proc/self/cgroup`: controllers and path.
pub fn own(line: &str) -> Option<(Vec<String>, String)> {
    hierarchy::own_line(line)
}

/// A line of `/proc/self/mountinfo`: the part of the hierarchy that is mounted, and where. `/cgroup` stands for the
/// usual place.
pub fn mount(line: &str) -> Option<(String, PathBuf)> {
    let mount = hierarchy::mount_line(line, Path::new("/cgroup"))?;
    Some((mount.root, mount.point))
}

/// `cpu.max`: cores.
pub fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    limit::quota(quota, period)
}

/// `cpu.cfs_quota_us` over the usual period: cores.
pub fn quota_v1(text: &str) -> Option<f64> {
    limit::quota(text, "100000")
}

/// `memory.max` or `memory.limit_in_bytes`.
pub fn bytes(text: &str) -> Option<u64> {
    limit::bytes(text)
}

/// A list of cores such as `0-2,5`.
pub fn cores(list: &str) -> Option<Vec<bool>> {
    limit::core_list(list)
}
