//! `/proc/self/cgroup`, mount tables and the numbers in limit files: each line goes to every parser.
#![no_main]

use haltline::fuzz::linux::cgroup;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.split('\n').take(64) {
        if let Some((controllers, path)) = cgroup::own(line) {
            assert!(controllers.iter().all(|c| !c.is_empty() && !c.contains([',', ':'])), "{controllers:?}");
            assert!(line.ends_with(&path), "{path:?}");
        }
        if let Some((root, point)) = cgroup::mount(line) {
            assert!(line.contains(" - cgroup"), "{root:?} {point:?}");
            // The root that a caller gives stands for the usual one and for nothing beside it.
            assert!(!point.starts_with("/sys/fs/cgroup") || line.contains('\\'), "{point:?}");
        }
        for cores in [cgroup::quota(line), cgroup::quota_v1(line)].into_iter().flatten() {
            assert!(cores.is_finite() && cores > 0.0, "{line:?} became {cores} cores");
            // What one core can give in a second is counted in nanoseconds.
            assert!((1e9 * cores).is_normal(), "{line:?} became {cores} cores");
        }
        if let Some(bytes) = cgroup::bytes(line) {
            assert!(bytes > 0 && bytes < u64::MAX / 4 && line.trim().parse() == Ok(bytes), "{line:?}");
        }
        if let Some(cores) = cgroup::cores(line) {
            assert!(cores.len() <= 65_536 && cores.last() == Some(&true), "{line:?}");
            if cores.len() > 1_024 {
                continue;
            }
            let spelt: Vec<String> =
                cores.iter().enumerate().filter(|(_, on)| **on).map(|(n, _)| n.to_string()).collect();
            assert_eq!(cgroup::cores(&spelt.join(",")), Some(cores));
        }
    }
});
