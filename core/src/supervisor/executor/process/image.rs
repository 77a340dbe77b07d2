//! The guardian's program, ready to be executed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::atomic::{AtomicPtr, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};

use crate::file::fill;

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hl-guardian"));

/// How many bytes of the library are the guardian's program.
#[cfg(test)]
pub(super) const SIZE: usize = PROGRAM.len();

/// An open file that holds the program.
#[derive(Debug)]
pub(super) struct Image {
    fd: OwnedFd,
    /// Device and inode: hosts that become daemons close every descriptor, and ours may be another file's by now.
    identity: (u64, u64),
    in_memory: bool,
}

/// Without a lock, which a fork could leave locked. An image is never freed, so its descriptor is never closed, which
/// may be somebody else's by then.
static CURRENT: AtomicPtr<Image> = AtomicPtr::new(std::ptr::null_mut());

/// The program's file, made at the first call and used again after.
pub(super) fn get() -> io::Result<&'static Image> {
    // SAFETY: what is stored came from a box and is never freed.
    match unsafe { CURRENT.load(Ordering::Acquire).as_ref() } {
        Some(image) if image.is_intact() => Ok(image),
        // None yet, or its descriptor is somebody else's now.
        _ => Ok(keep(Image::in_memory().or_else(|_| Image::on_disk())?)),
    }
}

/// The program in a file on disk, after the system refused to execute `refused`. `None` if it was one already.
pub(super) fn instead_of(refused: &Image) -> Option<io::Result<&'static Image>> {
    refused.in_memory.then(|| Image::on_disk().map(keep))
}

fn keep(image: Image) -> &'static Image {
    let image = Box::leak(Box::new(image));
    CURRENT.store(image, Ordering::Release);
    image
}

impl Image {
    fn in_memory() -> io::Result<Image> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(c"hl-guardian", flags | MemfdFlags::EXEC)
            // Kernels before 6.3 do not know the flag.
            .or_else(|_| rustix::fs::memfd_create(c"hl-guardian", flags))?;
        let mut file = File::from(above_streams(fd)?);
        fill(&mut file, PROGRAM)?;
        rustix::fs::fcntl_add_seals(
            &file,
            SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        )?;
        Image::new(file, true)
    }

    /// A private file that is unlinked as soon as it is open for reading.
    fn on_disk() -> io::Result<Image> {
        let directory = std::env::temp_dir();
        let mut last = io::Error::other("no free name");
        for n in 0..16u32 {
            let path = directory.join(format!(".hl-guardian-{}-{n}", std::process::id()));
            let made = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path);
            let mut file = match made {
                Ok(file) => file,
                Err(e) => {
                    last = e;
                    continue;
                }
            };
            let opened = fill(&mut file, PROGRAM).and_then(|()| {
                // A file that is open for writing cannot be executed.
                drop(file);
                File::open(&path)
            });
            std::fs::remove_file(&path)?;
            return Image::new(File::from(above_streams(OwnedFd::from(opened?))?), false);
        }
        Err(last)
    }

    fn new(file: File, in_memory: bool) -> io::Result<Image> {
        let about = file.metadata()?;
        Ok(Image { fd: OwnedFd::from(file), identity: (about.dev(), about.ino()), in_memory })
    }

    fn is_intact(&self) -> bool {
        rustix::fs::fstat(&self.fd).is_ok_and(|about| (about.st_dev, about.st_ino) == self.identity)
    }
}

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The same file behind a descriptor that is not one of the three standard streams, which a host may have
/// closed. The command's streams can then be put in place without overwriting anything.
pub(super) fn above_streams(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_same_in_memory_and_on_disk_and_leaves_no_file() {
        let ours = format!(".hl-guardian-{}-", std::process::id());
        let left = || {
            let files = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
            files.filter(|e| e.file_name().to_string_lossy().starts_with(&ours)).count()
        };
        for image in [Image::in_memory().unwrap(), Image::on_disk().unwrap()] {
            let path = format!("/proc/self/fd/{}", image.fd.as_raw_fd());
            assert_eq!(std::fs::read(path).unwrap(), PROGRAM);
            assert!(image.is_intact());
        }
        assert_eq!(left(), 0);
    }

    #[test]
    fn a_sealed_image_cannot_be_changed() {
        let image = Image::in_memory().unwrap();
        assert!(rustix::io::write(&image.fd, b"x").is_err());
    }
}
