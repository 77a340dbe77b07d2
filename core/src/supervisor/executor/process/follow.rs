//! Follows one tree from its start to its verified end; runs on the thread `hl-process` alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustix::process::{WaitId, WaitIdOptions};

use super::core::{self, Core};
use super::look::{Limits, Meter, next_look};
use super::signal::{self, Parents};
use super::table::Stat;
use super::wire::{News, Order, PACKET};
use super::{Exit, Leftover, ProcessId, TreeReport, TreeUse, room};
use crate::clock::{Clock, SystemClock, Time};

/// A guardian that was told to kill and has not finished by then gets help: the task may keep stopping it.
const HELP_AFTER: Duration = Duration::from_millis(250);
/// The pause between two looks while an end is being verified or forced.
const SHORT_PAUSE: Duration = Duration::from_millis(5);
const LONG_PAUSE: Duration = Duration::from_millis(50);
/// From then on the long pause is enough.
const PATIENCE: Duration = Duration::from_secs(1);
const SIGKILL: i32 = libc::SIGKILL;
/// How often what a tree forks while it is being stopped is looked for.
const MOST_ROUNDS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The guardian is there and so, as far as is known, is the tree.
    Running,
    /// The guardian says that nothing is left; since when.
    Verifying(Time),
    /// The guardian was killed; since when.
    Lost(Time),
    /// The tree is gone; the guardian is leaving, since when.
    Leaving(Time),
    Done,
}

/// One tree, as the thread sees it.
pub(super) struct Follow {
    pub(super) core: Arc<Core>,
    meter: Meter,
    phase: Phase,
    /// When it is time to tell that what outlived the main process does not leave.
    overdue: Time,
    /// When orders that found no room are sent again.
    resend: Time,
    /// When [`tick`](Follow::tick) is due.
    next: Time,
    guardian_ended: bool,
    /// Whether it was told that looks show nothing.
    unseen: bool,
}

impl Follow {
    pub(super) fn new(core: Arc<Core>) -> Follow {
        let next = SystemClock.now();
        Follow {
            core,
            meter: Meter::new(),
            phase: Phase::Running,
            overdue: Time::NEVER,
            resend: Time::NEVER,
            next,
            guardian_ended: false,
            unseen: false,
        }
    }

    pub(super) fn due(&self) -> Time {
        self.next.min(self.overdue).min(self.resend)
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Reads what the guardian said. Returns false at the end of the connection.
    pub(super) fn hear(&mut self) -> bool {
        let mut packet = [0; PACKET];
        loop {
            let received = rustix::net::recv(&self.core.control, &mut packet[..], RecvFlags::DONTWAIT);
            let news = match received {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(_) | Ok((0, _)) => {
                    self.lose_guardian();
                    return false;
                }
                Ok((n, _)) => News::decode(packet.get(..n).unwrap_or_default()),
            };
            match news {
                Some(News::Exited { status, cpu_us, max_rss_kib }) => self.main_ended(Exit {
                    code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
                    signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
                    cpu_time: Duration::from_micros(cpu_us),
                    max_rss_bytes: max_rss_kib.saturating_mul(1024),
                    at: SystemClock.now(),
                }),
                Some(News::Leftover { pid, start_time, name }) => self
                    .core
                    .known
                    .lock()
                    .leftovers
                    .push(Leftover { id: ProcessId { pid, start_time }, name: core::name(&name) }),
                Some(News::Empty { cpu_us }) => {
                    self.meter.saw_cpu(Duration::from_micros(cpu_us));
                    if self.phase == Phase::Running {
                        let now = SystemClock.now();
                        self.phase = Phase::Verifying(now);
                        self.next = now;
                    }
                }
                _ => {}
            }
        }
    }

    /// The guardian's process ended.
    pub(super) fn guardian_ended(&mut self) {
        self.hear();
        self.guardian_ended = true;
        self.reap_guardian();
        self.lose_guardian();
        self.next = SystemClock.now();
    }

    /// It is our child only if we are init or a subreaper; anywhere else this fails, and should.
    fn reap_guardian(&self) {
        if let Some(guardian) = &self.core.guardian_fd {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = rustix::process::waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(guardian)), options);
        }
    }

    fn lose_guardian(&mut self) {
        if self.phase == Phase::Running {
            let now = SystemClock.now();
            self.phase = Phase::Lost(now);
            self.next = now;
            if let Some(watcher) = self.core.watcher.upgrade() {
                watcher.lost();
            }
        }
    }

    /// Does what is due at `now`.
    pub(super) fn tick(&mut self, now: Time) {
        if now >= self.overdue {
            self.overdue = Time::NEVER;
            if let (Phase::Running | Phase::Verifying(_), Some(watcher)) =
                (self.phase, self.core.watcher.upgrade())
            {
                watcher.overdue();
            }
        }
        self.resend = if self.core.send_again() { Time::NEVER } else { now + SHORT_PAUSE };
        let asked = self.core.take_look_now();
        if !asked && now < self.next {
            return;
        }
        if self.phase == Phase::Running {
            // Mostly heard already. Where the system has no descriptor or no memory left for it, nothing wakes us.
            self.hear();
        }
        match self.phase {
            Phase::Running => self.look(now),
            Phase::Verifying(since) => self.verify(now, since),
            Phase::Lost(since) => self.end_lost_tree(now, since),
            Phase::Leaving(since) => self.leave(now, since),
            Phase::Done => {}
        }
    }

    fn look(&mut self, now: Time) {
        let core = self.core.clone();
        if self.meter.table().stat(core.guardian.pid).is_some_and(|s| s.state == b'T') {
            core.wake_guardian();
        }
        if core.kill_since().is_some_and(|since| now.since(since) < HELP_AFTER) {
            // The guardian is at it. A walk through a burst of forks would hold up the news of its end.
            self.next = now + LONG_PAUSE;
            return;
        }
        let limits = core.limits();
        self.count_group(limits);
        let (mut seen, mut alive) = self.measure(limits, now);
        seen.output_bytes = core.flow.bytes();
        let cost = SystemClock.now().since(now);
        let forced = core.kill_since().filter(|since| now.since(*since) >= HELP_AFTER);
        if forced.is_some() {
            alive = self.kill_known(alive);
        }
        {
            let mut known = core.known.lock();
            known.last_use = seen;
            // An empty look right after the start, or between two generations, is no reason to forget.
            if !alive.is_empty() {
                known.alive = alive;
            }
        }
        let interval = if self.meter.is_reading() { Duration::ZERO } else { core.interval };
        let mut wait = next_look(limits.memory, seen.memory_bytes, interval, cost);
        if self.meter.is_in_doubt() {
            wait = wait.min(cost.max(SHORT_PAUSE));
        }
        if core.kill_since().is_some() {
            wait = wait.min(LONG_PAUSE);
        }
        self.next = SystemClock.now() + wait;
        if let Some(watcher) = core.watcher.upgrade() {
            // A guardian that has just left is no reason: there is nothing to be seen any more.
            let reason = match seen.processes {
                None => self.meter.table().read(core.guardian.pid).err(),
                Some(_) => None,
            };
            if reason.is_some() != self.unseen && (reason.is_some() || seen.processes.is_some()) {
                let reason = reason.map(|e| e.to_string());
                if watcher.unseen(reason.as_deref()) {
                    self.unseen = reason.is_some();
                }
            }
            watcher.looked();
        }
    }

    /// A look that needs no descriptor of the host's where it has none.
    fn measure(&mut self, limits: Limits, now: Time) -> (TreeUse, Vec<Stat>) {
        let core = self.core.clone();
        let meter = &mut self.meter;
        let crowd = |count| tell_of_crowd(&core, count);
        let mut look = || meter.look(core.guardian, core.group.as_ref(), limits, now, crowd);
        let seen = look();
        if seen.0.processes.is_some() || !room::is_out_of_descriptors() {
            return seen;
        }
        room::with_own_descriptors(look).unwrap_or(seen)
    }

    /// A burst of forks is told of before it is looked at one by one, which takes the longer the more there are.
    fn count_group(&self, limits: Limits) {
        let (Some(most), Some(group)) = (limits.processes, &self.core.group) else { return };
        if let Some(count) = group.members().map(|m| m.len() as u64).filter(|n| *n > most) {
            tell_of_crowd(&self.core, count);
        }
    }

    /// The guardian's word is checked: nothing below it, nothing that was known, nothing in the group. What cannot be
    /// looked at has gone: the guardian is told by the system that it has no descendant left.
    fn verify(&mut self, now: Time, since: Time) {
        let core = self.core.clone();
        let below = self.meter.below(core.guardian);
        let known = self.meter.refresh(&core.known.lock().alive.clone(), false);
        let members = core.group.as_ref().and_then(|g| g.members()).unwrap_or_default();
        let grouped = members.iter().filter_map(|pid| self.meter.table().stat(*pid));
        let mut left: Vec<Stat> =
            below.into_iter().chain(known).chain(grouped).filter(Stat::is_alive).collect();
        if left.is_empty() {
            return self.finish(now, false, true);
        }
        if core.kill_since().is_some() {
            left = self.kill_known(left);
        }
        core.known.lock().alive = left;
        self.next = now + pause(now.since(since));
    }

    /// Without a guardian the tree cannot be measured or asked, so it is killed: what was known, what
    /// descends from that, and what the group holds.
    fn end_lost_tree(&mut self, now: Time, since: Time) {
        let core = self.core.clone();
        if core.known.lock().exit.is_none() {
            self.main_ended(Exit { at: now, ..Exit::default() });
        }
        let last = core.known.lock().alive.clone();
        let mut alive = self.meter.refresh(&last, true);
        let members = core.group.as_ref().and_then(|g| g.members());
        let table = self.meter.table();
        let grouped = members.iter().flatten().filter_map(|pid| table.stat(*pid));
        alive.extend(grouped.filter(Stat::is_alive));
        if alive.is_empty() {
            // Whoever was listed in the group and could not be looked at may run.
            let empty = members.is_some_and(|m| m.iter().all(|pid| table.read(*pid).is_ok()));
            return self.finish(now, true, core.held && empty);
        }
        core.known.lock().alive = self.kill_known(alive);
        self.next = now + pause(now.since(since));
    }

    /// Stops all of `alive`, and what they forked meanwhile, until a look finds nothing new: once its parent is dead
    /// nothing tells that a process belongs here.
    fn stop_all(&self, mut alive: Vec<Stat>) -> Vec<Stat> {
        let mut stopped = HashSet::new();
        for _ in 0..MOST_ROUNDS {
            let new: Vec<&Stat> =
                alive.iter().filter(|s: &&Stat| stopped.insert((s.pid, s.start_time))).collect();
            if new.is_empty() {
                break;
            }
            for stat in new {
                signal::send(self.meter.table(), stat, &Parents::Unknown, libc::SIGSTOP);
            }
            alive = self.meter.refresh(&alive, true);
        }
        alive
    }

    /// Kills `alive`, and what they forked meanwhile. Returns them all. Needs no descriptor of the host's where it has
    /// none.
    fn kill_known(&self, alive: Vec<Stat>) -> Vec<Stat> {
        if !room::is_out_of_descriptors() {
            return self.kill_found(alive);
        }
        let killed = room::with_own_descriptors(|| self.kill_found(alive.clone()));
        killed.unwrap_or_else(|| self.kill_found(alive))
    }

    fn kill_found(&self, alive: Vec<Stat>) -> Vec<Stat> {
        let core = &self.core;
        let is_late = core.kill_since().is_some_and(|since| SystemClock.now().since(since) >= 2 * PATIENCE);
        if let Some(group) = &core.group
            && group.kill()
            && group.is_populated()
            && self.phase == Phase::Running
            && !is_late
        {
            // Its members are dying; what left it is the guardian's next.
            return alive;
        }
        let alive = self.stop_all(alive);
        for stat in &alive {
            signal::send(self.meter.table(), stat, &Parents::Unknown, SIGKILL);
        }
        if let Some(group) = &self.core.group {
            group.thaw();
        }
        alive
    }

    fn main_ended(&mut self, exit: Exit) {
        self.core.known.lock().exit = Some(exit);
        self.core.changed.notify_all();
        if let Some(time) = self.core.leave_within {
            self.overdue = exit.at + time;
        }
    }

    fn finish(&mut self, now: Time, guardian_killed: bool, proved: bool) {
        let core = self.core.clone();
        if let Some(time) = core.group.as_ref().and_then(super::cgroup::cpu_time) {
            self.meter.saw_cpu(time);
        }
        {
            let mut known = core.known.lock();
            known.alive.clear();
            known.last_use.cpu_time = Some(self.meter.saw_cpu(Duration::ZERO));
            known.last_use.memory_bytes = Some(0);
            known.last_use.processes = Some(0);
            known.last_use.output_bytes = core.flow.bytes();
            known.last_use.at = now;
            let report =
                TreeReport { exit: known.exit, last_use: known.last_use, guardian_killed, proved, at: now };
            known.report = Some(report);
        }
        core.gone.store(true, Ordering::Release);
        core.changed.notify_all();
        core.flow.end();
        core.order(Order::Quit);
        self.phase = Phase::Leaving(now);
        self.next = now;
        self.overdue = Time::NEVER;
        if let Some(watcher) = core.watcher.upgrade() {
            watcher.gone();
        }
    }

    /// Waits for the guardian's own end, so that neither a zombie nor an empty group stays behind.
    fn leave(&mut self, now: Time, since: Time) {
        let ended = self.guardian_ended
            || !self.meter.table().is_alive(self.core.guardian.pid, self.core.guardian.start_time);
        let removed = ended && self.core.group.as_ref().is_none_or(|g| g.remove());
        if (ended && removed) || now.since(since) > 10 * PATIENCE {
            // The process table may have told of its end first.
            self.reap_guardian();
            self.phase = Phase::Done;
            self.core.known.lock().cleared = true;
            self.core.changed.notify_all();
        }
        self.next = now + pause(now.since(since));
    }
}

/// Tells of more processes than allowed, before more is known of them.
fn tell_of_crowd(core: &Core, count: u64) {
    if core.kill_since().is_some() {
        return;
    }
    core.known.lock().last_use.processes = Some(count);
    if let Some(watcher) = core.watcher.upgrade() {
        watcher.looked();
    }
}

fn pause(waited: Duration) -> Duration {
    if waited < PATIENCE { SHORT_PAUSE } else { LONG_PAUSE }
}

#[cfg(test)]
mod tests {
    use rustix::net::SendFlags;

    use super::super::core::Parts;
    use super::super::table::Table;
    use super::*;

    #[test]
    fn a_guardian_whose_end_the_process_table_tells_first_is_no_zombie_either() {
        // Our child, as every guardian is of a host that is init or a subreaper.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let table = Table::system();
        let id = ProcessId { pid: child.id(), start_time: table.stat(child.id()).unwrap().start_time };
        let pid = rustix::process::Pid::from_child(&child);
        let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let (parts, guardian) = Parts::of_nobody();
        let core = Arc::new(Core::new(Parts { guardian: id, guardian_fd: Some(fd), ..parts }));
        rustix::net::send(&guardian, &News::Empty { cpu_us: 7 }.encode(), SendFlags::empty()).unwrap();
        let mut follow = Follow::new(core);
        assert!(follow.hear());
        while !follow.is_done() {
            follow.tick(SystemClock.now());
        }
        assert!(child.wait().is_err(), "nobody waited for it");
    }

    #[test]
    fn who_got_the_id_of_a_guardian_keeps_its_children() {
        use std::io::BufRead;
        let mut stranger = std::process::Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(stranger.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let child: u32 = line.trim().parse().unwrap();
        let table = Table::system();
        let now = table.stat(stranger.id()).unwrap();
        let (parts, guardian) = Parts::of_nobody();
        let earlier = ProcessId { pid: now.pid, start_time: now.start_time - 1 };
        let core = Arc::new(Core::new(Parts { guardian: earlier, ..parts }));
        rustix::net::send(&guardian, &News::Empty { cpu_us: 7 }.encode(), SendFlags::empty()).unwrap();
        core.kill();
        let mut follow = Follow::new(core.clone());
        assert!(follow.hear());
        follow.tick(SystemClock.now());
        let lives = table.stat(child).is_some_and(|s| s.is_alive());
        let start = table.stat(child).map(|s| s.start_time);
        if let Some(start_time) = start {
            let child = Stat { pid: child, start_time, ..now.clone() };
            signal::send(&table, &child, &Parents::Unknown, SIGKILL);
        }
        stranger.wait().unwrap();
        assert!(lives, "the stranger's child was killed");
        assert!(core.is_gone(), "nothing of the tree is left");
    }
}
