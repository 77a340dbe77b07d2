//! The running tasks, in one shard for each thread that starts some, so that threads do not meet.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use slab::Slab;

use super::earliest::Earliest;
use super::engine::TaskId;
use super::profile::Profile;
use super::record::Record;
use crate::clock::Time;

/// Threads beyond this number share shards.
pub(crate) const SHARDS: usize = 64;
/// Ids that a shard takes at one time, so that the shared counter is seldom touched.
const BLOCK: u64 = 64;
/// Profiles of which a shard keeps a copy of its own.
const COPIES: usize = 16;

/// All running tasks.
pub(crate) struct Table {
    shards: Box<[CachePadded<Shard>]>,
    next_block: CachePadded<AtomicU64>,
}

struct Shard {
    tasks: Mutex<Tasks>,
    earliest: Earliest,
}

#[derive(Default)]
struct Tasks {
    running: Slab<Arc<Record>>,
    ids: std::ops::Range<TaskId>,
    started: u64,
    finished: u64,
    /// Copies under the same serial: their reference counts are touched by the threads of this shard only.
    profiles: Vec<Profile>,
}

/// Where a record lies in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    shard: usize,
    key: usize,
}

/// The shard of the calling thread.
#[inline]
pub(crate) fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

impl Tasks {
    fn copy_of(&mut self, profile: &Profile) -> Profile {
        if let Some(copy) = self.profiles.iter().find(|p| p.0.serial == profile.0.serial) {
            return copy.clone();
        }
        if self.profiles.len() == COPIES {
            self.profiles.remove(0);
        }
        let copy = Profile(Arc::new((*profile.0).clone()));
        self.profiles.push(copy.clone());
        copy
    }
}

impl Table {
    pub(crate) fn new() -> Self {
        let shard = || CachePadded::new(Shard { tasks: Mutex::default(), earliest: Earliest::new() });
        Table {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            next_block: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// Adds a task made from its id, its place and its profile. Also returns its deadline if the watch thread
    /// may have to hear of it.
    #[inline]
    pub(crate) fn insert(
        &self,
        profile: &Profile,
        make: impl FnOnce(TaskId, Place, Profile) -> Record,
    ) -> (Arc<Record>, Option<Time>) {
        let number = own_shard();
        let shard = &self.shards[number];
        let mut tasks = shard.tasks.lock();
        let id = tasks.ids.next().unwrap_or_else(|| {
            let first = 1 + BLOCK * self.next_block.fetch_add(1, Ordering::Relaxed);
            tasks.ids = first + 1..first + BLOCK;
            first
        });
        let profile = tasks.copy_of(profile);
        let entry = tasks.running.vacant_entry();
        let mut record = make(id, Place { shard: number, key: entry.key() }, profile);
        let deadline = record.first_deadline();
        let record = Arc::new(record);
        entry.insert(record.clone());
        tasks.started += 1;
        drop(tasks);
        let deadline = shard.earliest.note(deadline);
        (record, deadline)
    }

    /// Keeps an eye on a task that was due and goes on.
    pub(crate) fn renote(&self, record: &Record, now: Time) {
        let deadline = record.deadline();
        if deadline > now {
            self.shards[record.place.shard].earliest.note(deadline);
        }
    }

    /// Puts a running task under another profile; returns false if it is not listed any more. Its deadline is to be
    /// [noted](Table::note) then.
    pub(crate) fn replace_profile(&self, record: &Record, profile: &Profile) -> bool {
        // Under the lock, as a task is inserted: a scan for what is due sees it, or comes before it is noted.
        let mut tasks = self.shards[record.place.shard].tasks.lock();
        let listed = tasks.running.get(record.place.key).is_some_and(|r| r.id == record.id);
        if listed {
            let copy = tasks.copy_of(profile);
            record.set_profile(copy);
        }
        listed
    }

    /// Takes note of the deadline of a task, and returns it if the watch thread may have to hear of it.
    pub(crate) fn note(&self, record: &Record) -> Option<Time> {
        self.shards[record.place.shard].earliest.note(record.deadline())
    }

    /// Takes a task out, once.
    pub(crate) fn remove(&self, record: &Record) {
        let mut tasks = self.shards[record.place.shard].tasks.lock();
        let key = record.place.key;
        // The place may belong to a later task by now.
        if tasks.running.get(key).is_some_and(|r| r.id == record.id) {
            let gone = tasks.running.remove(key);
            tasks.finished += 1;
            drop(tasks);
            drop(gone);
        }
    }

    /// Searches for a task: linear in the running tasks.
    pub(crate) fn get(&self, id: TaskId) -> Option<Arc<Record>> {
        let find = |s: &CachePadded<Shard>| {
            s.tasks.lock().running.iter().find(|(_, r)| r.id == id).map(|(_, r)| r.clone())
        };
        self.shards.iter().find_map(find)
    }

    /// Every running task, in no order, appended to `into`.
    pub(crate) fn collect(&self, into: &mut Vec<Arc<Record>>) {
        for shard in &self.shards {
            into.extend(shard.tasks.lock().running.iter().map(|(_, r)| r.clone()));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|s| s.tasks.lock().running.len()).sum()
    }

    /// How many tasks were put in and taken out since the beginning.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(started, finished), shard| {
            let tasks = shard.tasks.lock();
            (started + tasks.started, finished + tasks.finished)
        })
    }

    /// The next moment at which some task may be due.
    pub(crate) fn earliest(&self) -> Time {
        self.shards.iter().map(|s| s.earliest.get()).min().unwrap_or(Time::NEVER)
    }

    /// The tasks that are due, found by scanning only the shards whose earliest moment has come.
    pub(crate) fn due(&self, now: Time) -> Vec<Arc<Record>> {
        let mut due = Vec::new();
        for shard in &self.shards {
            if !shard.earliest.is_due(now) {
                continue;
            }
            let tasks = shard.tasks.lock();
            shard.earliest.find(|| {
                let mut earliest = Time::NEVER;
                for (_, record) in &tasks.running {
                    match record.deadline() {
                        deadline if deadline <= now => due.push(record.clone()),
                        deadline => earliest = earliest.min(deadline),
                    }
                }
                earliest
            });
        }
        due
    }
}
