//! Runs game macros as real work, lets one after another misbehave, and shows that haltline cancels these
//! and only these.
//!
//! `cargo run --release --bin macro-host`; `--help` lists the options.

mod arguments;
mod baseline;
mod cast;
mod crowd;
mod director;
mod limits;
mod obstacle;
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
        Ok(Request::Help) => print(arguments::HELP),
        Ok(Request::Version) => print(arguments::VERSION),
        Ok(Request::Run(options)) => director::run(&options),
        Ok(Request::Work(order)) => work::run(&order),
        Ok(Request::Inspect(order)) => process_table::inspect(&order),
        Err(refusal) => {
            view::complain(&format!("{refusal}\nTry `macro-host --help`."));
            ExitCode::from(2)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match view::print_once(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            view::complain(&format!("cannot write to standard output: {e}"));
            ExitCode::from(3)
        }
    }
}
