//! A log of whole lines that rotates by size.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log of lines. Beyond `max_bytes` the file is renamed to `NAME.1`, what was `NAME.1` to `NAME.2`, and so on.
///
/// A line is one `write(2)` in append mode: after a crash of this process every line is there whole or, if the
/// disk was full, cut short and then ended by the next writer. It is not flushed to the disk, so a crash of
/// the machine may lose the last seconds. Let one process rotate a file; others may append to it. A file that
/// somebody renames or deletes is begun anew under its name.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    file: File,
    /// Whether the file ends in the middle of a line.
    torn: bool,
    fault: Option<io::Error>,
}

impl LogFile {
    /// Opens or creates the file. The first line ends one that a crash cut short. `keep` old files stay besides it; with
    /// 0 a full file is thrown away. A `max_bytes` of `u64::MAX` never rotates.
    pub(crate) fn open(path: impl Into<PathBuf>, max_bytes: u64, keep: u32) -> io::Result<LogFile> {
        let path = path.into();
        let file = open_to_append(&path)?;
        let torn = ends_torn(&path)?;
        Ok(LogFile { path, max_bytes, keep, file, torn, fault: None })
    }

    /// Appends `line`, which holds no line feed; one is added.
    ///
    /// If the log cannot be rotated, the line goes to the present file all the same, and
    /// [`take_fault`](Self::take_fault) has the reason.
    ///
    /// # Errors
    /// What the system says, such as a full disk. Lines written before stay as they are.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if line.contains(&b'\n') {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a line of a log holds no line feed"));
        }
        let present = self.file.metadata()?;
        if is_elsewhere(&present, &self.path) {
            self.file = open_to_append(&self.path)?;
            self.torn = ends_torn(&self.path)?;
        }
        let size = self.file.metadata()?.len();
        let room = self.max_bytes.saturating_sub(size);
        if size > 0 && room <= line.len() as u64 {
            match self.rotate() {
                Ok(()) => self.fault = None,
                Err(e) => self.fault = Some(e),
            }
        }
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if self.torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        self.write(bytes)
    }

    /// Why the last rotation failed, if it did; told once for each failure.
    pub(crate) fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    /// The files of the log at `path` that exist, oldest first.
    ///
    /// # Errors
    /// If there is none, or `path` is something else than a file.
    pub(crate) fn parts(path: &Path, keep: u32) -> io::Result<Vec<PathBuf>> {
        let mut parts: Vec<_> =
            (1..=keep).rev().map(|n| numbered(path, n)).filter(|part| part.is_file()).collect();
        match fs::metadata(path) {
            Ok(found) if found.is_file() => parts.push(path.to_owned()),
            Ok(found) => return Err(no_file(&found)),
            // Between two steps of a rotation there are the old ones alone.
            Err(e) if e.kind() == ErrorKind::NotFound && !parts.is_empty() => {}
            Err(e) => return Err(e),
        }
        Ok(parts)
    }

    /// Writes `bytes` and a line feed in one call, unless the system takes only a part.
    fn write(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        bytes.push(b'\n');
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    rest = &rest[n..];
                    self.torn = !rest.is_empty();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            self.file.set_len(0)?;
            self.torn = false;
            return Ok(());
        }
        for n in (1..self.keep).rev() {
            moved(&numbered(&self.path, n), &numbered(&self.path, n + 1))?;
        }
        let first = numbered(&self.path, 1);
        moved(&self.path, &first)?;
        match open_to_append(&self.path) {
            Ok(file) => self.file = file,
            Err(e) => {
                // The open handle still writes to the renamed file: give it its name back.
                let _ = moved(&first, &self.path);
                return Err(e);
            }
        }
        self.torn = false;
        Ok(())
    }
}

fn no_file(found: &fs::Metadata) -> io::Error {
    let what = if found.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
    io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, and not a file"))
}

fn open_to_append(path: &Path) -> io::Result<File> {
    // Looked at before: to open a pipe that nobody reads waits for a reader. `/dev/null` is a device.
    if let Ok(found) = fs::metadata(path)
        && !found.is_file()
        && !is_character_device(&found)
    {
        return Err(no_file(&found));
    }
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(unix)]
fn is_character_device(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_character_device(_: &fs::Metadata) -> bool {
    false
}

/// Whether the open file no longer has the name `path`, because somebody renamed or deleted it.
#[cfg(unix)]
fn is_elsewhere(open: &fs::Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(path) {
        Ok(named) => (named.dev(), named.ino()) != (open.dev(), open.ino()),
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

/// Elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_elsewhere(_: &fs::Metadata, _: &Path) -> bool {
    false
}

fn ends_torn(path: &Path) -> io::Result<bool> {
    // Anything but a plain file, such as a pipe or /dev/full, has no end to look at.
    if !fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    let mut size = file.seek(SeekFrom::End(0))?;
    // A line that somebody else is writing now may be seen in parts; one that a crash cut short stays as it is.
    for _ in 0..5 {
        if size == 0 || last_byte(&mut file)? == b'\n' {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(2));
        let later = file.seek(SeekFrom::End(0))?;
        if later == size {
            return Ok(true);
        }
        size = later;
    }
    // So many write to it that its end is never seen at rest: they end their lines themselves.
    Ok(false)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

/// Renames, if there is something to rename.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_log_is_rotated_and_the_oldest_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, 20, 2).unwrap();
        for n in 10..23 {
            log.append(format!("line {n}").as_bytes()).unwrap();
        }
        let parts = LogFile::parts(&path, 2).unwrap();
        let all: Vec<String> = parts.iter().flat_map(|p| lines(p)).collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(all, (18..23).map(|n| format!("line {n}")).collect::<Vec<_>>());
        assert!(parts.iter().all(|p| fs::metadata(p).unwrap().len() <= 20));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn with_nothing_to_keep_a_full_log_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, 4, 0).unwrap();
        for line in ["one", "two", "much longer than the bound"] {
            log.append(line.as_bytes()).unwrap();
        }
        assert_eq!(lines(&path), ["much longer than the bound"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_ended_and_the_log_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "whole\nhal").unwrap();
        let mut log = LogFile::open(&path, u64::MAX, 1).unwrap();
        log.append(b"next").unwrap();
        drop(log);
        LogFile::open(&path, u64::MAX, 1).unwrap().append(b"last").unwrap();
        assert_eq!(lines(&path), ["whole", "hal", "next", "last"]);
        assert!(LogFile::open(&path, u64::MAX, 1).unwrap().append(b"a\nb").is_err());
        // As after a write that the disk had room for only in part.
        let mut log = LogFile::open(&path, u64::MAX, 1).unwrap();
        log.file.write_all(b"par").unwrap();
        log.torn = true;
        log.append(b"after").unwrap();
        assert_eq!(lines(&path)[4..], ["par", "after"]);
    }

    #[test]
    fn a_log_that_cannot_be_rotated_goes_on_in_its_file_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        // A folder that is not empty cannot be renamed over: also root meets this error.
        fs::create_dir_all(dir.path().join("log.1").join("x")).unwrap();
        let mut log = LogFile::open(&path, 4, 1).unwrap();
        log.append(b"one").unwrap();
        assert!(log.take_fault().is_none());
        log.append(b"two").unwrap();
        assert!(log.take_fault().is_some() && log.take_fault().is_none());
        assert_eq!(lines(&path), ["one", "two"]);
        fs::remove_dir_all(dir.path().join("log.1")).unwrap();
        log.append(b"three").unwrap();
        assert!(log.take_fault().is_none());
        assert_eq!(lines(&path), ["three"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_renamed_or_deleted_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, u64::MAX, 1).unwrap();
        log.append(b"one").unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        log.append(b"two").unwrap();
        assert_eq!(lines(&path), ["two"]);
        fs::remove_file(&path).unwrap();
        log.append(b"three").unwrap();
        assert_eq!(lines(&path), ["three"]);
        assert_eq!(lines(&dir.path().join("moved")), ["one"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_not_a_panic() {
        let mut log = LogFile::open("/dev/full", u64::MAX, 1).unwrap();
        assert_eq!(log.append(b"line").unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(LogFile::open("/nonexistent/log", 1, 1).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_refused_without_a_wait() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&pipe, &socket, dir.path()] {
            // On a thread that the test does not wait for: what opens a pipe may wait for ever.
            let (told, answer) = std::sync::mpsc::channel();
            let own = path.to_owned();
            std::thread::spawn(move || told.send(LogFile::open(own, 1, 1).map(drop)));
            let opened = answer.recv_timeout(Duration::from_secs(20)).expect("an answer");
            assert!(opened.unwrap_err().to_string().contains("not a file"), "{}", path.display());
        }
        LogFile::open("/dev/null", 1, 1).unwrap().append(b"line").unwrap();
    }

    #[test]
    fn writers_of_one_file_never_mix_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut log = LogFile::open(path, u64::MAX, 1).unwrap();
                    let line = n.to_string().repeat(300);
                    (0..200).for_each(|_| log.append(line.as_bytes()).unwrap());
                });
            }
        });
        let lines = lines(&path);
        assert_eq!(lines.len(), 800);
        assert!(lines.iter().all(|l| l.len() == 300 && l.bytes().all(|b| b == l.as_bytes()[0])));
    }
}
