//! Incidents: what they tell, the file that they are written to, and what becomes of them where it cannot be written.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod child;
mod stage;

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::clock::{Clock, SystemClock, Time};
use haltline::supervisor::{Incident, Outcome, Supervisor};
use stage::{MS, S, quick, wait_for};

#[cfg(target_os = "linux")]
#[test]
fn an_incident_names_the_command_with_its_secrets_masked_and_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("incidents.jsonl");
    let supervisor = Supervisor::builder().incident_file(&path).start().unwrap();
    let profile = quick("p").max_duration(100 * MS).build().unwrap();
    let words = ["-c", "sleep 1000", "--password=hunter2"];
    supervisor.command("sh").args(words).env("API_TOKEN", "hunter3").output(&profile).unwrap();
    supervisor.flush(10 * S).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("hunter3"), "{text}");
    let read = Incident::read_file(&path).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].id, supervisor.incidents(1)[0].id);
    assert_eq!(read[0].task.as_ref().unwrap().command[0], "sh");
    assert!(!read[0].task.as_ref().unwrap().pids.is_empty());
    // Wherever a crash cuts a line short and a later start ends it, the others can still be read.
    let line = text.trim_end();
    for cut in (1..line.len()).filter(|cut| line.is_char_boundary(*cut)).step_by(7) {
        let torn = folder.path().join("torn.jsonl");
        std::fs::write(&torn, format!("{}\n{line}\n", &line[..cut])).unwrap();
        assert_eq!(Incident::read_file(&torn).unwrap().len(), 1, "cut after {cut} bytes");
    }
    let copy = folder.path().join("copy.jsonl");
    assert_eq!(supervisor.export_incidents(&copy).unwrap(), 1);
    assert_eq!(Incident::read_file(&copy).unwrap()[0].id, read[0].id);
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

#[cfg(target_os = "linux")]
#[test]
fn incidents_onto_a_full_disk_lose_no_task_and_are_reported() {
    let supervisor = Supervisor::builder().incident_file("/dev/full").start().unwrap();
    let profile = quick("p").max_duration(50 * MS).build().unwrap();
    let done = supervisor.command("sleep").arg("1000").output(&profile).unwrap();
    assert_eq!(done.outcome, Some(Outcome::Stopped));
    assert_eq!(supervisor.flush(10 * S).unwrap_err().kind(), ErrorKind::Io);
    assert!(supervisor.status().incident_file_failure.unwrap().contains("/dev/full"));
    assert_eq!(supervisor.incidents(10).len(), 1, "kept in memory");
}

#[cfg(target_os = "linux")]
#[test]
fn an_incident_file_that_cannot_be_opened_is_an_error_at_the_start() {
    let path = std::path::Path::new("/proc/no-such-folder/incidents.jsonl");
    let error = Supervisor::builder().incident_file(path).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("/proc/no-such-folder"), "{error}");
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

#[cfg(unix)]
#[test]
fn what_waits_too_long_for_its_file_is_lost_from_the_oldest_on_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("incidents");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("incidents.jsonl");
    let supervisor = Supervisor::builder().incident_file(&path).manual().unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    const MADE: usize = 4200;
    for n in 0..MADE {
        let task = supervisor.start(n.to_string(), "heal").unwrap();
        task.cancel("test");
        drop(task);
        supervisor.tick();
    }
    let lost = supervisor.status().incidents_lost as usize;
    assert!(supervisor.flush(10 * S).is_err());
    // So many wait; whether one more is just being written makes a difference of one.
    assert!((4096..=4097).contains(&(MADE - lost)), "{lost} lost");
    std::fs::create_dir(&inner).unwrap();
    wait_for("the file is written again", || supervisor.flush(10 * S).is_ok());
    let written: Vec<String> =
        Incident::read_file(&path).unwrap().into_iter().map(|i| i.task.unwrap().name).collect();
    assert_eq!(written.len(), MADE - lost);
    // All but one that may have been at the disk while a later one was given up.
    let latest: Vec<String> = (MADE - 4095..MADE).map(|n| n.to_string()).collect();
    assert!(written.ends_with(&latest));
    assert_eq!(supervisor.status().incidents_lost as usize, lost);
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
    if child::part().is_none() {
        return child::run("a_log_that_blocks_delays_no_deadline_no_record_and_no_event");
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
