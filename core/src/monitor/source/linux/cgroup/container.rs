//! The limits in force, and the use that counts against them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::text::{self, Kept};
use super::hierarchy::{Hierarchies, Levels, Version};
use super::limit;
use crate::monitor::Memory;

/// The limits around this process. Empty on a machine without limits.
#[derive(Debug, Default)]
pub(in super::super) struct Container {
    places: Places,
    found: Found,
    generation: u64,
    cpu: Option<CpuUse>,
    memory: Vec<MemoryUse>,
}

/// Where this process's cgroups lie. Found once, and again when the process was moved: reading the mounts
/// costs more than all limits.
#[derive(Debug, Default)]
struct Places {
    own: String,
    cpu: Option<Levels>,
    accounting: Option<Levels>,
    cpuset: Option<Levels>,
    memory: Option<Levels>,
}

/// What the limit files say; if it changes, the usage files are opened anew.
#[derive(Debug, Default, PartialEq)]
struct Found {
    cpu: Option<(f64, Option<(PathBuf, Version)>)>,
    cores: Option<Vec<bool>>,
    memory: Vec<(u64, PathBuf)>,
    memory_version: Option<Version>,
}

#[derive(Debug)]
struct CpuUse {
    cores: f64,
    /// `None` if no file tells the use of the cgroup that has the limit.
    usage: Option<(Kept, Version)>,
}

#[derive(Debug)]
struct MemoryUse {
    limit: u64,
    version: Version,
    usage: Kept,
    stat: Kept,
    swap_limit: Kept,
    swap_usage: Kept,
    has_swap: bool,
}

impl Container {
    /// Looks for limits. Without cgroups there are none, and that is no failure.
    pub(in super::super) fn refresh(&mut self, proc_root: &Path, cgroup_root: &Path) -> io::Result<()> {
        let path = proc_root.join("self/cgroup");
        let own = match fs::read_to_string(&path) {
            Ok(own) => own,
            // A kernel without cgroups.
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(text::name(&path, e)),
        };
        if own != self.places.own {
            self.places = Places::find(own, proc_root, cgroup_root);
        }
        let found = self.places.limits();
        if found == self.found {
            return Ok(());
        }
        self.generation += 1;
        self.cpu = found.cpu.as_ref().map(|(cores, usage)| CpuUse {
            cores: *cores,
            usage: usage.as_ref().map(|(path, version)| (Kept::new(path), *version)),
        });
        let version = found.memory_version.unwrap_or(Version::V2);
        self.memory =
            found.memory.iter().map(|(limit, folder)| MemoryUse::new(*limit, folder, version)).collect();
        self.found = found;
        Ok(())
    }

    /// Changes when other limits are in force.
    pub(in super::super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether this process may run on `core`.
    pub(in super::super) fn may_use(&self, core: usize) -> bool {
        self.found.cores.as_ref().is_none_or(|cores| cores.get(core).copied().unwrap_or(false))
    }

    /// The limit in cores and the nanoseconds used under it.
    pub(in super::super) fn cpu(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<(f64, u64)>> {
        let Some(cpu) = &mut self.cpu else { return Ok(None) };
        let Some((usage, version)) = &mut cpu.usage else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the container's CPU is limited and no file tells how much of it is used",
            ));
        };
        let text = usage.read(buffer)?;
        let nanos = match version {
            Version::V1 => text::words(text).next().and_then(text::number),
            Version::V2 => text::after(text, b"usage_usec ").map(|us| us.saturating_mul(1000)),
        };
        nanos
            .map(|nanos| Some((cpu.cores, nanos)))
            .ok_or_else(|| text::malformed(usage.path(), "the use of CPU was expected"))
    }

    /// Memory under the limit that is nearest to being full, or `None` if the machine's is the only one.
    pub(in super::super) fn memory(
        &mut self,
        machine_bytes: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Memory>> {
        let mut fullest: Option<Memory> = None;
        for level in self.memory.iter_mut().filter(|level| level.limit < machine_bytes) {
            let memory = level.read(buffer)?;
            if fullest.is_none_or(|f| memory.percent > f.percent) {
                fullest = Some(memory);
            }
        }
        Ok(fullest)
    }
}

impl MemoryUse {
    fn new(limit: u64, folder: &Path, version: Version) -> Self {
        let [usage, swap_limit, swap_usage] = match version {
            Version::V1 => {
                ["memory.usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"]
            }
            Version::V2 => ["memory.current", "memory.swap.max", "memory.swap.current"],
        }
        .map(|file| Kept::new(folder.join(file)));
        let has_swap = swap_limit.path().exists() && swap_usage.path().exists();
        let stat = Kept::new(folder.join("memory.stat"));
        MemoryUse { limit, version, usage, stat, swap_limit, swap_usage, has_swap }
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Memory> {
        let all = single(&mut self.usage, buffer)?
            .ok_or_else(|| text::malformed(self.usage.path(), "a number was expected"))?;
        // File pages that nobody used lately leave at once when memory is short.
        let key: &[u8] =
            if self.version == Version::V1 { b"total_inactive_file " } else { b"inactive_file " };
        let reclaimable = text::after(self.stat.read(buffer)?, key).unwrap_or(0);
        let used = all.saturating_sub(reclaimable);
        let (swap_used_bytes, swap_total_bytes) = self.swap(all, buffer).unwrap_or_default();
        Ok(Memory {
            percent: (used as f64 / self.limit as f64 * 100.0).clamp(0.0, 100.0),
            used_bytes: used,
            limit_bytes: self.limit,
            swap_used_bytes,
            swap_total_bytes,
        })
    }

    /// Swap in use and allowed; both zero where swap is not limited.
    fn swap(&mut self, memory: u64, buffer: &mut Vec<u8>) -> Option<(u64, u64)> {
        if !self.has_swap {
            return None;
        }
        let limit = single(&mut self.swap_limit, buffer).ok()??;
        let used = single(&mut self.swap_usage, buffer).ok()??;
        match self.version {
            Version::V2 => Some((used, limit)),
            // v1 counts memory and swap together; its largest number means "no limit".
            Version::V1 if limit > i64::MAX as u64 / 2 => None,
            Version::V1 => Some((used.saturating_sub(memory), limit.saturating_sub(self.limit))),
        }
    }
}

/// The only number of a file; `None` if it holds none, as with `max`.
fn single(file: &mut Kept, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
    Ok(text::words(file.read(buffer)?).next().and_then(text::number))
}

impl Places {
    fn find(own: String, proc_root: &Path, cgroup_root: &Path) -> Places {
        let hierarchies = Hierarchies::new(&own, proc_root, cgroup_root);
        let levels = |controller| hierarchies.levels(controller, cgroup_root);
        Places {
            cpu: levels("cpu"),
            accounting: levels("cpuacct"),
            cpuset: levels("cpuset"),
            memory: levels("memory"),
            own,
        }
    }

    fn limits(&self) -> Found {
        Found {
            cpu: self.cpu.as_ref().and_then(|cpu| {
                let (cores, folder) = limit::cpu(cpu)?;
                Some((cores, self.cpu_usage(cpu, &folder)))
            }),
            cores: self.cpuset.as_ref().and_then(limit::cores),
            memory: self.memory.as_ref().map(limit::memory).unwrap_or_default(),
            memory_version: self.memory.as_ref().map(|levels| levels.version),
        }
    }

    /// The file that counts the CPU use of the cgroup `limited`.
    fn cpu_usage(&self, cpu: &Levels, limited: &Path) -> Option<(PathBuf, Version)> {
        let found = |path: PathBuf, version| path.is_file().then_some((path, version));
        if cpu.version == Version::V2 {
            return found(limited.join("cpu.stat"), Version::V2);
        }
        // Usually one mount has both controllers. If not, the same path in the other is the same cgroup.
        found(limited.join("cpuacct.usage"), Version::V1).or_else(|| {
            let inside = limited.strip_prefix(cpu.folders.last()?).ok()?;
            let accounting = self.accounting.as_ref().filter(|levels| levels.version == Version::V1)?;
            let folder = accounting.folders.last()?.join(inside);
            let is_ours = accounting.folders.contains(&folder);
            found(folder.join("cpuacct.usage"), Version::V1).filter(|_| is_ours)
        })
    }
}
