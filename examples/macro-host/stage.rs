//! Where the macros run: starts each as the task that its role asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use haltline::supervisor::{Input, Output, ProcessTask, Supervisor, Token};
use haltline::{Error, ErrorKind, Result};

use crate::cast::{Member, Role};
use crate::limits::Limits;
use crate::work;
use crate::world;

/// Memory that a healthy process holds all the time.
const STEADY: u64 = 24 << 20;

pub(crate) struct Stage {
    supervisor: Supervisor,
    limits: Limits,
    /// This program, which plays the macros that are processes too.
    program: PathBuf,
    register: PathBuf,
    over: Arc<AtomicBool>,
    playing: Vec<Playing>,
    world: world::Running,
}

/// A macro that was started.
pub(crate) struct Playing {
    pub(crate) member: Member,
    pub(crate) token: Token,
    body: Body,
}

enum Body {
    /// A thread, or a future on a thread: its handle is not needed, for it tells its end by its token.
    Thread,
    Process {
        task: ProcessTask,
        stdin: Option<std::fs::File>,
    },
}

impl Stage {
    pub(crate) fn new(
        supervisor: Supervisor,
        world: world::Running,
        limits: Limits,
        program: PathBuf,
        register: PathBuf,
    ) -> Stage {
        Stage { supervisor, limits, program, register, over: Arc::default(), playing: Vec::new(), world }
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where every process of a macro enters itself.
    pub(crate) fn register(&self) -> &Path {
        &self.register
    }

    pub(crate) fn playing(&self) -> &[Playing] {
        &self.playing
    }

    /// Starts a macro under the profile of its name.
    pub(crate) fn start(&mut self, member: Member) -> Result<Token> {
        let (world, over, burn) = (self.world.world().clone(), self.over.clone(), self.limits.burn);
        let (token, body) = match member.role {
            Role::Overrun => self.thread(member, work::overrun)?,
            Role::Deaf => self.thread(member, |_| work::hang())?,
            Role::Errand => self.thread(member, work::errand)?,
            Role::Frames => self.thread(member, move |t| work::hold(t, &world.scene, burn))?,
            Role::Latency => self.thread(member, move |t| work::hold(t, &world.session, burn))?,
            Role::Response => self.thread(member, move |t| work::hold(t, &world.market, burn))?,
            Role::Thread => self.thread(member, move |t| work::thread(t, &world, &over))?,
            Role::Memory => self.process(member, "memory", self.limits.hog_bytes)?,
            Role::Cpu => self.process(member, "cpu", self.limits.threads)?,
            Role::Daemon => self.process(member, "daemon", 0)?,
            Role::Process => self.process(member, "healthy", STEADY.min(self.limits.hog_bytes / 8))?,
            Role::Future => self.future(member)?,
        };
        self.playing.push(Playing { member, token: token.clone(), body });
        Ok(token)
    }

    fn thread(&self, member: Member, body: impl FnOnce(&Token) + Send + 'static) -> Result<(Token, Body)> {
        let task = self.supervisor.spawn(member.name, member.name, body)?;
        Ok((task.token().clone(), Body::Thread))
    }

    fn process(&self, member: Member, kind: &str, amount: u64) -> Result<(Token, Body)> {
        let task = self
            .supervisor
            .command(&self.program)
            .args(["--work", kind])
            .arg(&self.register)
            .arg(amount.to_string())
            .name(member.name)
            // Ctrl-C is for the host, which then stops its macros in order.
            .own_group()
            .stdin(Input::Piped)
            .stdout(Output::Null)
            .spawn(member.name)?;
        let stdin = task.take_stdin();
        Ok((task.token().clone(), Body::Process { task, stdin }))
    }

    fn future(&self, member: Member) -> Result<(Token, Body)> {
        let over = self.over.clone();
        let future = self.supervisor.supervise(member.name, member.name, |t| work::future(t, over))?;
        let token = future.token().clone();
        std::thread::Builder::new()
            .name("runtime".to_owned())
            .spawn(move || work::block_on(future))
            .map_err(|e| Error::new(ErrorKind::SpawnFailed, format!("the future's thread: {e}")))?;
        Ok((token, Body::Thread))
    }

    /// The names of the healthy macros that nothing ended: they run on, or finished in their time.
    pub(crate) fn survivors(&self) -> Vec<&'static str> {
        let well = |p: &&Playing| {
            p.member.role.fate().is_none()
                && !p.token.is_cancelled()
                && match &p.body {
                    _ if p.member.role == Role::Errand => p.token.is_finished(),
                    Body::Process { task, .. } => task.exit().is_none() && !p.token.is_finished(),
                    Body::Thread => !p.token.is_finished(),
                }
        };
        self.playing.iter().filter(well).map(|p| p.member.name).collect()
    }

    /// Tells the healthy macros that the scene is over and waits until they have left by themselves. Returns
    /// the names of those that did not.
    pub(crate) fn end(&mut self, limit: Duration) -> Vec<&'static str> {
        self.over.store(true, Ordering::Relaxed);
        for playing in &mut self.playing {
            if let Body::Process { stdin, .. } = &mut playing.body {
                drop(stdin.take());
            }
        }
        let until = Instant::now() + limit;
        let late = |p: &&Playing| !p.token.is_finished() && p.member.role != Role::Deaf;
        while self.playing.iter().any(|p| late(&p)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.playing.iter().filter(late).map(|p| p.member.name).collect()
    }
}
