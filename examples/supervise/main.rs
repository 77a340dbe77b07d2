//! `supervise`: any command under a profile.
//!
//! Starts a command, watches its whole process tree, stops the tree when a limit breaks, and verifies the
//! stop. The command keeps its standard streams, its terminal and its exit status. `supervise --help` says
//! how it is used.
//!
//! A standard stream that is closed when this starts is `/dev/null` for the command.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod help;
mod number;
mod option;
mod plan;
mod profile;
mod report;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod signal;
mod status;

use std::process::ExitCode;

use option::Request;

fn main() -> ExitCode {
    let status = match option::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => help::print(help::TEXT),
        Ok(Request::Version) => help::print(help::VERSION),
        Ok(Request::Run(options)) => supervise(&options),
        Err(message) => {
            report::say(&format!("{message}\nTry \"supervise --help\"."));
            status::OWN_ERROR
        }
    };
    ExitCode::from(status)
}

#[cfg(target_os = "linux")]
fn supervise(options: &option::Options) -> u8 {
    run::run(options).unwrap_or_else(|error| {
        report::say(&report::error(&error));
        status::of_error(&error)
    })
}

#[cfg(not(target_os = "linux"))]
fn supervise(_: &option::Options) -> u8 {
    report::say("commands can be supervised on Linux only, so far");
    status::OWN_ERROR
}
