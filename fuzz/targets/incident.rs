//! The incident file, whole and cut short by a crash.
#![no_main]

mod stage;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use haltline::supervisor::Incident;
use libfuzzer_sys::fuzz_target;

fn json(incidents: &[Incident]) -> Vec<String> {
    incidents
        .iter()
        .map(|i| serde_json::to_string(i).expect("an incident that was read can be written"))
        .collect()
}

fn read(path: &Path, text: &[u8]) -> haltline::Result<Vec<Incident>> {
    fs::write(path, text).expect("the incident file");
    Incident::read_file(path)
}

fuzz_target!(|data: &[u8]| {
    let folder = stage::folder();
    let path = folder.path().join("incidents.jsonl");
    let incidents = match read(&path, data) {
        Ok(incidents) => incidents,
        Err(e) => return assert!(e.to_string().contains("incidents.jsonl line "), "{e}"),
    };
    let ids: HashSet<&String> = incidents.iter().map(|i| &i.id).collect();
    assert_eq!(ids.len(), incidents.len(), "an incident is listed once");
    for incident in &incidents {
        assert!(!incident.summary().is_empty());
    }
    let lines = json(&incidents);
    let written = lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    let back = read(&path, written.as_bytes()).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(json(&back), lines);

    // Cut where a torn line looks most like a whole one. The next writer ends it and goes on.
    for (at, _) in written.match_indices('}').take(16) {
        let cut = &written.as_bytes()[..=at];
        let torn = read(&path, cut).unwrap_or_else(|e| panic!("cut after byte {at}: {e}"));
        assert!(torn.len() <= incidents.len());
        let Some(last) = lines.last() else { continue };
        let mended = [cut, b"\n", last.as_bytes(), b"\n"].concat();
        let mended = read(&path, &mended).unwrap_or_else(|e| panic!("ended after byte {at}: {e}"));
        assert!(json(&mended).contains(last), "the line after a torn one is lost");
    }
});
