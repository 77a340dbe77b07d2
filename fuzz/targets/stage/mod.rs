//! Where targets put files for a parser that reads files.

use tempfile::TempDir;

/// A folder of its own, in memory where the system has such a place: a run writes it many thousand times.
pub(crate) fn folder() -> TempDir {
    TempDir::with_prefix_in("haltline-fuzz-", "/dev/shm")
        .or_else(|_| TempDir::new())
        .expect("a temporary folder")
}
