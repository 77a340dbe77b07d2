//! Measures how long a TCP connection takes, on a thread of its own.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::degraded::Ledger;
use super::signal::Signals;
use super::source::{Source, Verdicts};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(600);

/// Where to connect and how often.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) address: String,
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

impl Plan {
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        let port = self.address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
            return invalid(format!("probe address {:?}: \"host:port\" is right", self.address));
        }
        for (name, value) in [("interval", self.every), ("timeout", self.timeout)] {
            if !(SHORTEST..=LONGEST).contains(&value) {
                return invalid(format!(
                    "probe {name} {value:?} is out of range: 10 ms to 10 minutes is right"
                ));
            }
        }
        Ok(())
    }
}

/// A running probe.
pub(super) struct Probe {
    state: Arc<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    now: Mutex<Phase>,
    condition: Condvar,
}

#[derive(Default)]
struct Phase {
    stopped: bool,
    connecting: bool,
}

impl Probe {
    pub(super) fn start(
        plan: Plan,
        signals: Signals,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Result<Probe> {
        let state = Arc::new(State::default());
        let of_thread = state.clone();
        let thread = std::thread::Builder::new()
            .name("hl-probe".into())
            .spawn(move || {
                probe_until_stopped(&plan, &of_thread, |result| {
                    let mut verdicts = Verdicts::default();
                    if let Some(latency) = verdicts.keep(Source::Probe, result) {
                        signals.latency(latency);
                    }
                    ledger.judge(clock.now(), verdicts);
                });
            })
            .map_err(|e| Error::new(ErrorKind::SpawnFailed, format!("the probe's thread: {e}")))?;
        Ok(Probe { state, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the probing. A connection under way is not waited for: looking up a name can take long and
    /// cannot be interrupted. Its thread leaves by itself and its result is dropped.
    pub(super) fn stop(&self) {
        let mut now = self.state.now.lock();
        now.stopped = true;
        let connecting = now.connecting;
        drop(now);
        self.state.condition.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|t| !connecting && t.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop();
    }
}

fn probe_until_stopped(plan: &Plan, state: &State, tell: impl Fn(io::Result<Duration>)) {
    let mut due = Instant::now();
    let mut now = state.now.lock();
    loop {
        while !now.stopped && !state.condition.wait_until(&mut now, due).timed_out() {}
        if now.stopped {
            return;
        }
        now.connecting = true;
        drop(now);
        let result = connect(plan);
        now = state.now.lock();
        now.connecting = false;
        if now.stopped {
            return;
        }
        drop(now);
        tell(result);
        due = (due + plan.every).max(Instant::now());
        now = state.now.lock();
    }
}

/// The time of one connection. The lookup of the name is not in it.
fn connect(plan: &Plan) -> io::Result<Duration> {
    let told = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", plan.address));
    let address = plan.address.to_socket_addrs().map_err(told)?.next();
    let address = address.ok_or_else(|| io::Error::other(format!("{}: no address", plan.address)))?;
    let start = Instant::now();
    match TcpStream::connect_timeout(&address, plan.timeout) {
        Ok(_) => Ok(start.elapsed()),
        // At least that long: a network that swallows everything must show as slow and not as unknown.
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(plan.timeout),
        Err(e) => Err(told(e)),
    }
}
