//! Profiles: read, kept by name, and replaced while tasks run.

use std::ffi::c_char;
use std::sync::Arc;

use haltline::supervisor::{Profile, Profiles};
use serde::Serialize;

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Counted, Handle, buffer, handle, out, text};
use crate::record::to_json;
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// The named safety settings of tasks. It never changes; any thread may use it.
pub struct hl_profile(Profile);

impl Handle for hl_profile {
    type Ownership = Counted;
}

/// The names that a reload changed.
#[derive(Default, Serialize)]
pub(crate) struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

/// A profile for C.
pub(crate) fn give(profile: Profile) -> *const hl_profile {
    pointer::share(Arc::new(hl_profile(profile)))
}

/// Reads a profile from JSON, as a file called after name would be read. extends means the profiles of supervisor,
/// or the six built in if that is NULL. It is not added anywhere.
///
/// The profile has the settings that the JSON gives and no others, also under the name of a built-in one, whose place it
/// takes where it is added: a built-in is {"extends": "attack"}, or what hl_supervisor_profile gives.
///
/// HL_INVALID_PROFILE naming the key and the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_profile_parse(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    json: *const c_char,
    json_len: usize,
    out: *mut *const hl_profile,
) -> hl_status {
    enter(|| {
        let (name, json, out) = (text!(name, name_len), text!(json, json_len), out!(out));
        // SAFETY: the header asks callers for a valid handle.
        let profile = match unsafe { pointer::look(supervisor) } {
            Some(supervisor) => supervisor.0.profiles().parse_str(name, json)?,
            None => Profiles::new().parse_str(name, json)?,
        };
        out.set(give(profile));
        Ok(())
    })
}

/// Lets go of a profile. Tasks and supervisors that use it are not disturbed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_profile_free(profile: *const hl_profile) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::let_go(profile) });
    });
}

/// The profile as a JSON object with all its settings, those that it inherited included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_profile_json(
    profile: *const hl_profile,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let profile = handle!(profile);
        buffer!(buf, len, needed).fill_text(&profile.0.to_json().to_string())
    })
}

/// Whether a task of an executor, "cooperative", "future", "thread", "process" or "custom", can have this profile.
///
/// HL_LIMIT_REFUSED naming a limit that the executor can neither measure nor enforce and that is not advisory;
/// HL_INVALID_ARGUMENT for an executor of another name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_profile_accepts(
    profile: *const hl_profile,
    executor: *const c_char,
    executor_len: usize,
) -> hl_status {
    enter(|| {
        let (profile, executor) = (handle!(profile), text!(executor, executor_len));
        profile.0.accepts(executor.parse()?)
    })
}

/// The profile that this name means now, to be freed with hl_profile_free.
///
/// HL_UNKNOWN_PROFILE naming the nearest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_profile(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    out: *mut *const hl_profile,
) -> hl_status {
    enter(|| {
        let (supervisor, name, out) = (handle!(supervisor), text!(name, name_len), out!(out));
        let profile = supervisor.0.profiles().get(name)?;
        out.set(give(profile));
        Ok(())
    })
}

/// Adds a profile under its name, in place of what the name meant before. Running tasks keep what they started with,
/// unless hl_token_replace_profile says otherwise. replaced, which may be NULL, gets what the name meant before, to be
/// freed with hl_profile_free; NULL if it meant nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_insert_profile(
    supervisor: *const hl_supervisor,
    profile: *const hl_profile,
    replaced: *mut *const hl_profile,
) -> hl_status {
    enter(|| {
        let (supervisor, profile) = (handle!(supervisor), handle!(profile));
        let before = supervisor.0.profiles().insert(profile.0.clone());
        if !replaced.is_null() {
            out!(replaced).set(before.map_or(std::ptr::null(), give));
        }
        Ok(())
    })
}

/// Reads the folder of profiles again: all or nothing. Running tasks keep what they started with. Blocks while it
/// reads. hl_supervisor_profile_changes_json says what it changed.
///
/// HL_IO, HL_INVALID_PROFILE; then every name means what it meant before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_reload_profiles(supervisor: *const hl_supervisor) -> hl_status {
    enter(|| {
        let supervisor = handle!(supervisor);
        // Held while the folder is read, so that of two reloads at once the later one is told of.
        let mut last = supervisor.1.lock();
        let changes = supervisor.0.profiles().reload()?;
        *last = Changes { added: changes.added, changed: changes.changed, removed: changes.removed };
        Ok(())
    })
}

/// What the last hl_supervisor_reload_profiles that succeeded has changed: a JSON object with added, changed and removed,
/// each an array of names in alphabetical order. A profile whose parent was edited has changed too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_profile_changes_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let changes = to_json(&*handle!(supervisor).1.lock())?;
        buffer!(buf, len, needed).fill_text(&changes)
    })
}

/// The names of all profiles, in alphabetical order: a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_profile_names_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let names = handle!(supervisor).0.profiles().names();
        buffer!(buf, len, needed).fill_text(&to_json(&names)?)
    })
}
