//! A safety runtime for programs that run automation.
//!
//! A *host* starts a *task* under a *profile*. While the task runs it is watched; if it breaks a limit,
//! or if it is the culprit when the machine as a whole breaks one, that task alone is cancelled, and
//! haltline verifies that it stopped. Each cancellation leaves one *incident* that explains itself.
//!
//! The modules stand on floors and import only from floors below their own:
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`error`], [`clock`], [`duration`], `errand`, `id`, `file`, `secret`, `timer` |
//! | 2 | [`event`] |
//! | 3 | [`monitor`] |
//! | 5 | [`supervisor`] |

pub mod clock;
pub mod duration;
pub(crate) mod errand;
pub mod error;
pub mod event;
pub(crate) mod file;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod id;
pub mod monitor;
pub(crate) mod secret;
pub mod supervisor;
pub(crate) mod timer;

/// The README's Rust code, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

pub use error::{Error, ErrorKind, Result};
