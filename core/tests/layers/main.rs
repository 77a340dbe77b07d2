//! The architecture under test: a module of the core imports only from floors below its own.
#![allow(clippy::unwrap_used)]

mod path;
mod token;

use std::fs;
use std::path::{Path, PathBuf};

/// Every module that the core may have, with its floor. This is the only place where they are written down.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["error", "clock", "id", "duration", "backoff", "file", "secret", "errand", "timer", "runtime"]),
    (1, &["redis"]),
    (2, &["event", "limit", "validate"]),
    (3, &["cache", "state", "monitor", "token", "config"]),
    (4, &["log", "health", "alert", "message"]),
    (5, &["supervisor"]),
    (6, &["command", "plugin"]),
    (7, &["control", "host"]),
    // Only under `--cfg fuzzing`: it hands parsers of every floor to the fuzz targets, and nothing imports it.
    (8, &["fuzz"]),
];

/// The ground under floor 0: the rest of that floor fails with `error`, takes its time from `clock` and leaves host code
/// to `errand`.
const GROUND: &[&str] = &["error", "clock", "errand"];

fn height(module: &str) -> Option<u8> {
    if GROUND.contains(&module) {
        return Some(0);
    }
    let (floor, _) = FLOORS.iter().find(|(_, modules)| modules.contains(&module))?;
    Some(floor + 1)
}

/// What is wrong with the file of `module`, one finding an offending path.
///
/// `nesting` is how many modules deep the file is: 1 for `clock.rs`, 2 for `monitor/sample.rs`.
/// `exported` are the names that the crate's root exports, each with the module that it comes from.
fn judge(module: &str, nesting: usize, source: &str, exported: &[(String, String)]) -> Vec<String> {
    let Some(own) = height(module) else {
        return vec![format!("module `{module}` is on no floor")];
    };
    let mut findings = Vec::new();
    for reached in path::from_the_root(&token::of(source), nesting) {
        let home = exported.iter().find(|(name, _)| *name == reached.name).map(|(_, home)| home);
        let target = home.unwrap_or(&reached.name);
        let why = match height(target) {
            _ if target == module => continue,
            Some(floor) if floor < own => continue,
            Some(floor) if floor == own => "is on the same floor as",
            Some(_) => "is on a floor above",
            None => "is on no floor below",
        };
        let text = source.lines().nth(reached.line - 1).unwrap_or_default().trim();
        findings.push(format!("{}: `{target}` {why} `{module}`: {text}", reached.line));
    }
    findings
}

fn source_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The modules between the crate's root and a file: `monitor/sample.rs` gives `monitor`, `sample`.
fn modules_of(file: &Path) -> Vec<String> {
    let mut modules: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

#[test]
fn a_module_imports_only_from_floors_below_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = path::exported(&token::of(&fs::read_to_string(root.join("lib.rs")).unwrap()));
    assert!(exported.iter().any(|(name, home)| name == "Error" && home == "error"), "{exported:?}");

    let mut files = Vec::new();
    source_files(&root, &mut files);
    files.sort();
    assert!(files.len() > 5, "only {} files under {}", files.len(), root.display());

    let mut findings = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        let modules = modules_of(name);
        if modules == ["lib"] {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        for finding in judge(&modules[0], modules.len(), &source, &exported) {
            findings.push(format!("core/src/{}:{finding}", name.display()));
        }
    }
    assert!(findings.is_empty(), "the floors are broken:\n{}", findings.join("\n"));
}

fn findings(module: &str, nesting: usize, source: &str) -> usize {
    let exported = [("Error".to_owned(), "error".to_owned()), ("Monitor".to_owned(), "monitor".to_owned())];
    judge(module, nesting, source, &exported).len()
}

#[test]
fn down_is_allowed_and_sideways_and_up_are_not() {
    assert_eq!(findings("monitor", 2, "use crate::clock::Time; use crate::event::Bus;"), 0);
    assert_eq!(findings("monitor", 2, "use crate::monitor::Sample;"), 0);
    assert_eq!(findings("monitor", 2, "use crate::config::Snapshot;"), 1);
    assert_eq!(findings("monitor", 2, "use crate::supervisor::Task;"), 1);
    assert_eq!(findings("file", 1, "use crate::{clock::Time, error::{Error, Result}};"), 0);
    assert_eq!(findings("file", 1, "use crate::id;"), 1);
    assert_eq!(findings("error", 1, "use crate::clock::Time;"), 1);
}

#[test]
fn every_way_to_write_a_path_is_read() {
    assert_eq!(findings("event", 2, "use crate::{clock::Time, monitor::{Sample, Cpu}, host};"), 2);
    assert_eq!(findings("event", 2, "fn f(x: &crate::monitor::Sample) { $crate::host::g(x) }"), 2);
    assert_eq!(findings("event", 2, "use super::super::monitor;"), 1);
    assert_eq!(findings("event", 1, "use super::{clock, host};"), 1);
    assert_eq!(findings("event", 1, "mod tests { use super::*; fn f() { super::super::host::g() } }"), 1);
    assert_eq!(findings("event", 1, "use crate::Error; use crate::Monitor;"), 1);
    assert_eq!(findings("event", 1, "use crate::*;"), 1);
    assert_eq!(
        findings("event", 1, "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::event) fn h() {}"),
        0
    );
}

#[test]
fn comments_documentation_and_text_are_not_code() {
    let source = r##"
        //! [`Host`](crate::host::Host)
        /* crate::host /* nested */ crate::host */
        const A: &str = "crate::host \" crate::host";
        const B: &str = r#"crate::host " "#;
        const C: char = '"';
        fn f<'a>(x: &'a str) -> char { let _ = crate::clock::f(x); '\'' }
    "##;
    assert_eq!(findings("event", 1, source), 0);
}

#[test]
fn a_module_outside_the_table_fails() {
    assert_eq!(findings("helpers", 1, ""), 1);
}
