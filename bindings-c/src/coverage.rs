//! Holds the header against the C tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The names of functions that appear in `source`, followed by their arguments.
fn functions(source: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices('(').map(move |(at, _)| &line[..at]))
        .map(|before| before.rsplit(|c| !is_name(c)).next().unwrap_or_default())
        .filter(|name| name.starts_with("hl_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_function_is_called_by_a_test_in_c() {
    let header = fs::read_to_string(Path::new(ROOT).join("bindings-c/include/haltline.h")).unwrap();
    let mut called = BTreeSet::new();
    for entry in fs::read_dir(Path::new(ROOT).join("tests/c")).unwrap() {
        called.extend(functions(&fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    let declared = functions(&header);
    assert!(declared.len() > 70, "{}", declared.len());
    let missing: Vec<_> = declared.difference(&called).collect();
    assert!(missing.is_empty(), "no test in tests/c calls {missing:?}");
}
