//! Reads the kernel's text files without allocating.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that stays open between two reads. After a failed read it is opened anew.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    file: Option<File>,
}

impl Kept {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Kept { path: path.into(), file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file, in `buffer`.
    pub(super) fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        self.read_by(buffer, read_whole)
    }

    /// As [`read`](Kept::read), for a file that the kernel hands out in one piece, such as `/proc/stat`: the call that
    /// would only meet its end is saved.
    pub(super) fn read_piece<'b>(&mut self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        self.read_by(buffer, |file, buffer| match file.read_at(buffer, 0) {
            Ok(len) if len < buffer.len() => Ok(len),
            _ => read_whole(file, buffer),
        })
    }

    fn read_by<'b>(
        &mut self,
        buffer: &'b mut Vec<u8>,
        read: impl Fn(&File, &mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<&'b [u8]> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path).map_err(|e| name(&self.path, e))?),
        };
        match read(file, buffer) {
            Ok(len) => Ok(&buffer[..len]),
            Err(e) => {
                self.file = None;
                Err(name(&self.path, e))
            }
        }
    }
}

fn read_whole(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut len = 0;
    loop {
        if len == buffer.len() {
            buffer.resize((len * 2).max(4096), 0);
        }
        match file.read_at(&mut buffer[len..], len as u64) {
            Ok(0) => return Ok(len),
            Ok(more) => len += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The same error with the file it is about.
pub(super) fn name(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

/// An error for a file that does not say what it should.
pub(super) fn malformed(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// The name in a line of `/proc/PID/stat`, and the fields behind it, the state first. The name may hold blanks and
/// brackets.
pub(in crate::monitor) fn stat(line: &[u8]) -> Option<(&[u8], impl Iterator<Item = &[u8]>)> {
    let open = line.iter().position(|b| *b == b'(')?;
    let close = line.iter().rposition(|b| *b == b')')?;
    Some((line.get(open + 1..close)?, words(line.get(close + 1..)?)))
}

/// A decimal number without sign; `None` for anything else and for what does not fit.
pub(in crate::monitor) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal number with or without fraction, without sign or exponent.
pub(super) fn decimal(word: &[u8]) -> Option<f64> {
    let plain = word.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    std::str::from_utf8(word).ok().filter(|_| plain)?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The number after `key` at the start of a line, as in `inactive_file 4096`.
pub(super) fn after(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| words(line.strip_prefix(key)?).next().and_then(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert_eq!(number(b"184"), Some(184));
        for word in [&b""[..], b"max", b"-1", b"1.5", b"99999999999999999999999"] {
            assert_eq!(number(word), None);
        }
        assert_eq!(decimal(b"0.25"), Some(0.25));
        for word in [&b"NaN"[..], b"inf", b"-1", b"1e300", b"", b".", &[b'9'; 400]] {
            assert_eq!(decimal(word), None);
        }
    }

    #[test]
    fn a_key_is_found_only_at_the_start_of_a_line() {
        let text = b"total_inactive_file 9\ninactive_file 4096\n";
        assert_eq!(after(text, b"inactive_file "), Some(4096));
        assert_eq!(after(text, b"missing "), None);
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_read_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &vec![b'x'; 100_000]).unwrap();
        let mut kept = Kept::new(file.path());
        assert_eq!(kept.read(&mut Vec::new()).unwrap().len(), 100_000);
    }
}
