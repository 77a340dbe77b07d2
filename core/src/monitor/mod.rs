//! Watches the machine, this process and the signals that the host feeds.

mod sample;

pub use sample::{Cpu, Memory, Pressure, ProcessUse, Rates, Sample, SignalValues, TopProcess};
