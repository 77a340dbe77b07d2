//! The engine under test: readings made by hand, drawn at random, and a simulated day.

mod change;
mod day;
mod host_limit;
mod memory;
mod property;

mod task_limit;

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Engine, EngineSettings, HostReading, Mode, NotCancelled, TaskId, TaskReading};
use crate::clock::Time;
use crate::supervisor::limit::ExecutorKind;
use crate::supervisor::profile::{Blame, Level, Profile, Settings};

const GIB: u64 = 1 << 30;
const NOBODY: [TaskId; 0] = [];

/// A moment, in seconds.
fn s(seconds: f64) -> Time {
    Time::ZERO + Duration::from_secs_f64(seconds)
}

/// A profile with three seconds of sustain, changed by `change`.
pub(super) fn profile(change: impl FnOnce(&mut Settings)) -> Profile {
    let mut settings = Settings {
        serial: Settings::next_serial(),
        name: "test".into(),
        level: Level::Safe,
        max_duration: None,
        sustain: Duration::from_secs(3),
        grace: Duration::from_secs(5),
        auto_cancel: true,
        blame: Blame::Culprit,
        notify: Vec::new(),
        host: Default::default(),
        task: Default::default(),
        advisory: Vec::new(),
    };
    change(&mut settings);
    Profile(Arc::new(settings))
}

fn cpu_profile() -> Profile {
    profile(|p| p.host.max_cpu_percent = Some(80.0))
}

/// A process task that uses nothing.
pub(super) fn task(id: TaskId, profile: &Profile) -> TaskReading {
    TaskReading {
        id,
        profile: profile.clone(),
        executor: ExecutorKind::Process,
        started: Time::ZERO,
        last_progress: Time::ZERO,
        cancelling: false,
        cpu_time: Some(Duration::ZERO),
        cpu_percent: Some(0.0),
        inside: None,
        memory_bytes: Some(0),
        processes: Some(1),
        output_bytes: Some(0),
    }
}

fn observing() -> EngineSettings {
    EngineSettings { mode: Mode::Observe, ..Default::default() }
}

/// Four cores and 16 GiB, and tasks that want steady loads, in cores.
struct Machine {
    now: f64,
    busy: f64,
    host: HostReading,
    tasks: Vec<(TaskReading, f64)>,
    outside: f64,
}

impl Machine {
    fn new() -> Self {
        let host = HostReading {
            cpu_capacity: 4.0,
            memory_limit_bytes: 16 * GIB,
            fps: Some(60.0),
            ..Default::default()
        };
        Machine { now: 100.0, busy: 0.0, host, tasks: Vec::new(), outside: 0.0 }
    }

    fn add(&mut self, id: TaskId, profile: &Profile, cores: f64) {
        let mut t = task(id, profile);
        (t.started, t.last_progress) = (s(self.now), s(self.now));
        self.tasks.push((t, cores));
    }

    fn task(&mut self, id: TaskId) -> &mut TaskReading {
        &mut self.tasks.iter_mut().find(|(t, _)| t.id == id).unwrap().0
    }

    /// One second passes; then the engine looks.
    fn step(&mut self, engine: &mut Engine) -> Vec<Action> {
        self.now += 1.0;
        let wanted = self.outside + self.tasks.iter().map(|(_, load)| load).sum::<f64>();
        let given = (self.host.cpu_capacity / wanted).min(1.0);
        for (task, load) in &mut self.tasks {
            let load = *load * given;
            task.cpu_percent = Some(load * 100.0);
            task.cpu_time = task.cpu_time.map(|t| t + Duration::from_secs_f64(load));
        }
        let cores = wanted.min(self.host.cpu_capacity);
        self.busy += cores;
        self.host.cpu_busy = Some(Duration::from_secs_f64(self.busy));
        let is_full = wanted >= self.host.cpu_capacity;
        self.host.cpu_demand_percent = is_full.then_some(wanted / self.host.cpu_capacity * 100.0);
        self.host.cpu_percent = Some(cores / self.host.cpu_capacity * 100.0);
        self.look(engine)
    }

    fn look(&self, engine: &mut Engine) -> Vec<Action> {
        let tasks: Vec<TaskReading> = self.tasks.iter().map(|(t, _)| t.clone()).collect();
        engine.observe(s(self.now), &self.host, &tasks)
    }

    fn run(&mut self, engine: &mut Engine, seconds: usize) -> Vec<Action> {
        (0..seconds).flat_map(|_| self.step(engine)).collect()
    }

    fn remove(&mut self, id: TaskId) {
        self.tasks.retain(|(t, _)| t.id != id);
    }
}

fn cancelled(actions: &[Action]) -> Vec<TaskId> {
    let ids = |a: &Action| match a {
        Action::Cancel { task, .. } => Some(*task),
        Action::Record { .. } => None,
    };
    actions.iter().filter_map(ids).collect()
}

fn recorded(actions: &[Action]) -> Vec<(Option<TaskId>, NotCancelled)> {
    let ids = |a: &Action| match a {
        Action::Record { task, reason, .. } => Some((*task, *reason)),
        Action::Cancel { .. } => None,
    };
    actions.iter().filter_map(ids).collect()
}
