//! Measures how long a TCP connection takes, on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
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
        if let Some(thread) = thread.filter(|_| !connecting && !PROBING.get()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop();
    }
}

thread_local! {
    /// Whether this is a probe's thread. To ask for the current `Thread` would leave a few bytes behind on a thread that
    /// is not Rust's.
    static PROBING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn probe_until_stopped(plan: &Plan, state: &State, tell: impl Fn(io::Result<Duration>)) {
    PROBING.set(true);
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
    let addresses = plan.address.to_socket_addrs().map_err(told)?;
    connect_any(addresses, plan.timeout).map_err(told)
}

/// The time of a connection to the first address that takes one: a name often has one for each version of IP, and a
/// server listens on one of them.
fn connect_any(addresses: impl Iterator<Item = SocketAddr>, timeout: Duration) -> io::Result<Duration> {
    let mut answer = Err(io::Error::other("no address"));
    for address in addresses {
        let start = Instant::now();
        answer = match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(start.elapsed()),
            // At least that long: a network that swallows everything must show as slow and not as unknown.
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(timeout),
            Err(_) if answer.is_ok() => answer,
            Err(e) => Err(e),
        };
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn of_several_addresses_the_one_that_answers_is_timed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let unused = TcpListener::bind("127.0.0.2:0").unwrap();
        let closed = unused.local_addr().unwrap();
        drop(unused);
        assert!(connect_any([closed, open].into_iter(), SECOND).unwrap() < SECOND);
        let refused = connect_any([closed].into_iter(), SECOND).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_any(std::iter::empty(), SECOND).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_swallows_everything_counts_with_the_whole_time_given_to_it() {
        // A listener that accepts nobody: once its queue is full the kernel drops what comes.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: the socket is open; a second call only changes the length of its queue.
        assert_eq!(unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) }, 0);
        let address = listener.local_addr().unwrap();
        let short = Duration::from_millis(100);
        let mut held = Vec::new();
        let full = std::iter::repeat_with(|| TcpStream::connect_timeout(&address, short)).take(16);
        let errors: Vec<_> = full.filter_map(|tried| tried.map(|stream| held.push(stream)).err()).collect();
        assert!(errors.iter().any(|e| e.kind() == io::ErrorKind::TimedOut), "{errors:?}");
        let unused = TcpListener::bind("127.0.0.2:0").unwrap();
        let closed = unused.local_addr().unwrap();
        drop(unused);
        assert_eq!(connect_any([address].into_iter(), short).unwrap(), short);
        assert_eq!(connect_any([address, closed].into_iter(), short).unwrap(), short);
    }
}
