//! Who reads the machine on this platform.

use super::{Sources, Verdicts};
use crate::clock::Time;
use crate::monitor::Sample;

/// Reads the machine. The first call takes the baselines that rates need.
pub(in crate::monitor) trait Reader: Send {
    /// Fills the machine's part of `sample`, and says which sources answered.
    fn read(&mut self, at: Time, sample: &mut Sample, verdicts: &mut Verdicts);
}

/// The reader for this platform and this choice.
pub(in crate::monitor) fn reader(sources: &Sources) -> Box<dyn Reader> {
    #[cfg(target_os = "linux")]
    {
        #[cfg(feature = "portable-monitor")]
        if sources.is_portable() {
            return Box::new(super::portable::Machine::new(sources));
        }
        Box::new(super::linux::Machine::new(sources))
    }
    #[cfg(not(target_os = "linux"))]
    Box::new(super::portable::Machine::new(sources))
}
