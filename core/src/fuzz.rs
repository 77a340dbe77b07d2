//! What fuzz targets reach behind the public interface: parsers of text that comes from outside.
//!
//! Compiled under `--cfg fuzzing` alone, which `cargo fuzz` sets, so no user of the crate has it.

use std::ffi::OsStr;

#[cfg(target_os = "linux")]
pub use crate::monitor::fuzz as linux;

/// A text with its secrets hidden.
pub fn mask_text(text: &str) -> String {
    crate::secret::mask_text(text)
}

/// The arguments of a command with their secrets hidden.
pub fn mask_args<S: AsRef<OsStr>>(args: &[S]) -> Vec<String> {
    crate::secret::mask_args(args)
}

/// An environment with its secrets hidden.
pub fn mask_env<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    env: impl IntoIterator<Item = (K, V)>,
) -> Vec<(String, String)> {
    crate::secret::mask_env(env)
}
