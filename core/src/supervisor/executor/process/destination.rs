//! Where output is passed on to.

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::image::above_streams;

/// A pipe that takes anything takes this much without waiting.
const PIPE_BUF: usize = 4096;

/// A descriptor that is written to. A write to a full one should not wait, because its reader may never come.
pub(super) struct Destination {
    fd: OwnedFd,
    /// Bytes of one write.
    at_most: usize,
}

/// Why output cannot be passed on.
pub(super) enum Trouble {
    Failed(Errno),
    /// Nobody read it, and it need not wait any longer.
    Unread,
}

impl Trouble {
    pub(super) fn told(&self, patience: Duration) -> String {
        match self {
            Trouble::Failed(e) => std::io::Error::from(*e).to_string(),
            Trouble::Unread => format!("not read within {patience:?} of the end of the tree"),
        }
    }
}

impl Destination {
    pub(super) fn new(fd: OwnedFd) -> Destination {
        let kind = rustix::fs::fstat(&fd).map(|about| FileType::from_raw_mode(about.st_mode));
        let may_wait = matches!(kind, Ok(FileType::Fifo | FileType::Socket)) || fd.is_terminal();
        if !may_wait {
            return Destination { fd, at_most: usize::MAX };
        }
        match without_waiting(&fd) {
            Some(fd) => Destination { fd, at_most: usize::MAX },
            None => Destination { fd, at_most: PIPE_BUF },
        }
    }

    /// Writes some of `bytes`.
    pub(super) fn write(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        rustix::io::write(&self.fd, bytes.get(..self.at_most).unwrap_or(bytes))
    }
}

/// The same pipe or terminal, opened anew: whether writes wait belongs to what was opened, and `fd` is shared with
/// others, who may want to wait. A socket cannot be opened so, nor what belongs to another user.
fn without_waiting(fd: &OwnedFd) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    above_streams(rustix::fs::open(path, flags, Mode::empty()).ok()?).ok()
}

impl AsFd for Destination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
