//! The command line of the example `supervise`: one word a line.
#![no_main]

#[allow(dead_code, reason = "the example's file; a part of it is under test")]
#[path = "../../examples/supervise/number.rs"]
mod number;
#[allow(dead_code, reason = "the example's file; a part of it is under test")]
#[path = "../../examples/supervise/option.rs"]
mod option;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use haltline::duration::LONGEST;
use libfuzzer_sys::fuzz_target;
use option::Request;

fuzz_target!(|data: &[u8]| {
    let words: Vec<OsString> =
        data.split(|b| *b == b'\n').take(32).map(|w| OsString::from_vec(w.to_vec())).collect();
    match option::parse(words.iter().cloned()) {
        Ok(Request::Run(options)) => {
            assert!(!options.program.is_empty());
            let mut command = vec![options.program.clone()];
            command.extend(options.args.iter().cloned());
            assert!(words.ends_with(&command), "the command is passed on word for word");
            for (limit, bound) in &options.bounds {
                assert!(bound.is_finite() && *bound > 0.0, "{limit}: {bound}");
            }
            let times = [options.max_duration, options.sustain, options.grace];
            assert!(times.iter().flatten().all(|d| *d <= LONGEST), "{times:?}");
            assert!(options.max_duration.is_none_or(|d| !d.is_zero()));
        }
        Ok(Request::Help | Request::Version) => {
            assert!(words.iter().any(|w| ["--help", "-h", "--version", "-V"].iter().any(|o| w == o)));
        }
        Err(message) => assert!(!message.is_empty() && !message.contains('\n'), "{message}"),
    }
});
