//! Where the cgroup of this process lies in each hierarchy.

use std::fs;
use std::path::{Path, PathBuf};

/// Where mounts are on nearly every system, and what the root given by the caller stands for.
const USUAL_ROOT: &str = "/sys/fs/cgroup";

/// The kinds of cgroup files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// The folders of one controller, from this process's own cgroup up to the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) version: Version,
    pub(super) folders: Vec<PathBuf>,
}

/// A cgroup mount that this process can see.
#[derive(Debug)]
pub(super) struct Mount {
    version: Version,
    /// The path inside the hierarchy that is mounted; not `/` in containers without their own namespace.
    pub(super) root: String,
    pub(super) point: PathBuf,
    controllers: Vec<String>,
}

/// What `/proc/self/cgroup` and `/proc/self/mountinfo` say.
#[derive(Debug)]
pub(crate) struct Hierarchies {
    mounts: Vec<Mount>,
    /// Controllers and path of each line; no controllers for v2.
    own: Vec<(Vec<String>, String)>,
}

impl Hierarchies {
    /// `own` is what `self/cgroup` says.
    pub(super) fn new(own: &str, proc_root: &Path, cgroup_root: &Path) -> Self {
        // Without it the usual places are tried.
        let mountinfo = fs::read_to_string(proc_root.join("self/mountinfo")).unwrap_or_default();
        Hierarchies::parse(own, &mountinfo, cgroup_root)
    }

    fn parse(own: &str, mountinfo: &str, cgroup_root: &Path) -> Self {
        let mounts = mountinfo.lines().filter_map(|line| mount_line(line, cgroup_root)).collect();
        Hierarchies { mounts, own: own.lines().filter_map(own_line).collect() }
    }

    /// What the two files say on this machine.
    pub(crate) fn of(own: &str, mountinfo: &str) -> Self {
        Hierarchies::parse(own, mountinfo, Path::new(USUAL_ROOT))
    }

    /// The folder of this process's own cgroup, in the v1 hierarchy of `controller` or with `None` in the v2
    /// hierarchy; only where a mount shows it.
    pub(crate) fn own_folder(&self, controller: Option<&str>) -> Option<PathBuf> {
        let fits = |controllers: &[String]| match controller {
            Some(wanted) => controllers.iter().any(|c| c == wanted),
            None => controllers.is_empty(),
        };
        let (_, path) = self.own.iter().find(|(controllers, _)| fits(controllers))?;
        let mounts = self.mounts.iter().filter(|m| match controller {
            Some(_) => m.version == Version::V1 && fits(&m.controllers),
            None => m.version == Version::V2,
        });
        mounts.into_iter().find_map(|m| inside(path, &m.root).map(|inside| m.point.join(inside)))
    }

    /// The folders in which `controller` keeps its files for this process, or `None` if it has none.
    ///
    /// A controller is either in a v1 hierarchy or in the v2 one, never in both: on a hybrid system v1
    /// is asked first, because v2 is there without controllers.
    pub(super) fn levels(&self, controller: &str, cgroup_root: &Path) -> Option<Levels> {
        let v1 = self.own.iter().find(|(controllers, _)| controllers.iter().any(|c| c == controller));
        if let Some((_, path)) = v1 {
            let mount = self
                .mounts
                .iter()
                .find(|m| m.version == Version::V1 && m.controllers.iter().any(|c| c == controller));
            let (root, point) = match mount {
                Some(mount) => (mount.root.as_str(), mount.point.clone()),
                None => ("/", cgroup_root.join(controller)),
            };
            return levels(Version::V1, root, &point, path);
        }
        self.unified(cgroup_root)
    }

    /// The folders of the v2 hierarchy.
    fn unified(&self, cgroup_root: &Path) -> Option<Levels> {
        let (_, path) = self.own.iter().find(|(controllers, _)| controllers.is_empty())?;
        let mount = self.mounts.iter().find(|m| m.version == Version::V2);
        let (root, point) = match mount {
            Some(mount) => (mount.root.as_str(), mount.point.clone()),
            None => ("/", cgroup_root.to_owned()),
        };
        levels(Version::V2, root, &point, path)
    }
}

/// The folder of `path` below the mount and each above it, the mount itself last.
fn levels(version: Version, root: &str, point: &Path, path: &str) -> Option<Levels> {
    // A path that the mount does not show belongs to another namespace; what is mounted is then our own.
    let leaf = inside(path, root).map_or_else(|| point.to_owned(), |inside| point.join(inside));
    let leaf = if leaf.is_dir() { leaf } else { point.to_owned() };
    let folders: Vec<_> = leaf.ancestors().take_while(|p| p.starts_with(point)).map(Path::to_owned).collect();
    point.is_dir().then_some(Levels { version, folders })
}

/// What of `path` lies below the `root` of a mount. A cgroup above the root of the namespace shows as a path with dots.
fn inside<'a>(path: &'a str, root: &str) -> Option<&'a Path> {
    let below = Path::new(path).strip_prefix(root).ok()?;
    below.components().all(|c| matches!(c, std::path::Component::Normal(_))).then_some(below)
}

/// `4:memory:/a/b`, or `0::/a/b` for v2.
pub(super) fn own_line(line: &str) -> Option<(Vec<String>, String)> {
    let mut parts = line.splitn(3, ':');
    let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let controllers: Vec<String> =
        controllers.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
    (id == "0" || !controllers.is_empty()).then(|| (controllers, path.to_owned()))
}

/// `35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`
pub(super) fn mount_line(line: &str, cgroup_root: &Path) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut filesystem = filesystem.split(' ');
    let version = match filesystem.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let controllers = filesystem.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (unescaped(mount.next()?), unescaped(mount.next()?));
    let point = match Path::new(&point).strip_prefix(USUAL_ROOT) {
        Ok(inside) if inside.as_os_str().is_empty() => cgroup_root.to_owned(),
        Ok(inside) => cgroup_root.join(inside),
        Err(_) => PathBuf::from(point),
    };
    Some(Mount { version, root, point, controllers })
}

/// The kernel writes blanks in paths as `\040`. The backslash comes last, or it would make escapes of plain text.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_none_are_passed_over() {
        assert_eq!(own_line("0::/a:b"), Some((vec![], "/a:b".into())));
        assert_eq!(own_line("1:cpu,cpuacct:/x").unwrap().0, ["cpu", "cpuacct"]);
        for line in ["", "nonsense", "1:", "7::/x"] {
            assert_eq!(own_line(line), None);
            assert!(mount_line(line, Path::new("/r")).is_none());
        }
        let line = "35 31 0:32 /docker/1 /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory";
        let mount = mount_line(line, Path::new("/r")).unwrap();
        assert_eq!((mount.root.as_str(), mount.point), ("/docker/1", PathBuf::from("/r/my memory")));
        let line = "35 31 0:32 / /a\\134040b\\012c rw - cgroup2 cgroup2 rw";
        assert_eq!(mount_line(line, Path::new("/r")).unwrap().point, PathBuf::from("/a\\040b\nc"));
    }
}
