//! The portable path through `sysinfo`.
//!
//! It knows no pressure and, on Linux, takes no account of a container's CPU limit.

use std::time::Duration;

use sysinfo::{
    DiskRefreshKind, Disks, MemoryRefreshKind, Networks, Pid, ProcessRefreshKind, ProcessesToUpdate, System,
};

use super::baseline::{Baseline, SHORTEST};
use super::{Reader, Source, Sources, Verdicts};
use crate::clock::Time;
use crate::monitor::{Cpu, Memory, ProcessUse, Rates, Sample};

/// A part of `sysinfo` that a system may not have.
type Part<T> = Result<T, String>;

/// Reads the machine through `sysinfo`.
pub(in crate::monitor) struct Machine {
    sources: Sources,
    system: Part<System>,
    disks: Part<Disks>,
    networks: Part<Networks>,
    cpu: CpuState,
    disk: Baseline<(u64, u64)>,
    network: Baseline<(u64, u64)>,
    process: Baseline<Duration>,
}

#[derive(Default)]
struct CpuState {
    before: Option<Time>,
    busy: Duration,
    last: Option<Cpu>,
}

impl Machine {
    pub(in crate::monitor) fn new(sources: &Sources) -> Self {
        let told = |e: sysinfo::Error| e.to_string();
        let networks = if sources.has(Source::Network) {
            Networks::new_with_refreshed_list().map_err(told)
        } else {
            Networks::new().map_err(told)
        };
        let disks = if sources.has(Source::Disk) {
            Disks::new_with_refreshed_list().map_err(told)
        } else {
            Disks::new().map_err(told)
        };
        Machine {
            sources: sources.clone(),
            system: System::new().map_err(told),
            disks,
            networks,
            cpu: CpuState::default(),
            disk: Baseline::default(),
            network: Baseline::default(),
            process: Baseline::default(),
        }
    }
}

impl Reader for Machine {
    fn read(&mut self, at: Time, sample: &mut Sample, verdicts: &mut Verdicts) {
        let has = |source| self.sources.has(source);
        if has(Source::Cpu) {
            let read = part(&mut self.system).and_then(|system| self.cpu.read(at, system));
            sample.cpu = verdicts.keep(Source::Cpu, read).flatten();
        }
        if has(Source::Memory) {
            sample.memory = verdicts.keep(Source::Memory, part(&mut self.system).and_then(memory));
        }
        // Windows has no such averages, and its zeros are none.
        if has(Source::Load) && cfg!(unix) {
            let load = System::load_average().map(|load| [load.one, load.five, load.fifteen]);
            sample.load = verdicts.keep(Source::Load, load);
        }
        if has(Source::Disk)
            && let Some(totals) = verdicts.keep(Source::Disk, part(&mut self.disks).map(disk_totals))
        {
            sample.disk = rates(self.disk.step(at, &totals), totals);
        }
        if has(Source::Network)
            && let Some(totals) = verdicts.keep(Source::Network, part(&mut self.networks).map(network_totals))
        {
            sample.network = rates(self.network.step(at, &totals), totals);
        }
        if has(Source::Process) {
            let read = part(&mut self.system).and_then(|system| own_use(system, has(Source::OpenFiles)));
            if let Some((used, cpu)) = verdicts.keep(Source::Process, read) {
                sample.process = self.process.step(at, &cpu).map(|(span, before)| ProcessUse {
                    cpu_percent: cpu.saturating_sub(*before).as_secs_f64() / span.as_secs_f64() * 100.0,
                    ..used
                });
            }
        }
    }
}

fn part<T>(part: &mut Part<T>) -> Result<&mut T, String> {
    part.as_mut().map_err(|reason| reason.clone())
}

impl CpuState {
    /// `sysinfo` keeps a baseline of its own, so it is not asked twice in a moment.
    fn read(&mut self, at: Time, system: &mut System) -> Result<Option<Cpu>, String> {
        let span = self.before.map(|before| at.since(before));
        if span.is_some_and(|span| span < sysinfo::MINIMUM_CPU_UPDATE_INTERVAL.min(SHORTEST)) {
            return Ok(self.last.clone());
        }
        system.refresh_cpu_usage();
        self.before = Some(at);
        let Some(span) = span else { return Ok(None) };
        let capacity = system.cpus().len() as f64;
        let percent = f64::from(system.global_cpu_usage()).clamp(0.0, 100.0);
        if capacity == 0.0 || !percent.is_finite() {
            self.last = None;
            return Err("the system does not tell the use of its processors".to_owned());
        }
        self.busy += span.mul_f64(capacity * percent / 100.0);
        let per_core = system.cpus().iter().map(sysinfo::Cpu::usage).collect();
        self.last = Some(Cpu { percent, capacity, busy: self.busy, demand_percent: None, per_core });
        Ok(self.last.clone())
    }
}

fn memory(system: &mut System) -> Result<Memory, String> {
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let machine = system.total_memory();
    if machine == 0 {
        return Err("the system does not tell its memory".to_owned());
    }
    let container = system.cgroup_limits().filter(|c| c.total_memory > 0 && c.total_memory < machine);
    let (used, limit) = match container {
        Some(c) => (c.total_memory.saturating_sub(c.free_memory), c.total_memory),
        None => (machine.saturating_sub(system.available_memory()), machine),
    };
    Ok(Memory {
        percent: used as f64 / limit as f64 * 100.0,
        used_bytes: used,
        limit_bytes: limit,
        swap_used_bytes: system.used_swap(),
        swap_total_bytes: system.total_swap(),
    })
}

fn disk_totals(disks: &mut Disks) -> (u64, u64) {
    disks.refresh_specifics(false, DiskRefreshKind::nothing().with_io_usage());
    // One device may be mounted many times.
    let mut seen = Vec::new();
    let mut totals = (0u64, 0u64);
    for disk in disks.iter() {
        if !seen.contains(&disk.name()) {
            seen.push(disk.name());
            let usage = disk.usage();
            totals.0 = totals.0.saturating_add(usage.total_read_bytes);
            totals.1 = totals.1.saturating_add(usage.total_written_bytes);
        }
    }
    totals
}

fn network_totals(networks: &mut Networks) -> (u64, u64) {
    networks.refresh(false);
    // Linux says lo, macOS and the BSDs lo0; Windows does not list it.
    let counted = networks.iter().filter(|(name, _)| !["lo", "lo0"].contains(&&*name.to_string_lossy()));
    counted.fold((0u64, 0u64), |sum, (_, data)| {
        (sum.0.saturating_add(data.total_received()), sum.1.saturating_add(data.total_transmitted()))
    })
}

/// This process without its rate, and the processor time it used.
fn own_use(system: &mut System, with_files: bool) -> Result<(ProcessUse, Duration), String> {
    let pid = Pid::from_u32(std::process::id());
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().with_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    let process = system.process(pid).ok_or("the system does not list this process")?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let used = ProcessUse {
        cpu_percent: 0.0,
        memory_bytes: process.memory(),
        threads: process.tasks().map_or(1, |tasks| count(tasks.len().max(1))),
        open_files: process.open_files().filter(|_| with_files).map(count),
    };
    Ok((used, Duration::from_millis(process.accumulated_cpu_time())))
}

fn rates(before: Option<(Duration, &(u64, u64))>, now: (u64, u64)) -> Option<Rates> {
    before.map(|(span, before)| Rates::between(*before, now, span))
}
