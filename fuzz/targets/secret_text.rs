//! Secrets inside a text: none that is known survives, whatever stands before and behind it.
#![no_main]

use haltline::fuzz::mask_text;
use libfuzzer_sys::fuzz_target;

/// Long enough for every known shape. A text that has a part of it by itself is left out.
const SECRET: &str = "Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3";

/// `§` is the secret. Each is hidden by a rule of its own.
const PLANTS: [&str; 16] = [
    "password=§",
    "--token §",
    "--api-key=§",
    "export DB_PASSWORD=§;",
    "password: §",
    "{\"secret\": \"§\"}",
    "'client_secret': '§'",
    "Authorization: Bearer §",
    "Authorization: Basic §",
    "bearer §",
    "https://me:§@host/path",
    "https://§@host/",
    "https://host/?access_token=§&x=1",
    "https://discord.com/api/webhooks/1/§",
    "ghp_§",
    "-----BEGIN PRIVATE KEY-----\nS",
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let masked = mask_text(text);
    assert_eq!(mask_text(&masked), masked, "masking {text:?} twice");
    let (before, behind) = text.split_once('\n').unwrap_or((text, ""));
    if text.contains(&SECRET[..6]) {
        return;
    }
    for plant in PLANTS {
        // A blank or a new line begins a new word, so what stands before cannot make another name of it.
        for line in [
            format!("{before}\n{}\n{behind}", plant.replace('§', SECRET)),
            format!("{before} {} {behind}", plant.replace('§', SECRET)),
        ] {
            let shown = mask_text(&line);
            assert!(!shown.contains(SECRET), "{line:?} is shown as {shown:?}");
        }
    }
});
