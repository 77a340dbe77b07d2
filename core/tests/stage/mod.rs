//! What tests of a supervisor set their stage with.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use haltline::supervisor::profile::ProfileBuilder;
use haltline::supervisor::{Profile, Stopper};

pub(crate) const S: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A profile with a short grace.
pub(crate) fn quick(name: &str) -> ProfileBuilder {
    Profile::builder(name).grace(50 * MS)
}

pub(crate) fn wait_for(what: &str, seen: impl Fn() -> bool) {
    let until = Instant::now() + 20 * S;
    while !seen() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(MS);
    }
}

/// Work that leaves when it is asked to.
#[derive(Default)]
pub(crate) struct Asked {
    asked: AtomicBool,
}

impl Asked {
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Stopper for Asked {
    fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }
    fn force(&self) -> bool {
        false
    }
    fn is_gone(&self) -> bool {
        self.was_asked()
    }
}
