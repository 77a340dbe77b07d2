//! Keeps profiles by name and replaces them while tasks run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::inherit::{Sheet, resolve};
use super::{Profile, builder, builtin, document, folder, value};
use crate::error::{Error, ErrorKind, Result};

/// Profiles by name. Clones are handles to the same store; reading takes no lock.
///
/// A name means, in this order: what [`insert`](Self::insert) put there, the folder's file of that name, the
/// built-in. A task keeps the profile that it started with, whatever happens here.
///
/// # Example
/// ```
/// use haltline::supervisor::Profiles;
///
/// let profiles = Profiles::new();
/// let mining = profiles.parse_str("mining", r#"{ "extends": "attack", "max_duration": "5m" }"#)?;
/// profiles.insert(mining);
/// assert_eq!(profiles.get("mining")?.host().min_fps, Some(15.0));
/// assert!(profiles.get("minig").unwrap_err().to_string().contains("did you mean \"mining\"?"));
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profiles(Arc<Store>);

#[derive(Debug)]
struct Store {
    folder: Option<PathBuf>,
    state: ArcSwap<State>,
    /// Held by whoever makes the next state, also while the folder is read. Readers never see it.
    change: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    code: BTreeMap<String, Profile>,
    /// What a name means: the profiles of code, over the folder's, over the built-ins.
    all: HashMap<String, Profile>,
}

/// What [`Profiles::reload`] changed, by name, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Names that mean something now and did not before.
    pub added: Vec<String>,
    /// Names that mean something else than before; an edited parent changes those that extend it.
    pub changed: Vec<String>,
    /// Names that mean nothing any more.
    pub removed: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Profiles::new()
    }
}

impl Profiles {
    /// The six built-in profiles.
    pub fn new() -> Profiles {
        Profiles::over(None, State::default().merged([], None))
    }

    /// The built-in profiles, and over them the `*.json` files of `folder`, each named after its stem; `.JSON` is
    /// the same ending. Hidden files and folders inside are left out.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) for a folder or file that cannot be read; [`InvalidProfile`](ErrorKind::InvalidProfile)
    /// for the first bad file, with its key and value.
    ///
    /// # Blocking
    /// Reads the files.
    pub fn load_dir(folder: impl AsRef<Path>) -> Result<Profiles> {
        let folder = folder.as_ref();
        // The host may change its working directory before it reloads.
        let path = std::path::absolute(folder)
            .map_err(|e| Error::io(format_args!("finding the profile folder {}", folder.display()), e))?;
        let state = State::default().with_files(&path)?;
        Ok(Profiles::over(Some(path), state))
    }

    fn over(folder: Option<PathBuf>, state: State) -> Profiles {
        Profiles(Arc::new(Store { folder, state: ArcSwap::from_pointee(state), change: Mutex::new(()) }))
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// [`UnknownProfile`](ErrorKind::UnknownProfile) with the nearest name and the known ones.
    pub fn get(&self, name: &str) -> Result<Profile> {
        let state = self.0.state.load();
        state.all.get(name).cloned().ok_or_else(|| unknown(name, &state))
    }

    /// Hands the profile of this name to `take`, without touching its reference count.
    ///
    /// # Errors
    /// As [`get`](Self::get), and what `take` returns.
    pub(crate) fn with<T>(&self, name: &str, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T> {
        let state = self.0.state.load();
        take(state.all.get(name).ok_or_else(|| unknown(name, &state))?)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.state.load().names()
    }

    /// Adds `profile` under its name, in place of what the name meant before. It stays over a file of that name.
    /// Files that extend the name follow at the next [`reload`](Self::reload).
    ///
    /// Returns what the name meant before.
    pub fn insert(&self, profile: Profile) -> Option<Profile> {
        let _change = self.0.change.lock();
        let old = self.0.state.load_full();
        let mut code = old.code.clone();
        let mut all = old.all.clone();
        code.insert(profile.name().to_owned(), profile.clone());
        let before = all.insert(profile.name().to_owned(), profile);
        self.0.state.store(Arc::new(State { code, all }));
        before
    }

    /// Reads the folder again. All or nothing: after an error every name means what it meant before. Profiles
    /// whose settings are the same as before stay the same objects. Without a folder nothing changes.
    ///
    /// # Errors
    /// As [`load_dir`](Self::load_dir).
    ///
    /// # Blocking
    /// Reads the files; readers of the store go on meanwhile.
    pub fn reload(&self) -> Result<Changes> {
        let Some(folder) = &self.0.folder else { return Ok(Changes::default()) };
        let _change = self.0.change.lock();
        let old = self.0.state.load_full();
        let state = old.with_files(folder)?;
        let changes = old.changes_to(&state);
        self.0.state.store(Arc::new(state));
        Ok(changes)
    }

    /// Reads a document as a file named after `name` would be read, and adds nothing. `extends` means the
    /// profiles of this store, its own name included.
    ///
    /// # Errors
    /// [`InvalidProfile`](ErrorKind::InvalidProfile) naming the profile, the key and the value.
    pub fn parse_str(&self, name: &str, json: &str) -> Result<Profile> {
        let label = format!("profile {name:?}");
        if let Some(fault) = builder::name_fault(name) {
            return Err(Error::new(ErrorKind::InvalidProfile, format!("{label}: {fault}")));
        }
        let document = document::read(&label, json)?;
        let mut base = Profile::builder(name);
        if let Some(parent) = &document.extends {
            let known = self.0.state.load();
            let parent = known.all.get(parent).ok_or_else(|| {
                let hint = value::meant(parent, known.all.keys().map(String::as_str));
                document::fault(&label, "extends", &format!("no profile is named {parent:?}{hint}"))
            })?;
            base = base.extends(parent);
        }
        document.changes.into_iter().fold(base, builder::ProfileBuilder::with).build()
    }
}

impl State {
    /// The next state: the same profiles of code over what the folder holds now.
    fn with_files(&self, path: &Path) -> Result<State> {
        let sheets: BTreeMap<String, Sheet> = folder::read(path)?;
        let files = sheets.keys().map(|name| resolve(name, &sheets, &self.code));
        let files: Vec<Profile> = files.collect::<Result<_>>()?;
        Ok(State { code: self.code.clone(), all: HashMap::new() }.merged(files, Some(self)))
    }

    /// Fills `all`. A profile that is the same as in `old` stays the same object.
    fn merged(mut self, files: impl IntoIterator<Item = Profile>, old: Option<&State>) -> State {
        let layers = builtin::all().chain(files).chain(self.code.values().cloned());
        for profile in layers {
            let same = old.and_then(|o| o.all.get(profile.name())).filter(|o| o.0.is_same(&profile.0));
            let profile = same.unwrap_or(&profile).clone();
            self.all.insert(profile.name().to_owned(), profile);
        }
        self
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.all.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    fn changes_to(&self, new: &State) -> Changes {
        let mut changes = Changes::default();
        let names: BTreeSet<&String> = self.all.keys().chain(new.all.keys()).collect();
        for name in names {
            match (self.all.get(name), new.all.get(name)) {
                (None, _) => changes.added.push(name.clone()),
                (_, None) => changes.removed.push(name.clone()),
                (Some(a), Some(b)) if !a.0.is_same(&b.0) => changes.changed.push(name.clone()),
                _ => {}
            }
        }
        changes
    }
}

#[cold]
fn unknown(name: &str, state: &State) -> Error {
    const SHOWN: usize = 20;
    let names = state.names();
    let hint = value::meant(name, names.iter().map(String::as_str));
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    let known = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let name: String = name.chars().take(80).collect();
    let separator = if hint.is_empty() { ";" } else { "" };
    Error::new(
        ErrorKind::UnknownProfile,
        format!("no profile is named {name:?}{hint}{separator} known profiles: {known}{more}"),
    )
}
