//! `libhaltline`: haltline for C and for everything that speaks C.
//!
//! Thin: each function converts its arguments, makes one call of the core and converts the result. The
//! documentation for users is in the header `include/haltline.h`, which is generated from these sources.
//!
//! - `pointer` turns pointers into Rust values; no other file casts one.
//! - `boundary` keeps panics inside and turns errors into status codes.
//! - `callback` ties a callback to its user data and to the function that frees them.
//! - The other files hold one type each, named after it.

// C names types in lower case, and the header says once for all functions what callers have to keep.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod boundary;
#[cfg(test)]
mod coverage;
mod last_error;
mod pointer;

// One group a line, so that the header keeps this order.
pub mod version;

pub mod status;

pub mod supervisor;

pub mod task;

pub mod token;

pub mod callback;
pub mod outcome;
pub mod stopper;

pub mod command;
pub mod process;

pub mod profile;

pub mod monitor;

pub mod sample;

pub mod process_table;

pub mod signal;

pub mod record;

pub mod session;
pub mod subscription;
