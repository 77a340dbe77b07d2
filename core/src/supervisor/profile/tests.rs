//! Files, formats and the store, as a user meets them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::supervisor::limit::Limit;

fn parse(json: &str) -> Result<Profile, String> {
    Profiles::new().parse_str("p", json).map_err(|e| {
        assert_eq!(e.kind(), ErrorKind::InvalidProfile, "{e}");
        e.to_string()
    })
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn load(files: &[(&str, &str)]) -> Result<Profiles, String> {
    Profiles::load_dir(folder(files).path()).map_err(|e| e.to_string())
}

#[test]
fn the_documented_example_is_read_in_full() {
    let p = parse(
        r#"{ "extends": "attack", "level": "risky", "max_duration": "5m", "sustain": "4s", "grace": "6s",
        "auto_cancel": false, "blame": "any", "notify": ["discord"],
        "host": { "max_cpu_percent": 81, "max_memory_percent": 86, "min_fps": 16, "max_latency_ms": 501,
                  "max_response_ms": 1001 },
        "task": { "max_cpu_percent": 100, "max_cpu_seconds": 60, "max_memory_mib": 512, "max_processes": 32,
                  "max_output_mib": 16, "max_idle": "30s" },
        "advisory": ["task.max_memory_mib"] }"#,
    )
    .unwrap();
    assert_eq!(p.name(), "p");
    assert_eq!(p.level(), Level::Risky);
    let values: Vec<f64> = Limit::ALL.iter().map(|l| p.bound(*l).unwrap()).collect();
    assert_eq!(values, [300.0, 81.0, 86.0, 16.0, 501.0, 1001.0, 100.0, 60.0, 512.0, 32.0, 16.0, 30.0]);
    assert_eq!((p.sustain(), p.grace()), (Duration::from_secs(4), Duration::from_secs(6)));
    assert_eq!((p.auto_cancel(), p.blame()), (false, Blame::Any));
    assert_eq!((p.notify(), p.advisory()), (&["discord".to_owned()][..], &[Limit::TaskMemoryMib][..]));
}

#[test]
fn the_older_format_is_read_with_its_meaning() {
    let p = parse(
        r#"{"safety_level": "risky", "max_duration": 300, "thresholds": {"cpu_usage": 80, "memory_usage": 85,
        "fps": 15, "latency": 500, "response_time": 1000}, "auto_cancel": true, "discord_notify": true}"#,
    )
    .unwrap();
    assert_eq!((p.level(), p.blame(), p.auto_cancel()), (Level::Risky, Blame::Any, true));
    assert_eq!(p.max_duration(), Some(Duration::from_secs(300)));
    let host: Vec<f64> = Limit::ALL.iter().filter(|l| l.is_host()).map(|l| p.bound(*l).unwrap()).collect();
    assert_eq!(host, [80.0, 85.0, 15.0, 500.0, 1000.0]);
    assert_eq!(p.notify(), ["discord"]);
    assert!(parse(r#"{"safety_level": "safe", "discord_notify": false}"#).unwrap().notify().is_empty());

    let e = parse(r#"{"safety_level": "safe", "blame": "culprit"}"#).unwrap_err();
    assert!(e.contains("\"blame\"") && e.contains("\"safety_level\"") && e.contains("older"), "{e}");
    let e = parse(r#"{"thresholds": {"cpu_usgae": 80}}"#).unwrap_err();
    assert!(e.contains("thresholds.cpu_usgae") && e.contains("did you mean \"cpu_usage\"?"), "{e}");
    let e = parse(r#"{"thresholds": {"cpu_usage": 180}}"#).unwrap_err();
    assert!(e.contains("thresholds.cpu_usage") && e.contains("180"), "{e}");
}

#[test]
fn every_mistake_is_named_with_key_and_value_and_what_would_be_right() {
    for (json, says) in [
        (r#"{"lvel": "safe"}"#, &["unknown key \"lvel\"", "did you mean \"level\"?"][..]),
        (r#"{"zzz": 1}"#, &["unknown key \"zzz\"", "known keys: extends, level"]),
        (r#"{"threshold": {}}"#, &["did you mean \"thresholds\"?"]),
        (r#"{"max_memory_mib": 5}"#, &["did you mean \"task.max_memory_mib\"?"]),
        (
            r#"{"max_cpu_percent": 5}"#,
            &["unknown key \"max_cpu_percent\"", "\"host.max_cpu_percent\" or \"task.max_cpu_percent\""],
        ),
        (r#"{"host": {"max_cpu": 5}}"#, &["\"host.max_cpu\"", "did you mean \"host.max_cpu_percent\"?"]),
        (r#"{"host": {"max_idle": 5}}"#, &["did you mean \"task.max_idle\"?"]),
        (r#"{"task": {"zzz": 5}}"#, &["\"task.zzz\"", "known keys: task.max_cpu_percent"]),
        (r#"{"host": {"max_cpu_percent": "80"}}"#, &["host.max_cpu_percent", "\"80\" is not a number"]),
        (r#"{"host": {"max_cpu_percent": -1}}"#, &["host.max_cpu_percent", "-1 is out of range"]),
        (r#"{"host": {"max_cpu_percent": 101}}"#, &["101 is out of range", "at most 100"]),
        (
            r#"{"host": {"max_cpu_percent": NaN}}"#,
            &["\"p\": host.max_cpu_percent: NaN is not valid JSON", "line 1 column"],
        ),
        (
            r#"{"host": {"max_cpu_percent": 1e999}}"#,
            &["\"p\": host.max_cpu_percent: 1e999 is not valid JSON: number out of range", "line 1 column"],
        ),
        (r#"{"max_duration": 5m}"#, &["max_duration: 5m is not valid JSON", "line 1 column"]),
        (r#"{"thresholds": {"fps": -inf}}"#, &["thresholds.fps: -inf is not valid JSON"]),
        (r#"{"task": {"max_memory_mib": 1e300}}"#, &["task.max_memory_mib: 1e300 is out of range"]),
        (r#"{"task": {"max_processes": 1.5e-300}}"#, &["max_processes: 1.5e-300 is not a whole number"]),
        (r#"{"grace": 1e300}"#, &["grace: 1e300 is longer than 100 years"]),
        (r#"{"grace": -1e300}"#, &["grace: -1e300 is negative"]),
        (r#"{"task": {"max_memory_mib": 0}}"#, &["task.max_memory_mib", "0 would"]),
        (r#"{"task": {"max_processes": 1.5}}"#, &["task.max_processes", "1.5 is not a whole number"]),
        (r#"{"host": null}"#, &["host: null is not an object"]),
        (r#"{"host": []}"#, &["host: [] is a list"]),
        (r#"{"level": "riskey"}"#, &["level: \"riskey\" is none of safe, risky, dangerous", "\"risky\"?"]),
        (r#"{"level": null}"#, &["level: null is not a text"]),
        (r#"{"max_duration": 0}"#, &["max_duration: 0 would cancel the task as it starts"]),
        (r#"{"max_duration": -5}"#, &["max_duration: -5 is negative"]),
        (r#"{"max_duration": "200 years"}"#, &["max_duration", "200 years", "longer than 100 years"]),
        (r#"{"max_duration": "soon"}"#, &["max_duration", "\"soon\" is not a duration"]),
        (r#"{"grace": true}"#, &["grace: true is not a duration"]),
        (r#"{"auto_cancel": 1}"#, &["auto_cancel: 1 is not true or false"]),
        (r#"{"notify": "discord"}"#, &["notify: \"discord\" is not a list of texts"]),
        (r#"{"notify": [""]}"#, &["notify: \"\" is not a notifier"]),
        (r#"{"advisory": ["task.max_memry_mib"]}"#, &["advisory", "did you mean \"task.max_memory_mib\"?"]),
        (r#"{"advisory": ["host.min_fps"]}"#, &["advisory", "host.min_fps"]),
        (r#"{"extends": "atack"}"#, &["extends: no profile is named \"atack\"; did you mean \"attack\"?"]),
        (r#"{"extends": 5}"#, &["extends: 5 is not a text"]),
        (r#"{"level": "safe", "level": "risky"}"#, &["\"level\" is given twice", "column"]),
        (r#"{"level": "saf"#, &["\"p\": ends too early, as if half-written", "line 1 column"]),
        ("", &["is empty"]),
        ("[]", &["[] is a list, not a JSON object"]),
        (r#"{} {}"#, &["not valid JSON", "trailing"]),
    ] {
        let e = parse(json).expect_err(json);
        assert!(e.starts_with("profile \"p\": "), "{e}");
        for part in says {
            assert!(e.contains(part), "{json}\n  {e}\n  lacks {part}");
        }
    }
}

#[test]
fn null_removes_an_inherited_limit_and_nothing_else() {
    let p = parse(r#"{"extends": "attack", "max_duration": null, "host": {"min_fps": null}}"#).unwrap();
    assert_eq!((p.max_duration(), p.host().min_fps), (None, None));
    assert_eq!(p.host().max_cpu_percent, Some(80.0));
}

#[test]
fn a_folder_is_read_over_the_built_ins_and_other_files_are_left_alone() {
    let dir = folder(&[
        ("attack.json", r#"{"extends": "attack", "host": {"min_fps": 5}}"#),
        ("deep.json", r#"{"extends": "base", "grace": 1, "level": "safe"}"#),
        ("base.json", r#"{"extends": "attack", "level": "dangerous"}"#),
        ("bom.json", "\u{feff}{}"),
        (".hidden.json", "not json"),
        ("notes.txt", "not json"),
        ("backup.json~", "not json"),
    ]);
    fs::create_dir(dir.path().join("folder.json")).unwrap();
    let profiles = Profiles::load_dir(dir.path()).unwrap();
    let names = ["attack", "base", "bom", "buff", "craft", "dance", "deep", "heal", "travel"];
    assert_eq!(profiles.names(), names);
    let deep = profiles.get("deep").unwrap();
    assert_eq!((deep.name(), deep.level(), deep.grace()), ("deep", Level::Safe, Duration::from_secs(1)));
    assert_eq!(profiles.get("base").unwrap().level(), Level::Dangerous);
    assert_eq!((deep.host().min_fps, deep.host().max_cpu_percent), (Some(5.0), Some(80.0)));
}

#[test]
fn an_ending_in_capitals_is_the_same_ending() {
    let profiles = load(&[("Raid.JSON", r#"{"level": "risky"}"#), ("b.Json", "{}")]).unwrap();
    assert_eq!(profiles.get("Raid").unwrap().level(), Level::Risky);
    assert!(profiles.get("b").is_ok() && profiles.get("raid").is_err());
    assert!(load(&[("Raid.JSON", "{")]).unwrap_err().contains("Raid.JSON: ends too early"));
    // A file system that ignores case has only one of the two.
    let twice = folder(&[("raid.JSON", "{}"), ("raid.json", "{}")]);
    if fs::read_dir(twice.path()).unwrap().count() == 2 {
        let e = Profiles::load_dir(twice.path()).unwrap_err().to_string();
        assert!(e.contains("raid.json: the profile \"raid\" is in") && e.contains("raid.JSON too"), "{e}");
    }
}

#[test]
fn fractions_of_any_length_survive_writing_and_reading() {
    let mut value = 1.0 / 3.0;
    for _ in 0..2_000 {
        value = (value * 7.3 + 0.000_123) % 97.0;
        let p = Profile::builder("p")
            .host_max_cpu_percent(value)
            .task_max_cpu_seconds(value / 1e9)
            .build()
            .unwrap();
        let back = parse(&p.to_json().to_string()).unwrap();
        assert!(back.0.is_same(&p.0), "{value}: {back:?}");
    }
}

#[test]
fn circles_in_extends_are_shown_as_a_path() {
    let e = load(&[
        ("a.json", r#"{"extends": "b"}"#),
        ("b.json", r#"{"extends": "c"}"#),
        ("c.json", r#"{"extends": "b"}"#),
    ])
    .unwrap_err();
    assert!(e.contains("c.json: extends: b -> c -> b goes round"), "{e}");
    let e = load(&[("own.json", r#"{"extends": "own"}"#)]).unwrap_err();
    assert!(e.contains("own.json: extends: own -> own"), "{e}");
    // Named like built-ins, and a circle all the same.
    let e = load(&[("heal.json", r#"{"extends": "buff"}"#), ("buff.json", r#"{"extends": "heal"}"#)])
        .unwrap_err();
    assert!(e.contains("buff -> heal -> buff"), "{e}");
    let long: Vec<(String, String)> =
        (0..40).map(|n| (format!("p{n}.json"), format!(r#"{{"extends": "p{}"}}"#, n + 1))).collect();
    let mut long: Vec<(&str, &str)> = long.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    long.push(("p40.json", "{}"));
    assert!(load(&long).unwrap_err().contains("longer than 32"));
}

#[test]
fn a_file_that_cannot_be_a_profile_is_named() {
    let e = load(&[("x.json", r#"{"level": "saf"#)]).unwrap_err();
    assert!(e.contains("x.json: ends too early"), "{e}");
    let dir = folder(&[]);
    fs::write(dir.path().join("x.json"), b"{\"level\": \"\xff\"}").unwrap();
    let e = Profiles::load_dir(dir.path()).unwrap_err();
    assert!(e.to_string().contains("x.json: not UTF-8 text: byte 11"), "{e}");
    fs::write(dir.path().join("x.json"), " ".repeat((1 << 20) + 1)).unwrap();
    assert!(Profiles::load_dir(dir.path()).unwrap_err().to_string().contains("larger than 1 MiB"));
    let e = Profiles::load_dir(dir.path().join("nowhere")).unwrap_err();
    assert!(e.kind() == ErrorKind::Io && e.to_string().contains("nowhere"), "{e}");
}

#[cfg(unix)]
#[test]
fn unreadable_files_and_strange_names_are_named() {
    use std::os::unix::ffi::OsStrExt;
    let dir = folder(&[]);
    let link = dir.path().join("gone.json");
    std::os::unix::fs::symlink("/nonexistent/target", &link).unwrap();
    let e = Profiles::load_dir(dir.path()).unwrap_err();
    assert!(e.kind() == ErrorKind::Io && e.to_string().contains("gone.json"), "{e}");
    fs::remove_file(link).unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.json")), "{}").unwrap();
    assert!(Profiles::load_dir(dir.path()).unwrap_err().to_string().contains("must be UTF-8"));
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[test]
fn reload_tells_what_changed_and_keeps_what_did_not() {
    let dir = folder(&[
        ("a.json", r#"{"extends": "base"}"#),
        ("base.json", "{}"),
        ("heal.json", "{}"),
        ("same.json", "{}"),
        ("old.json", "{}"),
    ]);
    let profiles = Profiles::load_dir(dir.path()).unwrap();
    let running = profiles.get("a").unwrap();
    let same = profiles.get("same").unwrap();
    assert!(profiles.reload().unwrap().is_empty());

    write(dir.path(), "base.json", r#"{"grace": "9s"}"#);
    write(dir.path(), "same.json", r#"{ "grace" : 5 }"#);
    write(dir.path(), "new.json", "{}");
    fs::remove_file(dir.path().join("old.json")).unwrap();
    fs::remove_file(dir.path().join("heal.json")).unwrap();
    let changes = profiles.reload().unwrap();
    assert_eq!(changes.added, ["new"]);
    assert_eq!(changes.changed, ["a", "base", "heal"]);
    assert_eq!(changes.removed, ["old"]);
    assert_eq!(profiles.get("a").unwrap().grace(), Duration::from_secs(9));
    assert_eq!(running.grace(), Duration::from_secs(5));
    assert_eq!(profiles.get("same").unwrap().0.serial, same.0.serial);
    assert_eq!(profiles.get("heal").unwrap().max_duration(), Some(Duration::from_secs(60)));
}

#[test]
fn a_bad_file_changes_nothing() {
    let dir = folder(&[("a.json", r#"{"grace": 1}"#)]);
    let profiles = Profiles::load_dir(dir.path()).unwrap();
    write(dir.path(), "a.json", r#"{"grace": 2}"#);
    write(dir.path(), "b.json", r#"{"grace": -2}"#);
    let e = profiles.reload().unwrap_err();
    assert!(e.to_string().contains("b.json: grace: -2 is negative"), "{e}");
    assert_eq!(profiles.get("a").unwrap().grace(), Duration::from_secs(1));
    assert!(profiles.get("b").is_err());
    fs::remove_file(dir.path().join("b.json")).unwrap();
    assert_eq!(profiles.reload().unwrap().changed, ["a"]);
}

#[test]
fn what_code_inserts_stays_over_files_and_serves_as_a_parent() {
    let dir = folder(&[("a.json", r#"{"grace": 1}"#), ("child.json", r#"{"extends": "a"}"#)]);
    let profiles = Profiles::load_dir(dir.path()).unwrap();
    let other = profiles.clone();
    let before = profiles.insert(Profile::builder("a").grace(Duration::from_secs(7)).build().unwrap());
    assert_eq!(before.unwrap().grace(), Duration::from_secs(1));
    assert_eq!(other.get("a").unwrap().grace(), Duration::from_secs(7));
    assert_eq!(other.reload().unwrap().changed, ["child"]);
    assert_eq!(other.get("a").unwrap().grace(), Duration::from_secs(7));
    assert_eq!(other.get("child").unwrap().grace(), Duration::from_secs(7));
    assert!(Profiles::new().reload().unwrap().is_empty());
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_the_known() {
    let e = Profiles::new().get("atack").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::UnknownProfile);
    assert_eq!(
        e.to_string(),
        "no profile is named \"atack\"; did you mean \"attack\"? \
         known profiles: attack, buff, craft, dance, heal, travel"
    );
}

#[test]
fn readers_see_whole_profiles_while_they_are_replaced() {
    let profiles = Profiles::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 1..2_000 {
                    let d = Duration::from_secs(n);
                    profiles.insert(Profile::builder("p").sustain(d).grace(d).build().unwrap());
                }
            });
        }
        for _ in 0..2_000 {
            if let Ok(p) = profiles.get("p") {
                assert_eq!(p.sustain(), p.grace());
            }
        }
    });
    assert!(profiles.get("p").is_ok());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9 ._-]{0,12}".prop_map(Value::from),
    ];
    let keys = prop_oneof![
        prop::sample::select(document::KEYS.to_vec()).prop_map(String::from),
        prop::sample::select(older::KEYS.to_vec()).prop_map(String::from),
        prop::sample::select(Limit::ALL.to_vec()).prop_map(|l| l
            .name()
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_owned()),
        "[a-z_.]{0,10}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

prop_compose! {
    /// Any valid profile. Fractions have few digits, so that text holds them exactly.
    fn any_profile()(
        level in 0..3usize,
        flags in any::<[bool; 2]>(),
        times in prop::array::uniform2(0..duration_nanos()),
        notify in prop::collection::vec("[a-z]{1,8}", 0..3),
        limits in prop::collection::vec((prop::sample::select(Limit::ALL.to_vec()), 1..100_000u32), 0..12),
        advisory in prop::collection::vec(6..12usize, 0..4),
    ) -> Profile {
        let mut b = Profile::builder("p")
            .level(document::LEVELS[level].1)
            .auto_cancel(flags[0])
            .blame(if flags[1] { Blame::Any } else { Blame::Culprit })
            .sustain(Duration::from_nanos(times[0]))
            .grace(Duration::from_nanos(times[1]))
            .notify(notify)
            .advisory(&advisory.iter().map(|n| Limit::ALL[*n]).collect::<Vec<_>>());
        for (limit, n) in limits {
            let value = if limit == Limit::TaskProcesses { f64::from(n) } else { f64::from(n) / 1000.0 };
            b = b.limit(limit, value);
        }
        b.build().unwrap()
    }
}

fn duration_nanos() -> u64 {
    crate::duration::LONGEST.as_nanos() as u64
}

proptest! {
    #[test]
    fn no_document_panics_and_what_is_accepted_is_in_range(value in any_json()) {
        if let Ok(p) = parse(&value.to_string()) {
            for limit in Limit::ALL {
                prop_assert!(p.bound(limit).is_none_or(|b| b > 0.0 && b.is_finite()));
            }
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_profile_written_and_read_back_is_the_same(p in any_profile()) {
        let back = parse(&p.to_json().to_string()).unwrap();
        prop_assert!(back.0.is_same(&p.0), "{:?}\n{:?}", back, p);
    }
}

#[test]
fn a_profile_is_written_as_people_write_it() {
    let attack = Profiles::new().get("attack").unwrap();
    let expected = json!({
        "level": "risky", "max_duration": "5m", "sustain": "3s", "grace": "5s", "auto_cancel": true,
        "blame": "culprit", "notify": [],
        "host": {"max_cpu_percent": 80, "max_memory_percent": 85, "min_fps": 15, "max_latency_ms": 500,
                 "max_response_ms": 1000},
    });
    assert_eq!(attack.to_json(), expected);
}
