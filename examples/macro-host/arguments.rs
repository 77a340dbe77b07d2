//! What the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use haltline::duration::nearest;
use haltline::supervisor::Blame;

pub(crate) const HELP: &str = "\
Runs game macros as real work, lets one after another misbehave, and shows that
haltline cancels these and only these. Takes under a minute.

Limits are derived from what the machine does at the start. Where other programs
use so much of it that an act would prove nothing, the act is left out or its end
not judged, and the verdict says so: not checked, with the reason.

Usage: macro-host [OPTIONS]

  --seed N           shuffle which macros misbehave (default 1)
  --blame WHO        culprit: cancel the one that causes the breach (default)
                     any: the older way, cancel everyone whose profile has the
                     limit, and list the bystanders that this cost
  --incidents FILE   append the incidents to FILE
                     (default target/macro-host/incidents.jsonl)
  --require-all      exit with 4 if an act could not be shown
  --help, --version

It uses at most one busy thread for each core, and at most 1 GiB of memory and
a quarter of what is free.

Exit status:
  0    every check at the end holds; what could not be shown is named
  1    a check failed
  2    a wrong argument
  3    the scene could not be run or its output not be written
  4    with --require-all: every check holds, and an act could not be shown
  130  after Ctrl-C
";

pub(crate) const VERSION: &str = concat!("macro-host (haltline) ", env!("CARGO_PKG_VERSION"), "\n");

const NAMES: [&str; 6] = ["seed", "blame", "incidents", "require-all", "help", "version"];

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Version,
    Run(Options),
    /// Be a macro that runs as a process.
    Work(WorkOrder),
    /// Look for processes that are left.
    Inspect(InspectOrder),
}

/// How the scene is run.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) blame: Blame,
    pub(crate) incidents: PathBuf,
    /// Whether an act that could not be shown makes a difference to the exit status.
    pub(crate) require_all: bool,
}

/// What a process is to play: `--work KIND REGISTER AMOUNT`.
#[derive(Debug, PartialEq)]
pub(crate) struct WorkOrder {
    pub(crate) kind: String,
    /// The file in which every process of a macro enters itself. As an argument it also marks the process.
    pub(crate) register: PathBuf,
    /// Threads or bytes, whatever the kind counts in.
    pub(crate) amount: u64,
}

/// Where to find the ids of all processes of macros: `--inspect REGISTER [PID]...`.
#[derive(Debug, PartialEq)]
pub(crate) struct InspectOrder {
    pub(crate) register: PathBuf,
    /// Ids that the incident file names.
    pub(crate) pids: Vec<u32>,
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Request, String> {
    match arguments.first().and_then(|a| a.to_str()) {
        Some("--work") => return work_order(arguments),
        Some("--inspect") => return inspect_order(arguments),
        _ => {}
    }
    let mut options = Options {
        seed: 1,
        blame: Blame::Culprit,
        incidents: PathBuf::from("target/macro-host/incidents.jsonl"),
        require_all: false,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, inline) = match argument.to_str().and_then(|a| a.split_once('=')) {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (argument.to_str().unwrap_or_default(), None),
        };
        if let ("--help" | "-h" | "--version" | "-V" | "--require-all", Some(value)) = (name, &inline) {
            return Err(format!("{name} takes no value, and {value:?} was given"));
        }
        let value = || inline.or_else(|| rest.next().cloned()).ok_or(format!("{name} needs a value"));
        match name {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            "--require-all" => options.require_all = true,
            "--seed" => {
                let text = value()?;
                options.seed = text
                    .to_str()
                    .and_then(|t| t.parse().ok())
                    .ok_or(format!("--seed {text:?}: a whole number from 0 is right"))?;
            }
            "--blame" => {
                let text = value()?;
                options.blame = match text.to_str() {
                    Some("culprit") => Blame::Culprit,
                    Some("any") => Blame::Any,
                    _ => return Err(format!("--blame {text:?}: \"culprit\" or \"any\" is right")),
                };
            }
            "--incidents" => {
                let text = value()?;
                if text.is_empty() {
                    return Err("--incidents needs the name of a file".to_owned());
                }
                options.incidents = PathBuf::from(text);
            }
            _ => return Err(unknown(argument)),
        }
    }
    Ok(Request::Run(options))
}

fn unknown(argument: &OsString) -> String {
    let text = argument.to_string_lossy();
    let name = text.split_once('=').map_or(&*text, |(name, _)| name);
    match nearest(name.trim_start_matches('-'), NAMES) {
        Some(near) => format!("unknown argument {argument:?}; did you mean \"--{near}\"?"),
        None => format!("unknown argument {argument:?}"),
    }
}

fn work_order(arguments: &[OsString]) -> Result<Request, String> {
    let [_, kind, register, amount] = arguments else {
        return Err("--work takes a kind, a register and an amount".to_owned());
    };
    let amount = amount.to_str().and_then(|a| a.parse().ok()).ok_or("--work: the amount is no number")?;
    let kind = kind.to_string_lossy().into_owned();
    Ok(Request::Work(WorkOrder { kind, register: PathBuf::from(register), amount }))
}

fn inspect_order(arguments: &[OsString]) -> Result<Request, String> {
    let [_, register, pids @ ..] = arguments else {
        return Err("--inspect takes a register".to_owned());
    };
    let pid = |p: &OsString| p.to_str().and_then(|p| p.parse().ok()).ok_or(format!("no process id: {p:?}"));
    let pids = pids.iter().map(pid).collect::<Result<_, _>>()?;
    Ok(Request::Inspect(InspectOrder { register: PathBuf::from(register), pids }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(arguments: &[&str]) -> Result<Request, String> {
        parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn options(arguments: &[&str]) -> Options {
        match parse_all(arguments) {
            Ok(Request::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_arguments_the_culprit_is_blamed_with_seed_one() {
        let o = options(&[]);
        assert_eq!((o.seed, o.blame, o.require_all), (1, Blame::Culprit, false));
        assert!(o.incidents.ends_with("macro-host/incidents.jsonl"));
    }

    #[test]
    fn values_follow_as_the_next_word_or_after_an_equals_sign() {
        let o = options(&["--seed", "7", "--blame=any", "--incidents", "x=y.jsonl"]);
        assert_eq!((o.seed, o.blame, o.incidents), (7, Blame::Any, PathBuf::from("x=y.jsonl")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, named) in [
            (&["--sed", "3"][..], "did you mean \"--seed\"?"),
            (&["--blaem", "any"], "unknown argument \"--blaem\"; did you mean \"--blame\"?"),
            (&["--blaem=any"], "did you mean \"--blame\"?"),
            (&["-seed"], "did you mean \"--seed\"?"),
            (&["blame"], "did you mean \"--blame\"?"),
            (&["--verbose"], "unknown argument \"--verbose\""),
            (&["--require-all=yes"], "takes no value, and \"yes\""),
            (&["--help=me"], "takes no value"),
            (&["extra"], "extra"),
            (&["--seed", "-1"], "-1"),
            (&["--seed"], "needs a value"),
            (&["--blame", "all"], "all"),
            (&["--incidents", ""], "name of a file"),
        ] {
            let refusal = parse_all(wrong).expect_err("must be refused");
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn help_and_version_win() {
        assert_eq!(parse_all(&["--seed", "2", "--help"]), Ok(Request::Help));
        assert_eq!(parse_all(&["--blame", "any", "--version"]), Ok(Request::Version));
    }

    #[test]
    fn an_option_without_a_value_takes_none_away() {
        let o = options(&["--require-all", "--seed", "4"]);
        assert!(o.require_all && o.seed == 4);
        assert!(HELP.contains("--require-all"));
    }
}
