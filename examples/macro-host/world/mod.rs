//! The host's own work: a game loop, a game server on TCP, and a request handler. It feeds the signals that
//! the host limits look at, measured and not made up.

mod fair_lock;
mod frames;
mod request;
mod server;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use haltline::monitor::Signals;

pub(crate) use fair_lock::FairLock;

/// What macros and the host share. Each part has its own lock; a macro that keeps one makes the host wait.
#[derive(Default)]
pub(crate) struct World {
    /// The game loop draws it.
    pub(crate) scene: FairLock,
    /// The game server answers from it.
    pub(crate) session: FairLock,
    /// The request handler reads it.
    pub(crate) market: FairLock,
    over: AtomicBool,
}

/// The threads of the world; they end when this is dropped.
pub(crate) struct Running {
    world: Arc<World>,
    address: std::net::SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl World {
    /// Starts the host's work.
    pub(crate) fn start(signals: &Signals) -> io::Result<Running> {
        let world = Arc::new(World::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let mut running =
            Running { address: listener.local_addr()?, world: world.clone(), threads: Vec::new() };
        let (address, of_frames) = (running.address, signals.clone());
        let (of_client, of_requests) = (signals.clone(), signals.clone());
        running.thread("frames", move |w| frames::draw(w, &of_frames))?;
        running.thread("server", move |w| server::answer(w, &listener))?;
        running.thread("client", move |w| server::ask(w, address, &of_client))?;
        running.thread("requests", move |w| request::serve(w, &of_requests))?;
        Ok(running)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl Running {
    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    fn thread(&mut self, name: &str, body: impl FnOnce(&World) + Send + 'static) -> io::Result<()> {
        let world = self.world.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(&world))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.over.store(true, Ordering::Relaxed);
        // The server waits for a connection; it sees the end after this one.
        let _ = std::net::TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
