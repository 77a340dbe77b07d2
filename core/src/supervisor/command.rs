//! Commands that run as supervised tasks, a whole process tree each.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cause::Cause;
use super::executor::process::{self, Exit, Input, Output, Tree, TreeWatcher};
use super::executor::{Executor, ProcessWork};
use super::limit::ExecutorKind;
use super::link::Link;
use super::outcome::Outcome;
use super::profile::Profile;
use super::supervisor::{IntoProfile, Supervisor};
use super::task::Token;
use crate::error::{Error, ErrorKind, Result};
use crate::secret;

/// How much of each stream [`Command::output`] keeps.
const CAPTURE_BYTES: usize = 64 << 20;

/// A command to run as a task. Its whole process tree is supervised, wherever its processes go.
///
/// Made by [`Supervisor::command`]. The standard streams are inherited unless said otherwise.
#[must_use = "nothing runs before spawn or output"]
pub struct Command {
    supervisor: Supervisor,
    spec: process::Command,
    name: Option<Cow<'static, str>>,
}

impl Supervisor {
    /// Prepares a command. The program is looked for in `PATH` unless it holds a slash.
    ///
    /// # Example
    /// ```
    /// # fn main() -> haltline::Result<()> {
    /// # #[cfg(target_os = "linux")] {
    /// let supervisor = haltline::supervisor::Supervisor::builder().start()?;
    /// let done = supervisor.command("echo").arg("hello").output("craft")?;
    /// assert_eq!(done.stdout, b"hello\n");
    /// assert!(done.exit.success());
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        Command { supervisor: self.clone(), spec: process::Command::new(program.into()), name: None }
    }
}

impl Command {
    /// Adds an argument. Any bytes but NUL.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.spec.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.spec.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment, which is otherwise the host's.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.spec.env.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.spec.env.push((name.into(), None));
        self
    }

    /// Starts from an empty environment instead of the host's.
    pub fn env_clear(mut self) -> Self {
        self.spec.env_clear = true;
        self.spec.env.clear();
        self
    }

    /// The folder to run in, otherwise the host's.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spec.cwd = Some(folder.into());
        self
    }

    /// The name of the task, otherwise the program's.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where standard input comes from.
    pub fn stdin(mut self, input: Input) -> Self {
        self.spec.stdin = input;
        self
    }

    /// Where standard output goes.
    pub fn stdout(mut self, output: Output) -> Self {
        self.spec.stdout = output;
        self
    }

    /// Where standard error goes.
    pub fn stderr(mut self, output: Output) -> Self {
        self.spec.stderr = output;
        self
    }

    /// Gives the command a process group of its own, so that Ctrl-C in the terminal does not reach it.
    pub fn own_group(mut self) -> Self {
        self.spec.own_group = true;
        self
    }

    /// Lets processes that outlive the command run on, supervised. Otherwise they are stopped and named; if they have
    /// not left a second after the profile's grace, the task is cancelled with [`Cause::Leftovers`].
    pub fn keep_leftovers(mut self) -> Self {
        self.spec.keep_leftovers = true;
        self
    }

    /// Does not use cgroups, even where they could be. With `HALTLINE_CGROUP=off` in its environment a host uses none
    /// for any command.
    pub fn without_cgroup(mut self) -> Self {
        self.spec.cgroups = process::Cgroups::Off;
        self
    }

    /// Starts it under `profile`.
    ///
    /// # Errors
    /// [`CommandNotFound`](ErrorKind::CommandNotFound),
    /// [`CommandNotExecutable`](ErrorKind::CommandNotExecutable), [`SpawnFailed`](ErrorKind::SpawnFailed),
    /// [`UnknownProfile`](ErrorKind::UnknownProfile), [`ShutDown`](ErrorKind::ShutDown),
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for [`Output::Stdout`] as standard output, and
    /// [`Unsupported`](ErrorKind::Unsupported) on systems other than Linux.
    ///
    /// # Blocking
    /// Until the command was started or failed to, about a millisecond.
    pub fn spawn(self, profile: impl IntoProfile) -> Result<ProcessTask> {
        let supervisor = self.supervisor.clone();
        profile.with(supervisor.profiles(), |profile| self.spawn_under(profile))
    }

    fn spawn_under(mut self, profile: &Profile) -> Result<ProcessTask> {
        profile.accepts(ExecutorKind::Process)?;
        if matches!(self.spec.stdout, Output::Stdout) {
            let what = "standard output cannot go to standard output: Output::Stdout is for standard error";
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        let inner = self.supervisor.inner();
        let _starting = inner.begin_start()?;
        self.spec.grace = profile.grace();
        let bounds = process::Bounds::of(profile);
        self.spec.memory_limit = bounds.memory;
        self.spec.host_memory = bounds.host_memory;
        self.spec.output_limit = bounds.output;
        self.spec.process_limit = bounds.processes;
        self.spec.count_output = self.spec.output_limit.is_some();
        let name = self.name.take().unwrap_or_else(|| {
            let program = PathBuf::from(&self.spec.program);
            let stem = program.file_name().map(|n| n.to_string_lossy().into_owned());
            Cow::Owned(stem.unwrap_or_else(|| self.spec.program.to_string_lossy().into_owned()))
        });
        let link = Arc::new(Link::new());
        let words = std::iter::once(&self.spec.program).chain(&self.spec.args);
        let command = secret::mask_args(&words.collect::<Vec<_>>());
        let env = secret::mask_env(self.spec.env.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))));
        let watcher: Arc<dyn TreeWatcher> = link.clone();
        let tree = Tree::spawn(self.spec, self.supervisor.monitor().interval(), Arc::downgrade(&watcher))?;
        let work = ProcessWork { tree: tree.clone(), command, env, _watcher: watcher };
        let token = self.supervisor.admit(name, profile, Executor::Process(Box::new(work)))?;
        link.attach(token.record());
        Ok(ProcessTask { tree, token })
    }

    /// Runs it under `profile` to its end and collects what it wrote, unless the streams were set otherwise.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn). A command that fails or is cancelled is not an error here: see the result.
    ///
    /// # Blocking
    /// Until the whole tree is gone, or is known not to leave.
    pub fn output(mut self, profile: impl IntoProfile) -> Result<Finished> {
        for stream in [&mut self.spec.stdout, &mut self.spec.stderr] {
            if matches!(stream, Output::Inherit) {
                *stream = Output::Capture(CAPTURE_BYTES);
            }
        }
        if matches!(self.spec.stdin, Input::Inherit) {
            self.spec.stdin = Input::Null;
        }
        self.spawn(profile)?.wait()
    }
}

/// A command that runs as a task. Dropping the handle leaves it running, supervised.
pub struct ProcessTask {
    tree: Arc<Tree>,
    token: Token,
}

/// How a command ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How its main process ended.
    pub exit: Exit,
    /// What it wrote to standard output, where that was captured.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, where that was captured.
    pub stderr: Vec<u8>,
    /// Bytes of both that are lost: they came after as much as was to be kept, or could not be passed on.
    pub dropped: u64,
    /// Why output could not be passed on, where it passes through the host because it is counted: its destination
    /// failed, or nobody read it in the two seconds after a tree that was stopped had gone. A reader that left is no
    /// error.
    pub output_error: Option<String>,
    /// Processes that it had left behind, id and name, whether they are gone by now or not: see `outcome`.
    pub leftovers: Vec<(u32, String)>,
    /// Why it was cancelled, if it was.
    pub cancelled: Option<Cause>,
    /// What came of the cancellation.
    pub outcome: Option<Outcome>,
}

impl ProcessTask {
    /// The token of the task.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The process id of the command itself.
    pub fn pid(&self) -> u32 {
        self.tree.main_pid()
    }

    /// The process id of its guardian, which is no part of the tree.
    pub fn guardian_pid(&self) -> u32 {
        self.tree.guardian_pid()
    }

    /// The ids of all its processes at the last look.
    pub fn pids(&self) -> Vec<u32> {
        self.tree.pids().iter().map(|p| p.id.pid).collect()
    }

    /// Sends a signal to the command itself. Nothing is sent if it has ended.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if the number is no signal's, and [`Io`](ErrorKind::Io) if the
    /// signal could not be sent, as when more were sent before it than the guardian has taken.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.tree.signal(signal)
    }

    /// How the command itself ended, if it has. Its tree may live on.
    pub fn exit(&self) -> Option<Exit> {
        self.tree.exit()
    }

    /// Its standard input, where it is piped; once.
    pub fn take_stdin(&self) -> Option<std::fs::File> {
        self.tree.take_stdin()
    }

    /// Its standard output, where it is piped; once.
    pub fn take_stdout(&self) -> Option<std::fs::File> {
        self.tree.take_stdout()
    }

    /// Its standard error, where it is piped; once.
    pub fn take_stderr(&self) -> Option<std::fs::File> {
        self.tree.take_stderr()
    }

    /// Waits until the whole tree is gone; if it is cancelled, until the stop was verified or found to have failed.
    /// Output that passes through the host is waited for too: that of a tree that was stopped for two seconds, that of
    /// one that ended by itself until somebody has read it.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if its captured output could not be read.
    ///
    /// # Blocking
    /// Until then.
    pub fn wait(&self) -> Result<Finished> {
        self.wait_timeout(Duration::MAX)
    }

    /// As [`wait`](ProcessTask::wait), for at most `limit`.
    ///
    /// # Errors
    /// As `wait`, and [`TimedOut`](ErrorKind::TimedOut): the command goes on, or its output waits for its reader.
    pub fn wait_timeout(&self, limit: Duration) -> Result<Finished> {
        let begun = std::time::Instant::now();
        let left = || limit.saturating_sub(begun.elapsed());
        if !self.token.record().wait_end(left()) {
            return Err(self.late(limit));
        }
        let outcome = if self.token.is_cancelled() {
            Some(self.token.wait_outcome(left()).ok_or_else(|| self.late(limit))?)
        } else {
            None
        };
        // What runs on may hold its output open for ever.
        let runs_on = outcome == Some(Outcome::StillRunning) && self.tree.report().is_none();
        if !runs_on && !self.tree.wait_output(left()) {
            let name = self.token.name();
            let message =
                format!("task {name:?} has ended, but not all its output was read within {limit:?}");
            return Err(Error::new(ErrorKind::TimedOut, message));
        }
        let leftovers = self.tree.leftovers();
        let lost = self.tree.lost_output();
        let (stdout, stderr) = (self.tree.captured_stdout(), self.tree.captured_stderr());
        Ok(Finished {
            exit: self.tree.exit().unwrap_or_default(),
            dropped: stdout.dropped + stderr.dropped + lost.as_ref().map_or(0, |l| l.bytes),
            output_error: lost.map(|l| l.because),
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            leftovers: leftovers.into_iter().map(|l| (l.id.pid, l.name)).collect(),
            cancelled: self.token.cause(),
            outcome,
        })
    }

    /// Waits until nothing of the task is left on the machine, not even its guardian, which leaves a moment
    /// after the tree. For a host that ends right after its task: whoever watches that host then sees no
    /// process outlive it. Returns false after `limit`.
    ///
    /// # Blocking
    /// For at most `limit`.
    pub fn wait_cleared(&self, limit: Duration) -> bool {
        self.tree.wait_cleared(limit)
    }

    fn late(&self, limit: Duration) -> Error {
        Error::new(
            ErrorKind::TimedOut,
            format!("task {:?} has not ended within {limit:?}", self.token.name()),
        )
    }
}

impl std::ops::Deref for ProcessTask {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}
