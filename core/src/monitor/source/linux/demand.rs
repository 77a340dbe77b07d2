//! What is wanted of a full machine.

use std::path::Path;

use super::super::baseline::Baseline;
use super::text::{self, Kept};
use crate::clock::Time;
use crate::monitor::Cpu;

/// From this percentage on threads may wait for a core all the time. Below it whoever waits has its turn soon.
const FULL: f64 = 95.0;

#[derive(Debug)]
pub(super) struct DemandFiles {
    pressure: Kept,
    load: Kept,
    /// Microseconds in which a core had somebody waiting, as the mean of the cores.
    waited: Baseline<u64>,
}

impl DemandFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        DemandFiles {
            pressure: Kept::new(proc_root.join("pressure/cpu")),
            load: Kept::new(proc_root.join("loadavg")),
            waited: Baseline::default(),
        }
    }

    /// Percent of what the whole machine has; `None` if it is not full, and while it is not known.
    pub(super) fn read(&mut self, at: Time, cpu: &Cpu, buffer: &mut Vec<u8>) -> Option<f64> {
        if cpu.percent < FULL {
            self.waited.clear();
            return None;
        }
        let demand = match self.pressure.read(buffer).ok().and_then(some_total) {
            // At least one more on each such core.
            Some(waited) => {
                let (span, before) = self.waited.step(at, &waited)?;
                cpu.percent + waited.saturating_sub(*before) as f64 / span.as_micros() as f64 * 100.0
            }
            // A kernel that does not tell has no better than their number at this moment.
            None => (runnable(self.load.read_piece(buffer).ok()?)? as f64 / cpu.capacity * 100.0)
                .min(cpu.percent + 100.0),
        };
        Some(demand.max(cpu.percent))
    }
}

fn some_total(stall: &[u8]) -> Option<u64> {
    let some = text::lines(stall).find_map(|line| line.strip_prefix(b"some "))?;
    text::words(some).find_map(|word| text::number(word.strip_prefix(b"total=")?))
}

/// How many run or wait for a core, without the thread that asks.
fn runnable(loadavg: &[u8]) -> Option<u64> {
    let threads = text::words(loadavg).nth(3)?.split(|b| *b == b'/').next()?;
    Some(text::number(threads)?.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_some_waited_is_the_total_of_its_line() {
        let stall = b"some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=9.00 total=5\n";
        assert_eq!(some_total(stall), Some(77));
        for text in [&b""[..], b"full total=1\n", b"some avg10=1.0\n", b"some total=-1\n"] {
            assert_eq!(some_total(text), None);
        }
    }

    #[test]
    fn the_threads_that_run_are_the_fourth_word_up_to_its_slash() {
        assert_eq!(runnable(b"0.50 12 0.10 5/77 123\n"), Some(4));
        for text in [&b""[..], b"0.5 0.25 1", b"0 0 0 x/7 1", b"0 0 0 -1/7 1"] {
            assert_eq!(runnable(text), None);
        }
    }
}
