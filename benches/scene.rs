//! Scenes that bring an engine to a decision: a minute of samples, one a second, and what they break.

use std::time::Duration;

use haltline::clock::Time;
use haltline::supervisor::engine::{Action, Engine, EngineSettings, HostReading, TaskReading};
use haltline::supervisor::{ExecutorKind, Profile};

const SECOND: Duration = Duration::from_secs(1);
const CORES: f64 = 8.0;
const MEMORY: u64 = 64 << 30;
/// Samples before anything breaks.
const CALM: u64 = 10;
/// The sample of a scene in which every sustain time is over; the first one decides.
pub const BRINK: u64 = CALM + 4;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Nothing.
    Calm,
    /// One host limit, in the order CPU, memory, fps, latency, response. One task is the culprit.
    Limit(usize),
    /// All five host limits at once, with one culprit.
    Five,
    /// All five host limits at once. Nobody uses enough to be blamed, so every limit is judged on every sample.
    FiveNobody,
    /// Nothing, and each task has a profile of its own.
    OwnProfiles,
    /// As `FiveNobody`, and each task has a profile of its own.
    FiveOwnProfiles,
    /// Every task is over a limit of its own.
    TaskLimit,
}

/// Every case by its name.
pub const CASES: [(&str, Case); 11] = [
    ("calm", Case::Calm),
    ("cpu", Case::Limit(0)),
    ("memory", Case::Limit(1)),
    ("fps", Case::Limit(2)),
    ("latency", Case::Limit(3)),
    ("response", Case::Limit(4)),
    ("five", Case::Five),
    ("five-nobody", Case::FiveNobody),
    ("own-profiles", Case::OwnProfiles),
    ("five-own-profiles", Case::FiveOwnProfiles),
    ("task-limit", Case::TaskLimit),
];

/// A case with so many tasks.
pub struct Scene {
    case: Case,
    tasks: Vec<TaskReading>,
}

impl Scene {
    pub fn new(case: Case, tasks: u64) -> Scene {
        let own = matches!(case, Case::OwnProfiles | Case::FiveOwnProfiles);
        let profiles: Vec<Profile> = (0..if own { tasks } else { 6 }).map(profile).collect();
        let reading = |id: u64| TaskReading {
            id,
            profile: profiles[id as usize % profiles.len()].clone(),
            executor: ExecutorKind::Process,
            started: Time::ZERO,
            last_progress: Time::ZERO,
            cancelling: false,
            cpu_time: Some(Duration::ZERO),
            cpu_percent: Some(0.0),
            inside: None,
            memory_bytes: Some(0),
            processes: Some(1),
            output_bytes: None,
        };
        Scene { case, tasks: (1..=tasks).map(reading).collect() }
    }

    /// An engine that has seen every sample before this one.
    pub fn engine_before(&mut self, second: u64) -> Engine {
        let mut engine = Engine::new(EngineSettings::default());
        for earlier in 1..second {
            let host = self.at(earlier);
            engine.observe(time(earlier), &host, &self.tasks);
        }
        engine
    }

    /// What this second shows of the host. The tasks' readings are brought up to it.
    pub fn at(&mut self, second: u64) -> HostReading {
        let broken = second > CALM;
        let breaks = |limit| match self.case {
            Case::Limit(one) => broken && one == limit,
            Case::Five | Case::FiveNobody | Case::FiveOwnProfiles => broken,
            Case::Calm | Case::OwnProfiles | Case::TaskLimit => false,
        };
        let hog = broken && matches!(self.case, Case::Limit(_) | Case::Five);
        let hog_at = self.tasks.len() / 2;
        // Together they keep half of the machine busy and hold a quarter of its memory; the hog comes on top.
        let (cores, bytes) = (CORES / 2.0 / self.tasks.len() as f64, MEMORY / 4 / self.tasks.len() as u64);
        for (i, task) in self.tasks.iter_mut().enumerate() {
            let cores = if hog && i == hog_at { CORES / 2.5 } else { cores };
            task.cpu_time = task.cpu_time.map(|t| t + SECOND.mul_f64(cores));
            task.cpu_percent = Some(100.0 * cores);
            task.memory_bytes = Some(if hog && i == hog_at { MEMORY / 2 + (second << 20) } else { bytes });
            task.processes = Some(if broken && self.case == Case::TaskLimit { 1_000 } else { 1 });
        }
        HostReading {
            cpu_percent: Some(if breaks(0) { 99.0 } else { 50.0 }),
            cpu_busy: Some(SECOND.mul_f64(CORES * second as f64)),
            cpu_demand_percent: None,
            cpu_capacity: CORES,
            memory_percent: Some(if breaks(1) { 95.0 } else { 40.0 }),
            memory_used_bytes: Some(MEMORY / 10 * if breaks(1) { 9 } else { 4 }),
            memory_limit_bytes: MEMORY,
            fps: Some(if breaks(2) { 5.0 } else { 60.0 }),
            latency_ms: Some(if breaks(3) { 2_000.0 } else { 40.0 }),
            response_ms: Some(if breaks(4) { 3_000.0 } else { 40.0 }),
        }
    }

    /// One decision. Never inlined: `callgrind --toggle-collect` looks for it.
    #[inline(never)]
    pub fn decision(&self, engine: &mut Engine, second: u64, host: &HostReading) -> Vec<Action> {
        engine.observe(time(second), host, &self.tasks)
    }
}

fn time(second: u64) -> Time {
    Time::ZERO + SECOND * second as u32
}

/// One of the six built-in ones, without a duration: nothing else shall break within the minute.
fn profile(number: u64) -> Profile {
    let names = ["heal", "buff", "attack", "craft", "travel", "dance"];
    let name = names[number as usize % names.len()];
    let base = Profile::built_in(name).expect("a built-in name");
    let own = Profile::builder(format!("{name}-{number}")).extends(&base);
    own.no_max_duration().task_max_processes(100).build().expect("valid settings")
}
