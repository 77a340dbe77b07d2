//! What other programs use of the machine beside the scene. Pure: looks go in, and what lies between them
//! comes out.

use std::time::Duration;

use haltline::clock::Time;

/// Shorter spans say little: the process table counts processor time in hundredths of a second.
const SPAN: Duration = Duration::from_millis(700);

/// What others used over some time, in percent of what may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crowd {
    /// The processor, in the second in which they used least of it.
    pub(crate) cpu_least: f64,
    /// The processor, in the second in which they used most of it.
    pub(crate) cpu_most: f64,
    pub(crate) memory_least: f64,
    pub(crate) memory_most: f64,
    /// The processor as the host and its macros used it, over the whole time.
    pub(crate) own_cpu: f64,
}

/// One look at the machine, and at the host and its macros at the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) at: Time,
    /// Processor time used on the machine since some moment.
    pub(crate) busy: Duration,
    pub(crate) own_cpu: Duration,
    /// Cores that may be used.
    pub(crate) cores: f64,
    pub(crate) used_bytes: u64,
    pub(crate) own_bytes: u64,
    pub(crate) limit_bytes: u64,
}

/// The looks of one scene.
#[derive(Debug, Default)]
pub(crate) struct Looks(Vec<Look>);

impl Looks {
    /// Adds a look, unless it is not later than the last one.
    pub(crate) fn add(&mut self, look: Look) {
        if self.0.last().is_none_or(|last| look.at > last.at) {
            self.0.push(look);
        }
    }

    /// The moment of the last look.
    pub(crate) fn last(&self) -> Option<Time> {
        self.0.last().map(|l| l.at)
    }

    /// What was used of late.
    pub(crate) fn now(&self) -> Option<Crowd> {
        let last = self.0.last()?;
        let begun = self.0.iter().rposition(|l| last.at.since(l.at) >= SPAN)?;
        of(&self.0[begun..])
    }

    /// What was used since `begun`; `None` if that is less than that ago.
    pub(crate) fn since(&self, begun: Time) -> Option<Crowd> {
        of(&self.0[self.0.partition_point(|l| l.at < begun)..])
    }
}

fn of(looks: &[Look]) -> Option<Crowd> {
    let (first, last) = (looks.first()?, looks.last()?);
    if last.at.since(first.at) < SPAN {
        return None;
    }
    let mut crowd = Crowd {
        cpu_least: f64::INFINITY,
        cpu_most: 0.0,
        memory_least: f64::INFINITY,
        memory_most: 0.0,
        own_cpu: percent(last.own_cpu.saturating_sub(first.own_cpu), first, last),
    };
    for (i, look) in looks.iter().enumerate() {
        let others = 100.0 * look.used_bytes.saturating_sub(look.own_bytes) as f64;
        let others = others / look.limit_bytes.max(1) as f64;
        crowd.memory_least = crowd.memory_least.min(others);
        crowd.memory_most = crowd.memory_most.max(others);
        let Some(before) = looks[..i].iter().rfind(|b| look.at.since(b.at) >= SPAN) else { continue };
        let busy = look.busy.saturating_sub(before.busy);
        let others = percent(busy.saturating_sub(look.own_cpu.saturating_sub(before.own_cpu)), before, look);
        crowd.cpu_least = crowd.cpu_least.min(others);
        crowd.cpu_most = crowd.cpu_most.max(others);
    }
    Some(crowd)
}

fn percent(used: Duration, from: &Look, to: &Look) -> f64 {
    let all = to.at.since(from.at).as_secs_f64() * to.cores;
    if all > 0.0 { (100.0 * used.as_secs_f64() / all).min(100.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of two cores and 100 bytes; `busy` and `own` in milliseconds.
    fn look(ms: u64, busy: u64, own: u64, used_bytes: u64, own_bytes: u64) -> Look {
        Look {
            at: Time::ZERO + Duration::from_millis(ms),
            busy: Duration::from_millis(busy),
            own_cpu: Duration::from_millis(own),
            cores: 2.0,
            used_bytes,
            own_bytes,
            limit_bytes: 100,
        }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn what_the_scene_uses_itself_is_no_crowd() {
        let mut looks = Looks::default();
        looks.add(look(0, 0, 0, 20, 10));
        looks.add(look(1000, 2000, 1900, 60, 50));
        let crowd = looks.now().unwrap();
        assert!(close(crowd.cpu_most, 5.0) && close(crowd.cpu_least, 5.0), "{crowd:?}");
        assert!(close(crowd.memory_least, 10.0) && close(crowd.memory_most, 10.0), "{crowd:?}");
        assert!(close(crowd.own_cpu, 95.0), "{crowd:?}");
    }

    #[test]
    fn the_worst_and_the_best_second_of_an_act_count() {
        let mut looks = Looks::default();
        for (ms, busy) in [(0, 0), (500, 0), (1000, 0), (1500, 1000), (2000, 2000), (2500, 2000)] {
            looks.add(look(ms, busy, 0, 10 + ms / 100, 0));
        }
        let whole = looks.since(Time::ZERO).unwrap();
        assert!(close(whole.cpu_most, 100.0) && close(whole.cpu_least, 0.0), "{whole:?}");
        assert!(close(whole.memory_least, 10.0) && close(whole.memory_most, 35.0), "{whole:?}");
        let last = looks.now().unwrap();
        assert!(close(last.cpu_most, 50.0) && close(last.memory_least, 25.0), "{last:?}");
    }

    #[test]
    fn a_moment_says_nothing() {
        let mut looks = Looks::default();
        assert_eq!(looks.now(), None);
        looks.add(look(0, 0, 0, 10, 0));
        looks.add(look(600, 600, 0, 10, 0));
        // A look at an earlier moment is not taken.
        looks.add(look(500, 9000, 0, 10, 0));
        assert_eq!((looks.now(), looks.since(Time::ZERO)), (None, None));
        assert_eq!(looks.last(), Some(Time::ZERO + Duration::from_millis(600)));
        assert_eq!(looks.since(Time::ZERO + Duration::from_secs(5)), None);
    }
}
