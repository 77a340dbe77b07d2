//! Makes a control group for a tree where the process is allowed to, and reads its processor time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Cgroups;
use super::group::Group;
use crate::monitor::Hierarchies;

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
    if !SWEPT.swap(true, Ordering::Relaxed) {
        parents.unified.iter().chain(&parents.v1).for_each(|parent| sweep(parent));
    }
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

/// Whether this process has swept; once is enough for what others left.
static SWEPT: AtomicBool = AtomicBool::new(false);
/// A host that this process cannot see, in a container of its own, may have just made a group and not used it yet.
const UNUSED_AFTER: Duration = Duration::from_secs(60);

/// Removes the empty groups of hosts that were killed while they started a command.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let host = name.to_str().and_then(|n| n.strip_prefix("haltline-")?.split_once('-'));
        let Some((Ok(pid), Ok(_))) = host.map(|(pid, n)| (pid.parse::<u32>(), n.parse::<u64>())) else {
            continue;
        };
        let made = entry.metadata().and_then(|m| m.modified()).ok();
        let is_old = made.and_then(|t| t.elapsed().ok()).is_some_and(|age| age >= UNUSED_AFTER);
        if is_old && !Path::new("/proc").join(pid.to_string()).exists() {
            // One with members, or with groups below it, is in use and stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Makes a group below each of `parents`, all or none.
fn make(parents: &[&Path], is_v1: bool) -> Option<Group> {
    let group = Group { directories: fresh(parents)?, is_v1 };
    // A directory on something that only looks like a hierarchy has no door.
    if group.directories.is_empty() || !group.doors().iter().all(|d| d.exists()) {
        group.remove();
        return None;
    }
    Some(group)
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A directory of a new name below each of `parents`, all or none.
fn fresh(parents: &[&Path]) -> Option<Vec<PathBuf>> {
    loop {
        let name = format!("haltline-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directories: Vec<PathBuf> = parents.iter().map(|parent| parent.join(&name)).collect();
        let Some((made, e)) = directories
            .iter()
            .enumerate()
            .find_map(|(n, directory)| fs::create_dir(directory).err().map(|e| (n, e)))
        else {
            return Some(directories);
        };
        for directory in &directories[..made] {
            let _ = fs::remove_dir(directory);
        }
        // An earlier process of this id, as in a container that was started anew, may have left one of that name.
        if e.kind() != io::ErrorKind::AlreadyExists {
            return None;
        }
    }
}

fn parents(own: &str, mounts: &str) -> Parents {
    let hierarchies = Hierarchies::of(own, mounts);
    let freezer = hierarchies.own_folder(Some("freezer"));
    let accounting = hierarchies.own_folder(Some("cpuacct")).filter(|a| Some(a) != freezer.as_ref());
    Parents {
        unified: hierarchies.own_folder(None),
        v1: freezer.map_or_else(Vec::new, |f| std::iter::once(f).chain(accounting).collect()),
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

        let blank = "30 1 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(parents("0::/a b\n", blank).unified, Some("/my groups/a b".into()));
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
    fn empty_groups_of_dead_hosts_are_swept_and_no_others() {
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, own) = (dead.id(), std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            let file = fs::File::open(&path).unwrap();
            (move || file.set_modified(std::time::SystemTime::now() - age), path)
        };
        let old = UNUSED_AFTER + Duration::from_secs(1);
        let names = [
            (format!("haltline-{dead}-1"), old, false),
            (format!("haltline-{dead}-2"), UNUSED_AFTER / 2, true),
            (format!("haltline-{dead}-3"), old, true),
            (format!("haltline-{own}-1"), old, true),
            (format!("haltline-{dead}-x"), old, true),
            (format!("other-{dead}-1"), old, true),
        ];
        let mut made = Vec::new();
        for (name, age, stays) in &names {
            let (set_age, path) = make(name, *age);
            if name.ends_with("-3") {
                // A group below it, as a command makes that runs on after its host was killed.
                fs::create_dir(path.join("below")).unwrap();
            }
            set_age().unwrap();
            made.push((path, *stays));
        }
        let below = directory.path().join(format!("haltline-{dead}-3/below"));
        sweep(directory.path());
        for (path, stays) in made {
            assert_eq!(path.exists(), stays, "{}", path.display());
        }
        assert!(below.exists());
    }

    #[test]
    fn a_group_is_made_once_and_removed_whole() {
        let directory = tempfile::tempdir().unwrap();
        // Not a hierarchy: there is no door, so no group, and nothing is left behind.
        assert_eq!(make(&[directory.path()], false), None);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_an_earlier_process_of_this_id_left_is_passed_over() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let next = NEXT.load(Ordering::Relaxed);
        let taken = |n: u64| two.path().join(format!("haltline-{}-{n}", std::process::id()));
        (next..next + 50).for_each(|n| fs::create_dir(taken(n)).unwrap());
        let made = fresh(&[one.path(), two.path()]).unwrap();
        assert!(made.iter().all(|directory| directory.exists()));
        assert_eq!(
            fs::read_dir(one.path()).unwrap().count(),
            1,
            "nothing stays of the names that were taken"
        );
        assert_eq!(fresh(&[one.path(), Path::new("/nonexistent")]), None);
        assert_eq!(fs::read_dir(one.path()).unwrap().count(), 1);
    }
}
