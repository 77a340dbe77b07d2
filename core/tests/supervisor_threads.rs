//! Threads, futures and real time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::clock::{Clock, ManualClock};
use haltline::monitor::Monitor;
use haltline::supervisor::{Outcome, Profile, Supervisor};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn quick(name: &str) -> haltline::supervisor::profile::ProfileBuilder {
    Profile::builder(name).grace(50 * MS)
}

#[test]
fn max_duration_fires_on_time() {
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = quick("p").max_duration(20 * MS).build().unwrap();
    let mut late = Vec::new();
    for _ in 0..25 {
        let begun = Instant::now();
        let task = supervisor.start("timed", &profile).unwrap();
        task.sleep(5 * S).unwrap_err();
        late.push(begun.elapsed().checked_sub(20 * MS).expect("never before its time"));
    }
    late.sort();
    println!("max_duration: median {:?} late, worst {:?}", late[12], late[24]);
    assert!(late[12] < 5 * MS, "median {:?}", late[12]);
}

#[test]
fn a_thread_that_polls_is_stopped_and_one_that_does_not_is_still_running() {
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = quick("p").max_duration(30 * MS).build().unwrap();
    let polite = supervisor.spawn("polite", &profile, |token| while token.check().is_ok() {}).unwrap();
    let release = Arc::new(AtomicBool::new(false));
    let hold = release.clone();
    let deaf = supervisor
        .spawn("deaf", &profile, move |_| {
            while !hold.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        })
        .unwrap();
    assert_eq!(polite.token().wait_outcome(10 * S), Some(Outcome::Stopped));
    assert_eq!(deaf.token().wait_outcome(10 * S), Some(Outcome::StillRunning));
    release.store(true, Ordering::SeqCst);
    let token = deaf.token().clone();
    deaf.join().unwrap();
    let until = Instant::now() + 10 * S;
    while token.outcome() != Some(Outcome::Stopped) {
        assert!(Instant::now() < until, "{:?}", token.outcome());
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_ends_the_task_and_reaches_the_join() {
    let supervisor = Supervisor::builder().start().unwrap();
    let task = supervisor.spawn("broken", "heal", |_| panic!("out of mana")).unwrap();
    let error = task.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("out of mana"), "{error}");
    assert!(supervisor.active().is_empty());
}

#[test]
fn a_future_is_dropped_where_it_stands_when_it_does_not_leave() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = quick("p").max_duration(30 * MS).build().unwrap();
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Flag(dropped.clone());
    let future = supervisor
        .supervise("pending", &profile, |_| async move {
            let _flag = flag;
            std::future::pending::<()>().await;
        })
        .unwrap();
    let token = future.token().clone();
    let result = runtime.block_on(runtime.spawn(future)).unwrap();
    assert!(result.unwrap_err().to_string().contains("max_duration"));
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Killed));
}

#[test]
fn a_future_that_looks_at_its_token_leaves_by_itself() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = Profile::builder("p").max_duration(30 * MS).grace(30 * S).build().unwrap();
    let future = supervisor
        .supervise("polite", &profile, |token| {
            std::future::poll_fn(move |_| match token.is_cancelled() {
                true => std::task::Poll::Ready("left"),
                false => std::task::Poll::Pending,
            })
        })
        .unwrap();
    let token = future.token().clone();
    assert_eq!(runtime.block_on(runtime.spawn(future)).unwrap().unwrap(), "left");
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
}

#[test]
fn a_handler_that_blocks_delays_no_other_task() {
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = quick("p").max_duration(20 * MS).build().unwrap();
    let release = Arc::new(AtomicBool::new(false));
    let hold = release.clone();
    let first = supervisor.start("blocks", &profile).unwrap();
    first.on_cancel(move |_| {
        while !hold.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let _ = first.sleep(5 * S);
    let token = first.token().clone();
    drop(first);
    assert_eq!(token.wait_outcome(5 * S), Some(Outcome::Stopped));
    let second = supervisor.start("second", &profile).unwrap();
    assert!(second.sleep(5 * S).is_err());
    let token = second.token().clone();
    drop(second);
    assert_eq!(token.wait_outcome(5 * S), Some(Outcome::Stopped));
    release.store(true, Ordering::SeqCst);
}

#[test]
fn a_handler_that_holds_its_own_token_is_dropped_when_the_task_ends_by_itself() {
    let supervisor = Supervisor::builder().start().unwrap();
    let held = Arc::new(());
    for _ in 0..2 {
        let task = supervisor.start("cycle", "heal").unwrap();
        let (own, mine) = (task.token().clone(), held.clone());
        task.on_cancel(move |_| drop((own, mine)));
        assert!(task.finish());
    }
    assert_eq!(Arc::strong_count(&held), 1);
    let token = supervisor.start("over", "heal").unwrap().token().clone();
    let mine = held.clone();
    token.on_cancel(move |_| drop(mine));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_thousand_tasks_on_many_threads_all_end_and_are_counted() {
    let supervisor = Supervisor::builder().start().unwrap();
    let stopped = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for t in 0..16 {
            let (supervisor, stopped) = (&supervisor, &stopped);
            scope.spawn(move || {
                for n in 0..64 {
                    let task = supervisor.start(format!("{t}-{n}"), "craft").unwrap();
                    if n % 8 == 0 {
                        task.cancel("every eighth");
                    }
                    stopped.fetch_add(u64::from(task.is_cancelled()), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(stopped.load(Ordering::SeqCst), 128);
    let left = supervisor.shutdown(20 * S).unwrap();
    assert!(left.is_empty());
    let status = supervisor.status();
    assert_eq!((status.started, status.finished, status.active, status.stopped), (1024, 1024, 0, 128));
}

#[test]
fn a_host_that_drops_everything_leaves_its_tasks_cancelled_and_its_tokens_valid() {
    let supervisor = Supervisor::builder().start().unwrap();
    let thread = supervisor.spawn("polite", "dance", |token| while token.check().is_ok() {}).unwrap();
    let token = thread.token().clone();
    drop(supervisor);
    drop(thread);
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
    assert_eq!(token.cause().unwrap().to_string(), "the supervisor was shut down");
}

#[test]
fn nothing_starts_after_a_shutdown() {
    let supervisor = Supervisor::builder().start().unwrap();
    supervisor.shutdown(S).unwrap();
    assert_eq!(supervisor.start("late", "heal").unwrap_err().kind(), ErrorKind::ShutDown);
}

#[test]
fn a_shutdown_waits_for_handlers_and_says_when_one_does_not_return() {
    let supervisor = Supervisor::builder().start().unwrap();
    let task = supervisor.start("blocks", "heal").unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let returned = Arc::new(AtomicBool::new(false));
    let seen = returned.clone();
    task.on_cancel(move |_| {
        let _ = held.recv();
        seen.store(true, Ordering::SeqCst);
    });
    task.cancel("to see the handler");
    drop(task);
    let error = supervisor.shutdown(50 * MS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("handler"), "{error}");
    drop(release);
    supervisor.shutdown(20 * S).unwrap();
    assert!(returned.load(Ordering::SeqCst));
}

#[test]
fn a_token_that_outlives_its_supervisor_does_not_keep_the_monitor_sampling() {
    let monitor = Monitor::builder().interval(10 * MS).start().unwrap();
    let samples = monitor.bus().subscribe("monitor.sample", Default::default()).unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let task = supervisor.start("short", "heal").unwrap();
    let token = task.token().clone();
    drop(task);
    drop(supervisor);
    while samples.try_recv().is_some() {}
    assert!(samples.recv_timeout(100 * MS).is_none());
    assert!(token.is_finished());
}

#[test]
fn a_task_that_leaves_after_the_shutdown_still_becomes_stopped() {
    let supervisor = Supervisor::builder().start().unwrap();
    let profile = Profile::builder("p").grace(Duration::ZERO).build().unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let deaf = supervisor.spawn("deaf", &profile, move |_| held.recv().is_err()).unwrap();
    let left = supervisor.shutdown(20 * S).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(deaf.token().outcome(), Some(Outcome::StillRunning));
    drop(release);
    let token = deaf.token().clone();
    assert!(deaf.join().unwrap());
    assert_eq!(token.outcome(), Some(Outcome::Stopped));
    assert_eq!((supervisor.status().active, supervisor.status().still_running), (0, 0));
    assert!(supervisor.shutdown(S).unwrap().is_empty());
}

#[test]
fn a_shutdown_without_end_does_not_panic_and_starts_that_race_it_are_refused_or_stopped() {
    for _ in 0..50 {
        let supervisor = Supervisor::builder().start().unwrap();
        let starter = {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || {
                let mut last = None;
                while let Ok(task) = supervisor.start("racer", "heal") {
                    last = Some(task.token().clone());
                }
                last
            })
        };
        supervisor.shutdown(Duration::MAX).unwrap();
        starter.join().unwrap();
        assert_eq!(supervisor.status().active, 0);
    }
}

#[test]
fn whoever_waits_for_a_section_hears_of_its_end() {
    let supervisor = Supervisor::builder().start().unwrap();
    let (send, token) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let section = supervisor.clone();
    let thread = std::thread::spawn(move || {
        let task = section.start("section", "heal").unwrap();
        send.send(task.token().clone()).unwrap();
        let _ = ended.recv();
    });
    let token = token.recv().unwrap();
    let waiter = std::thread::spawn(move || token.wait_outcome(Duration::MAX));
    drop(end);
    thread.join().unwrap();
    assert_eq!(waiter.join().unwrap(), None);
}

#[test]
fn a_future_whose_making_panics_leaves_no_task() {
    let supervisor = Supervisor::builder().start().unwrap();
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(supervisor.supervise("broken", "heal", |_| -> std::future::Ready<()> { panic!("no future") }));
    }));
    assert!(made.is_err());
    assert!(supervisor.active().is_empty());
}

#[test]
fn the_monitor_that_comes_by_itself_runs_by_the_supervisors_clock() {
    let clock = ManualClock::new();
    clock.advance(7 * S);
    let supervisor = Supervisor::builder().clock(clock.clone()).start().unwrap();
    let monitor = supervisor.monitor();
    let until = Instant::now() + 20 * S;
    while monitor.latest().is_none() {
        assert!(Instant::now() < until, "a first sample");
        std::thread::yield_now();
    }
    // By the machine's own clock it would be one of the first moments of this process, or any later one.
    assert_eq!(monitor.latest().unwrap().at, clock.now());
}
