//! The signals that stop supervise, read from a descriptor instead of interrupting whatever runs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};

use crate::plan::Received;

const STOPPING: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Holds the stopping signals back.
pub(crate) struct Signals(File);

impl Signals {
    /// Call it before the first thread is started: threads inherit what is held back. A signal that
    /// supervise was started to ignore, as under `nohup`, stays ignored.
    pub(crate) fn hold() -> io::Result<Signals> {
        // SAFETY: every structure is written by the system before it is read, and the descriptor is fresh.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for number in STOPPING {
                let mut now: libc::sigaction = std::mem::zeroed();
                libc::sigaction(number, std::ptr::null(), &mut now);
                if now.sa_sigaction != libc::SIG_IGN {
                    libc::sigaddset(&mut set, number);
                }
            }
            if libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Signals(File::from_raw_fd(fd)))
        }
    }

    /// The next one, if one has come. Never blocks.
    pub(crate) fn next(&self) -> Option<Received> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut record = [0; SIZE];
        if (&self.0).read(&mut record).ok()? != SIZE {
            return None;
        }
        // SAFETY: the record is of this size and holds numbers alone.
        let info = unsafe { record.as_ptr().cast::<libc::signalfd_siginfo>().read_unaligned() };
        let number = info.ssi_signo as i32;
        Some(Received {
            number,
            is_interrupt: number == libc::SIGINT,
            from_terminal: info.ssi_code == libc::SI_KERNEL,
        })
    }

    /// Readable when a signal has come.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The name that people know.
pub(crate) fn name(number: i32) -> &'static str {
    match number {
        libc::SIGINT => "SIGINT",
        libc::SIGTERM => "SIGTERM",
        libc::SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}
