//! What the user sees: a table redrawn in place in a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use haltline::supervisor::{Outcome, Token};

use crate::cast::Cast;
use crate::stage::Stage;
use crate::system;
use crate::table::{self, Gauge, Row};

const REDRAW: Duration = Duration::from_millis(200);

pub(crate) struct View {
    live: bool,
    begun: Instant,
    /// Lines of the table that stand on the screen.
    drawn: usize,
    redraw: Instant,
    /// Why nothing more can be shown.
    broken: Option<io::Error>,
}

/// Says what went wrong. Where standard error is closed or full there is nowhere else to say it.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(format!("macro-host: {text}\n").as_bytes());
}

/// Prints a text that is all there is to print.
pub(crate) fn print_once(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever closed the pipe has read enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

impl View {
    pub(crate) fn new() -> View {
        let now = Instant::now();
        let is_dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        let live = std::io::stdout().is_terminal() && !is_dumb;
        View { live, begun: now, drawn: 0, redraw: now, broken: None }
    }

    /// Prints a line that stays, without a time.
    pub(crate) fn print(&mut self, text: &str) {
        self.write(&format!("{}{text}\n", self.erase()));
        self.drawn = 0;
        self.redraw = Instant::now();
    }

    /// Prints a line that stays, with the seconds since the start.
    pub(crate) fn say(&mut self, text: &str) {
        let at = self.begun.elapsed().as_secs_f64();
        self.print(&format!("{at:5.1} s  {text}"));
    }

    /// Redraws the table, if there is one and it is due.
    pub(crate) fn tick(&mut self, stage: &Stage, cast: &Cast) {
        if !self.live || Instant::now() < self.redraw {
            return;
        }
        // A line as wide as the terminal would wrap in some of them.
        let (columns, height) = system::terminal_size().unwrap_or((80, 24));
        let mut lines = table::render(columns.saturating_sub(1), &gauges(stage), &rows(stage, cast));
        // What has scrolled out of the terminal could not be erased.
        lines.truncate(height.saturating_sub(1));
        let mut text = self.erase();
        for line in &lines {
            text += line;
            text.push('\n');
        }
        self.write(&text);
        self.drawn = lines.len();
        self.redraw = Instant::now() + REDRAW;
    }

    /// Takes the table off the screen: cursor up to its first line, then clear to the end.
    fn erase(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) }
    }

    /// A closed pipe or a full disk must not end the scene before its processes are stopped.
    fn write(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        self.broken = out.write_all(text.as_bytes()).and_then(|()| out.flush()).err();
    }

    /// The first error of writing.
    pub(crate) fn error(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }
}

fn gauges(stage: &Stage) -> Vec<Gauge> {
    let sample = stage.supervisor().monitor().latest();
    let sample = sample.as_deref();
    let limits = stage.limits();
    let signals = sample.map(|s| &s.signals);
    vec![
        Gauge {
            name: "CPU",
            unit: "%",
            value: sample.and_then(|s| Some(s.cpu.as_ref()?.percent)),
            bound: limits.cpu.as_ref().ok().copied(),
        },
        Gauge {
            name: "memory",
            unit: "%",
            value: sample.and_then(|s| Some(s.memory?.percent)),
            bound: limits.memory.as_ref().ok().copied(),
        },
        Gauge {
            name: "frames",
            unit: "fps",
            value: signals.and_then(|s| s.fps),
            bound: limits.fps.as_ref().ok().copied(),
        },
        Gauge {
            name: "latency",
            unit: "ms",
            value: signals.and_then(|s| s.latency_ms),
            bound: limits.latency.as_ref().ok().copied(),
        },
        Gauge {
            name: "response",
            unit: "ms",
            value: signals.and_then(|s| s.response_ms),
            bound: limits.response.as_ref().ok().copied(),
        },
    ]
}

fn rows(stage: &Stage, cast: &Cast) -> Vec<Row> {
    let active = stage.supervisor().active();
    let row = |member: &crate::cast::Member| {
        let token = stage.playing().iter().find(|p| p.member == *member).map(|p| &p.token);
        let task = token.and_then(|t| active.iter().find(|a| a.id == t.id()));
        Row {
            name: member.name,
            base: member.base,
            kind: member.role.kind().name(),
            state: state(token),
            cpu: task.and_then(|t| t.cpu_percent),
            memory_bytes: task.and_then(|t| t.memory_bytes),
            age_s: task.map(|t| t.age_s),
            plot: if token.is_some() { member.role.plot() } else { "" },
        }
    };
    cast.all().map(row).collect()
}

fn state(token: Option<&Token>) -> String {
    let Some(token) = token else { return String::new() };
    let word = match token.outcome() {
        Some(Outcome::StillRunning) => "STILL RUNNING",
        Some(outcome) => outcome.name(),
        None if token.is_cancelled() => "cancelling",
        None if token.is_finished() => "finished",
        None => "running",
    };
    word.to_owned()
}
