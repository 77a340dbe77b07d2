//! Whether an act can be shown on this machine as it is. Pure.
//!
//! An act proves something only if its macro is what breaks the limit, if it can break it, and if no other
//! limit breaks first. Beside other programs that is not always so.

use std::time::Duration;

use crate::cast::Role;
use crate::crowd::Crowd;
use crate::limits::{Bound, Limits, NOISE, spinning};

const LATEST: Duration = Duration::from_secs(40);
/// How much more than the least share a macro must have to be safely above it.
const SAFE: f64 = 1.5;
/// A little more than the percent of one core that a task must use for frames, latency or response times to be
/// blamed on it.
const ENOUGH_CORE_PERCENT: f64 = 12.5;

/// What the host's signals say: frames per second, then latency and response time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    pub(crate) fps: Option<f64>,
    pub(crate) latency: Option<f64>,
    pub(crate) response: Option<f64>,
}

/// Why there is no limit for the act of `role` to break, if there is none.
pub(crate) fn missing(role: Role, limits: &Limits) -> Option<&str> {
    let bound = match role {
        Role::Cpu => &limits.cpu,
        Role::Memory => &limits.memory,
        Role::Frames => &limits.fps,
        Role::Latency => &limits.latency,
        Role::Response => &limits.response,
        // A limit of the task alone.
        Role::Overrun | Role::Deaf | Role::Daemon => return None,
        Role::Thread | Role::Process | Role::Future | Role::Errand => return None,
    };
    bound.as_ref().err().map(String::as_str)
}

/// Why the act of `role` proves nothing beside `crowd`, as a part of a sentence; `None` if it can be shown.
/// `began` is whether the crowd was measured during the act, so that its own use is that of the macro.
pub(crate) fn beside(role: Role, limits: &Limits, crowd: &Crowd, began: bool) -> Option<String> {
    if let Some(why) = missing(role, limits) {
        return Some(why.to_owned());
    }
    match role {
        Role::Cpu => cpu(*limits.cpu.as_ref().ok()?, limits, crowd),
        Role::Memory => memory(*limits.memory.as_ref().ok()?, limits, crowd),
        Role::Frames | Role::Latency | Role::Response => hold(limits, crowd, began),
        // A limit of the task alone: what others do is no part of it.
        Role::Overrun | Role::Deaf | Role::Daemon => None,
        Role::Thread | Role::Process | Role::Future | Role::Errand => None,
    }
}

/// Why no act about the host can begin with signals like these: a limit is broken already.
pub(crate) fn signal(limits: &Limits, signals: &Signals) -> Option<String> {
    let broken = |value: Option<f64>, bound: &Bound, is_least: bool| {
        let (value, bound) = (value?, *bound.as_ref().ok()?);
        let broken = if is_least { value <= bound } else { value >= bound };
        broken.then_some((value, bound))
    };
    if let Some((v, b)) = broken(signals.fps, &limits.fps, true) {
        return Some(format!("before it began the game drew {v:.0} frames a second; the limit is {b:.0}"));
    }
    if let Some((v, b)) = broken(signals.latency, &limits.latency, false) {
        return Some(format!("before it began the game server took {v:.0} ms; the limit is {b:.0}"));
    }
    let (v, b) = broken(signals.response, &limits.response, false)?;
    Some(format!("before it began requests took {v:.0} ms; the limit is {b:.0}"))
}

/// Why no act about the host begins any more after `so_far`: each has its longest time, and the whole scene is to
/// be over within a minute, whatever other programs do.
pub(crate) fn late(so_far: Duration) -> Option<String> {
    let seconds = so_far.as_secs();
    (so_far > LATEST).then(|| {
        format!("the scene took {seconds} s so far beside other programs and is to be over within a minute")
    })
}

fn cpu(bound: f64, limits: &Limits, crowd: &Crowd) -> Option<String> {
    if crowd.cpu_most > bound - NOISE {
        return Some(format!(
            "other programs used {:.0} % of the processor; the limit is {bound:.0} %",
            crowd.cpu_most
        ));
    }
    let reach = crowd.cpu_least + limits.spin_percent;
    (reach < bound + NOISE).then(|| {
        format!(
            "other programs used only {:.0} % of the processor, so that {} more reach {reach:.0} %; the limit is {bound:.0} %",
            crowd.cpu_least,
            spinning(limits.threads)
        )
    })
}

fn memory(bound: f64, limits: &Limits, crowd: &Crowd) -> Option<String> {
    let apart = 0.1 * limits.hog_percent;
    if crowd.memory_most > bound - apart {
        return Some(format!(
            "other programs took memory meanwhile, up to {:.1} %; the limit is {bound:.1} %",
            crowd.memory_most
        ));
    }
    let reach = crowd.memory_least + limits.hog_percent;
    if reach >= bound + apart {
        return first_cpu(limits, crowd, limits.grow_percent);
    }
    Some(format!(
        "other programs gave memory back meanwhile, down to {:.1} %, so that {} MiB more reach {reach:.1} %; the limit is {bound:.1} %",
        crowd.memory_least,
        limits.hog_bytes >> 20
    ))
}

/// A macro that keeps a lock is blamed by its part of the processor.
fn hold(limits: &Limits, crowd: &Crowd, began: bool) -> Option<String> {
    let own = if began { crowd.own_cpu.min(limits.hold_percent) } else { limits.hold_percent };
    let share = own / (own + crowd.cpu_most);
    // In percent of one core: all that `burn` says, if nobody takes a part of it.
    let core_percent = 100.0 * limits.burn * own / limits.hold_percent;
    if share < SAFE * limits.min_share || core_percent < ENOUGH_CORE_PERCENT {
        return Some(format!(
            "other programs used {:.0} % of the processor and left the macro {own:.1} %, too small a part to be blamed for",
            crowd.cpu_most
        ));
    }
    first_cpu(limits, crowd, limits.hold_percent)
}

/// Why a macro that uses `own` percent of the processor, though that is not its act, would rather be blamed for it.
fn first_cpu(limits: &Limits, crowd: &Crowd, own: f64) -> Option<String> {
    let bound = *limits.cpu.as_ref().ok()?;
    let both = crowd.cpu_most + own;
    // What is left to others beside it; where they break the limit alone, nobody is blamed for it.
    let left = crowd.cpu_least.min(100.0 - own);
    (both > bound - NOISE && left < bound).then(|| {
        format!(
            "other programs used {:.0} % of the processor, which with the macro's own {:.0} % breaks the limit of {bound:.0} % on that",
            crowd.cpu_most, own
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Baseline;

    const ACTS: [Role; 5] = [Role::Cpu, Role::Memory, Role::Frames, Role::Latency, Role::Response];

    fn base(cpu: f64) -> Baseline {
        Baseline {
            cpu,
            memory: 10.0,
            used_bytes: 2 << 30,
            limit_bytes: 20 << 30,
            drift_bytes: 0,
            fps: 60.0,
            latency: 0.3,
            response: 0.1,
            cores: 2.0,
        }
    }

    fn crowd(cpu: f64) -> Crowd {
        Crowd { cpu_least: cpu, cpu_most: cpu, memory_least: 10.0, memory_most: 10.0, own_cpu: 15.0 }
    }

    #[test]
    fn beside_what_the_baseline_saw_every_act_that_has_a_limit_can_be_shown() {
        for percent in 0..=100 {
            let limits = Limits::of(&base(percent.into()), 2);
            for role in ACTS {
                let why = beside(role, &limits, &crowd(percent.into()), false);
                let expected = role != Role::Cpu || limits.cpu.is_ok();
                assert_eq!(why.is_none(), expected, "{role:?} at {percent} %: {why:?}");
            }
        }
    }

    #[test]
    fn the_processor_act_is_not_shown_beside_a_full_processor() {
        let limits = Limits::of(&base(97.0), 2);
        let why = beside(Role::Cpu, &limits, &crowd(97.0), false).unwrap();
        assert!(why.starts_with("other programs use 97 % of the processor"), "{why}");
        // The load came after the baseline.
        let limits = Limits::of(&base(5.0), 2);
        let why = beside(Role::Cpu, &limits, &crowd(97.0), true).unwrap();
        assert!(why.contains("used 97 %") && why.contains("limit is 74 %"), "{why}");
        assert_eq!(beside(Role::Cpu, &limits, &crowd(60.0), true), None);
    }

    #[test]
    fn a_spinner_that_cannot_reach_the_limit_alone_is_not_shown_once_the_others_have_left() {
        // One thread of two cores: half the processor.
        let limits = Limits::of(&base(40.0), 1);
        assert!(limits.cpu.is_ok());
        assert_eq!(beside(Role::Cpu, &limits, &crowd(40.0), false), None);
        let why = beside(Role::Cpu, &limits, &crowd(5.0), false).unwrap();
        assert!(why.contains("used only 5 %"), "{why}");
    }

    #[test]
    fn memory_that_others_took_or_gave_back_leaves_nothing_to_show() {
        let limits = Limits::of(&base(5.0), 2);
        let with = |least, most| Crowd { memory_least: least, memory_most: most, ..crowd(5.0) };
        assert_eq!(beside(Role::Memory, &limits, &with(9.0, 11.0), true), None);
        let why = beside(Role::Memory, &limits, &with(10.0, 12.4), true).unwrap();
        assert!(why.contains("took memory meanwhile, up to 12.4 %"), "{why}");
        let full = Crowd { cpu_least: 68.0, cpu_most: 70.0, ..with(10.0, 10.0) };
        let why = beside(Role::Memory, &limits, &full, true).unwrap();
        assert!(why.contains("used 70 %") && why.contains("own 10 %"), "{why}");
        let why = beside(Role::Memory, &limits, &with(7.0, 10.0), true).unwrap();
        assert!(why.contains("gave memory back meanwhile, down to 7.0 %"), "{why}");
    }

    #[test]
    fn a_lock_keeper_with_too_small_a_part_of_the_processor_is_not_shown() {
        let limits = Limits::of(&base(5.0), 2);
        for role in [Role::Frames, Role::Latency, Role::Response] {
            assert_eq!(beside(role, &limits, &crowd(85.0), true), None, "it has its part");
            let starved = Crowd { own_cpu: 5.0, ..crowd(95.0) };
            let why = beside(role, &limits, &starved, true).unwrap();
            assert!(why.contains("left the macro 5.0 %"), "{why}");
            // Of 64 cores it burns less than one.
            let large = Limits::of(&Baseline { cores: 64.0, ..base(60.0) }, 64);
            assert!(beside(role, &large, &crowd(60.0), false).is_some());
            assert_eq!(beside(role, &large, &crowd(5.0), false), None);
        }
    }

    #[test]
    fn a_lock_keeper_is_not_shown_where_it_would_break_the_limit_of_the_processor_with_others() {
        let limits = Limits::of(&base(5.0), 2);
        assert_eq!(limits.cpu, Ok(73.5));
        assert_eq!(beside(Role::Frames, &limits, &crowd(50.0), false), None);
        let why = beside(Role::Frames, &limits, &crowd(65.0), false).unwrap();
        assert!(why.contains("used 65 %") && why.contains("limit of 74 %"), "{why}");
        // Far above it the load is from outside, and nobody is blamed for the processor.
        assert_eq!(beside(Role::Frames, &limits, &crowd(95.0), false), None);
        // It came while the act ran.
        let rising = Crowd { cpu_least: 20.0, ..crowd(95.0) };
        assert!(beside(Role::Frames, &limits, &rising, true).is_some());
    }

    #[test]
    fn no_act_about_the_host_begins_so_late_that_a_minute_is_not_enough() {
        assert_eq!(late(Duration::from_secs(40)), None);
        assert!(late(Duration::from_millis(41_500)).is_some_and(|why| why.contains("took 41 s so far")));
    }

    #[test]
    fn limits_of_a_task_alone_can_be_shown_beside_anything() {
        let limits = Limits::of(&base(100.0), 2);
        for role in [Role::Overrun, Role::Deaf, Role::Daemon] {
            assert_eq!(beside(role, &limits, &crowd(100.0), true), None);
        }
    }

    #[test]
    fn a_limit_that_is_broken_before_an_act_is_told() {
        let limits = Limits::of(&base(5.0), 2);
        let fine = Signals { fps: Some(60.0), latency: Some(0.3), response: None };
        assert_eq!(signal(&limits, &fine), None);
        assert_eq!(signal(&limits, &Signals::default()), None, "what is unknown is not broken");
        for (wrong, says) in [
            (Signals { fps: Some(12.0), ..fine }, "drew 12 frames a second; the limit is 20"),
            (Signals { latency: Some(50.0), ..fine }, "took 50 ms; the limit is 40"),
            (Signals { response: Some(41.0), ..fine }, "requests took 41 ms"),
        ] {
            assert!(signal(&limits, &wrong).is_some_and(|why| why.contains(says)), "{wrong:?}");
        }
        let none = Limits { fps: Err(String::new()), ..limits };
        assert_eq!(signal(&none, &Signals { fps: Some(1.0), ..fine }), None, "there is no such limit");
    }
}
