//! Durations as people write them, plain numbers of seconds, and the nearest name for a misspelt one.
#![no_main]

use haltline::duration::{self, LONGEST};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["max_duration", "sustain", "grace", "task.max_idle"];

fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = data.first_chunk::<8>() {
        let seconds = f64::from_le_bytes(*bytes);
        match duration::from_secs(seconds) {
            Ok(read) => {
                assert!(seconds >= 0.0 && read <= LONGEST, "{seconds} became {read:?}");
                assert!(
                    (read.as_secs_f64() - seconds).abs() <= seconds * 1e-9 + 1e-9,
                    "{seconds} became {read:?}"
                );
            }
            Err(e) => assert!(e.to_string().len() < 200, "{e}"),
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match duration::parse(text) {
        Ok(read) => {
            assert!(read <= LONGEST, "{text:?} became {read:?}");
            let shown = duration::format(read);
            assert_eq!(duration::parse(&shown), Ok(read), "{text:?} is shown as {shown:?}");
        }
        // The value is cut to a length that fits a line, each of its characters at most ten bytes once escaped.
        Err(e) => assert!(e.to_string().len() < 800, "{e}"),
    }
    if let Some(near) = duration::nearest(text, NAMES) {
        assert!(NAMES.contains(&near));
    }
    for name in NAMES {
        assert_eq!(duration::nearest(name, [name, text]), Some(name), "beside {text:?}");
    }
});
