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
        let about = rustix::fs::fstat(&fd);
        let kind = about.map(|about| FileType::from_raw_mode(about.st_mode));
        let may_wait = matches!(kind, Ok(FileType::Fifo | FileType::Socket)) || fd.is_terminal();
        if !may_wait {
            return Destination { fd, at_most: usize::MAX };
        }
        // To open the master of a terminal makes another terminal.
        let is_master = about.is_ok_and(|about| about.st_rdev == rustix::fs::makedev(5, 2));
        match (!is_master).then(|| without_waiting(&fd)).flatten() {
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Opening a master anew makes another terminal, which nobody reads.
    #[test]
    fn what_is_written_to_the_master_of_a_terminal_arrives_at_its_other_end() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let other =
            rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let to = Destination::new(master);
        to.write(b"hello\n").unwrap();
        let mut line = [0; 16];
        let n = File::from(other).read(&mut line).unwrap();
        assert_eq!(&line[..n], b"hello\n");
    }
}
