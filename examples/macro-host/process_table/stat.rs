//! Reads the process table of the kernel.

use std::ffi::OsStr;
use std::fs;
use std::io;

/// What is needed of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) parent: u32,
    pub(super) session: u32,
    /// When it started, in ticks since the machine did.
    pub(super) start: u64,
    /// Processor time of all its threads, in ticks.
    pub(super) ticks: u64,
    /// Resident memory in pages.
    pub(super) pages: u64,
}

impl Stat {
    /// The process with this id, a dead one that was not yet waited for included.
    pub(super) fn of(pid: u32) -> Option<Stat> {
        parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The name stands in parentheses and may hold anything, so the fields are counted from its end.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(1)?).ok()?,
        session: u32::try_from(field(3)?).ok()?,
        start: field(19)?,
        ticks: field(11)? + field(12)?,
        pages: field(21)?,
    })
}

/// The ids of all processes.
pub(super) fn all() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Whether `argument` is one of those that the process was started with.
pub(super) fn has_argument(pid: u32, argument: &OsStr) -> bool {
    let wanted = argument.as_encoded_bytes();
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|b| *b == 0).any(|one| one == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let text = "42 (a) b (c)) S 7 42 41 0 -1 4194560 1 2 3 4 50 6 7 8 20 0 1 0 123456 0 99 0\n";
        let stat = Stat { parent: 7, session: 41, start: 123_456, ticks: 56, pages: 99 };
        assert_eq!(parse(text), Some(stat));
        assert_eq!(parse("42 (half"), None);
    }
}
