//! The game server and a client that measures how long its answers take.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use haltline::monitor::Signals;

use super::World;

const PAUSE: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers one connection after the other from the session, until the world is over.
pub(super) fn answer(world: &World, listener: &TcpListener) {
    while let Ok((mut client, _)) = listener.accept() {
        if world.is_over() {
            return;
        }
        let mut question = [0; 4];
        let _ = client.set_read_timeout(Some(PATIENCE));
        if client.read_exact(&mut question).is_ok() {
            let _session = world.session.hold();
            let _ = client.write_all(&question);
        }
    }
}

/// Asks until the world is over. Feeds the time from the connection to the answer as latency.
pub(super) fn ask(world: &World, server: SocketAddr, signals: &Signals) {
    while !world.is_over() {
        let begun = Instant::now();
        match ask_once(server) {
            Ok(()) => signals.latency(begun.elapsed()),
            // At least that long. A failure at once is no latency.
            Err(_) if begun.elapsed() >= PATIENCE => signals.latency(PATIENCE),
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask_once(server: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect_timeout(&server, PATIENCE)?;
    server.set_nodelay(true)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.write_all(b"ping")?;
    let mut answer = [0; 4];
    server.read_exact(&mut answer)
}
