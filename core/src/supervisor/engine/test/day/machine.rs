//! The machine of the simulated day: eight cores, 128 GiB, and whoever runs on it.

use super::super::*;
use super::generator::{Day, Harm, Outside, Plan};

pub(super) const CORES: f64 = 8.0;
pub(super) const MEMORY: u64 = 128 * GIB;

/// A running task.
pub(super) struct Running {
    pub(super) plan: Plan,
    cpu: f64,
    bytes: u64,
    /// When it will have left, once it is cancelled.
    pub(super) gone_at: Option<u64>,
}

/// The machine at one second.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) running: Vec<Running>,
    busy: f64,
}

/// What the engine is told, and what is true.
pub(super) struct Second {
    pub(super) host: HostReading,
    pub(super) tasks: Vec<TaskReading>,
    /// The machine as it is, nothing unknown.
    pub(super) truth: HostReading,
}

impl Plan {
    fn does(&self, harm: Harm, now: u64) -> bool {
        self.harm.is_some_and(|(h, from)| h == harm && now >= from)
    }

    fn wanted_cores(&self, now: u64) -> f64 {
        if self.does(Harm::Cpu, now) {
            7.2
        } else if self.does(Harm::Frames, now) || self.does(Harm::Latency, now) {
            // A hog on one thread: it slows frames long before it fills the machine.
            1.0
        } else {
            self.cores
        }
    }
}

impl Machine {
    pub(super) fn start(&mut self, plan: Plan) {
        self.running.push(Running { bytes: plan.bytes, plan, cpu: 0.0, gone_at: None });
    }

    /// One second of the day.
    pub(super) fn second(&mut self, now: u64, day: &mut Day, profiles: &[Profile]) -> Second {
        let from_outside =
            |harm| day.outside.iter().any(|o: &Outside| o.harm == harm && (o.from..o.to).contains(&now));
        let acts = |harm| self.running.iter().any(|r| r.plan.does(harm, now)) || from_outside(harm);
        let (slow_frames, slow_answers) = (acts(Harm::Frames), acts(Harm::Latency));
        let loud = from_outside(Harm::Frames) || from_outside(Harm::Latency);
        let outside_cores = if from_outside(Harm::Cpu) {
            7.4
        } else if loud {
            5.5
        } else {
            0.4
        };

        let wanted = outside_cores + self.running.iter().map(|r| r.plan.wanted_cores(now)).sum::<f64>();
        let given = (CORES / wanted).min(1.0);
        self.busy += wanted * given;

        let mut used = if from_outside(Harm::Memory) { 110 * GIB } else { 12 * GIB };
        used += self.running.iter().map(|r| r.bytes).sum::<u64>();
        assert!(used <= MEMORY, "the generator gave out more memory than there is");
        for leak in self.running.iter_mut().filter(|r| r.plan.does(Harm::Memory, now)) {
            // Leaves room for what starts later.
            let more = (4 * GIB).min((MEMORY / 10 * 9).saturating_sub(used) / 3);
            leak.bytes += more;
            used += more;
        }
        let mut tasks = Vec::with_capacity(self.running.len());
        for running in &mut self.running {
            let (plan, cores) = (&running.plan, running.plan.wanted_cores(now) * given);
            running.cpu += cores;
            let mut t = task(plan.id, &profiles[plan.profile]);
            (t.started, t.last_progress) = (at(plan.start), at(now));
            t.cancelling = running.gone_at.is_some();
            t.cpu_time = Some(Duration::from_secs_f64(running.cpu));
            t.cpu_percent = Some(100.0 * cores);
            t.memory_bytes = Some(running.bytes);
            if day.dice.one_in(200) {
                (t.cpu_time, t.cpu_percent, t.memory_bytes) = (None, Some(f64::NAN), None);
            }
            tasks.push(t);
        }

        let truth = HostReading {
            cpu_percent: Some(100.0 * wanted * given / CORES),
            cpu_busy: Some(Duration::from_secs_f64(self.busy)),
            cpu_demand_percent: (wanted >= CORES).then_some(100.0 * wanted / CORES),
            cpu_capacity: CORES,
            memory_percent: Some(used as f64 / MEMORY as f64 * 100.0),
            memory_used_bytes: Some(used),
            memory_limit_bytes: MEMORY,
            fps: Some(if slow_frames { 6.0 } else { 60.0 }),
            latency_ms: Some(if slow_answers { 900.0 } else { 40.0 }),
            response_ms: None,
        };
        let mut host = truth;
        if day.dice.one_in(100) {
            (host.cpu_percent, host.cpu_busy, host.cpu_demand_percent) = (None, None, None);
        }
        if day.dice.one_in(100) {
            (host.memory_percent, host.memory_used_bytes) = (Some(f64::NAN), None);
        }
        if day.dice.one_in(100) {
            (host.fps, host.latency_ms) = (None, Some(-1.0));
        }
        Second { host, tasks, truth }
    }
}

pub(super) fn at(second: u64) -> Time {
    Time::ZERO + Duration::from_secs(second)
}
