//! What the host and its macros use, as the kernel counts it and not as the supervisor does.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::register::{self, Entry};
use super::stat::Stat;
use crate::system;

/// What the processes of a run have used and hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Own {
    /// Processor time of those that live.
    pub(crate) cpu: Duration,
    pub(crate) memory_bytes: u64,
}

/// Of this process, and of those in the register that live.
pub(crate) fn own(register: &Path) -> io::Result<Own> {
    let entries = register::read(register)?;
    let host = Stat::of(std::process::id());
    let (ticks, pages) = host
        .into_iter()
        .chain(living(&entries, Stat::of))
        .fold((0u64, 0u64), |(ticks, pages), s| (ticks + s.ticks, pages + s.pages));
    Ok(Own {
        cpu: Duration::from_secs_f64(ticks as f64 / system::ticks_per_second() as f64),
        memory_bytes: pages * system::page_bytes(),
    })
}

/// Each process once: the daemon is entered as what it is, and as an orphan.
fn living(entries: &[Entry], stat: impl Fn(u32) -> Option<Stat>) -> impl Iterator<Item = Stat> {
    let once = entries.iter().filter(|e| e.label != register::ORPHAN);
    once.filter_map(move |e| stat(e.pid).filter(|now| now.start == e.start))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::super::RegisterFile;
    use super::*;

    #[test]
    fn own_use_grows_with_what_this_process_does() {
        let register = RegisterFile::create().unwrap();
        let before = own(register.path()).unwrap();
        let held = vec![1u8; 64 << 20];
        let begun = system::thread_time();
        while system::thread_time() - begun < Duration::from_millis(200) {
            std::hint::black_box(&held);
        }
        let after = own(register.path()).unwrap();
        let used = after.cpu - before.cpu;
        assert!(used >= Duration::from_millis(170), "{used:?}");
        assert!(after.memory_bytes >= before.memory_bytes + (50 << 20), "{before:?} {after:?}");
    }

    #[test]
    fn a_process_counts_once_and_only_while_it_lives() {
        let entry = |label: &str, pid, start| Entry { label: label.to_owned(), pid, start, session: 1 };
        let entries = [
            entry("memory", 7, 100),
            entry("daemon-child", 8, 200),
            entry(register::ORPHAN, 8, 200),
            // Its id was given to another process since.
            entry("cpu", 9, 300),
            entry("cpu", 10, 400),
        ];
        let stat = |pid: u32| {
            let start = [(7, 100), (8, 200), (9, 301)].into_iter().find(|(p, _)| *p == pid)?.1;
            Some(Stat { parent: 1, session: 1, start, ticks: 5, pages: pid.into() })
        };
        assert_eq!(living(&entries, stat).map(|s| s.pages).collect::<Vec<_>>(), [7, 8]);
    }
}
