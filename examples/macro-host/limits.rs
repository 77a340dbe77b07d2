//! The limits of all profiles, derived from what the machine did before the first macro. Pure.

use crate::baseline::Baseline;
use crate::work::{MOST_OF_A_CORE, SLICE};

const MIB: u64 = 1 << 20;
/// The least and the most that one metric is apart from another that must not be taken for it, in percent of
/// the processor: readings of a fifth of a second differ by about half of this.
const APART: f64 = 10.0;
/// Readings of the processor are that far apart from the truth, in percent of it.
pub(crate) const NOISE: f64 = 5.0;
/// The usual least share: half of what a supervisor begins with, so that a crowd does not hide a macro.
const MIN_SHARE: f64 = 0.05;
/// A smaller least share would reach down to what healthy macros use of the processor.
const LEAST_MIN_SHARE: f64 = 0.005;
/// A macro that takes less memory than this does not stand out from what others take and give back.
const LEAST_HOG: u64 = 64 * MIB;

/// A bound, or why none fits between the baseline and what a macro of this scene reaches: a part of a sentence.
pub(crate) type Bound = Result<f64, String>;

/// The bounds of all profiles, and what the scene may take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) cpu: Bound,
    pub(crate) memory: Bound,
    pub(crate) fps: Bound,
    pub(crate) latency: Bound,
    pub(crate) response: Bound,
    /// The least share of a metric that makes a task eligible to be cancelled for it.
    pub(crate) min_share: f64,
    /// The most that the memory hog takes.
    pub(crate) hog_bytes: u64,
    /// The same in percent of what may be used.
    pub(crate) hog_percent: f64,
    /// Busy threads at one time.
    pub(crate) threads: u64,
    /// What that many threads can use, in percent of the processor.
    pub(crate) spin_percent: f64,
    /// 0 to 1: how much of its time a macro that keeps a lock also burns the processor.
    pub(crate) burn: f64,
    /// The same in percent of the processor.
    pub(crate) hold_percent: f64,
    /// What the memory hog uses of the processor at most, in percent.
    pub(crate) grow_percent: f64,
}

impl Limits {
    /// `threads` is how many may be busy at one time.
    pub(crate) fn of(base: &Baseline, threads: u64) -> Limits {
        let free = base.limit_bytes.saturating_sub(base.used_bytes);
        let hog_bytes = (free / 4).min(1024 * MIB);
        let hog_share = hog_bytes as f64 / (base.used_bytes + hog_bytes).max(1) as f64;
        let burn = (0.12 * base.cores).clamp(0.15, 0.9);
        let spin_percent = (100.0 * threads as f64 / base.cores).min(100.0);
        let hold_percent = (100.0 * burn / base.cores).min(100.0);
        let memory = memory(base, hog_bytes, hog_share);
        Limits {
            cpu: cpu(base.cpu, threads, spin_percent, hold_percent),
            fps: fps(base.fps),
            latency: slow(base.latency, "the game server answers in"),
            response: slow(base.response, "a request takes"),
            // Less where so much memory is in use that what the hog may take is a small part of it.
            min_share: if memory.is_ok() { MIN_SHARE.min(hog_share / 2.0) } else { MIN_SHARE },
            memory,
            hog_bytes,
            hog_percent: 100.0 * hog_bytes as f64 / base.limit_bytes.max(1) as f64,
            threads,
            spin_percent,
            burn,
            hold_percent,
            grow_percent: (100.0 * MOST_OF_A_CORE / base.cores).min(100.0),
        }
    }

    /// Whether there is one for each metric.
    pub(crate) fn are_all(&self) -> bool {
        [&self.cpu, &self.memory, &self.fps, &self.latency, &self.response].iter().all(|b| b.is_ok())
    }

    /// Two columns, to be printed.
    pub(crate) fn table(&self, base: &Baseline) -> String {
        let mut text = format!("  {:<9}{:>9}     {:>9}\n", "", "baseline", "limit");
        for (name, was, limit, unit) in [
            ("CPU", base.cpu, &self.cpu, "%"),
            ("memory", base.memory, &self.memory, "%"),
            ("frames", base.fps, &self.fps, "fps"),
            ("latency", base.latency, &self.latency, "ms"),
            ("response", base.response, &self.response, "ms"),
        ] {
            let decimals = if unit == "ms" { 2 } else { 1 };
            let limit = match limit {
                Ok(limit) => format!("{limit:>9.1} {unit}"),
                Err(_) => format!("{:>9}", "none fits"),
            };
            text += &format!("  {name:<9}{was:>9.decimals$} {unit:<3} {limit}\n");
        }
        text
    }
}

/// Above what others and one macro that keeps a lock use together, and below what others and a macro that spins
/// on every core do. Also below what is left to others beside one that keeps a lock: where others fill the
/// processor later, they break the limit alone, and it is not blamed for that.
fn cpu(base: f64, threads: u64, spin: f64, hold: f64) -> Bound {
    let least = base + hold + APART;
    let most = ((base + spin).min(100.0) - APART).min(100.0 - hold - NOISE);
    if least > most {
        return Err(format!(
            "other programs use {base:.0} % of the processor, so no limit fits between that and what {} can add",
            spinning(threads)
        ));
    }
    Ok((73.0 + base / 10.0).min(most).max(least))
}

/// So many busy threads in words.
pub(crate) fn spinning(threads: u64) -> String {
    if threads == 1 { "one busy thread".to_owned() } else { format!("{threads} busy threads") }
}

/// Half of what the hog takes above the baseline.
fn memory(base: &Baseline, hog_bytes: u64, hog_share: f64) -> Bound {
    let mib = |bytes: u64| bytes / MIB;
    if hog_bytes < LEAST_HOG {
        return Err(format!(
            "a quarter of the free memory is {} MiB, too little to stand out",
            mib(hog_bytes)
        ));
    }
    if hog_share / 2.0 < LEAST_MIN_SHARE {
        return Err(format!(
            "{} MiB are in use, so that the {} MiB that a macro may take are too small a part to be blamed for",
            mib(base.used_bytes),
            mib(hog_bytes)
        ));
    }
    if base.drift_bytes > hog_bytes / 4 {
        return Err(format!(
            "other programs took or gave back {} MiB within two seconds, so that {} MiB do not stand out",
            mib(base.drift_bytes),
            mib(hog_bytes)
        ));
    }
    Ok(100.0 * (base.used_bytes + hog_bytes / 2) as f64 / base.limit_bytes.max(1) as f64)
}

/// A crowded processor alone takes some frames; a macro that keeps the scene leaves one for each of its slices,
/// and now and then one more.
fn fps(base: f64) -> Bound {
    let held = 1.0 / SLICE.as_secs_f64();
    let limit = base / 3.0;
    if limit < 1.5 * held {
        return Err(format!(
            "beside other programs the game draws {base:.0} frames a second, too near to the {held:.0} of a locked scene"
        ));
    }
    Ok(limit)
}

/// Ten times as slow, but never so near to the baseline that a busy scheduler alone reaches it, and never
/// beyond half of what a macro that keeps a lock does.
fn slow(base: f64, what: &str) -> Bound {
    let held = 1000.0 * SLICE.as_secs_f64();
    if base > held / 4.0 {
        return Err(format!(
            "beside other programs {what} {base:.0} ms, too near to the {held:.0} ms behind a lock"
        ));
    }
    Ok((10.0 * base).clamp(held / 3.0, held / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn base(cpu: f64, used: u64, limit: u64) -> Baseline {
        let memory = 100.0 * used as f64 / limit as f64;
        Baseline {
            cpu,
            memory,
            used_bytes: used,
            limit_bytes: limit,
            drift_bytes: 0,
            fps: 60.0,
            latency: 0.2,
            response: 9.0,
            cores: 2.0,
        }
    }

    #[test]
    fn limits_lie_between_the_baseline_and_what_the_hogs_do() {
        let b = base(10.0, 2 * GIB, 24 * GIB);
        let l = Limits::of(&b, 2);
        assert_eq!(l.cpu, Ok(74.0));
        assert!(l.memory.as_ref().is_ok_and(|m| *m > b.memory && *m < b.memory + l.hog_percent), "{l:?}");
        assert_eq!((&l.fps, &l.latency, &l.response), (&Ok(20.0), &Ok(40.0), &Ok(60.0)));
        assert_eq!((l.hog_bytes, l.min_share, l.are_all()), (GIB, 0.05, true));
    }

    #[test]
    fn a_limit_of_the_processor_is_above_the_baseline_and_within_reach_or_there_is_none() {
        for cores in [1u32, 2, 3, 4, 16, 64] {
            for threads in 1..=u64::from(cores) {
                let mut fits = true;
                for percent in 0..=100 {
                    let b = Baseline { cores: cores.into(), ..base(percent.into(), GIB, 24 * GIB) };
                    let l = Limits::of(&b, threads);
                    match &l.cpu {
                        Ok(limit) => {
                            assert!(fits, "{cores} cores: a limit fits at {percent} % but not at less");
                            assert!(*limit >= b.cpu + l.hold_percent + APART - 1e-9, "{percent}: {l:?}");
                            assert!(*limit <= (b.cpu + l.spin_percent).min(100.0) - APART + 1e-9, "{l:?}");
                            assert!(*limit <= 100.0 - l.hold_percent - NOISE + 1e-9, "{l:?}");
                        }
                        Err(why) => {
                            fits = false;
                            assert!(why.contains(&format!("use {percent} %")), "{why}");
                        }
                    }
                }
                assert!(!fits, "at 100 % nothing fits");
            }
        }
        let at = |percent| Limits::of(&base(percent, GIB, 24 * GIB), 2).cpu;
        assert!(at(60.0).is_ok(), "beside one busy thread on two cores it can be shown");
        assert!(at(97.0).is_err_and(|why| why.starts_with("other programs use 97 %")));
    }

    #[test]
    fn the_memory_hog_takes_at_most_a_quarter_of_what_is_free() {
        let l = Limits::of(&base(10.0, 2 * GIB, 4 * GIB), 2);
        assert_eq!(l.hog_bytes, 512 * MIB);
        assert!(l.memory.is_ok_and(|m| m > 50.0 && m < 62.5), "the hog reaches it");
    }

    #[test]
    fn where_much_is_in_use_a_smaller_share_counts() {
        let l = Limits::of(&base(10.0, 50 * GIB, 64 * GIB), 2);
        assert!(l.min_share < 0.011 && l.min_share > 0.009 && l.memory.is_ok(), "{l:?}");
    }

    #[test]
    fn memory_in_which_the_hog_does_not_stand_out_has_no_limit() {
        let why = |b: &Baseline| {
            let l = Limits::of(b, 2);
            assert_eq!(l.min_share, 0.05, "what cannot be blamed on anybody does not lower the least share");
            l.memory.unwrap_err()
        };
        let full = why(&base(10.0, 4 * GIB - 100 * MIB, 4 * GIB));
        assert!(full.contains("is 25 MiB"), "{full}");
        let large = why(&base(10.0, 300 * GIB, 512 * GIB));
        assert!(large.contains("307200 MiB are in use"), "{large}");
        let moving = why(&Baseline { drift_bytes: 300 * MIB, ..base(10.0, 2 * GIB, 24 * GIB) });
        assert!(moving.contains("gave back 300 MiB"), "{moving}");
    }

    #[test]
    fn a_game_that_is_slow_already_has_no_limit() {
        let slow = Baseline { fps: 30.0, latency: 35.0, response: 80.0, ..base(10.0, 2 * GIB, 24 * GIB) };
        let l = Limits::of(&slow, 2);
        assert!(l.fps.is_err_and(|why| why.contains("draws 30 frames")));
        assert!(l.latency.is_err_and(|why| why.contains("answers in 35 ms")));
        assert!(l.response.is_err_and(|why| why.contains("takes 80 ms")));
        let bearable = Baseline { fps: 40.0, latency: 20.0, ..slow };
        let l = Limits::of(&bearable, 2);
        assert!(l.latency == Ok(60.0) && l.fps.is_ok(), "{l:?}");
    }

    #[test]
    fn the_table_names_every_limit_and_those_that_there_are_not() {
        let b = base(97.0, 2 * GIB, 24 * GIB);
        let text = Limits::of(&b, 2).table(&b);
        let line = |name: &str| text.lines().find(|l| l.trim_start().starts_with(name)).unwrap().to_owned();
        assert_eq!(line("CPU"), "  CPU           97.0 %   none fits");
        assert_eq!(line("frames"), "  frames        60.0 fps      20.0 fps");
        assert_eq!(text.lines().count(), 6);
        assert!(!Limits::of(&b, 2).are_all());
    }
}
