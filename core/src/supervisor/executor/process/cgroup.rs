//! Makes a control group for a tree where the process is allowed to, and reads its processor time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Cgroups;
use super::group::Group;

/// The groups of this process in which a group for a tree could be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parents {
    unified: Option<PathBuf>,
    /// The freezer's, then the processor accounting's, unless they are one.
    v1: Vec<PathBuf>,
}

/// A fresh group, or `None` where it is not wanted or not possible.
pub(super) fn create(wanted: Cgroups) -> Option<Group> {
    if wanted == Cgroups::Off || std::env::var_os("HALTLINE_CGROUP").is_some_and(|v| v == "off") {
        return None;
    }
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    #[allow(unused_mut)]
    let mut parents = parents(&own, &mounts);
    #[cfg(test)]
    if wanted == Cgroups::V1 {
        parents.unified = None;
    }
    if let Some(group) = parents.unified.as_deref().and_then(|p| make(&[p], false)) {
        return Some(group);
    }
    let v1: Vec<&Path> = parents.v1.iter().map(PathBuf::as_path).collect();
    make(&v1, true)
}

/// Makes a group below each of `parents`, all or none.
fn make(parents: &[&Path], is_v1: bool) -> Option<Group> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let name = format!("haltline-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut group = Group { directories: Vec::new(), is_v1 };
    for parent in parents {
        let directory = parent.join(&name);
        if fs::create_dir(&directory).is_err() {
            group.remove();
            return None;
        }
        group.directories.push(directory);
    }
    // A directory on something that only looks like a hierarchy has no door.
    if group.directories.is_empty() || !group.doors().iter().all(|d| d.exists()) {
        group.remove();
        return None;
    }
    Some(group)
}

fn parents(own: &str, mounts: &str) -> Parents {
    let mut found = Parents::default();
    let mut freezer = None;
    let mut accounting = None;
    for mount in mounts.lines().filter_map(Mount::parse) {
        for line in own.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let Some(directory) = mount.directory(path) else { continue };
            let has = |name: &str| controllers.split(',').any(|c| c == name) && mount.has(name);
            if mount.kind == "cgroup2" && controllers.is_empty() {
                found.unified.get_or_insert(directory);
            } else if mount.kind == "cgroup" {
                if has("freezer") {
                    freezer.get_or_insert(directory.clone());
                }
                if has("cpuacct") {
                    accounting.get_or_insert(directory);
                }
            }
        }
    }
    if let Some(freezer) = freezer {
        let other = accounting.filter(|a| *a != freezer);
        found.v1 = [Some(freezer), other].into_iter().flatten().collect();
    }
    found
}

/// A line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let mut back = back.split(' ');
        let (root, point, kind) = (front.next()?, front.next()?, back.next()?);
        Some(Mount { root, point, kind, options: back.nth(1)? })
    }

    fn has(&self, controller: &str) -> bool {
        self.options.split(',').any(|o| o == controller)
    }

    /// Where the group `path` is seen below this mount; `None` if the mount shows another part.
    fn directory(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(self.root).ok()?;
        // A group above the root of the namespace shows as a path with dots.
        let plain = below.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        plain.then(|| Path::new(self.point).join(below))
    }
}

/// Processor time of everything that ever ran in the group.
pub(super) fn cpu_time(group: &Group) -> Option<Duration> {
    if group.is_v1 {
        let text = fs::read_to_string(group.directories.last()?.join("cpuacct.usage")).ok()?;
        return Some(Duration::from_nanos(text.trim().parse().ok()?));
    }
    let text = fs::read_to_string(group.directories.first()?.join("cpu.stat")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("usage_usec "))?;
    Some(Duration::from_micros(line.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_groups_are_found_in_v2_hybrid_and_v1_layouts() {
        let v2 = parents(
            "0::/user.slice/a\n",
            "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        assert_eq!(v2.unified, Some("/sys/fs/cgroup/user.slice/a".into()));
        assert!(v2.v1.is_empty());

        let mounts = "31 1 0:27 / /cg/freezer rw - cgroup cgroup rw,freezer\n\
                      32 1 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      33 1 0:29 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let hybrid = parents("8:freezer:/f\n2:cpu,cpuacct:/c\n0::/\n", mounts);
        assert_eq!(hybrid.unified, Some("/cg/unified".into()));
        assert_eq!(hybrid.v1, [PathBuf::from("/cg/freezer/f"), PathBuf::from("/cg/cpu/c")]);
    }

    #[test]
    fn a_container_sees_its_own_part_and_nothing_above_it() {
        let mounts = "30 1 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(parents("0::/docker/abc/x\n", mounts).unified, Some("/sys/fs/cgroup/x".into()));
        assert_eq!(parents("0::/docker/other\n", mounts).unified, None);
        let namespaced = "30 1 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(parents("0::/../up\n", namespaced).unified, None);
        assert_eq!(parents("garbage\n\n:::\n", "more garbage\n"), Parents::default());
    }

    #[test]
    fn a_group_is_made_once_and_removed_whole() {
        let directory = tempfile::tempdir().unwrap();
        // Not a hierarchy: there is no door, so no group, and nothing is left behind.
        assert_eq!(make(&[directory.path()], false), None);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
