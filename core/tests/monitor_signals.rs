//! What the host feeds.
#![allow(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::clock::ManualClock;
use haltline::monitor::{Monitor, Signals, Source, Sources};

const FRAME: Duration = Duration::from_millis(20);

fn monitor() -> (Monitor, Signals, ManualClock) {
    let clock = ManualClock::new();
    let builder = Monitor::builder().clock(Arc::new(clock.clone())).sources(Sources::none());
    let monitor = builder.manual().unwrap();
    let signals = monitor.signals();
    (monitor, signals, clock)
}

fn play(signals: &Signals, clock: &ManualClock, frames: u32) {
    for _ in 0..frames {
        clock.advance(FRAME);
        signals.frame();
    }
}

#[test]
fn frames_become_a_rate_a_stall_and_a_pause() {
    let (monitor, signals, clock) = monitor();
    assert_eq!(monitor.sample_now().signals.fps, None, "no frame was ever fed");
    play(&signals, &clock, 200);
    let values = monitor.sample_now().signals.clone();
    assert!((values.fps.unwrap() - 50.0).abs() < 1e-6);
    assert!((values.frame_p99_ms.unwrap() - 20.0).abs() < 1e-6);
    assert_eq!(values.stall_ms, None);

    clock.advance(Duration::from_secs(4));
    let values = monitor.sample_now().signals.clone();
    assert!(values.fps.unwrap() <= 0.25, "{values:?}");
    assert_eq!(values.stall_ms, Some(4000.0));

    signals.pause();
    clock.advance(Duration::from_secs(60));
    let values = monitor.sample_now().signals.clone();
    assert_eq!((values.fps, values.frame_p99_ms, values.stall_ms), (None, None, None));

    signals.resume();
    play(&signals, &clock, 50);
    assert!((monitor.sample_now().signals.fps.unwrap() - 50.0).abs() < 1e-6);
}

#[test]
fn a_sample_holds_the_median_of_what_came_since_the_one_before() {
    let (monitor, signals, _) = monitor();
    for ms in [10, 20, 900] {
        signals.latency(Duration::from_millis(ms));
    }
    signals.response_ms(12.5).unwrap();
    let values = monitor.sample_now().signals.clone();
    assert_eq!((values.latency_ms, values.response_ms), (Some(20.0), Some(12.5)));
    let values = monitor.sample_now().signals.clone();
    assert_eq!((values.latency_ms, values.response_ms), (None, None), "old values are not repeated");
}

#[test]
fn a_closure_is_timed_even_if_it_panics() {
    let (monitor, signals, clock) = monitor();
    let answer = signals.time(|| {
        clock.advance(Duration::from_millis(30));
        42
    });
    assert_eq!(answer, 42);
    assert_eq!(monitor.sample_now().signals.response_ms, Some(30.0));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        signals.time(|| {
            clock.advance(Duration::from_millis(70));
            panic!("as planned");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(monitor.sample_now().signals.response_ms, Some(70.0));
}

#[test]
fn absurd_values_are_refused_and_name_the_value() {
    let (monitor, signals, _) = monitor();
    for ms in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let error = signals.latency_ms(ms).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(&ms.to_string()), "{error}");
        assert!(signals.response_ms(ms).is_err());
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(signals.gauge("queue", value).is_err());
    }
    assert!(signals.gauge("", 1.0).is_err());
    assert!(signals.gauge(&"x".repeat(129), 1.0).is_err());
    assert_eq!(monitor.sample_now().signals, Default::default());
    signals.latency(Duration::MAX);
    assert_eq!(monitor.sample_now().signals.latency_ms, Some(3_600_000.0), "an hour at most");
}

#[test]
fn gauges_keep_their_last_value_and_are_bounded() {
    let (monitor, signals, _) = monitor();
    for i in 0..256 {
        signals.gauge(&format!("g{i}"), f64::from(i)).unwrap();
    }
    assert!(signals.gauge("one too many", 1.0).unwrap_err().message().contains("256"));
    signals.gauge("g7", -1.5).unwrap();
    monitor.sample_now();
    let values = monitor.sample_now().signals.clone();
    assert_eq!((values.gauges.len(), values.gauges["g7"]), (256, -1.5));
    assert!(signals.clear_gauge("g7") && !signals.clear_gauge("g7"));
    signals.gauge("one too many", 1.0).unwrap();
}

#[test]
fn many_threads_may_feed_while_samples_are_taken() {
    let monitor = Monitor::builder().sources(Sources::none()).manual().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let signals = monitor.signals();
            scope.spawn(move || {
                for i in 0..5_000 {
                    signals.frame();
                    signals.latency(Duration::from_micros(i));
                    signals.gauge("depth", i as f64).unwrap();
                }
            });
        }
        for _ in 0..50 {
            assert!(monitor.sample_now().signals.fps.is_none_or(f64::is_finite));
        }
    });
}

#[test]
fn a_probe_feeds_latency_and_a_dead_port_degrades_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let every = Duration::from_millis(10);
    let start = |address: &str| {
        let builder = Monitor::builder().interval(every).sources(Sources::none().with(Source::Probe));
        builder.probe(address, every, Duration::from_secs(1)).start().unwrap()
    };
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let monitor = start(&address);
    let measured = |m: &Monitor| m.history().iter().any(|s| s.signals.latency_ms.is_some());
    wait("a latency", &|| measured(&monitor));
    drop(listener);
    wait("a refusal", &|| monitor.degraded().iter().any(|d| d.source == Source::Probe));
    let listener = TcpListener::bind(&address).unwrap();
    wait("a recovery", &|| monitor.degraded().is_empty());
    monitor.stop();
    drop(listener);
}
