//! A host in trouble: without threads, with a log that blocks, with a folder that goes away, or gone itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::clock::{Clock, ManualClock, SystemClock, Time};
use haltline::event::{Delivery, SubscribeOptions};
use haltline::monitor::{Monitor, Sample};
use haltline::supervisor::{Incident, Outcome, Profile, Stopper, Supervisor, Token};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn quick(name: &str) -> haltline::supervisor::profile::ProfileBuilder {
    Profile::builder(name).grace(50 * MS)
}

fn wait_for(what: &str, seen: impl Fn() -> bool) {
    let until = Instant::now() + 20 * S;
    while !seen() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(MS);
    }
}

/// Whether this is the child of a test that runs in a process of its own, because it changes the whole process.
fn is_child() -> bool {
    std::env::var_os("HALTLINE_TEST_CHILD").is_some()
}

/// Runs the named test again in a child, changed by `change`.
fn run_in_child(test: &str, program: &Path, change: impl FnOnce(&mut Command) -> &mut Command) {
    let mut child = Command::new(program);
    child.args(["--exact", test, "--nocapture"]).env("HALTLINE_TEST_CHILD", "1").current_dir("/");
    let done = change(&mut child).output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
}

/// The same as nobody, from a place that nobody can read: the limit on threads does not hold for root.
#[cfg(target_os = "linux")]
fn run_as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
    }
    run_in_child(test, &program, |child| match is_root {
        true => child.uid(65534).gid(65534),
        false => child,
    });
}

/// Takes away every further thread of this process; returns what gives them back.
#[cfg(target_os = "linux")]
fn without_threads() -> impl FnOnce() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), ..before }).unwrap();
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "the limit must hold for this test");
    move || setrlimit(Resource::Nproc, before).unwrap()
}

/// Where no thread can be started any more, as in the middle of a fork bomb, host code waits for one and then runs.
#[cfg(target_os = "linux")]
#[test]
fn host_code_waits_where_the_system_has_no_thread_left() {
    if !is_child() {
        return run_as_nobody("host_code_waits_where_the_system_has_no_thread_left");
    }
    let supervisor = Supervisor::builder().verify(20 * S).start().unwrap();
    let profile = quick("p").build().unwrap();
    let handled = Arc::new(AtomicBool::new(false));
    let task = supervisor.start("section", &profile).unwrap();
    let seen = handled.clone();
    task.on_cancel(move |outcome| seen.store(outcome == Outcome::Stopped, Ordering::SeqCst));
    let work = Arc::new(Asked::default());
    let foreign = supervisor.start_with("foreign", &profile, work.clone()).unwrap();

    let give_back = without_threads();
    task.cancel("no thread");
    foreign.cancel("no thread");
    let token = task.token().clone();
    drop(task);
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
    std::thread::sleep(200 * MS);
    assert!(!handled.load(Ordering::SeqCst) && !work.asked.load(Ordering::SeqCst));

    give_back();
    wait_for("the handler runs", || handled.load(Ordering::SeqCst));
    assert_eq!(foreign.wait_outcome(10 * S), Some(Outcome::Stopped));
}

/// Takes every further descriptor of this process, for as long as the result is kept.
#[cfg(target_os = "linux")]
fn without_descriptors() -> Vec<std::fs::File> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) }).unwrap();
    let mut taken = Vec::with_capacity(256);
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[cfg(target_os = "linux")]
#[test]
fn a_host_without_a_descriptor_left_measures_its_trees_sees_them_end_and_ends_them() {
    use haltline::supervisor::{Cause, Input, Limit};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
    use std::io::Write;

    if !is_child() {
        let own = std::env::current_exe().unwrap();
        let test = "a_host_without_a_descriptor_left_measures_its_trees_sees_them_end_and_ends_them";
        return run_in_child(test, &own, |child| child);
    }
    let monitor = Monitor::builder().interval(50 * MS).start().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let profile = quick("p").task_max_memory_mib(64.0).build().unwrap();
    let start = |script: &str| {
        let command = supervisor.command("sh").args(["-c", script]).stdin(Input::Piped);
        let task = command.spawn(&profile).unwrap();
        let stdin = task.take_stdin().unwrap();
        (task, stdin)
    };
    // It ends by itself if nobody ends it sooner.
    let (hog, mut feed) = start("ulimit -v 2000000; read x; exec tail /dev/zero");
    let (short, mut end) = start("read x");
    let (obedient, _open) = start("exec sleep 1000");
    let (lost, _open) = start("exec sleep 20");
    let sleeper = Pid::from_raw(lost.pid().cast_signed()).unwrap();
    let sleeper = pidfd_open(sleeper, PidfdFlags::empty()).unwrap();
    let guardian = Pid::from_raw(lost.guardian_pid().cast_signed()).unwrap();
    let taken = without_descriptors();

    end.write_all(b"\n").unwrap();
    assert!(short.wait_timeout(10 * S).unwrap().exit.success());
    obedient.cancel("enough");
    assert_eq!(obedient.wait_outcome(10 * S), Some(Outcome::Stopped));
    kill_process(guardian, Signal::KILL).unwrap();
    let mut ended = [PollFd::new(&sleeper, PollFlags::IN)];
    let patience = Timespec { tv_sec: 4, tv_nsec: 0 };
    assert_eq!(poll(&mut ended, Some(&patience)).unwrap(), 1, "it runs on without its guardian");
    feed.write_all(b"\n").unwrap();
    let done = hog.wait_timeout(20 * S).unwrap();
    assert!(
        matches!(&done.cancelled, Some(Cause::Breach(breach)) if breach.limit == Limit::TaskMemoryMib),
        "{:?}",
        done.cancelled
    );
    assert!(std::fs::File::open("/dev/null").is_err(), "there was a descriptor to be had");
    drop(taken);
}

#[cfg(target_os = "linux")]
#[test]
fn a_tree_that_cannot_be_looked_at_is_told_once_and_so_is_its_recovery() {
    use haltline::supervisor::Input;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    if !is_child() {
        let own = std::env::current_exe().unwrap();
        let test = "a_tree_that_cannot_be_looked_at_is_told_once_and_so_is_its_recovery";
        return run_in_child(test, &own, |child| child);
    }
    let monitor = Monitor::builder().interval(50 * MS).start().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let events = supervisor.bus().subscribe("monitor.degraded", SubscribeOptions::default()).unwrap();
    let profile = quick("p").task_max_memory_mib(64.0).build().unwrap();
    let command = supervisor.command("sleep").arg("1000").stdin(Input::Null);
    let task = command.spawn(&profile).unwrap();
    let told = |recovered: bool| {
        let event = loop {
            let delivery = events.recv_timeout(20 * S).expect("an event");
            if let Delivery::Event(event) = delivery
                && event.data()["source"] == "task"
            {
                break event;
            }
        };
        assert_eq!(event.subject(), Some(task.id().to_string().as_str()));
        assert_eq!(event.data()["recovered"], recovered, "{:?}", event.data());
        assert_eq!(event.data()["reason"].as_str().is_some_and(|r| r.contains("open files")), !recovered);
    };

    // Not even a thread with descriptors of its own has one more than the standard streams.
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
    told(false);
    setrlimit(Resource::Nofile, before).unwrap();
    told(true);
    task.kill("enough");
}

/// A breach that cancels nobody is recorded by whoever samples, and nothing is due to the watch thread then.
#[cfg(target_os = "linux")]
#[test]
fn a_record_made_without_a_thread_is_told_once_there_is_one() {
    if !is_child() {
        return run_as_nobody("a_record_made_without_a_thread_is_told_once_there_is_one");
    }
    let monitor = Monitor::builder().manual().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor.clone()).start().unwrap();
    let told = supervisor.bus().subscribe("task.breach", SubscribeOptions::default()).unwrap();
    let profile = quick("p").host_max_latency_ms(1.0).sustain(Duration::ZERO).build().unwrap();
    let task = supervisor.start("section", &profile).unwrap();
    let give_back = without_threads();
    let mut sample = Sample::unknown(SystemClock.now(), SystemClock.wall());
    sample.signals.latency_ms = Some(1000.0);
    monitor.feed(sample);
    assert_eq!(supervisor.incidents(9).len(), 1);
    assert!(told.recv_timeout(100 * MS).is_none());
    give_back();
    assert!(told.recv_timeout(20 * S).is_some());
    assert!(!task.is_cancelled());
}

/// Work that leaves when it is asked to.
#[derive(Default)]
struct Asked {
    asked: AtomicBool,
}

impl Stopper for Asked {
    fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }
    fn force(&self) -> bool {
        false
    }
    fn is_gone(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A subscriber of the log that never returns, like one that writes to a pipe nobody reads.
struct Stuck(Mutex<mpsc::Sender<()>>);

impl tracing::Subscriber for Stuck {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        let _ = self.0.lock().unwrap().send(());
        loop {
            std::thread::park();
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_log_that_blocks_delays_no_deadline_no_record_and_no_event() {
    if !is_child() {
        let program = std::env::current_exe().unwrap();
        run_in_child("a_log_that_blocks_delays_no_deadline_no_record_and_no_event", &program, |child| child);
        return;
    }
    let (began, blocked) = mpsc::channel();
    tracing::subscriber::set_global_default(Stuck(Mutex::new(began))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("incidents.jsonl");
    let supervisor = Supervisor::builder().incident_file(&path).start().unwrap();
    let events = supervisor.bus().subscribe("task.cancelled", Default::default()).unwrap();
    let profile = quick("p").max_duration(20 * MS).build().unwrap();
    for n in 0..5 {
        let task = supervisor.start(format!("task {n}"), &profile).unwrap();
        task.sleep(10 * S).unwrap_err();
        let token = task.token().clone();
        drop(task);
        assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped), "task {n}");
        if n == 0 {
            blocked.recv_timeout(10 * S).expect("the log is written to, and blocks");
        }
    }
    supervisor.flush(10 * S).unwrap();
    assert_eq!(Incident::read_file(&path).unwrap().len(), 5);
    assert_eq!(std::iter::from_fn(|| events.try_recv()).count(), 5);
    let begun = Instant::now();
    assert!(supervisor.shutdown(60 * S).unwrap().is_empty());
    assert!(begun.elapsed() < 30 * S, "it does not wait for the log");
}

#[cfg(unix)]
#[test]
fn an_incident_file_whose_folder_goes_away_is_reported_and_written_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("incidents");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("incidents.jsonl");
    let supervisor = Supervisor::builder().incident_file(&path).start().unwrap();
    let told = supervisor.bus().subscribe("incident.unwritten", Default::default()).unwrap();
    let cancel = |name: &'static str| {
        let task = supervisor.start(name, "heal").unwrap();
        task.cancel("test");
        let token = task.token().clone();
        drop(task);
        assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
    };
    cancel("before");
    supervisor.flush(10 * S).unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    cancel("meanwhile");
    assert_eq!(supervisor.flush(10 * S).unwrap_err().kind(), ErrorKind::Io);
    let failure = supervisor.status().incident_file_failure.unwrap();
    assert!(failure.contains(path.to_str().unwrap()), "{failure}");
    assert!(told.recv_timeout(10 * S).is_some());
    std::fs::create_dir(&inner).unwrap();
    cancel("after");
    wait_for("the file is written again", || supervisor.flush(10 * S).is_ok());
    let names: Vec<String> =
        Incident::read_file(&path).unwrap().into_iter().map(|i| i.task.unwrap().name).collect();
    assert_eq!(names, ["meanwhile", "after"]);
    assert_eq!(supervisor.status().incident_file_failure, None);
    assert_eq!((supervisor.status().incidents_lost, supervisor.incidents(9).len()), (0, 3));
}

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
    let count = |token: &haltline::supervisor::Token| {
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
fn a_handler_that_panics_holds_up_neither_the_next_nor_the_shutdown_and_a_late_one_runs_at_once() {
    let supervisor = Supervisor::builder().verify(50 * MS).start().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let deaf = supervisor.spawn("deaf", quick("p").build().unwrap(), move |_| held.recv().is_ok()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    deaf.on_cancel(|_| panic!("a handler panics"));
    let kept = seen.clone();
    deaf.on_cancel(move |outcome| kept.lock().unwrap().push(outcome));
    deaf.cancel("test");
    assert_eq!(deaf.wait_outcome(10 * S), Some(Outcome::StillRunning));
    wait_for("the second handler runs", || seen.lock().unwrap().len() == 1);
    // Added when the outcome is known: it runs here, and the late end calls nobody again.
    let kept = seen.clone();
    deaf.on_cancel(move |outcome| kept.lock().unwrap().push(outcome));
    assert_eq!(*seen.lock().unwrap(), [Outcome::StillRunning; 2]);
    drop(release);
    wait_for("it leaves late", || deaf.outcome() == Some(Outcome::Stopped));
    supervisor.shutdown(10 * S).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
}

/// The host's own, set to a time that no record can spell.
struct Misset {
    wall: std::time::SystemTime,
}

impl Clock for Misset {
    fn now(&self) -> Time {
        SystemClock.now()
    }
    fn wall(&self) -> std::time::SystemTime {
        self.wall
    }
}

#[test]
fn a_calendar_before_1970_or_after_9999_loses_no_cancellation() {
    let epoch = std::time::UNIX_EPOCH;
    for (wall, told) in
        [(epoch - S, "1970-01-01T"), (epoch + Duration::from_secs(300_000_000_000), "9999-12-31T")]
    {
        let supervisor = Supervisor::builder().clock(Misset { wall }).start().unwrap();
        let task = supervisor.start("task", quick("p").build().unwrap()).unwrap();
        let token = task.token().clone();
        token.cancel("done");
        drop(task);
        assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
        assert!(supervisor.incidents(1)[0].time.starts_with(told));
    }
}

#[test]
fn the_monitor_that_comes_by_itself_runs_by_the_supervisors_clock() {
    let clock = ManualClock::new();
    clock.advance(7 * S);
    let supervisor = Supervisor::builder().clock(clock.clone()).start().unwrap();
    let monitor = supervisor.monitor();
    wait_for("a first sample", || monitor.latest().is_some());
    // By the machine's own clock it would be one of the first moments of this process, or any later one.
    assert_eq!(monitor.latest().unwrap().at, clock.now());
}

/// Work whose stopper panics over all that it is asked, or over the request alone.
struct Panicking {
    only_at_first: bool,
    forced: AtomicBool,
}

impl Stopper for Panicking {
    fn request(&self) {
        panic!("as planned");
    }
    fn force(&self) -> bool {
        self.forced.store(true, Ordering::SeqCst);
        assert!(self.only_at_first, "as planned");
        true
    }
    fn is_gone(&self) -> bool {
        assert!(self.only_at_first, "as planned");
        self.forced.load(Ordering::SeqCst)
    }
}

#[test]
fn a_stopper_that_panics_is_asked_further_and_never_taken_at_its_word() {
    let supervisor = Supervisor::builder().verify(200 * MS).start().unwrap();
    for (only_at_first, outcome) in [(true, Outcome::Killed), (false, Outcome::StillRunning)] {
        let work = Arc::new(Panicking { only_at_first, forced: AtomicBool::new(false) });
        let task = supervisor.start_with("foreign", quick("p").build().unwrap(), work.clone()).unwrap();
        task.cancel("stop");
        assert_eq!(task.wait_outcome(10 * S), Some(outcome));
        assert!(work.forced.load(Ordering::SeqCst));
    }
}

/// Work whose stopper hangs in its request and can still be forced.
#[derive(Default)]
struct Hanging {
    gone: AtomicBool,
    release: std::sync::Condvar,
    released: Mutex<bool>,
}

impl Stopper for Hanging {
    fn request(&self) {
        let held = self.released.lock().unwrap();
        drop(self.release.wait_while(held, |released| !*released).unwrap());
    }
    fn force(&self) -> bool {
        self.gone.store(true, Ordering::SeqCst);
        true
    }
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

#[test]
fn a_stopper_that_hangs_in_its_request_is_forced_after_the_grace_and_at_once_without_one() {
    let stops: [fn(&Token) -> bool; 2] = [|token| token.cancel("test"), |token| token.kill("test")];
    for stop in stops {
        let supervisor = Supervisor::builder().start().unwrap();
        let work = Arc::new(Hanging::default());
        let task = supervisor.start_with("hangs", quick("p").build().unwrap(), work.clone()).unwrap();
        assert!(stop(task.token()));
        assert_eq!(task.wait_outcome(10 * S), Some(Outcome::Killed));
        *work.released.lock().unwrap() = true;
        work.release.notify_all();
        supervisor.shutdown(10 * S).unwrap();
    }
}

/// Work that stays although it was asked and forced, until it leaves after all.
#[derive(Default)]
struct Stubborn(AtomicBool);

impl Stopper for Stubborn {
    fn request(&self) {}
    fn force(&self) -> bool {
        true
    }
    fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_dropped_handle_is_no_proof_that_the_work_is_gone() {
    let supervisor = Supervisor::builder().verify(50 * MS).start().unwrap();
    let work = Arc::new(Stubborn::default());
    let task = supervisor.start_with("stubborn", quick("p").build().unwrap(), work.clone()).unwrap();
    let token = task.token().clone();
    task.cancel("test");
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::StillRunning));
    drop(task);
    std::thread::sleep(300 * MS);
    assert_eq!((token.outcome(), supervisor.active().len()), (Some(Outcome::StillRunning), 1));
    work.0.store(true, Ordering::SeqCst);
    wait_for("it is seen to be gone", || token.outcome() == Some(Outcome::Killed));
    assert!(supervisor.active().is_empty());
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
