//! What a host drops, and what is dropped of it: handles, tasks, and what it gave away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use haltline::event::SubscribeOptions;
use haltline::monitor::Monitor;
use haltline::supervisor::{Outcome, Profile, Stopper, Supervisor, Token};
use stage::{Asked, MS, S, quick, wait_for};

/// Says on which thread it was dropped.
struct Dropped(Arc<Mutex<Vec<String>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push(name);
    }
}

struct Holding(Asked, #[allow(dead_code)] Dropped);

impl Stopper for Holding {
    fn request(&self) {
        self.0.request();
    }
    fn force(&self) -> bool {
        self.0.force()
    }
    fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

#[test]
fn no_thread_that_watches_drops_what_the_host_gave() {
    let monitor = Monitor::builder().interval(10 * MS).start().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let profile = quick("p").max_duration(5 * MS).build().unwrap();
    let dropped = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..200 {
        let stopper = Arc::new(Holding(Asked::default(), Dropped(dropped.clone())));
        let task = supervisor.start_with("foreign", &profile, stopper).unwrap();
        let held = Dropped(dropped.clone());
        task.on_cancel(move |_| drop(held));
        // From here on the last holder is the host or haltline, whoever is later.
        task.wait_outcome(10 * S);
    }
    #[cfg(target_os = "linux")]
    for _ in 0..5 {
        let held = Dropped(dropped.clone());
        let task = supervisor.command("true").spawn("heal").unwrap();
        task.on_cancel(move |_| drop(held));
        assert!(task.wait().unwrap().cancelled.is_none());
    }
    let all = if cfg!(target_os = "linux") { 405 } else { 400 };
    wait_for("everything is dropped", || dropped.lock().unwrap().len() == all);
    let names = dropped.lock().unwrap();
    let watching = ["hl-watch", "hl-monitor", "hl-process", "hl-incident"];
    let wrong = names.iter().filter(|name| watching.contains(&name.as_str())).count();
    assert_eq!(wrong, 0, "of {}", names.len());
}

/// The last handle goes while tasks of every kind run: each is cancelled, verified, and its handler called.
#[test]
fn a_host_that_drops_everything_at_once_leaves_nothing_running() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let supervisor = Supervisor::builder().verify(200 * MS).start().unwrap();
    let profile = quick("p").build().unwrap();
    let handled = Arc::new(AtomicUsize::new(0));
    let count = |token: &Token| {
        let handled = handled.clone();
        token.on_cancel(move |_| {
            handled.fetch_add(1, Ordering::SeqCst);
        });
        token.clone()
    };
    let future = supervisor.supervise("future", &profile, |_| std::future::pending::<()>()).unwrap();
    let mut tokens = vec![(count(future.token()), Outcome::Killed)];
    runtime.spawn(future);
    let polite = supervisor.spawn("polite", &profile, |token| while token.check().is_ok() {}).unwrap();
    tokens.push((count(polite.token()), Outcome::Stopped));
    let (release, held) = mpsc::channel::<()>();
    let deaf = supervisor.spawn("deaf", &profile, move |_| held.recv().is_ok()).unwrap();
    tokens.push((count(deaf.token()), Outcome::StillRunning));
    let foreign = supervisor.start_with("foreign", &profile, Arc::new(Asked::default())).unwrap();
    tokens.push((count(foreign.token()), Outcome::Stopped));
    let section = supervisor.start("section", &profile).unwrap();
    tokens.push((count(section.token()), Outcome::Stopped));
    #[cfg(target_os = "linux")]
    {
        let patient = Profile::builder("patient").grace(20 * S).build().unwrap();
        let command = supervisor.command("sleep").arg("1000").spawn(patient).unwrap();
        tokens.push((count(command.token()), Outcome::Stopped));
    }
    drop((supervisor, polite, deaf));
    wait_for("sections are asked", || section.is_cancelled() && foreign.is_cancelled());
    drop((section, foreign));
    for (token, expected) in &tokens {
        assert_eq!(token.wait_outcome(10 * S), Some(*expected), "{}", token.name());
        assert_eq!(token.cause().unwrap().to_string(), "the supervisor was shut down", "{}", token.name());
    }
    wait_for("every handler is called", || handled.load(Ordering::SeqCst) == tokens.len());
    drop(release);
    wait_for("the deaf one leaves late and is seen to", || tokens[2].0.outcome() == Some(Outcome::Stopped));
    assert_eq!(handled.load(Ordering::SeqCst), tokens.len(), "each handler ran once");
}

#[test]
fn a_host_may_catch_a_panic_around_its_calls() {
    let supervisor = Supervisor::builder().start().unwrap();
    let caught = std::panic::catch_unwind(|| {
        let _task = supervisor.start("section", "heal").unwrap();
        panic!("the host panics");
    });
    assert!(caught.is_err() && supervisor.active().is_empty());
}

#[test]
fn a_stream_of_events_ends_with_the_last_handle_of_a_task_or_when_it_is_closed() {
    let start = || {
        let supervisor = Supervisor::builder().start().unwrap();
        let events = supervisor.bus().subscribe("task.*", SubscribeOptions::default()).unwrap();
        let token = supervisor.start("section", "heal").unwrap().token().clone();
        (events, token)
    };
    let (events, token) = start();
    assert!(token.is_finished());
    std::thread::scope(|scope| {
        let all = scope.spawn(|| events.iter().count());
        drop(token);
        assert_eq!(all.join().unwrap(), 2);
    });
    let (events, _token) = start();
    std::thread::scope(|scope| {
        let all = scope.spawn(|| events.iter().count());
        events.close();
        assert_eq!(all.join().unwrap(), 2);
    });
}
