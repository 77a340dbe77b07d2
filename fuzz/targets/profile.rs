//! Profile documents, the older format too. Documents after a line `---` may extend those before it.
#![no_main]

use std::time::Duration;

use haltline::ErrorKind;
use haltline::duration::LONGEST;
use haltline::supervisor::{Blame, Level, Limit, Profile, Profiles};
use libfuzzer_sys::fuzz_target;

/// Everything that a profile holds, exactly.
#[derive(Debug, PartialEq)]
struct Content {
    name: String,
    level: Level,
    bounds: Vec<Option<u64>>,
    times: [Option<Duration>; 4],
    auto_cancel: bool,
    blame: Blame,
    notify: Vec<String>,
    advisory: Vec<Limit>,
}

fn content(p: &Profile) -> Content {
    Content {
        name: p.name().to_owned(),
        level: p.level(),
        bounds: Limit::ALL.iter().map(|l| p.bound(*l).map(f64::to_bits)).collect(),
        times: [p.max_duration(), p.task().max_idle, Some(p.sustain()), Some(p.grace())],
        auto_cancel: p.auto_cancel(),
        blame: p.blame(),
        notify: p.notify().to_vec(),
        advisory: p.advisory().to_vec(),
    }
}

fn check(profiles: &Profiles, profile: &Profile) {
    for limit in Limit::ALL {
        let bound = profile.bound(limit);
        assert!(bound.is_none_or(|b| b.is_finite() && b > 0.0 && b <= 1e12), "{limit}: {bound:?}");
    }
    let percents = [profile.host().max_cpu_percent, profile.host().max_memory_percent];
    assert!(percents.iter().flatten().all(|p| *p <= 100.0), "{percents:?}");
    let mine = content(profile);
    assert!(mine.times.iter().flatten().all(|d| *d <= LONGEST), "{:?}", mine.times);
    assert!(profile.advisory().iter().all(|l| l.name().starts_with("task.")));

    let written = profile.to_json().to_string();
    match profiles.parse_str(profile.name(), &written) {
        Ok(back) => assert_eq!(content(&back), mine, "{written}"),
        Err(e) => panic!("what was written is refused: {e}\n{written}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let profiles = Profiles::new();
    for (n, document) in text.split("\n---\n").take(8).enumerate() {
        let name = format!("p{n}");
        match profiles.parse_str(&name, document) {
            Ok(profile) => {
                assert_eq!(profile.name(), name);
                check(&profiles, &profile);
                profiles.insert(profile);
            }
            Err(e) => {
                let message = e.to_string();
                assert_eq!(e.kind(), ErrorKind::InvalidProfile, "{message}");
                assert!(message.contains(&format!("profile {name:?}")), "{message}");
                // What the document says may be told in full, but nothing is longer because of what it means.
                assert!(!message.contains('\n'), "{message}");
                assert!(message.len() < 2_000 + 4 * document.len(), "{} bytes: {message}", message.len());
                let mut rows = message.split(|c: char| !c.is_ascii_digit()).filter(|row| row.len() > 80);
                assert!(rows.all(|row| document.contains(row)), "a row of digits of our own: {message}");
                assert!(profiles.get(&name).is_err(), "a refused document was kept");
            }
        }
    }
});
