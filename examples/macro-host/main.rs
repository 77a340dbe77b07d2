//! Runs game macros as real work, lets one after another misbehave, and shows that haltline cancels these
//! and only these.
//!
//! `cargo run --release --bin macro-host`; `--help` lists the options.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod arguments;
mod baseline;
mod cast;
mod director;
mod process_table;
mod profile;
mod stage;
mod system;
mod table;
mod verdict;
mod view;
mod work;
mod world;

use std::process::ExitCode;

use arguments::Request;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments::parse(&arguments) {
        Ok(Request::Help) => {
            print!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Ok(Request::Run(options)) => director::run(&options),
        Ok(Request::Work(order)) => work::run(&order),
        Ok(Request::Inspect(order)) => process_table::inspect(&order),
        Err(refusal) => {
            eprintln!("macro-host: {refusal}\nTry `macro-host --help`.");
            ExitCode::from(2)
        }
    }
}
