//! The exit status.

use std::io;

use haltline::supervisor::{Exit, Outcome};
use haltline::{Error, ErrorKind};

/// For errors of supervise itself, and for a tree that was not seen to stop.
pub(crate) const OWN_ERROR: u8 = 125;
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;
const LEFT_IN_GRACE: u8 = 124;
const KILLED: u8 = 137;
const BY_SIGNAL: i32 = 128;

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// How the command itself ended.
    pub(crate) exit: Exit,
    /// What came of a cancellation.
    pub(crate) outcome: Option<Outcome>,
    /// Whether the command had ended before that cancellation, which then met only what it left behind.
    pub(crate) ended_before: bool,
    /// Whether the cancellation came of the guardian's end: then nobody saw how the command ended.
    pub(crate) guardian_killed: bool,
    /// Whether output was counted and then could not be written.
    pub(crate) output_lost: bool,
    /// The signal that supervise was stopped with.
    pub(crate) signal: Option<i32>,
}

/// Later rows give way to earlier ones.
pub(crate) fn of(end: &End) -> u8 {
    match (end.outcome, end.signal) {
        (Some(Outcome::StillRunning | Outcome::Unenforceable), _) => OWN_ERROR,
        (_, Some(signal)) => by_signal(signal),
        (Some(_), None) if end.guardian_killed && !end.ended_before => OWN_ERROR,
        (Some(Outcome::Stopped), None) if !end.ended_before => LEFT_IN_GRACE,
        (Some(Outcome::Killed), None) if !end.ended_before => KILLED,
        _ if end.output_lost => OWN_ERROR,
        _ => match (end.exit.code, end.exit.signal) {
            (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(OWN_ERROR),
            (None, Some(signal)) => by_signal(signal),
            (None, None) => OWN_ERROR,
        },
    }
}

/// As `timeout` gives them: 127 if there is no such command, 126 if it is there and cannot be executed.
pub(crate) fn of_error(error: &Error) -> u8 {
    let missing = || {
        let cause = std::error::Error::source(error).and_then(|s| s.downcast_ref::<io::Error>());
        cause.is_none_or(|c| c.kind() == io::ErrorKind::NotFound)
    };
    match error.kind() {
        ErrorKind::CommandNotFound if missing() => NOT_FOUND,
        ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable => CANNOT_EXECUTE,
        _ => OWN_ERROR,
    }
}

fn by_signal(signal: i32) -> u8 {
    u8::try_from(BY_SIGNAL + signal).unwrap_or(OWN_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
        let mut exit = Exit::default();
        (exit.code, exit.signal) = (code, signal);
        exit
    }

    #[test]
    fn the_status_is_the_commands_own_unless_it_was_stopped() {
        let end = |outcome, ended_before, signal| {
            of(&End { exit: exit(Some(7), None), outcome, ended_before, signal, ..End::default() })
        };
        assert_eq!(end(None, false, None), 7);
        assert_eq!(end(Some(Outcome::Stopped), false, None), 124);
        assert_eq!(end(Some(Outcome::Killed), false, None), 137);
        assert_eq!(end(Some(Outcome::Killed), true, None), 7);
        assert_eq!(end(Some(Outcome::StillRunning), true, Some(2)), 125);
        assert_eq!(end(Some(Outcome::Killed), false, Some(2)), 130);
        assert_eq!(end(None, false, Some(15)), 143);
        assert_eq!(of(&End { exit: exit(None, Some(13)), ..End::default() }), 141);
        assert_eq!(of(&End::default()), 125, "nobody saw how it ended");
        let lost = |ended_before| {
            let (exit, outcome) = (exit(Some(7), None), Some(Outcome::Killed));
            of(&End { exit, outcome, ended_before, guardian_killed: true, ..End::default() })
        };
        assert_eq!((lost(false), lost(true)), (125, 7));
        let unwritten =
            |outcome| of(&End { exit: exit(Some(7), None), outcome, output_lost: true, ..End::default() });
        assert_eq!((unwritten(None), unwritten(Some(Outcome::Killed))), (125, 137));
    }
}
