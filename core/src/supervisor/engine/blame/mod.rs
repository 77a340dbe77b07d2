//! Who contributes to a breach of a host limit, and how much.

pub(super) mod cpu;
pub(super) mod memory;
mod nest;
pub(super) mod part;
pub(super) mod rank;
mod seat;
