//! The verdict. It stands on the incident file as it lies on the disk, on what a separate process saw in the
//! process table, and on the cast's own record of who misbehaves; never on what the engine thinks.

mod check;
mod record;

pub(crate) use check::{Doubt, Verdict, older, strict};
pub(crate) use record::{Record, read};
