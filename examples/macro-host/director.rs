//! Runs the scene: a baseline, the healthy macros, one act for each that misbehaves, and the verdict.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use haltline::monitor::Monitor;
use haltline::supervisor::{Blame, Supervisor, Token};

use crate::arguments::Options;
use crate::baseline::{self, Baseline};
use crate::cast::{Cast, Member, Role};
use crate::crowd::{Look, Looks};
use crate::limits::{Limits, spinning};
use crate::obstacle::{self, Signals};
use crate::process_table::{self, RegisterFile};
use crate::stage::Stage;
use crate::verdict::{self, Doubt, Verdict};
use crate::view::{self, View};
use crate::world::World;
use crate::{profile, system};

/// How often the machine is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// What the engine waits after a cancellation for a host limit, and a little more.
const SETTLE: Duration = Duration::from_millis(2300);
/// An act in which nobody is cancelled ends after this.
const LONGEST_ACT: Duration = Duration::from_secs(6);
/// Memory is taken slowly.
const LONGEST_MEMORY_ACT: Duration = Duration::from_secs(14);
/// What the ladder of a cancellation takes at most, and far more.
const LONGEST_STOP: Duration = Duration::from_secs(5);
/// How long the scene waits in all for other programs to leave an act enough of the machine, and for one act.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Why the scene ended early.
#[derive(Debug)]
enum Ended {
    /// Ctrl-C, or its like.
    Interrupted,
    /// Nobody could read on.
    Unwritable(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Interrupted => f.write_str("interrupted; every macro was stopped"),
            Ended::Unwritable(e) => {
                write!(f, "cannot write to standard output: {e}; every macro was stopped")
            }
        }
    }
}

impl Error for Ended {}

type Scene<T> = Result<T, Box<dyn Error>>;

/// Runs the scene and says how it went.
pub(crate) fn run(options: &Options) -> ExitCode {
    system::watch_interrupts();
    match scene(options) {
        Ok(verdict) => ExitCode::from(status(&verdict, options.require_all)),
        Err(e) => {
            view::complain(&e.to_string());
            let interrupted = matches!(e.downcast_ref(), Some(Ended::Interrupted));
            ExitCode::from(if interrupted { 130 } else { 3 })
        }
    }
}

fn status(verdict: &Verdict, require_all: bool) -> u8 {
    match (verdict.holds(), verdict.is_whole()) {
        (false, _) => 1,
        (true, false) if require_all => 4,
        (true, _) => 0,
    }
}

fn scene(options: &Options) -> Scene<Verdict> {
    let begun = Instant::now();
    let mut view = View::new();
    prepare(&options.incidents)?;
    let cast = Cast::of_seed(options.seed);
    let threads = std::thread::available_parallelism()?.get() as u64;
    let (all, bad) = (cast.all().count(), cast.misbehaving().count());
    view.print(&format!(
        "{all} macros, of which {bad} will misbehave (seed {}); a baseline first (longer if the machine is busy):",
        options.seed
    ));
    is_read(&view)?;

    let monitor = Monitor::builder().interval(INTERVAL).start()?;
    let world = World::start(&monitor.signals())?;
    let fits = |base: &Baseline| Limits::of(base, threads).are_all();
    let base = match baseline::measure(&monitor, fits) {
        Some(base) => base,
        None if system::is_interrupted() => return Err(Ended::Interrupted.into()),
        None => return Err("the machine's processor, memory or signals could not be read".into()),
    };
    let limits = Limits::of(&base, threads);
    view.print(limits.table(&base).trim_end());
    view.print(&format!(
        "  at most {} and {} MiB; a task is blamed from a share of {:.1} %\n",
        spinning(threads),
        limits.hog_bytes >> 20,
        100.0 * limits.min_share,
    ));

    let register = RegisterFile::create()?;
    let supervisor = Supervisor::builder()
        .monitor(monitor)
        .profiles(profile::derive(&cast, &limits, options.blame)?)
        .incident_file(&options.incidents)
        .min_share(limits.min_share)
        .start()?;
    let program = std::env::current_exe()?;
    let session = supervisor.session("macro-host");
    let stage = Stage::new(supervisor.clone(), world, limits, program.clone(), register.path().to_owned());
    let mut play = Play {
        stage,
        cast,
        view,
        begun,
        last_host_act: None,
        patience: PATIENCE,
        looks: Looks::default(),
        doubts: Vec::new(),
    };

    let acted = play.all_acts().and_then(|()| play.settle());
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
        Blame::Any => verdict::older(&play.cast, &records, &inspection, &play.doubts),
        Blame::Culprit => verdict::strict(&play.cast, &records, &survivors, &inspection, &play.doubts),
    };
    play.view.print(&format!("the verdict, from {} and the process table:", options.incidents.display()));
    play.view.print(verdict.to_string().trim_end());
    is_read(&play.view)?;
    Ok(verdict)
}

/// Makes the incident file, so that a wrong name is told before the baseline and not after it.
fn prepare(incidents: &Path) -> Scene<()> {
    let folder = incidents.parent().map_or(Ok(()), std::fs::create_dir_all);
    let opened = folder.and_then(|()| std::fs::OpenOptions::new().create(true).append(true).open(incidents));
    opened.map(drop).map_err(|e| format!("the incident file {}: {e}", incidents.display()).into())
}

/// An error if what is printed reaches nobody any more.
fn is_read(view: &View) -> Scene<()> {
    match view.error() {
        Some(e) => Err(Ended::Unwritable(e.to_string()).into()),
        None => Ok(()),
    }
}

struct Play {
    stage: Stage,
    cast: Cast,
    view: View,
    begun: Instant,
    /// When the last cancellation for a host limit was verified.
    last_host_act: Option<Instant>,
    /// How long the scene still waits for a better moment, all acts together.
    patience: Duration,
    looks: Looks,
    doubts: Vec<Doubt>,
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
        if is_host && let Some(why) = self.obstacle(member.role)? {
            let rule = member.role.fate().map_or("", |f| f.rule.name());
            self.view.say(&format!("act {number} is left out: cannot show {rule} here: {why}"));
            self.doubts.push(Doubt { name: member.name, began: false, why });
            return Ok(());
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
        let from = self.looks.last();
        let token = self.stage.start(member)?;
        // What others use counts until the macro is cancelled: then it leaves, or is on its way.
        let longest = if member.role == Role::Memory { LONGEST_MEMORY_ACT } else { LONGEST_ACT };
        let cancelled = self.wait(longest, |_| token.is_cancelled())?;
        let crowd = from.and_then(|from| self.looks.since(from));
        if let Some(why) = crowd.and_then(|c| obstacle::beside(member.role, self.stage.limits(), &c, true)) {
            self.doubts.push(Doubt { name, began: true, why });
        }
        if !cancelled && token.cancel("the act took too long") {
            self.view.say(&format!("       nobody cancelled {name}; the host ends it"));
        }
        self.wait(LONGEST_STOP, |_| token.outcome().is_some())?;
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

    /// Waits until the last host act has settled.
    fn settle(&mut self) -> Scene<()> {
        let settled = self.last_host_act.map(|at| at + SETTLE);
        let left = settled.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        self.wait(left, |_| false)?;
        Ok(())
    }

    /// Why the act of `role`, about a host limit, cannot be shown, if it cannot: after the last one has settled,
    /// and after some patience with what other programs do.
    fn obstacle(&mut self, role: Role) -> Scene<Option<String>> {
        if let Some(why) = obstacle::missing(role, self.stage.limits()) {
            return Ok(Some(why.to_owned()));
        }
        self.settle()?;
        let waiting = Instant::now();
        self.wait(self.patience.min(LONGEST_WAIT), |play| play.hindrance(role).is_none())?;
        self.patience = self.patience.saturating_sub(waiting.elapsed());
        Ok(obstacle::late(self.begun.elapsed()).or_else(|| self.hindrance(role)))
    }

    /// What hinders the act of `role` now.
    fn hindrance(&self, role: Role) -> Option<String> {
        let limits = self.stage.limits();
        let samples = self.stage.supervisor().monitor().recent(3);
        let by_signal = samples.iter().find_map(|s| {
            let (fps, latency, response) = (s.signals.fps, s.signals.latency_ms, s.signals.response_ms);
            obstacle::signal(limits, &Signals { fps, latency, response })
        });
        by_signal.or_else(|| obstacle::beside(role, limits, &self.looks.now()?, false))
    }

    /// Goes on with the view until `done`; returns false if that was not within `limit`.
    fn wait(&mut self, limit: Duration, done: impl Fn(&Play) -> bool) -> Scene<bool> {
        let until = Instant::now() + limit;
        loop {
            self.look();
            self.view.tick(&self.stage, &self.cast);
            is_read(&self.view)?;
            if system::is_interrupted() {
                return Err(Ended::Interrupted.into());
            }
            if done(self) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes down what the newest sample says, beside what the macros use at that moment.
    fn look(&mut self) {
        let Some(sample) = self.stage.supervisor().monitor().latest() else { return };
        if self.looks.last().is_some_and(|last| sample.at <= last) {
            return;
        }
        let (Some(cpu), Some(memory)) = (&sample.cpu, sample.memory) else { return };
        // Without it nothing is known of others, and nothing is excused.
        let Ok(own) = process_table::own(self.stage.register()) else { return };
        self.looks.add(Look {
            at: sample.at,
            busy: cpu.busy,
            own_cpu: own.cpu,
            cores: cpu.capacity,
            used_bytes: memory.used_bytes,
            own_bytes: own.memory_bytes,
            limit_bytes: memory.limit_bytes,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_requires_all_acts_is_told_by_the_status_that_one_was_not_shown() {
        let of = |checks: &[bool], unchecked: usize, all| status(&Verdict::made_of(checks, unchecked), all);
        assert_eq!([of(&[true], 0, false), of(&[true], 0, true)], [0, 0]);
        assert_eq!([of(&[true], 1, false), of(&[true], 1, true)], [0, 4]);
        assert_eq!([of(&[true, false], 1, false), of(&[true, false], 1, true)], [1, 1]);
    }
}
