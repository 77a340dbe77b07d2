//! The game loop: sixty frames a second while the scene is free.

use std::hint::black_box;
use std::time::{Duration, Instant};

use haltline::monitor::Signals;

use super::World;

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// Draws until the world is over.
pub(super) fn draw(world: &World, signals: &Signals) {
    let mut next = Instant::now();
    let mut scene = [0u32; 2048];
    while !world.is_over() {
        {
            let _scene = world.scene.hold();
            for (i, pixel) in scene.iter_mut().enumerate() {
                *pixel = pixel.wrapping_mul(1_664_525).wrapping_add(i as u32);
            }
            black_box(&mut scene);
        }
        signals.frame();
        // A frame that came late does not make the next ones hurry.
        next = (next + FRAME).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
