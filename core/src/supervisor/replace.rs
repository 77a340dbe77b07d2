//! A running task under another profile.

use super::executor::Executor;
use super::executor::process::Bounds;
use super::inner::Inner;
use super::limit::Limit;
use super::profile::Profile;
use super::record::Record;
use super::supervisor::IntoProfile;
use super::task::Token;
use crate::error::{Error, ErrorKind, Result};

impl Token {
    /// Puts the running task under another profile, by name or as itself. From now on its limits hold and those of the
    /// profile before do not: `max_duration` counts from the task's start, so one that has passed breaches at once;
    /// time for which a host limit or `task.max_cpu_percent` has been broken counts on where the bound is the same and
    /// anew where it changed. The grace that a guardian gives the tree if the host dies stays the first one.
    ///
    /// # Errors
    /// [`UnknownProfile`](ErrorKind::UnknownProfile); [`LimitRefused`](ErrorKind::LimitRefused) if the profile has a
    /// limit that cannot be enforced for this task, which holds for `task.max_output_mib` if the profile that the
    /// command started under had none; [`UnknownTask`](ErrorKind::UnknownTask) if the task has finished or was
    /// cancelled. Nothing has changed then.
    ///
    /// # Example
    /// ```
    /// # fn main() -> haltline::Result<()> {
    /// let supervisor = haltline::supervisor::Supervisor::builder().start()?;
    /// let task = supervisor.start("harvest", "travel")?;
    /// task.replace_profile("attack")?;
    /// assert_eq!(task.profile().name(), "attack");
    /// # Ok(()) }
    /// ```
    pub fn replace_profile(&self, profile: impl IntoProfile) -> Result<()> {
        let record = self.record();
        let inner = &record.home.inner;
        profile.with(&inner.profiles, |profile| inner.replace_profile(record, profile))
    }
}

impl Inner {
    fn replace_profile(&self, record: &Record, profile: &Profile) -> Result<()> {
        profile.accepts(record.executor.kind())?;
        check_output(record, profile)?;
        // Decisions are made under this lock, so each is made under one profile, and the incident names that one.
        let mut engine = self.engine.lock();
        let before = record.profile();
        if record.state.is_cancelled() {
            return Err(refused(record, "was cancelled"));
        }
        if !engine.replace_profile(self.now(), record.id, &before, profile) {
            return Err(refused(record, "is being cancelled"));
        }
        if !self.table.replace_profile(record, profile) {
            return Err(refused(record, "has finished"));
        }
        if let Executor::Process(work) = &record.executor {
            work.tree.set_bounds(Bounds::of(profile));
        }
        drop(engine);
        if let Some(deadline) = self.table.note(record) {
            self.alarm.set(deadline);
        }
        if self.bus.wants("task.profile") {
            self.publish_profile(record, &before, profile);
        }
        Ok(())
    }

    #[cold]
    fn publish_profile(&self, record: &Record, before: &Profile, profile: &Profile) {
        let data = serde_json::json!({
            "id": record.id, "name": record.name, "profile": profile.name(), "level": profile.level(),
            "before": before.name(),
        });
        self.bus.publish("task.profile", Some(record.id.to_string()), data);
    }
}

/// Whoever writes to a stream that is not counted keeps writing there: counting cannot begin later.
fn check_output(record: &Record, profile: &Profile) -> Result<()> {
    let Executor::Process(work) = &record.executor else { return Ok(()) };
    let limit = Limit::TaskOutputMib;
    if profile.bound(limit).is_none() || work.tree.counts_output() || profile.advisory().contains(&limit) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitRefused,
        format!(
            "profile {:?}: {limit} cannot be enforced for task {} {:?}, whose output is not counted; start the \
             command under a profile that has the limit, remove it, or list {:?} under \"advisory\"",
            profile.name(),
            record.id,
            record.name,
            limit.name(),
        ),
    ))
}

#[cold]
fn refused(record: &Record, why: &str) -> Error {
    let message =
        format!("task {} {:?} {why}; only a running task takes another profile", record.id, record.name);
    Error::new(ErrorKind::UnknownTask, message)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::supervisor::{Profile, Supervisor};

    /// Otherwise, of two replacements at one moment, one might set the profile last and the other the bounds.
    #[test]
    fn nothing_is_decided_between_a_profile_and_the_bounds_that_its_tree_is_looked_at_by() {
        let supervisor = Supervisor::builder().start().unwrap();
        let [first, second] =
            [3, 4].map(|n| Profile::builder(n.to_string()).task_max_processes(n).build().unwrap());
        let task = supervisor.command("sleep").arg("60").spawn(&first).unwrap();
        let Executor::Process(work) = &task.token().record().executor else { panic!("a command") };
        let bounds = work.tree.hold_bounds();
        std::thread::scope(|scope| {
            let replacing = scope.spawn(|| task.replace_profile(&second));
            while task.profile().name() != "4" {
                std::thread::yield_now();
            }
            // Long enough for it to go on, were it not to wait for the bounds first.
            let free = supervisor.inner().engine.try_lock_for(Duration::from_millis(100)).is_some();
            drop(bounds);
            replacing.join().unwrap().unwrap();
            assert!(!free);
        });
        task.kill("done");
    }
}
