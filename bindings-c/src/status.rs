//! Status codes, which are the core's table of error kinds.

use std::ffi::c_char;

use haltline::ErrorKind;

use crate::boundary::enter;
use crate::last_error;
use crate::pointer::buffer;

// The part between the two marks is written from the core's table by `HALTLINE_BLESS=1 cargo test -p haltline-c`.
// begin
/// What came of a call. A number never changes its meaning; later versions may add some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum hl_status {
    /// The call did what it says.
    HL_OK = 0,
    /// An argument has a value that the call does not take.
    HL_INVALID_ARGUMENT = 1,
    /// A profile is malformed: unknown key, wrong type, out of range, or a cycle in `extends`.
    HL_INVALID_PROFILE = 2,
    /// No profile has this name.
    HL_UNKNOWN_PROFILE = 3,
    /// No running task has this id.
    HL_UNKNOWN_TASK = 4,
    /// The profile has a task limit that the executor cannot measure or enforce.
    HL_LIMIT_REFUSED = 5,
    /// This platform or build does not implement the operation.
    HL_UNSUPPORTED = 6,
    /// The task was cancelled.
    HL_CANCELLED = 7,
    /// The command does not exist.
    HL_COMMAND_NOT_FOUND = 8,
    /// The command exists and cannot be executed.
    HL_COMMAND_NOT_EXECUTABLE = 9,
    /// A process or thread could not be started.
    HL_SPAWN_FAILED = 10,
    /// The operating system refused a read or a write.
    HL_IO = 11,
    /// The part was shut down before the call.
    HL_SHUT_DOWN = 12,
    /// The wait ended before the awaited thing happened.
    HL_TIMED_OUT = 13,
    /// Code of the host panicked or raised inside a call.
    HL_PANICKED = 14,
    /// The caller's buffer is too small for the result.
    HL_BUFFER_TOO_SMALL = 15,
}

const STATUSES: &[(hl_status, &str)] = &[
    (hl_status::HL_OK, "ok\0"),
    (hl_status::HL_INVALID_ARGUMENT, "invalid-argument\0"),
    (hl_status::HL_INVALID_PROFILE, "invalid-profile\0"),
    (hl_status::HL_UNKNOWN_PROFILE, "unknown-profile\0"),
    (hl_status::HL_UNKNOWN_TASK, "unknown-task\0"),
    (hl_status::HL_LIMIT_REFUSED, "limit-refused\0"),
    (hl_status::HL_UNSUPPORTED, "unsupported\0"),
    (hl_status::HL_CANCELLED, "cancelled\0"),
    (hl_status::HL_COMMAND_NOT_FOUND, "command-not-found\0"),
    (hl_status::HL_COMMAND_NOT_EXECUTABLE, "command-not-executable\0"),
    (hl_status::HL_SPAWN_FAILED, "spawn-failed\0"),
    (hl_status::HL_IO, "io\0"),
    (hl_status::HL_SHUT_DOWN, "shut-down\0"),
    (hl_status::HL_TIMED_OUT, "timed-out\0"),
    (hl_status::HL_PANICKED, "panicked\0"),
    (hl_status::HL_BUFFER_TOO_SMALL, "buffer-too-small\0"),
];
// end

impl From<ErrorKind> for hl_status {
    fn from(kind: ErrorKind) -> Self {
        let position = usize::from(kind.number());
        // A test holds the list against the table, so the last resort is never taken.
        STATUSES.get(position).map_or(hl_status::HL_PANICKED, |(status, _)| *status)
    }
}

/// The stable name of a status, such as "invalid-argument"; "ok" for HL_OK, "unknown-status" for a number that
/// this version does not know. Never NULL; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn hl_status_name(status: i32) -> *const c_char {
    let known = usize::try_from(status).ok().and_then(|position| STATUSES.get(position));
    known.map_or("unknown-status\0", |(_, name)| *name).as_ptr().cast()
}

/// The sentence of the last call on this thread that did not return HL_OK: what was wrong, with which value, and
/// what would be right. Empty if every call did. It stays until another call fails; this one never replaces it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_last_error(buf: *mut c_char, len: usize, needed: *mut usize) -> hl_status {
    let message = last_error::message();
    let status = enter(|| buffer!(buf, len, needed).fill_text(&message));
    if status != hl_status::HL_OK {
        last_error::restore(message);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn written_from_the_table() -> String {
        let mut variants = String::new();
        let mut names = String::new();
        for kind in ErrorKind::ALL {
            let name = format!("HL_{}", kind.slug().to_uppercase().replace('-', "_"));
            writeln!(variants, "    /// {}\n    {name} = {},", kind.meaning(), kind.number()).unwrap();
            writeln!(names, "    (hl_status::{name}, \"{}\\0\"),", kind.slug()).unwrap();
        }
        format!(
            "// begin\n\
             /// What came of a call. A number never changes its meaning; later versions may add some.\n\
             #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
             #[repr(C)]\n\
             pub enum hl_status {{\n    /// The call did what it says.\n    HL_OK = 0,\n{variants}}}\n\n\
             const STATUSES: &[(hl_status, &str)] = &[\n    (hl_status::HL_OK, \"ok\\0\"),\n{names}];\n// end\n"
        )
    }

    #[test]
    fn the_status_codes_are_the_core_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/status.rs");
        let source = std::fs::read_to_string(path).unwrap();
        let (from, to) = (source.find("// begin\n").unwrap(), source.find("// end\n").unwrap() + 7);
        let wanted = written_from_the_table();
        if std::env::var_os("HALTLINE_BLESS").is_some() {
            std::fs::write(path, format!("{}{wanted}{}", &source[..from], &source[to..])).unwrap();
            return;
        }
        assert_eq!(&source[from..to], wanted, "run `HALTLINE_BLESS=1 cargo test -p haltline-c status`");
    }

    #[test]
    fn every_error_kind_has_the_status_of_its_number() {
        for kind in ErrorKind::ALL {
            assert_eq!(hl_status::from(*kind) as i32, i32::from(kind.number()));
            // SAFETY: names end with a NUL and live for ever.
            let name = unsafe { std::ffi::CStr::from_ptr(hl_status_name(i32::from(kind.number()))) };
            assert_eq!(name.to_str().unwrap(), kind.slug());
        }
    }
}
