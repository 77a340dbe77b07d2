//! Secrets inside a text: none that is known survives, whatever stands before and behind it.
#![no_main]

use haltline::fuzz::mask_text;
use libfuzzer_sys::fuzz_target;

/// In no text by chance, and long enough for every known shape.
const SECRET: &str = "Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3";

/// `S` is the secret. Each is hidden by a rule of its own.
const PLANTS: [&str; 16] = [
    "password=S",
    "--token S",
    "--api-key=S",
    "export DB_PASSWORD=S;",
    "password: S",
    "{\"secret\": \"S\"}",
    "'client_secret': 'S'",
    "Authorization: Bearer S",
    "Authorization: Basic S",
    "bearer S",
    "https://me:S@host/path",
    "https://S@host/",
    "https://host/?access_token=S&x=1",
    "https://discord.com/api/webhooks/1/S",
    "ghp_S",
    "-----BEGIN PRIVATE KEY-----\nS",
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let masked = mask_text(text);
    assert_eq!(mask_text(&masked), masked, "masking {text:?} twice");
    let (before, behind) = text.split_once('\n').unwrap_or((text, ""));
    for plant in PLANTS {
        // A blank or a new line begins a new word, so what stands before cannot make another name of it.
        for line in [
            format!("{before}\n{}\n{behind}", plant.replace('S', SECRET)),
            format!("{before} {} {behind}", plant.replace('S', SECRET)),
        ] {
            let shown = mask_text(&line);
            assert!(!shown.contains(SECRET), "{line:?} is shown as {shown:?}");
        }
    }
});
