//! Looks in the process table for processes of macros. Runs as a process of its own, so that it shares
//! nothing with the supervisor that it checks.

pub(crate) mod register;
mod stat;
mod usage;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arguments::InspectOrder;
use crate::system;
use crate::view;
use stat::Stat;
pub(crate) use usage::own;

/// A process that was just killed may be listed for a moment more.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the look showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inspection {
    /// How many process ids were looked for.
    pub(crate) looked_for: usize,
    /// The processes that are left.
    pub(crate) left: Vec<u32>,
    /// The processes that outlived a double fork in a session of their own.
    pub(crate) detached: Vec<u32>,
}

/// Looks, and prints what it saw as one line of JSON. This is the separate process.
pub(crate) fn inspect(order: &InspectOrder) -> ExitCode {
    let until = Instant::now() + PATIENCE;
    loop {
        match look(order) {
            Ok(seen) if seen.left.is_empty() || Instant::now() >= until => {
                return match writeln!(io::stdout(), "{}", seen.to_json()) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(_) => ExitCode::FAILURE,
                };
            }
            Ok(_) => std::thread::sleep(Duration::from_millis(50)),
            Err(e) => {
                view::complain(&format!("looking in the process table: {e}"));
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Runs [`inspect`] as a process of its own.
pub(crate) fn ask(program: &Path, register: &Path, pids: &[u32]) -> io::Result<Inspection> {
    let output = std::process::Command::new(program)
        .arg("--inspect")
        .arg(register)
        .args(pids.iter().map(u32::to_string))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Inspection::from_json(&text)
        .filter(|_| output.status.success())
        .ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn look(order: &InspectOrder) -> io::Result<Inspection> {
    let entries = register::read(&order.register)?;
    let host = Stat::of(system::parent()).ok_or_else(|| io::Error::other("the host is not listed"))?;
    // By id: the start time that tells a process from a later one with the same id.
    let mut wanted: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for entry in &entries {
        wanted.entry(entry.pid).or_default().push(entry.start);
    }
    for pid in &order.pids {
        wanted.entry(*pid).or_default();
    }
    let is_left = |pid: u32, starts: &[u64]| {
        Stat::of(pid).is_some_and(|now| match starts {
            // Only its id is known: it counts if it is no older than the host.
            [] => now.start >= host.start,
            starts => starts.contains(&now.start),
        })
    };
    let mut left: Vec<u32> = wanted.iter().filter(|(p, s)| is_left(**p, s)).map(|(p, _)| *p).collect();
    // One that was killed before it could enter itself still carries the register among its arguments.
    // It is no older than the host; others are not asked, for a process that hangs may hang who reads its arguments.
    let is_young = |pid: u32| Stat::of(pid).is_some_and(|now| now.start >= host.start);
    for pid in stat::all()? {
        if pid != std::process::id()
            && !left.contains(&pid)
            && is_young(pid)
            && stat::has_argument(pid, order.register.as_os_str())
        {
            left.push(pid);
        }
    }
    let orphan = |e: &&register::Entry| e.label == register::ORPHAN && e.session != host.session;
    let detached = entries.iter().filter(orphan).map(|e| e.pid).collect();
    Ok(Inspection { looked_for: wanted.len(), left, detached })
}

impl Inspection {
    fn to_json(&self) -> Value {
        json!({ "looked_for": self.looked_for, "left": self.left, "detached": self.detached })
    }

    fn from_json(text: &str) -> Option<Inspection> {
        let value: Value = serde_json::from_str(text).ok()?;
        let pids = |key: &str| -> Option<Vec<u32>> {
            value[key].as_array()?.iter().map(|p| u32::try_from(p.as_u64()?).ok()).collect()
        };
        let looked_for = usize::try_from(value["looked_for"].as_u64()?).ok()?;
        Some(Inspection { looked_for, left: pids("left")?, detached: pids("detached")? })
    }
}

/// A file for the register that no other run uses; it is removed when this is dropped.
pub(crate) struct RegisterFile(std::path::PathBuf);

impl RegisterFile {
    pub(crate) fn create() -> io::Result<RegisterFile> {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("macro-host-{}-{:x}", std::process::id(), since.as_nanos());
        let path = std::env::temp_dir().join(name);
        std::fs::File::create_new(&path)?;
        Ok(RegisterFile(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RegisterFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// What the test itself is to the inspection: its parent is the host.
    fn look_for(register: &RegisterFile, pids: &[u32]) -> Inspection {
        let order = InspectOrder { register: register.path().to_owned(), pids: pids.to_vec() };
        look(&order).expect("the process table can be read")
    }

    #[test]
    fn a_process_is_found_by_its_id_until_it_is_gone() {
        let register = RegisterFile::create().unwrap();
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let seen = look_for(&register, &[child.id()]);
        assert_eq!((seen.looked_for, seen.left), (1, vec![child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(look_for(&register, &[child.id()]).left.is_empty());
    }

    #[test]
    fn a_process_is_found_by_its_argument_alone() {
        let register = RegisterFile::create().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "read x"])
            .arg(register.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // Until the child has executed sh it still has this process's arguments.
        let until = Instant::now() + Duration::from_secs(10);
        while look_for(&register, &[]).left != [child.id()] {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(look_for(&register, &[]).left.is_empty());
    }

    #[test]
    fn an_entry_with_another_start_time_is_another_process() {
        let register = RegisterFile::create().unwrap();
        register::enter(register.path(), "test").unwrap();
        assert_eq!(look_for(&register, &[]).left, [std::process::id()]);
        std::fs::write(register.path(), format!("test {} 1 1 1\n", std::process::id())).unwrap();
        assert!(look_for(&register, &[]).left.is_empty());
    }

    #[test]
    fn what_was_seen_survives_the_way_through_json() {
        let seen = Inspection { looked_for: 3, left: vec![7], detached: vec![8, 9] };
        assert_eq!(Inspection::from_json(&seen.to_json().to_string()), Some(seen));
        assert_eq!(Inspection::from_json("{}"), None);
    }
}
