//! Processor use of the machine or the container.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::super::baseline::Baseline;
use super::cgroup::Container;
use super::process::system;
use super::text::{self, Kept};
use crate::clock::Time;
use crate::monitor::Cpu;

/// Ticks of one core, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    pub(super) busy: u64,
    /// All that could have been used: time that a hypervisor gave to others is not in it.
    pub(super) usable: u64,
}

/// One reading of all counters.
#[derive(Debug, Default)]
struct Counters {
    /// Of the cores that may be used.
    machine: Ticks,
    cores: Vec<Ticks>,
    /// Nanoseconds that the container used, where its CPU is limited.
    container: Option<u64>,
}

/// Not derived, because only this one keeps the vector's memory.
impl Clone for Counters {
    fn clone(&self) -> Self {
        Counters { machine: self.machine, cores: self.cores.clone(), container: self.container }
    }

    fn clone_from(&mut self, other: &Self) {
        self.machine = other.machine;
        self.container = other.container;
        self.cores.clone_from(&other.cores);
    }
}

#[derive(Debug)]
pub(super) struct CpuFiles {
    stat: Kept,
    now: Counters,
    baseline: Baseline<Counters>,
    /// The busy counter at the reading before, in nanoseconds, and what was added up since the start.
    busy_before: Option<u64>,
    busy: Duration,
    generation: u64,
    nanos_per_tick: u64,
    /// Whether what may be used is all that the machine has.
    has_all: bool,
}

impl CpuFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        CpuFiles {
            stat: Kept::new(proc_root.join("stat")),
            now: Counters::default(),
            baseline: Baseline::default(),
            busy_before: None,
            busy: Duration::ZERO,
            generation: 0,
            nanos_per_tick: 1_000_000_000 / system(libc::_SC_CLK_TCK, 100),
            has_all: false,
        }
    }

    /// Whether what counts for the machine counts for what was read.
    pub(super) fn has_all(&self) -> bool {
        self.has_all
    }

    pub(super) fn read(
        &mut self,
        at: Time,
        container: &mut Container,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Cpu>> {
        if self.generation != container.generation() {
            // Other limits: the counters before and after do not belong together.
            self.generation = container.generation();
            self.baseline.clear();
            self.busy_before = None;
        }
        parse(self.stat.read_piece(buffer)?, &mut self.now.cores)
            .ok_or_else(|| text::malformed(self.stat.path(), "no line \"cpu0\" with its counters"))?;
        self.now.machine = sum(&self.now.cores, |core| container.may_use(core));
        let usable = (0..self.now.cores.len()).filter(|core| container.may_use(*core)).count();
        let cores = usable.max(1) as f64;
        let limit = container.cpu(buffer)?.filter(|(limit, _)| *limit < cores);
        self.now.container = limit.map(|(_, used)| used);
        self.has_all = limit.is_none() && usable == self.now.cores.len();

        let busy_now =
            self.now.container.unwrap_or(self.now.machine.busy.saturating_mul(self.nanos_per_tick));
        if let Some(before) = self.busy_before {
            self.busy += Duration::from_nanos(busy_now.saturating_sub(before));
        }
        self.busy_before = Some(busy_now);

        let capacity = limit.map_or(cores, |(limit, _)| limit);
        let Some((span, before)) = self.baseline.step(at, &self.now) else { return Ok(None) };
        let whole = match (self.now.container, before.container) {
            (Some(now), Some(before)) => {
                let used = now.saturating_sub(before) as f64;
                Some((used / (span.as_nanos() as f64 * capacity) * 100.0).clamp(0.0, 100.0))
            }
            (None, None) => percent(before.machine, self.now.machine),
            // A limit came into force between the two readings.
            _ => None,
        };
        let zero = Ticks::default();
        let cores = self
            .now
            .cores
            .iter()
            .enumerate()
            .map(|(i, now)| percent(*before.cores.get(i).unwrap_or(&zero), *now).unwrap_or(0.0) as f32);
        let cpu = |percent| Cpu {
            percent,
            capacity,
            busy: self.busy,
            demand_percent: None,
            per_core: cores.collect(),
        };
        Ok(whole.map(cpu))
    }
}

/// Fills `cores` by the number of each core; one that is switched off keeps zeros.
pub(super) fn parse(stat: &[u8], cores: &mut Vec<Ticks>) -> Option<()> {
    cores.clear();
    for line in text::lines(stat) {
        let Some(rest) = line.strip_prefix(b"cpu") else {
            // The lines of the cores come first; what follows is long.
            break;
        };
        let mut words = text::words(rest);
        if rest.first().is_none_or(u8::is_ascii_whitespace) {
            continue;
        }
        let core = usize::try_from(text::number(words.next()?)?).ok().filter(|core| *core < 65_536)?;
        let mut fields = [0u64; 8];
        for (i, field) in fields.iter_mut().enumerate() {
            match words.next() {
                Some(word) => *field = text::number(word)?,
                // Kernels before 2.6.11 have fewer.
                None if i >= 4 => break,
                None => return None,
            }
        }
        let [user, nice, system, idle, iowait, irq, softirq, _steal] = fields;
        let busy =
            [user, nice, system, irq, softirq].iter().fold(0u64, |sum, field| sum.saturating_add(*field));
        if cores.len() <= core {
            cores.resize(core + 1, Ticks::default());
        }
        cores[core] = Ticks { busy, usable: busy.saturating_add(idle).saturating_add(iowait) };
    }
    (!cores.is_empty()).then_some(())
}

fn sum(cores: &[Ticks], counts: impl Fn(usize) -> bool) -> Ticks {
    let mut sum = Ticks::default();
    for (_, ticks) in cores.iter().enumerate().filter(|(core, _)| counts(*core)) {
        sum.busy = sum.busy.saturating_add(ticks.busy);
        sum.usable = sum.usable.saturating_add(ticks.usable);
    }
    sum
}

/// `None` if no time passed by the counters: then nothing is known, least of all that nothing was used.
fn percent(before: Ticks, now: Ticks) -> Option<f64> {
    let usable = now.usable.saturating_sub(before.usable);
    let busy = now.busy.saturating_sub(before.busy);
    (usable > 0).then(|| (busy as f64 / usable as f64 * 100.0).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = b"cpu  100 0 100 800 0 0 0 0 0 0
cpu0 50 0 50 400 0 0 0 0 0 0
cpu2 50 10 50 400 20 1 2 900 7 0
intr 1 2 3
cpu9 broken
";

    #[test]
    fn cores_keep_their_numbers_when_one_is_switched_off() {
        let mut cores = Vec::new();
        parse(STAT, &mut cores).unwrap();
        assert_eq!(cores.len(), 3);
        assert_eq!(cores[1], Ticks::default());
        // Waiting for a disk is idle time; stolen time could not be used; guest time is in user time.
        assert_eq!(cores[2], Ticks { busy: 113, usable: 533 });
    }

    #[test]
    fn a_file_without_counters_is_refused() {
        for text in [&b""[..], b"cpu 1 2 3 4\n", b"cpu0 1 2\n", b"cpux 1 2 3 4\n", b"cpu0 1 2 3 max\n"] {
            assert_eq!(parse(text, &mut Vec::new()), None);
        }
    }

    #[test]
    fn counters_that_stand_still_or_run_backwards_are_no_zero() {
        let ticks = Ticks { busy: 5, usable: 10 };
        assert_eq!(percent(ticks, ticks), None);
        assert_eq!(percent(ticks, Ticks::default()), None);
        assert_eq!(percent(Ticks::default(), ticks), Some(50.0));
    }
}
