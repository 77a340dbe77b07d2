//! The command line: options, then the command.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use haltline::duration::nearest;
use haltline::supervisor::Limit;

use crate::number;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Version,
    Run(Box<Options>),
}

/// How to run which command.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) profile: Option<String>,
    pub(crate) profiles: Option<PathBuf>,
    /// Task limits over those of the profile.
    pub(crate) bounds: Vec<(Limit, f64)>,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) sustain: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) incidents: Option<PathBuf>,
    pub(crate) observe: bool,
    pub(crate) quiet: bool,
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
}

const NAMES: [&str; 15] = [
    "--profile",
    "--profiles",
    "--max-duration",
    "--max-cpu-percent",
    "--max-cpu-seconds",
    "--max-memory-mib",
    "--max-processes",
    "--max-output-mib",
    "--sustain",
    "--grace",
    "--incidents",
    "--observe",
    "--quiet",
    "--help",
    "--version",
];

/// Reads the words after the program's name. The error is a sentence.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut words = words.into_iter();
    let mut options = Options::default();
    loop {
        let Some(word) = words.next() else {
            return Err("no command is given".into());
        };
        if word == "--" {
            options.program = words.next().ok_or("no command is given after \"--\"")?;
            break;
        }
        let is_option = word.as_encoded_bytes().starts_with(b"-") && word.len() > 1;
        if !is_option {
            options.program = word;
            break;
        }
        let (name, mut value) = split(&word);
        match name.to_str() {
            Some("--help" | "-h") if value.is_none() => return Ok(Request::Help),
            Some("--version" | "-V") if value.is_none() => return Ok(Request::Version),
            Some(known) if NAMES.contains(&known) => {
                // "--" is the end of the options; a file of that name is given as `--profiles=--`.
                let mut next = || words.next().filter(|word| word != "--");
                let mut take =
                    || value.take().or_else(&mut next).ok_or_else(|| format!("{known} needs a value"));
                options.set(known, &mut take)?;
                if value.is_some() {
                    return Err(format!("{known} takes no value"));
                }
            }
            _ => return Err(unknown(&name.to_string_lossy())),
        }
    }
    options.args = words.collect();
    if options.program.is_empty() {
        return Err("the command is an empty word".into());
    }
    Ok(Request::Run(Box::new(options)))
}

impl Options {
    fn set(&mut self, name: &str, take: &mut dyn FnMut() -> Result<OsString, String>) -> Result<(), String> {
        let bound = |limit, text: OsString| number::bound(name, limit, &text.to_string_lossy());
        let time = |text: OsString| number::time(name, &text.to_string_lossy());
        let limit = match name {
            "--profile" => {
                let given = take()?;
                let given = given.into_string().map_err(|g| format!("--profile: {g:?} is not UTF-8"))?;
                self.profile = Some(given);
                return Ok(());
            }
            "--profiles" => {
                self.profiles = Some(path(name, take()?)?);
                return Ok(());
            }
            "--incidents" => {
                self.incidents = Some(path(name, take()?)?);
                return Ok(());
            }
            "--max-duration" => {
                let given = time(take()?)?;
                if given.is_zero() {
                    return Err(format!("{name}: 0 would cancel the command as it starts"));
                }
                self.max_duration = Some(given);
                return Ok(());
            }
            "--sustain" => {
                self.sustain = Some(time(take()?)?);
                return Ok(());
            }
            "--grace" => {
                self.grace = Some(time(take()?)?);
                return Ok(());
            }
            "--observe" => {
                self.observe = true;
                return Ok(());
            }
            "--quiet" => {
                self.quiet = true;
                return Ok(());
            }
            "--max-cpu-percent" => Limit::TaskCpuPercent,
            "--max-cpu-seconds" => Limit::TaskCpuSeconds,
            "--max-memory-mib" => Limit::TaskMemoryMib,
            "--max-processes" => Limit::TaskProcesses,
            "--max-output-mib" => Limit::TaskOutputMib,
            other => return Err(format!("{other} takes no value")),
        };
        let value = bound(limit, take()?)?;
        self.bounds.push((limit, value));
        Ok(())
    }
}

fn path(name: &str, value: OsString) -> Result<PathBuf, String> {
    if value.is_empty() { Err(format!("{name}: the path is empty")) } else { Ok(value.into()) }
}

/// `--name=value` taken apart at the first `=`.
fn split(word: &OsStr) -> (OsString, Option<OsString>) {
    let text = word.as_encoded_bytes();
    match text.iter().position(|b| *b == b'=').filter(|_| text.starts_with(b"--")) {
        None => (word.to_owned(), None),
        Some(at) => {
            // SAFETY: both halves come from an `OsStr` that is cut beside an ASCII character.
            let cut = |half: &[u8]| unsafe { OsString::from_encoded_bytes_unchecked(half.to_vec()) };
            (cut(&text[..at]), Some(cut(&text[at + 1..])))
        }
    }
}

fn unknown(name: &str) -> String {
    match nearest(name.trim_start_matches('-'), NAMES.map(|n| n.trim_start_matches('-'))) {
        Some(near) => format!("unknown option {name:?}; did you mean \"--{near}\"?"),
        None => format!("unknown option {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request, String> {
        parse(words.iter().map(OsString::from))
    }

    fn options(words: &[&str]) -> Options {
        match parsed(words) {
            Ok(Request::Run(options)) => *options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none_and_after_two_dashes() {
        for words in [
            &["--quiet", "ls", "--quiet", "--", "-l"][..],
            &["--quiet", "--", "ls", "--quiet", "--", "-l"][..],
        ] {
            let o = options(words);
            assert!(o.quiet && !o.observe);
            assert_eq!(o.program, "ls");
            assert_eq!(o.args, ["--quiet", "--", "-l"]);
        }
        assert_eq!(options(&["--", "--odd"]).program, "--odd");
        assert_eq!(options(&["-"]).program, "-");
    }

    #[test]
    fn values_follow_as_the_next_word_or_behind_an_equals_sign() {
        let o = options(&["--max-duration=5m", "--max-processes", "4", "--incidents=a=b", "true"]);
        assert_eq!(o.max_duration, Some(Duration::from_secs(300)));
        assert_eq!(o.bounds, [(Limit::TaskProcesses, 4.0)]);
        assert_eq!(o.incidents, Some("a=b".into()));
    }

    #[test]
    fn every_named_option_is_understood() {
        for name in NAMES {
            let known = parsed(&[name, "1", "true"]);
            assert!(known.is_ok(), "{name}: {known:?}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_would_be_right() {
        for (words, says) in [
            (&["--max-memroy-mib", "5", "ls"][..], "did you mean \"--max-memory-mib\"?"),
            (&["--max-memory=5", "ls"][..], "did you mean \"--max-memory-mib\"?"),
            (&["-x", "ls"][..], "unknown option \"-x\""),
            (&["--zzzzzz", "ls"][..], "unknown option \"--zzzzzz\""),
            (&[][..], "no command"),
            (&["--"][..], "no command"),
            (&["--quiet"][..], "no command"),
            (&["--", ""][..], "empty"),
            (&["--profile"][..], "--profile needs a value"),
            (&["--max-duration", "--", "true"][..], "--max-duration needs a value"),
            (&["--quiet=yes", "ls"][..], "--quiet takes no value"),
            (&["--help=yes"][..], "--help takes no value"),
            (&["--max-duration", "0", "ls"][..], "--max-duration: 0 would"),
            (&["--grace", "soon", "ls"][..], "--grace: \"soon\" is not a duration"),
            (&["--incidents=", "ls"][..], "--incidents: the path is empty"),
        ] {
            let message = parsed(words).unwrap_err();
            assert!(message.contains(says), "{words:?}: {message}");
        }
    }
}
