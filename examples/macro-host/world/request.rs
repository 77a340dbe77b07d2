//! The host's request handler, timed as any handler of a host can be.

use std::hint::black_box;
use std::time::Duration;

use haltline::monitor::Signals;

use super::World;

const PAUSE: Duration = Duration::from_millis(15);

/// Handles one request after the other until the world is over.
pub(super) fn serve(world: &World, signals: &Signals) {
    while !world.is_over() {
        signals.time(|| handle(world));
        std::thread::sleep(PAUSE);
    }
}

/// Adds up what the market has on offer.
fn handle(world: &World) -> u64 {
    let _market = world.market.hold();
    (0..2_000u64).map(|offer| black_box(offer) * 3).sum()
}
