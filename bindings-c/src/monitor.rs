//! Monitors: made, given to supervisors, and stopped.

use std::ffi::c_char;
use std::time::Duration;

use haltline::monitor::{Monitor, Source, Sources};
use haltline::{Error, ErrorKind, Result};

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Boxed, Handle, Versioned, handle, os, out, text};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// Samples the machine and the host's signals in the background, and keeps a bounded history. It stops when its last
/// handle is freed, those of supervisors included. Any thread may use it.
pub struct hl_monitor(pub(crate) Monitor);

impl Handle for hl_monitor {
    type Ownership = Boxed;
}

/// One thing that a monitor reads, as a bit. Each can fail alone; hl_monitor_degraded_json names those that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum hl_source {
    /// Processor use of the machine or container, and of each core.
    HL_SOURCE_CPU = 1,
    /// Memory and swap.
    HL_SOURCE_MEMORY = 2,
    /// Run-queue averages.
    HL_SOURCE_LOAD = 4,
    /// Pressure stall information.
    HL_SOURCE_PRESSURE = 8,
    /// Disk rates.
    HL_SOURCE_DISK = 16,
    /// Network rates.
    HL_SOURCE_NETWORK = 32,
    /// This process's CPU, memory and threads.
    HL_SOURCE_PROCESS = 64,
    /// This process's open files.
    HL_SOURCE_OPEN_FILES = 128,
    /// The limits of the container.
    HL_SOURCE_LIMITS = 256,
    /// The connection probe.
    HL_SOURCE_PROBE = 512,
    /// All of them: what is left are the signals that the host feeds.
    HL_SOURCE_ALL = 1023,
}

/// The bits, in the order of [`Source::ALL`].
const BITS: [(Source, hl_source); 10] = [
    (Source::Cpu, hl_source::HL_SOURCE_CPU),
    (Source::Memory, hl_source::HL_SOURCE_MEMORY),
    (Source::Load, hl_source::HL_SOURCE_LOAD),
    (Source::Pressure, hl_source::HL_SOURCE_PRESSURE),
    (Source::Disk, hl_source::HL_SOURCE_DISK),
    (Source::Network, hl_source::HL_SOURCE_NETWORK),
    (Source::Process, hl_source::HL_SOURCE_PROCESS),
    (Source::OpenFiles, hl_source::HL_SOURCE_OPEN_FILES),
    (Source::Limits, hl_source::HL_SOURCE_LIMITS),
    (Source::Probe, hl_source::HL_SOURCE_PROBE),
];

/// How a monitor is set up. Set struct_size to sizeof(hl_monitor_options) and everything else to zero, then what you
/// want: zero means the default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct hl_monitor_options {
    /// sizeof(hl_monitor_options).
    pub struct_size: usize,
    /// Milliseconds between two samples, 10 to 600,000. Default 1000.
    pub interval_ms: u64,
    /// How many samples to keep, 1 to 86,400. Default 300.
    pub history: u64,
    /// Milliseconds without a frame that are a stall. Default 1000.
    pub stall_after_ms: u64,
    /// Where to open a TCP connection now and then, as "host:port"; the time it takes is a latency. It runs on a thread
    /// of its own. NULL for none.
    pub probe_address: *const c_char,
    /// Bytes in probe_address.
    pub probe_address_len: usize,
    /// Milliseconds from one connection to the next, 10 to 600,000. Needed with probe_address.
    pub probe_every_ms: u64,
    /// Milliseconds after which a connection counts as this long, 10 to 600,000. Needed with probe_address.
    pub probe_timeout_ms: u64,
    /// The folder to read in place of /proc: for containers that see the host's files elsewhere. NULL for /proc.
    pub proc_root: *const c_char,
    /// Bytes in proc_root.
    pub proc_root_len: usize,
    /// The folder to read in place of /sys/fs/cgroup. NULL for that.
    pub cgroup_root: *const c_char,
    /// Bytes in cgroup_root.
    pub cgroup_root_len: usize,
    /// Sources that are not read: hl_source bits, put together with |. Default none, so that everything is read.
    pub without_sources: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: `repr(C)`, a `usize` first; NULL and zero are valid.
unsafe impl Versioned for hl_monitor_options {}

fn build(options: &hl_monitor_options) -> Result<Monitor> {
    let hl_monitor_options { probe_address, proc_root, cgroup_root, .. } = *options;
    if options.reserved != 0 {
        return Err(invalid("reserved is not zero".to_owned()));
    }
    let mut builder = Monitor::builder();
    if options.interval_ms != 0 {
        builder = builder.interval(Duration::from_millis(options.interval_ms));
    }
    if options.history != 0 {
        builder = builder.history(usize::try_from(options.history).unwrap_or(usize::MAX));
    }
    if options.stall_after_ms != 0 {
        builder = builder.stall_after(Duration::from_millis(options.stall_after_ms));
    }
    if !probe_address.is_null() {
        let address = text!(probe_address, options.probe_address_len);
        let (every, timeout) = (options.probe_every_ms, options.probe_timeout_ms);
        builder = builder.probe(address, Duration::from_millis(every), Duration::from_millis(timeout));
    }
    let mut sources = chosen(options.without_sources)?;
    let proc = if proc_root.is_null() {
        sources.proc_root().as_os_str()
    } else {
        os!(proc_root, options.proc_root_len)
    };
    let proc = proc.to_owned();
    let cgroup = if cgroup_root.is_null() {
        sources.cgroup_root().as_os_str()
    } else {
        os!(cgroup_root, options.cgroup_root_len)
    };
    let cgroup = cgroup.to_owned();
    sources = sources.roots(proc, cgroup);
    builder.sources(sources).start()
}

fn chosen(without: u32) -> Result<Sources> {
    let unknown = without & !(hl_source::HL_SOURCE_ALL as u32);
    if unknown != 0 {
        return Err(invalid(format!("without_sources holds {unknown:#x}, which is no hl_source")));
    }
    let left_out = BITS.iter().filter(|(_, bit)| without & *bit as u32 != 0);
    Ok(left_out.fold(Sources::all(), |sources, (source, _)| sources.without(*source)))
}

#[cold]
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Starts a monitor, with a thread of its own. options may be NULL: then everything has its default.
///
/// HL_INVALID_ARGUMENT for a value out of range, HL_SPAWN_FAILED. A source that cannot be read is no error: it
/// degrades.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_new(
    options: *const hl_monitor_options,
    out: *mut *mut hl_monitor,
) -> hl_status {
    enter(|| {
        let out = out!(out);
        let monitor = if options.is_null() {
            Monitor::start()?
        } else {
            // SAFETY: the header asks callers for a structure as long as its first field says.
            build(&unsafe { pointer::read_versioned(options, "options") }?)?
        };
        out.set(pointer::give(hl_monitor(monitor)));
        Ok(())
    })
}

/// The monitor whose samples drive the decisions of a supervisor, and which takes the host's signals: one more handle
/// to it, to be freed with hl_monitor_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_monitor(
    supervisor: *const hl_supervisor,
    out: *mut *mut hl_monitor,
) -> hl_status {
    enter(|| {
        let (supervisor, out) = (handle!(supervisor), out!(out));
        out.set(pointer::give(hl_monitor(supervisor.0.monitor().clone())));
        Ok(())
    })
}

/// Frees a handle. The last one of a monitor stops it, and blocks until a sample that is being taken is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_free(monitor: *mut hl_monitor) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(monitor) });
    });
}

/// Ends the sampling, for every handle. Signals may still be fed, the history stays readable. Does nothing the second
/// time. Blocks until a sample that is being taken is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_stop(monitor: *const hl_monitor) -> hl_status {
    enter(|| {
        handle!(monitor).0.stop();
        Ok(())
    })
}

/// Whether samples are taken. False for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_is_running(monitor: *const hl_monitor) -> bool {
    enter_or(false, || {
        // SAFETY: the header asks callers for a valid handle.
        unsafe { pointer::look(monitor) }.is_some_and(|monitor| monitor.0.is_running())
    })
}

/// How often a sample is taken, in milliseconds; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_interval_ms(monitor: *const hl_monitor) -> u64 {
    // SAFETY: the header asks callers for a valid handle.
    let interval = unsafe { pointer::look(monitor) }.map_or(Duration::ZERO, |monitor| monitor.0.interval());
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_core_has_its_bit() {
        assert_eq!(BITS.map(|(source, _)| source), Source::ALL);
        assert_eq!(BITS.iter().fold(0, |all, (_, bit)| all | *bit as u32), hl_source::HL_SOURCE_ALL as u32);
        for (source, bit) in BITS {
            let left = chosen(bit as u32).unwrap();
            assert!(Source::ALL.into_iter().all(|other| left.has(other) == (other != source)));
        }
        assert!(chosen(1 << 10).is_err());
    }
}
