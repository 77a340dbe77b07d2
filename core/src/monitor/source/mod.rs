//! Where the values come from, and which of them are read.

mod baseline;
mod choice;
#[cfg(target_os = "linux")]
pub(super) mod linux;
#[cfg(any(not(target_os = "linux"), feature = "portable-monitor"))]
pub(super) mod portable;
mod verdict;

pub use choice::{Source, Sources};
pub(super) use verdict::Verdicts;

use crate::clock::Time;
use crate::monitor::Sample;

/// Reads the machine. The first call takes the baselines that rates need.
pub(super) trait Reader: Send {
    /// Fills the machine's part of `sample`, and says which sources answered.
    fn read(&mut self, at: Time, sample: &mut Sample, verdicts: &mut Verdicts);
}

/// The reader for this platform and this choice.
pub(super) fn reader(sources: &Sources) -> Box<dyn Reader> {
    #[cfg(target_os = "linux")]
    {
        #[cfg(feature = "portable-monitor")]
        if sources.is_portable() {
            return Box::new(portable::Machine::new(sources));
        }
        Box::new(linux::Machine::new(sources))
    }
    #[cfg(not(target_os = "linux"))]
    Box::new(portable::Machine::new(sources))
}
