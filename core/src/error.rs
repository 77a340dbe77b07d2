//! The one error type, and the one table from which every binding takes its codes.

use std::error::Error as StdError;
use std::fmt;

/// The result of every fallible haltline call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: a [kind](ErrorKind) for programs and a sentence for people.
///
/// The sentence is lower-case, names the value at fault and says what would be right.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! kinds {
    ($(#[doc = $doc:literal] $name:ident = $number:literal, $slug:literal, $status:literal;)*) => {
        /// What kind of failure an [`Error`] is.
        ///
        /// Python exceptions, C status codes and REST problems are made from this table. A number never
        /// changes its meaning; new kinds get new numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum ErrorKind {
            $(#[doc = $doc] $name = $number,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name,)*];

            /// The stable number, which is also the C status code. Zero is never used: in C it means success.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The stable lower-case name, as REST problem types and logs spell it.
            pub const fn slug(self) -> &'static str {
                match self { $(ErrorKind::$name => $slug,)* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorKind::$name => $doc.trim_ascii(),)* }
            }

            /// The HTTP status that a server answers with.
            pub const fn http_status(self) -> u16 {
                match self { $(ErrorKind::$name => $status,)* }
            }
        }
    };
}

kinds! {
    /// An argument has a value that the call does not take.
    InvalidArgument = 1, "invalid-argument", 400;
    /// A profile is malformed: unknown key, wrong type, out of range, or a cycle in `extends`.
    InvalidProfile = 2, "invalid-profile", 422;
    /// No profile has this name.
    UnknownProfile = 3, "unknown-profile", 404;
    /// No running task has this id.
    UnknownTask = 4, "unknown-task", 404;
    /// The profile has a task limit that the executor cannot measure or enforce.
    LimitRefused = 5, "limit-refused", 422;
    /// This platform or build does not implement the operation.
    Unsupported = 6, "unsupported", 501;
    /// The task was cancelled.
    Cancelled = 7, "cancelled", 503;
    /// The command does not exist.
    CommandNotFound = 8, "command-not-found", 404;
    /// The command exists and cannot be executed.
    CommandNotExecutable = 9, "command-not-executable", 403;
    /// A process or thread could not be started.
    SpawnFailed = 10, "spawn-failed", 500;
    /// The operating system refused a read or a write.
    Io = 11, "io", 500;
    /// The part was shut down before the call.
    ShutDown = 12, "shut-down", 503;
    /// The wait ended before the awaited thing happened.
    TimedOut = 13, "timed-out", 504;
    /// Code of the host panicked or raised inside a call.
    Panicked = 14, "panicked", 500;
    /// The caller's buffer is too small for the result.
    BufferTooSmall = 15, "buffer-too-small", 400;
}

impl Error {
    /// An error of `kind` with its sentence.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// The same error with the lower-level error that caused it, reachable through [`StdError::source`].
    #[cold]
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An [`ErrorKind::Io`] error: what was tried, on what, and what the system said.
    #[cold]
    pub(crate) fn io(tried: impl fmt::Display, source: std::io::Error) -> Self {
        Error::new(ErrorKind::Io, format!("{tried}: {source}")).because(source)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence alone, without the kind.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.slug(), self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are a promise to C callers: this list may grow at its end and nowhere else.
    #[test]
    fn numbers_and_slugs_are_only_ever_added() {
        let now: Vec<(u16, &str)> = ErrorKind::ALL.iter().map(|k| (k.number(), k.slug())).collect();
        let promised = [
            (1, "invalid-argument"),
            (2, "invalid-profile"),
            (3, "unknown-profile"),
            (4, "unknown-task"),
            (5, "limit-refused"),
            (6, "unsupported"),
            (7, "cancelled"),
            (8, "command-not-found"),
            (9, "command-not-executable"),
            (10, "spawn-failed"),
            (11, "io"),
            (12, "shut-down"),
            (13, "timed-out"),
            (14, "panicked"),
            (15, "buffer-too-small"),
        ];
        assert_eq!(now, promised);
        assert!(ErrorKind::ALL.iter().all(|k| (400..600).contains(&k.http_status())));
        assert_eq!(ErrorKind::Cancelled.meaning(), "The task was cancelled.");
    }

    #[test]
    fn an_error_is_one_word_wide_and_keeps_its_cause() {
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
        let e = Error::io("opening x.json", std::io::Error::other("disk on fire"));
        assert_eq!(e.to_string(), "opening x.json: disk on fire");
        assert!(e.source().is_some());
    }
}
