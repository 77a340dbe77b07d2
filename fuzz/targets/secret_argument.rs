//! Secrets in a command and its environment: one argument a line.
#![no_main]

use haltline::fuzz::{mask_args, mask_env};
use libfuzzer_sys::fuzz_target;

/// A text that has a part of it by itself is left out.
const SECRET: &str = "Zq7Yw3Zq7Yw3Zq7Yw3Zq7Yw3";

/// `§` is the secret. Arguments that hide it, whatever the program is.
const PLANTS: [&[&str]; 8] = [
    &["--password=§"],
    &["--token", "§"],
    &["--token", "--password", "§"],
    &["-u", "me:§"],
    &["--user=me:§"],
    &["DB_PASSWORD=§ and more"],
    &["Authorization: Bearer §"],
    &["https://me:§@host/"],
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let args: Vec<&str> = text.split('\n').take(32).collect();
    let masked = mask_args(&args);
    assert_eq!(masked.len(), args.len());
    assert_eq!(mask_args(&masked), masked, "masking {args:?} twice");
    if text.contains(&SECRET[..6]) {
        return;
    }
    for plant in PLANTS {
        for at in [1, args.len()] {
            let planted: Vec<String> = plant.iter().map(|a| a.replace('§', SECRET)).collect();
            let mut line: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
            line.splice(at..at, planted);
            let shown = mask_args(&line);
            assert!(!shown.concat().contains(SECRET), "{line:?} is shown as {shown:?}");
        }
    }
    let env: Vec<(&str, &str)> = args.iter().map(|a| a.split_once('=').unwrap_or((a, ""))).collect();
    let shown = mask_env(env.iter().copied());
    assert_eq!(shown.len(), env.len());
    assert!(shown.iter().zip(&env).all(|((name, _), (given, _))| name == given), "a name is never changed");
    let again = mask_env(shown.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    assert_eq!(again, shown, "masking {env:?} twice");
    for (name, _) in env.iter().filter(|(name, _)| *name != "PWD" && *name != "OLDPWD") {
        let planted = mask_env([(format!("{name}_PASSWORD"), SECRET)]);
        assert!(!planted.iter().any(|(_, v)| v.contains(SECRET)), "{name}_PASSWORD");
    }
});
