//! Ids that are unique without a coordinator and sort by the time they were made.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A new id such as `019ac5d2f3b0-000001-1c2f-9be1d5a7`: milliseconds since 1970, a counter, the process id, and
/// random bits of this process, all in hexadecimal.
///
/// Ids of one process sort as text in the order in which they were made, even if the calendar clock steps back
/// (the time part then stands still). Ids of several processes sort by time. Two processes make the same id only
/// if they share process id, millisecond, count and 32 random bits. After a fork the process id differs.
/// They are no secrets: do not use them as credentials.
pub(crate) fn unique() -> String {
    let (millis, count) = tick(now_millis());
    format!("{millis:012x}-{count:06x}-{:x}-{:08x}", std::process::id(), random())
}

fn now_millis() -> u64 {
    // A clock before 1970 counts as 1970; the counter still tells ids apart.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

const COUNT_BITS: u32 = 20;

/// Moves the one stamp of the process forward: 44 bits of milliseconds (until the year 2527) above a count within
/// the millisecond. A count that overflows runs into the next millisecond, so the order holds.
fn tick(millis: u64) -> (u64, u64) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = (millis & ((1 << (64 - COUNT_BITS)) - 1)) << COUNT_BITS;
    let mut last = LAST.load(Ordering::Relaxed);
    loop {
        let next = now.max(last.wrapping_add(1));
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return (next >> COUNT_BITS, next & ((1 << COUNT_BITS) - 1)),
            Err(seen) => last = seen,
        }
    }
}

fn random() -> u32 {
    static BITS: OnceLock<u32> = OnceLock::new();
    // RandomState is seeded by the system once per thread; hashing nothing yields bits of that seed.
    *BITS.get_or_init(|| RandomState::new().build_hasher().finish() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_thread_sort_in_the_order_they_were_made() {
        let ids: Vec<String> = (0..50_000).map(|_| unique()).collect();
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn ids_of_many_threads_are_all_different() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..20_000).map(|_| unique()).collect::<Vec<_>>()))
            .collect();
        let mut all: Vec<String> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 80_000);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_break_the_order() {
        let far = now_millis() + 1;
        let first = tick(far);
        let second = tick(far - 1_000_000);
        assert!(second > first);
    }
}
