//! A folder of profile files that extend each other. A line `== NAME` begins a file.
#![no_main]

mod stage;

use std::collections::BTreeSet;
use std::fs;

use haltline::ErrorKind;
use haltline::supervisor::{Limit, Profiles};
use libfuzzer_sys::fuzz_target;

/// Only names that stay inside the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name != "." && name != ".." && !name.contains(['/', '\0'])
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let folder = stage::folder();
    let mut written = BTreeSet::new();
    for file in text.split("== ").skip(1).take(12) {
        let (name, document) = file.split_once('\n').unwrap_or((file, ""));
        if is_plain(name) {
            fs::write(folder.path().join(name), document).expect("a profile file");
            written.insert(name);
        }
    }
    match Profiles::load_dir(folder.path()) {
        Ok(profiles) => {
            let names = profiles.names();
            assert!(names.len() <= 6 + written.len(), "{names:?}");
            for name in written.iter().filter(|name| !name.starts_with('.')) {
                let Some((stem, _)) = name.rsplit_once('.').filter(|(_, e)| e.eq_ignore_ascii_case("json"))
                else {
                    continue;
                };
                assert!(names.iter().any(|n| n == stem), "the file {name:?} was passed over: {names:?}");
            }
            for name in &names {
                let profile = profiles.get(name).expect("a listed profile");
                assert_eq!(profile.name(), name);
                for limit in Limit::ALL {
                    assert!(profile.bound(limit).is_none_or(|b| b.is_finite() && b > 0.0), "{name}: {limit}");
                }
            }
            let changes = profiles.reload().expect("the same files again");
            assert!(changes.is_empty(), "{changes:?} without a change");
        }
        Err(e) => {
            let message = e.to_string();
            assert_eq!(e.kind(), ErrorKind::InvalidProfile, "{message}");
            assert!(message.contains(&*folder.path().to_string_lossy()), "no file is named: {message}");
        }
    }
});
