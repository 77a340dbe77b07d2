//! No limit that cannot be enforced.

use super::Profile;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::limit::{ExecutorKind, Limit};

/// Refuses the first task limit that `executor` does not take and `profile` does not call advisory.
pub(super) fn check(profile: &Profile, executor: ExecutorKind) -> Result<()> {
    for limit in Limit::ALL {
        if profile.bound(limit).is_some() && !executor.takes(limit) && !profile.advisory().contains(&limit) {
            return Err(refused(profile, limit, executor));
        }
    }
    Ok(())
}

#[cold]
fn refused(profile: &Profile, limit: Limit, executor: ExecutorKind) -> Error {
    Error::new(
        ErrorKind::LimitRefused,
        format!(
            "profile {:?}: {limit} cannot be enforced for a {executor} task; run it as a process, \
             remove the limit, or list {:?} under \"advisory\"",
            profile.name(),
            limit.name(),
        ),
    )
}
