//! Maps keyed by ids that this process counts itself.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map keyed by task id or profile serial. Its order is never shown in a decision.
pub(super) type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// A set of task ids.
pub(super) type IdSet = HashSet<u64, BuildHasherDefault<IdHasher>>;

/// Hardly a hash: ids are counters of this process, nobody can choose them to collide, and a pass over ten
/// thousand tasks looks up each. Left in their order, neighbours in the readings are neighbours in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_u64(u64::from(b));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The map takes a place from the low bits and a tag from the top seven: 2^64 over the golden ratio
        // (Knuth, "Sorting and Searching", 6.4) fills the tag.
        let tag = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) & (0x7F << 57);
        self.0 = (self.0 << 8) ^ (id & !(0x7F << 57)) ^ tag;
    }
}
