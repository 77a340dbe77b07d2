//! Hides what looks like a secret before it is written down.
//!
//! This is a guess by names and shapes. It hides too much rather than too little, and it is no promise: a secret
//! under a harmless name and of no known shape stays visible. Text that is not UTF-8 is shown lossily.

mod argument;
mod name;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use argument::{mask_args, mask_env};
pub(crate) use text::{MASK, mask_text};
