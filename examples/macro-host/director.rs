//! Runs the scene: a baseline, the healthy macros, one act for each that misbehaves, and the verdict.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use haltline::monitor::{Metric, Monitor};
use haltline::supervisor::{Blame, Supervisor, Token};

use crate::arguments::Options;
use crate::baseline::{self, Limits};
use crate::cast::{Cast, Member, Role};
use crate::process_table::{self, RegisterFile};
use crate::stage::Stage;
use crate::view::View;
use crate::world::World;
use crate::{profile, system, verdict};

/// How often the machine is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// What the engine waits after a cancellation for a host limit, and a little more.
const SETTLE: Duration = Duration::from_millis(2300);
/// An act in which nobody is cancelled ends after this.
const LONGEST_ACT: Duration = Duration::from_secs(10);
/// How long the host is given to come back between two acts.
const LONGEST_CALM: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(20);

/// Ctrl-C, or its like.
#[derive(Debug)]
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; every macro was stopped")
    }
}

impl Error for Interrupted {}

type Scene<T> = Result<T, Box<dyn Error>>;

/// Runs the scene and says how it went.
pub(crate) fn run(options: &Options) -> ExitCode {
    system::watch_interrupts();
    match scene(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("macro-host: {e}");
            ExitCode::from(if e.is::<Interrupted>() { 130 } else { 3 })
        }
    }
}

fn scene(options: &Options) -> Scene<bool> {
    let mut view = View::new();
    let cast = Cast::of_seed(options.seed);
    let threads = std::thread::available_parallelism()?.get() as u64;
    let (all, bad) = (cast.all().count(), cast.misbehaving().count());
    view.print(&format!(
        "{all} macros, of which {bad} will misbehave (seed {}); a baseline first (longer if the machine is busy):",
        options.seed
    ));

    let monitor = Monitor::builder().interval(INTERVAL).start()?;
    let world = World::start(&monitor.signals())?;
    let base = match baseline::measure(&monitor) {
        Some(base) => base,
        None if system::is_interrupted() => return Err(Interrupted.into()),
        None => return Err("the machine's processor, memory or signals could not be read".into()),
    };
    let limits = Limits::of(&base, threads);
    view.print(limits.table(&base).trim_end());
    view.print(&format!(
        "  at most {threads} busy threads and {} MiB; a task is blamed from a share of {:.1} %\n",
        limits.hog_bytes >> 20,
        100.0 * limits.min_share,
    ));

    let register = RegisterFile::create()?;
    if let Some(folder) = options.incidents.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let supervisor = Supervisor::builder()
        .monitor(monitor)
        .profiles(profile::derive(&cast, &limits, options.blame)?)
        .incident_file(&options.incidents)
        .min_share(limits.min_share)
        .start()?;
    let program = std::env::current_exe()?;
    let session = supervisor.session("macro-host");
    let stage = Stage::new(supervisor.clone(), world, limits, program.clone(), register.path().to_owned());
    let mut play = Play { stage, cast, view, last_host_act: None, crowd: 0.0 };

    let acted = play.all_acts().and_then(|()| play.calm());
    let survivors = play.stage.survivors();
    let late = if acted.is_ok() { play.stage.end(Duration::from_secs(5)) } else { Vec::new() };
    // Whatever happened: nothing may stay behind.
    let left = supervisor.shutdown(Duration::from_secs(10));
    acted?;
    play.view.say("the scene is over");
    for name in late {
        play.view.say(&format!("{name} did not end by itself and was stopped"));
    }
    for task in left? {
        play.view.say(&format!("{} still runs: a thread ends with its process at the latest", task.name));
    }
    play.view.print(&format!("\n{}", supervisor.report()));
    let records = verdict::read(&options.incidents, session.id())?;
    let pids: Vec<u32> = records.iter().flat_map(|r| r.pids.iter().copied()).collect();
    let inspection = process_table::ask(&program, register.path(), &pids)?;
    let verdict = match options.blame {
        Blame::Any => verdict::older(&play.cast, &records, &inspection),
        Blame::Culprit => verdict::strict(&play.cast, &records, &survivors, &inspection, play.crowd),
    };
    play.view.print(&format!("the verdict, from {} and the process table:", options.incidents.display()));
    play.view.print(verdict.to_string().trim_end());
    Ok(verdict.holds())
}

struct Play {
    stage: Stage,
    cast: Cast,
    view: View,
    /// When the last cancellation for a host limit was verified.
    last_host_act: Option<Instant>,
    /// Percent of the processor that was in use just before the act that spins on every core.
    crowd: f64,
}

impl Play {
    fn all_acts(&mut self) -> Scene<()> {
        let healthy: Vec<Member> = self.cast.healthy().copied().filter(|m| m.role != Role::Errand).collect();
        for member in &healthy {
            self.stage.start(*member)?;
        }
        let names: Vec<String> =
            healthy.iter().map(|m| format!("{} ({})", m.name, m.role.kind().name())).collect();
        self.view.say(&format!("healthy: {}", names.join(", ")));
        self.wait(Duration::from_millis(400), |_| false)?;
        let acts: Vec<Member> = self.cast.misbehaving().copied().collect();
        for (i, member) in acts.iter().enumerate() {
            self.act(i + 1, *member)?;
        }
        Ok(())
    }

    fn act(&mut self, number: usize, member: Member) -> Scene<()> {
        let is_host = member.role.fate().is_some_and(|f| f.rule.is_host());
        if is_host {
            self.calm()?;
        }
        if member.role == Role::Cpu {
            let monitor = self.stage.supervisor().monitor();
            self.crowd = monitor.summary(&Metric::CpuPercent, Duration::from_secs(1)).map_or(0.0, |s| s.mean);
        }
        if member.role == Role::Overrun {
            // Beside the one that overruns, one with the same profile that finishes in its time.
            let errand = self.cast.healthy().find(|m| m.role == Role::Errand).copied();
            if let Some(errand) = errand {
                self.stage.start(errand)?;
                self.view
                    .say(&format!("healthy: {} (an errand with as little time as the next)", errand.name));
            }
        }
        let (name, base) = (member.name, member.base);
        self.view.say(&format!(
            "act {number}: {name} (extends {base}, {}) {}",
            member.role.kind().name(),
            member.role.plot()
        ));
        let token = self.stage.start(member)?;
        if !self.wait(LONGEST_ACT, |_| token.outcome().is_some())? {
            if token.cancel("the act took too long") {
                self.view.say(&format!("       nobody cancelled {name}; the host ends it"));
            }
            self.wait(Duration::from_secs(5), |_| token.outcome().is_some())?;
        }
        if is_host {
            self.last_host_act = Some(Instant::now());
        }
        self.tell(&token);
        Ok(())
    }

    /// Prints what became of a cancelled macro.
    fn tell(&mut self, token: &Token) {
        let supervisor = self.stage.supervisor();
        let incidents = supervisor.incidents(64);
        let Some(incident) = incidents.iter().find(|i| i.task.as_ref().is_some_and(|t| t.id == token.id()))
        else {
            return;
        };
        let share = incident.blame.iter().find(|b| b.contribution.task == token.id());
        let mut text = format!("       {}", incident.summary());
        if let Some(blamed) = share {
            text += &format!("; share {:.0} %", 100.0 * blamed.contribution.share);
        }
        self.view.say(&text);
    }

    /// Waits until the last host act has settled and the host is within its limits again.
    fn calm(&mut self) -> Scene<()> {
        let begun = Instant::now();
        let settled = self.last_host_act.map_or(begun, |at| at + SETTLE);
        self.wait(LONGEST_CALM, |stage| Instant::now() >= settled && is_calm(stage))?;
        Ok(())
    }

    /// Goes on with the view until `done`; returns false if that was not within `limit`.
    fn wait(&mut self, limit: Duration, done: impl Fn(&Stage) -> bool) -> Scene<bool> {
        let until = Instant::now() + limit;
        loop {
            self.view.tick(&self.stage, &self.cast);
            if system::is_interrupted() {
                return Err(Interrupted.into());
            }
            if done(&self.stage) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Whether the last samples of what the host does are within the limits. The machine's processor and memory are
/// left out: a load from outside may keep them in use for as long as it likes, and is nobody's fault here.
fn is_calm(stage: &Stage) -> bool {
    let limits = stage.limits();
    let samples = stage.supervisor().monitor().recent(3);
    samples.iter().all(|s| {
        s.signals.fps.is_none_or(|v| v > limits.fps)
            && s.signals.latency_ms.is_none_or(|v| v < limits.latency)
            && s.signals.response_ms.is_none_or(|v| v < limits.response)
    })
}
