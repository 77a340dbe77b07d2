//! Every incident explains itself.

mod log;
mod record;
mod report;
mod writer;

pub(crate) use log::IncidentLog;
pub use record::{ActionTaken, Blamed, Incident, SCHEMA, SamplePoint, SessionName, TaskSummary};
pub use report::Report;
