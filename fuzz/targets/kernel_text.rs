//! The text files of Linux that the monitor reads: the same text goes to every parser.
#![no_main]

use haltline::fuzz::linux;
use libfuzzer_sys::fuzz_target;

fn has_line(text: &[u8], key: &[u8]) -> bool {
    text.split(|b| *b == b'\n').any(|line| line.trim_ascii_start().starts_with(key))
}

fuzz_target!(|data: &[u8]| {
    if let Some(cores) = linux::cpu(data) {
        assert!(!cores.is_empty() && cores.len() <= 65_536);
        assert!(cores.iter().all(|(busy, usable)| busy <= usable), "{cores:?}");
        assert!(data.starts_with(b"cpu") || data.starts_with(b"\n"));
    }
    if let Some(memory) = linux::memory(data) {
        assert!((0.0..=100.0).contains(&memory.percent), "{memory:?}");
        assert!(memory.limit_bytes > 0 && memory.used_bytes <= memory.limit_bytes, "{memory:?}");
        assert!(memory.swap_used_bytes <= memory.swap_total_bytes, "{memory:?}");
        assert!(has_line(data, b"MemAvailable:") || has_line(data, b"MemFree:"), "{memory:?} of nothing");
        assert!(memory.swap_used_bytes == 0 || has_line(data, b"SwapFree:"), "{memory:?}: swap of nothing");
    }
    if let Some(load) = linux::load(data) {
        assert!(load.iter().all(|l| l.is_finite() && *l >= 0.0), "{load:?}");
    }
    if let Some(pressure) = linux::pressure(data) {
        assert!((0.0..=100.0).contains(&pressure), "{pressure}");
        assert!(has_line(data, b"some avg10="));
    }
    if let Some((read, written)) = linux::disk(data) {
        assert!([read, written].iter().all(|n| *n == u64::MAX || n % 512 == 0), "{read} {written}");
    }
    if linux::network(data).is_some_and(|flows| flows != (0, 0)) {
        assert!(data.contains(&b':'));
    }
    if let Some(pages) = linux::process(data) {
        assert!(data.split(|b| b.is_ascii_whitespace()).filter_map(linux::number).any(|n| n == pages));
    }
    if let Some(number) = linux::number(data) {
        let text = std::str::from_utf8(data).expect("digits");
        let digits = text.trim_start_matches('0');
        assert_eq!(if digits.is_empty() { "0" } else { digits }, number.to_string());
    }
});
