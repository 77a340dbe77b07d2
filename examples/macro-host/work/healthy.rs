//! Macros that do their work and leave the machine to others.

use std::future::Future;
use std::io::Read;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use haltline::supervisor::{Supervised, Token};

use super::burn::burn;
use crate::world::World;

const PAUSE: Duration = Duration::from_millis(50);
const EFFORT: Duration = Duration::from_micros(200);

/// Looks at the world, works a little, reports progress; until the scene is over.
pub(crate) fn thread(token: &Token, world: &World, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) && token.progress().is_ok() {
        for lock in [&world.scene, &world.session, &world.market] {
            drop(lock.hold());
        }
        burn(EFFORT, 4 * EFFORT);
        if token.sleep(PAUSE).is_err() {
            return;
        }
    }
}

/// As a thread, but done well within its time: in a fifth of it, where it need not wait for the processor.
pub(crate) fn errand(token: &Token) {
    for _ in 0..6 {
        burn(EFFORT, 4 * EFFORT);
        if token.sleep(PAUSE).is_err() {
            return;
        }
    }
}

/// Holds a little memory and works a little, until its standard input ends.
pub(super) fn process(bytes: u64) {
    let held = vec![1u8; bytes as usize];
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    while !over.load(Ordering::Relaxed) {
        burn(EFFORT, 4 * EFFORT);
        std::thread::sleep(PAUSE);
    }
    std::hint::black_box(&held);
}

/// The body of a macro that is a future.
pub(crate) async fn future(token: Token, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) && token.progress().is_ok() {
        burn(EFFORT, 4 * EFFORT);
        Nap(Instant::now() + PAUSE).await;
    }
}

/// Polls a supervised future to its end on this thread. A host would use the runtime that it has.
pub(crate) fn block_on<F: Future>(future: Supervised<F>) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        // There is no timer that would wake a nap; looking again this often is as good.
        std::thread::park_timeout(PAUSE / 5);
    }
}

/// Pending until a moment has come.
struct Nap(Instant);

impl Future for Nap {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.0 { Poll::Ready(()) } else { Poll::Pending }
    }
}
