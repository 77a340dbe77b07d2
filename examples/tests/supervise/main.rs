//! The program `supervise`, over real processes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod command_line;
mod leftover;
mod limit;
mod run;
mod signal;
mod stream;
mod tree;
