//! Runs the command to its end.

use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use haltline::supervisor::{Cause, Finished, Outcome, ProcessTask, Profiles, Supervisor};
use haltline::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::option::Options;
use crate::plan::{Act, Plan};
use crate::signal::{self, Signals};
use crate::status::{self, End};
use crate::{profile, report};

/// How long the last output may take to be read after a signal, and the incident file to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the exit status.
pub(crate) fn run(options: &Options) -> Result<u8> {
    let signals = Signals::hold().map_err(|e| system("cannot hold signals back", e))?;
    let profiles = match &options.profiles {
        Some(folder) => Profiles::load_dir(folder)?,
        None => Profiles::new(),
    };
    let profile = profile::profile(options, &profiles)?;
    let mut builder = Supervisor::builder().monitor(profile::monitor(&profile)?).profiles(profiles);
    if let Some(file) = &options.incidents {
        builder = builder.incident_file(file);
    }
    if options.observe {
        builder = builder.observe_only();
    }
    let supervisor = builder.start()?;
    let task = supervisor.command(&options.program).args(&options.args).spawn(&profile)?;
    let task = Arc::new(task);
    let mut plan = Plan::new(profile.grace());
    let finished = follow(&task, &signals, &mut plan)?;
    // A signal may have come while the command was ending by itself; whoever sent it goes by the status.
    while let Some(signal) = signals.next() {
        plan.hear(signal, true, Instant::now());
    }
    let end = tell(options, &supervisor, &task, finished, plan.signal);
    keep(options, &supervisor);
    // Also where it is not proved that nothing is left: then what is known has gone.
    if task.is_finished() {
        task.wait_cleared(PATIENCE);
    }
    Ok(status::of(&end))
}

/// How far the end of the tree has come.
enum Progress {
    /// The tree is gone, or known not to leave; its last output may still be on its way.
    Over,
    Finished(Result<Finished>),
}

/// Waits for the end, and does what signals ask for meanwhile. `None` if the last output was not read in time.
fn follow(task: &Arc<ProcessTask>, signals: &Signals, plan: &mut Plan) -> Result<Option<Finished>> {
    let (mut woken, waker) = std::io::pipe().map_err(|e| system("cannot make a pipe", e))?;
    let (teller, news) = mpsc::channel();
    let waited = task.clone();
    std::thread::Builder::new()
        .name("wait".into())
        .spawn(move || wait(&waited, &teller, waker))
        .map_err(|e| system("cannot start a thread", e))?;
    let mut over = false;
    let mut give_up = None;
    loop {
        let due = plan.due().into_iter().chain(give_up).min();
        let woken_now = poll(signals.fd(), woken.as_fd(), due).map_err(|e| system("cannot wait", e))?;
        let now = Instant::now();
        while let Some(signal) = signals.next() {
            act(plan.hear(signal, task.is_cancelled(), now), task, plan.signal);
        }
        act(plan.tick(now), task, plan.signal);
        if woken_now {
            let _ = woken.read(&mut [0]);
            // Each step is sent before its byte, so this does not wait.
            match news.recv() {
                Ok(Progress::Over) => over = true,
                Ok(Progress::Finished(finished)) => return finished.map(Some),
                Err(_) => return Err(Error::new(ErrorKind::Panicked, "the waiting thread is gone")),
            }
        }
        // A stopped command's output is given up by the core, that of one that ended by itself waits for its reader.
        if over && give_up.is_none() && !task.is_cancelled() && plan.signal.is_some() {
            give_up = Some(now + PATIENCE);
        }
        if give_up.is_some_and(|at| now >= at) {
            return Ok(None);
        }
    }
}

fn act(act: Act, task: &ProcessTask, signal: Option<i32>) {
    let reason = signal.map_or("a signal", signal::name);
    match act {
        Act::Nothing => {}
        Act::Cancel => _ = task.cancel(reason),
        Act::Kill => _ = task.kill(reason),
    }
}

/// Waits on a thread of its own and wakes the one that also hears signals.
fn wait(task: &ProcessTask, teller: &mpsc::Sender<Progress>, mut waker: PipeWriter) {
    task.wait_outcome(Duration::MAX);
    let _ = teller.send(Progress::Over);
    let _ = waker.write_all(b"o");
    let _ = teller.send(Progress::Finished(task.wait()));
    let _ = waker.write_all(b"f");
}

/// Waits until a signal came, the waiting thread woke us, or `until`. Returns whether it was the second.
fn poll(signals: BorrowedFd<'_>, woken: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<bool> {
    let mut ready = [signals, woken].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    // Rounded up, or the last part of a millisecond would be spent turning in circles.
    let left = until.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let left = left.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
    match rustix::event::poll(&mut ready, left.as_ref()) {
        Ok(_) => Ok(!ready[1].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Says what happened and sums it up.
fn tell(
    options: &Options,
    supervisor: &Supervisor,
    task: &ProcessTask,
    finished: Option<Finished>,
    signal: Option<i32>,
) -> End {
    let exit = finished.as_ref().map_or_else(|| task.exit().unwrap_or_default(), |f| f.exit);
    let left = finished.as_ref().map_or(&[][..], |f| &f.leftovers);
    let outcome = task.outcome();
    let name = task.name();
    // An order to stop comes before any leftover is named, so these were left before it.
    let cause = task.cause();
    let end = End {
        exit,
        outcome,
        ended_before: !left.is_empty() || cause == Some(Cause::Leftovers),
        guardian_killed: cause == Some(Cause::GuardianKilled),
        output_lost: finished.as_ref().is_some_and(|f| f.output_error.is_some()),
        signal,
    };

    let mut errors = Vec::new();
    let mut lines = Vec::new();
    if !left.is_empty() {
        lines.push(report::leftovers(name, left, outcome != Some(Outcome::StillRunning)));
    }
    for incident in supervisor.incidents(usize::MAX).iter().rev() {
        let line = report::incident(incident, task.pid());
        let fails = incident.outcome == Some(Outcome::StillRunning) || end.guardian_killed;
        if fails { &mut errors } else { &mut lines }.push(line);
    }
    if let (Some(signal), None) = (signal, outcome) {
        lines.push(format!("{name:?} left by itself on {}", signal::name(signal)));
    }
    if let Some(Finished { dropped, output_error: Some(why), .. }) = &finished {
        errors.push(format!("{dropped} bytes of the output of {name:?} are lost: {why}"));
    }
    if finished.is_none() {
        errors.push(format!("the last output of {name:?} was not read within {PATIENCE:?} and is lost"));
    }
    let spoken = if options.quiet { errors } else { lines.into_iter().chain(errors).collect() };
    spoken.iter().for_each(|line| report::say(line));
    end
}

/// Has the incidents written. A file that cannot be written changes no status.
fn keep(options: &Options, supervisor: &Supervisor) {
    if options.incidents.is_none() {
        return;
    }
    if let Err(e) = supervisor.flush(PATIENCE) {
        report::say(&format!("incidents are missing in their file: {e}"));
    }
}

fn system(tried: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::SpawnFailed, format!("{tried}: {cause}")).because(cause)
}
