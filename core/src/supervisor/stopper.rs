//! The one interface through which any task is stopped.

/// How a running thing is asked to stop, forced, and seen to be gone.
///
/// Implement it to put work under supervision that haltline does not run itself, and start it with
/// [`Supervisor::start_with`](super::Supervisor::start_with). haltline calls the three from threads of its
/// own, in the order request, force, one call at a time for one task, except that `force` and `is_gone` do not wait for a
/// `request` that has not returned by the end of the grace. `is_gone` may come at any moment after the start, and comes
/// until it is true. A call that blocks delays no other task. One that panics counts as `false`, and the next ones come
/// all the same.
pub trait Stopper: Send + Sync {
    /// Asks the task to stop. The token of the task already says so when this is called.
    fn request(&self);

    /// Ends the task by force. Returns whether force exists for this kind of task: after `false` a task
    /// that does not leave by itself is reported as `StillRunning` and never as `Killed`.
    fn force(&self) -> bool;

    /// Whether the task is seen to be gone, now. Must be cheap; it is polled while a stop is verified.
    fn is_gone(&self) -> bool;
}
