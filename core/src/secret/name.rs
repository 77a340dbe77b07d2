//! Which names look as if they named a secret.

/// Whether the name of an option, a variable or a header can hold `c`.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whether something of this name is likely a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    const ANYWHERE: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "apikey",
        "privatekey",
        "accesskey",
    ];
    const WORDS: [&str; 14] = [
        "key",
        "keys",
        "pass",
        "pwd",
        "pw",
        "auth",
        "authorization",
        "cookie",
        "bearer",
        "cred",
        "creds",
        "sas",
        "otp",
        "dsn",
    ];
    let parts = name_words(name);
    let joined = parts.concat();
    // How many tokens a language model may use is no secret.
    let counted = matches!(parts.first().map(String::as_str), Some("max" | "min" | "num" | "n" | "total"))
        && joined.ends_with("tokens");
    if counted || joined == "hotkey" || joined == "monkey" {
        return false;
    }
    ANYWHERE.iter().any(|s| joined.contains(s))
        || parts
            .iter()
            .any(|p| WORDS.contains(&p.as_str()) || (p.len() > 3 && p.ends_with("key") && p != "hotkey"))
}

/// `apiKey`, `API_KEY` and `api-key` are all `api`, `key`.
fn name_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|w| !w.is_empty());
    words
}
