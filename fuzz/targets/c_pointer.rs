//! What C hands over: texts, names, buffers, and structures of another version.
#![no_main]

// Not the library itself, which is built for C alone. The file needs nothing else of it.
#[allow(dead_code, unused_macros, unused_imports, reason = "the binding's file; a part of it is under test")]
#[path = "../../bindings-c/src/pointer.rs"]
mod pointer;

use libfuzzer_sys::fuzz_target;
use pointer::{Buffer, Versioned, VersionedOut};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Options {
    struct_size: usize,
    number: u64,
    flag: u32,
    ratio: f32,
}

// SAFETY: `repr(C)`, begins with a `usize`, and its fields are numbers.
unsafe impl Versioned for Options {}

const KNOWN: usize = size_of::<Options>();
const GUARD: u8 = 0xA5;

fn check_text(data: &[u8]) {
    // SAFETY: the slice can be read.
    let text = unsafe { pointer::read_text(data.as_ptr().cast(), data.len(), "text") };
    match (&text, std::str::from_utf8(data)) {
        (Ok(read), Ok(right)) => assert_eq!(*read, right),
        (Err(e), Err(right)) => {
            let message = e.to_string();
            assert!(message.contains(&format!("not UTF-8 at byte {}", right.valid_up_to())), "{message}");
        }
        _ => panic!("{text:?} of {data:?}"),
    }
    // SAFETY: as above.
    match unsafe { pointer::read_os(data.as_ptr().cast(), data.len(), "name") } {
        Ok(name) => assert!(name.as_encoded_bytes() == data && !data.contains(&0)),
        Err(e) => assert!(data.contains(&0), "{e}"),
    }
    let Ok(text) = text else { return };
    for room in [0, text.len(), text.len() + 1, text.len() + 9] {
        let mut place = vec![GUARD; room + 1];
        let mut needed = 0;
        // SAFETY: `room` bytes can be written.
        let buffer = unsafe { Buffer::new(place.as_mut_ptr(), room, &mut needed) }.expect("a buffer");
        let filled = buffer.fill_text(text).is_ok();
        assert_eq!((filled, needed), (room > text.len(), text.len() + 1));
        if filled {
            assert!(place.starts_with(data) && place[text.len()] == 0);
        } else {
            assert!(place.iter().all(|b| *b == GUARD), "written without room");
        }
        assert_eq!(place[room], GUARD, "written behind the buffer");
    }
}

fn check_structure(data: &[u8]) {
    // The first two bytes are the size; what they promise is there.
    let Some((size, rest)) = data.split_first_chunk::<2>() else { return };
    let size = usize::from(u16::from_le_bytes(*size));
    let mut words = vec![0u64; size.max(8).div_ceil(8) + 1];
    // SAFETY: words are bytes, and there are at least as many.
    let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), words.len() * 8) };
    bytes[..8].copy_from_slice(&(size as u64).to_ne_bytes());
    bytes[8..].fill(GUARD);
    let end = size.max(8);
    for (to, from) in bytes[8..end].iter_mut().zip(rest.iter().chain(std::iter::repeat(&0))) {
        *to = *from;
    }
    let before = bytes.to_vec();
    let right = (8..=4096).contains(&size) && before[KNOWN.min(end)..end].iter().all(|b| *b == 0);
    // SAFETY: `size` bytes are there, and a word at least.
    match unsafe { pointer::read_versioned(words.as_ptr().cast::<Options>(), "options") } {
        Ok(options) => {
            assert!(right, "{options:?} of {size} bytes");
            let mut wanted = [0u8; KNOWN];
            let shared = size.min(KNOWN);
            wanted[..shared].copy_from_slice(&before[..shared]);
            assert_eq!(options.struct_size, size);
            assert_eq!(options.number.to_ne_bytes(), wanted[8..16]);
            assert_eq!(options.flag.to_ne_bytes(), wanted[16..20]);
            assert_eq!(options.ratio.to_bits().to_ne_bytes(), wanted[20..24]);
        }
        Err(e) => assert!(!right && e.to_string().contains("options"), "{e}"),
    }
    let answer = Options { struct_size: 0, number: u64::MAX, flag: 1, ratio: 0.5 };
    // SAFETY: as above.
    if let Ok(out) = unsafe { VersionedOut::new(words.as_mut_ptr().cast::<Options>(), "out") } {
        out.set(answer);
        // SAFETY: as above.
        let after = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 8) };
        assert_eq!(after[..8], before[..8], "the size is the caller's");
        assert_eq!(
            after[size.min(KNOWN)..],
            before[size.min(KNOWN)..],
            "written behind what the caller knows"
        );
    }
}

fuzz_target!(|data: &[u8]| {
    check_text(data);
    check_structure(data);
});
