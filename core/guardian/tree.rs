//! The tree below the guardian.

use std::collections::HashSet;

use crate::group::Group;
use crate::signal::{self, Parents};
use crate::sys::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Urgency};
use crate::table::{Stat, Table};

/// Everything that descends from this process.
pub(crate) struct Tree {
    table: Table,
    me: u32,
    group: Option<Group>,
    /// Id and start time of those that were sent SIGKILL. One is enough, and they may take a while to leave.
    killed: HashSet<(u32, u64)>,
}

impl Tree {
    pub(crate) fn new(group: Option<Group>) -> Tree {
        Tree { table: Table::system(), me: std::process::id(), group, killed: HashSet::new() }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What can still run.
    pub(crate) fn alive(&self) -> Vec<Stat> {
        let mut all = self.table.descendants(self.me, usize::MAX).processes;
        all.retain(Stat::is_alive);
        all
    }

    /// Asks all to leave. A stopped process hears it only after it was told to go on.
    pub(crate) fn terminate(&self) {
        let _urgency = self.urgency();
        let all = self.alive();
        self.send(&all, &all, SIGTERM);
        let stopped: Vec<Stat> = all.iter().filter(|s| s.state == b'T').cloned().collect();
        self.send(&stopped, &all, SIGCONT);
    }

    /// One attempt to kill all. A group is killed by the kernel, and while that goes on a walk through the tree
    /// would only take processor time from those that are to die; with `thorough` it is made all the same, for
    /// what left the group. Elsewhere everything is stopped first, again and again until a look finds nothing
    /// new: what is stopped cannot fork, so a burst of forks runs dry. Then everything is killed.
    pub(crate) fn kill(&mut self, thorough: bool) {
        if let Some(group) = &self.group
            && group.kill()
            && group.is_populated()
            && !thorough
        {
            self.kill_headless(group);
            return;
        }
        let mut stopped = HashSet::new();
        let mut urgency = self.urgency();
        let mut all = self.not_killed();
        if all.len() > 1 {
            for _ in 0..MOST_ROUNDS {
                let new: Vec<Stat> =
                    all.iter().filter(|s| stopped.insert((s.pid, s.start_time))).cloned().collect();
                if new.is_empty() {
                    break;
                }
                if urgency.is_none() && all.len() > BURST {
                    urgency = Some(Urgency::begin());
                }
                self.send(&new, &all, SIGSTOP);
                all = self.not_killed();
            }
        }
        let sent = self.send(&all, &all, SIGKILL);
        self.killed.extend(sent);
        if let Some(group) = &self.group {
            group.thaw();
        }
    }

    /// The kernel's kill of a group passes over a process whose first thread has left and whose others run on.
    fn kill_headless(&self, group: &Group) {
        let members = group.members().unwrap_or_default();
        let all: Vec<Stat> = members.iter().filter_map(|pid| self.table.stat(*pid)).collect();
        let headless: Vec<Stat> = all.iter().filter(|s| s.state == b'Z' && s.is_alive()).cloned().collect();
        self.send(&headless, &all, SIGKILL);
    }

    fn urgency(&self) -> Option<Urgency> {
        self.table.descendants(self.me, BURST).cut.then(Urgency::begin)
    }

    fn not_killed(&self) -> Vec<Stat> {
        let mut all = self.alive();
        all.retain(|s| !self.killed.contains(&(s.pid, s.start_time)));
        all
    }

    /// One signal to a child of this process that was not reaped yet, so that its id is still its own.
    pub(crate) fn signal(&self, child: u32, number: i32) {
        if let Some(stat) = self.table.stat(child) {
            self.send(std::slice::from_ref(&stat), std::slice::from_ref(&stat), number);
        }
    }

    /// Removes the group; a few attempts, as the last member may still be leaving.
    pub(crate) fn remove_group(&self) {
        let Some(group) = &self.group else { return };
        for _ in 0..50 {
            if group.remove() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Sends to `targets`, which are of the `tree`. Returns those to whom it was sent.
    fn send(&self, targets: &[Stat], tree: &[Stat], number: i32) -> Vec<(u32, u64)> {
        // An orphan made since the walk names the guardian as its parent, or whoever of the tree adopts orphans;
        // any other change of parent means that the id now belongs to somebody else.
        let known: HashSet<u32> = tree.iter().map(|s| s.pid).chain([self.me]).collect();
        let parents: HashSet<u32> = targets.iter().map(|s| s.parent).collect();
        let is_member = |pid: u32| known.contains(&pid) || parents.contains(&pid);
        let send = |target: &&Stat| signal::send(&self.table, target, &Parents::Of(&is_member), number);
        targets.iter().filter(send).map(|s| (s.pid, s.start_time)).collect()
    }
}

/// More processes would leave the guardian one turn in many.
const BURST: usize = 32;
/// More rounds than a burst can last: each leaves only what was forked while it ran.
const MOST_ROUNDS: u32 = 100;
