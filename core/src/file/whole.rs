//! A file that is written whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces the file at `path` so that at every instant it has either the old content or the new, also after a
/// crash of the machine. Keeps the permissions of the old file. A symbolic link is itself replaced.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (mut file, temporary) = create_beside(folder)?;
    let result = (|| {
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        fill(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(folder)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn create_beside(folder: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".haltline-{}-{n}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            // Left behind by an earlier process of this id that crashed.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (file, path)),
        }
    }
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Only Unix opens folders as files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes `bytes` into an empty file. A write past the file size limit would end the host by a signal; a file in memory
/// counts too.
pub(crate) fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    match size_limit().filter(|limit| *limit < bytes.len() as u64) {
        Some(limit) => Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!(
                "the file size limit (ulimit -f) of {limit} bytes leaves no room for {} bytes; raise it",
                bytes.len()
            ),
        )),
        None => file.write_all(bytes),
    }
}

#[cfg(unix)]
fn size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// Elsewhere files have no limit.
#[cfg(not(unix))]
fn size_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::create_dir_all(dir.path().join("taken").join("x")).unwrap();
        assert!(write_atomic(&dir.path().join("taken"), b"no").is_err());
        assert!(write_atomic(&dir.path().join("none").join("x"), b"no").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
