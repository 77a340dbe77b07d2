//! All sources of one machine, read in turn.

use std::time::Duration;

use super::cgroup::Container;
use super::cpu::CpuFiles;
use super::demand::DemandFiles;
use super::disk::DiskFile;
use super::load::LoadFile;
use super::memory::MemoryFiles;
use super::network::NetworkFile;
use super::pressure::PressureFiles;
use super::process::ProcessFiles;
use crate::clock::Time;
use crate::monitor::source::baseline::SHORTEST;
use crate::monitor::source::{Reader, Source, Sources, Verdicts};
use crate::monitor::{Pressure, Rates, Sample};

/// What explains a sample and decides nothing is read this often: load and pressure, which the kernel itself
/// averages over seconds, disk and network rates, and open files. Each look at a file that has gone cold costs
/// as much as a look at the processor.
const CONTEXT_EVERY: Duration = Duration::from_secs(5);
/// A container's limits change by hand, if at all.
const LIMITS_EVERY: Duration = Duration::from_secs(10);

/// Reads `/proc` and the cgroup files.
pub(in crate::monitor) struct Machine {
    sources: Sources,
    buffer: Vec<u8>,
    container: Container,
    limits_due: Time,
    cpu: CpuFiles,
    demand: DemandFiles,
    memory: MemoryFiles,
    load: LoadFile,
    pressure: PressureFiles,
    disk: DiskFile,
    network: NetworkFile,
    process: ProcessFiles,
    context_due: Time,
    context: Context,
}

/// What the last look at the slower sources saw.
#[derive(Default)]
struct Context {
    load: Option<[f64; 3]>,
    pressure: Option<Pressure>,
    disk: Option<Rates>,
    network: Option<Rates>,
    open_files: Option<u32>,
}

impl Machine {
    pub(in crate::monitor) fn new(sources: &Sources) -> Self {
        let root = sources.proc_root();
        Machine {
            buffer: vec![0; 4096],
            container: Container::default(),
            limits_due: Time::ZERO,
            cpu: CpuFiles::new(root),
            demand: DemandFiles::new(root),
            memory: MemoryFiles::new(root),
            load: LoadFile::new(root),
            pressure: PressureFiles::new(root),
            disk: DiskFile::new(root),
            network: NetworkFile::new(root),
            process: ProcessFiles::new(root),
            context_due: Time::ZERO,
            context: Context::default(),
            sources: sources.clone(),
        }
    }
}

impl Reader for Machine {
    fn read(&mut self, at: Time, sample: &mut Sample, verdicts: &mut Verdicts) {
        if self.sources.has(Source::Limits) && at >= self.limits_due {
            self.limits_due = at + LIMITS_EVERY;
            let found = self.container.refresh(self.sources.proc_root(), self.sources.cgroup_root());
            verdicts.keep(Source::Limits, found);
        }
        let buffer = &mut self.buffer;
        if self.sources.has(Source::Cpu) {
            let read = self.cpu.read(at, &mut self.container, buffer);
            sample.cpu = verdicts.keep(Source::Cpu, read).flatten();
            if let Some(cpu) = sample.cpu.as_mut().filter(|_| self.cpu.has_all()) {
                cpu.demand_percent = self.demand.read(at, cpu, buffer);
            }
        }
        if self.sources.has(Source::Memory) {
            let read = self.memory.read(&mut self.container, buffer);
            sample.memory = verdicts.keep(Source::Memory, read);
        }
        if self.sources.has(Source::Process) {
            let read = self.process.read(at, buffer);
            sample.process = verdicts.keep(Source::Process, read).flatten();
        }
        if at >= self.context_due {
            // A rate needs two looks, so the second follows the first as soon as it can mean something.
            let first = self.context_due == Time::ZERO;
            self.context_due = at + if first { SHORTEST } else { CONTEXT_EVERY };
            self.read_context(at, verdicts);
        }
        sample.load = self.context.load;
        sample.pressure = self.context.pressure;
        sample.disk = self.context.disk;
        sample.network = self.context.network;
        if let Some(process) = &mut sample.process {
            process.open_files = self.context.open_files;
        }
    }
}

impl Machine {
    fn read_context(&mut self, at: Time, verdicts: &mut Verdicts) {
        let buffer = &mut self.buffer;
        let context = &mut self.context;
        if self.sources.has(Source::Load) {
            context.load = verdicts.keep(Source::Load, self.load.read(buffer));
        }
        if self.sources.has(Source::Pressure) {
            context.pressure = verdicts.keep(Source::Pressure, self.pressure.read(buffer)).flatten();
        }
        if self.sources.has(Source::Disk) {
            context.disk = verdicts.keep(Source::Disk, self.disk.read(at, buffer)).flatten();
        }
        if self.sources.has(Source::Network) {
            context.network = verdicts.keep(Source::Network, self.network.read(at, buffer)).flatten();
        }
        if self.sources.has(Source::OpenFiles) {
            context.open_files = verdicts.keep(Source::OpenFiles, self.process.open_files());
        }
    }
}
