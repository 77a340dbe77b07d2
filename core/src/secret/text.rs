//! Secrets inside a text of any kind.

use std::ops::Range;

use super::name::{is_name_char, is_secret_name};

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***";

/// Masking a masked text may find more, because what is left stands beside other things than before. Text that
/// people write settles at once.
const MOST_ROUNDS: usize = 8;

/// Hides secrets inside a text of any kind. Masking the result again changes nothing.
pub(crate) fn mask_text(text: &str) -> String {
    let Some(mut shown) = masked_once(text) else { return text.to_owned() };
    for _ in 0..MOST_ROUNDS {
        match masked_once(&shown) {
            Some(again) if again != shown => shown = again,
            _ => return shown,
        }
    }
    MASK.to_owned()
}

/// `None` if nothing is hidden.
fn masked_once(text: &str) -> Option<String> {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    assignments(text, &mut hidden);
    addresses(text, &mut hidden);
    words(text, &mut hidden);
    hidden.retain(|r| !r.is_empty());
    if hidden.is_empty() {
        return None;
    }
    hidden.sort_by_key(|r| r.start);
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for range in hidden {
        if range.start >= at {
            shown.push_str(&text[at..range.start]);
            shown.push_str(MASK);
        }
        at = at.max(range.end);
    }
    shown.push_str(&text[at..]);
    Some(shown)
}

/// `name=value`, `name: value`, `"name": "value"`.
fn assignments(text: &str, hidden: &mut Vec<Range<usize>>) {
    for (at, sign) in text.match_indices(['=', ':']) {
        // Inside of what is hidden already; looking again would cost the square of a hostile text.
        if hidden.last().is_some_and(|r| r.end > at) {
            continue;
        }
        let before = text[..at].trim_end_matches([' ', '"', '\'', '\\']);
        let name = before.rfind(|c| !is_name_char(c)).map_or(before, |n| {
            // The one char found may be several bytes long.
            let end = n + before[n..].chars().next().map_or(1, char::len_utf8);
            &before[end..]
        });
        if name.is_empty() || !is_secret_name(name.trim_start_matches('-')) {
            continue;
        }
        let mut after = &text[at + 1..];
        if sign == ":" {
            // A colon in an address, a time or a path is no header.
            if after.starts_with(['/', '\\', ':']) {
                continue;
            }
            after = after.trim_start_matches([' ', '\t']);
        }
        let start = text.len() - after.len();
        let quote = after.trim_start_matches('\\');
        if let Some(q @ ('"' | '\'')) = quote.chars().next() {
            let start = text.len() - quote.len() + 1;
            hidden.push(start..start + end_of_quoted(&text[start..], q));
        } else {
            // A header's value has spaces; an assignment's has none.
            let stop: &[char] = if sign == ":" {
                &['\n', '\r', '"', '\'', ',', '}']
            } else {
                &['&', ';', ',', ' ', '\t', '\n', '"', '\'']
            };
            let len = after.find(stop).unwrap_or(after.len());
            hidden.push(start..start + len);
        }
    }
}

/// Up to the closing quote that no backslash precedes, or the end.
fn end_of_quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            c if c == quote && !escaped => return at,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Beyond this many addresses the rest of a text is hidden unseen.
const MOST_ADDRESSES: usize = 32;

/// Passwords and webhook tokens in addresses.
fn addresses(text: &str, hidden: &mut Vec<Range<usize>>) {
    for (n, (at, separator)) in text.match_indices("://").enumerate() {
        // Nobody writes so many; looking at each of a hostile text would cost its square.
        if n == MOST_ADDRESSES {
            hidden.push(at..text.len());
            return;
        }
        let start = at + separator.len();
        let rest = &text[start..];
        let whole =
            &rest[..rest.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(rest.len())];
        let authority = &whole[..whole.find(['/', '?', '#']).unwrap_or(whole.len())];
        // A password with a raw slash ends the authority too early; a port is digits, so this is none.
        let cut_short =
            authority.split_once(':').is_some_and(|(_, p)| p.bytes().any(|b| !b.is_ascii_digit()))
                && !authority.contains('@')
                && !authority.starts_with('[');
        let user = if cut_short { whole.rfind('@') } else { authority.rfind('@') };
        if let Some(user) = user {
            let from = whole[..user].find(':').map_or(0, |colon| colon + 1);
            hidden.push(start + from..start + user);
        }
        for hook in ["/api/webhooks/", "hooks.slack.com/services/"] {
            if let Some(found) = whole.find(hook) {
                hidden.push(start + found + hook.len()..start + whole.len());
            }
        }
    }
}

/// Words that are secrets by their shape, or by the word before them.
fn words(text: &str, hidden: &mut Vec<Range<usize>>) {
    let mut hide_next = false;
    for word in
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')' | '&' | '='))
    {
        if word.is_empty() {
            continue;
        }
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        if hide_next || has_secret_shape(word) {
            hidden.push(start..start + word.len());
        }
        let scheme = matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic");
        hide_next = (scheme && start + word.len() < text.len())
            || (word.starts_with('-')
                && text[start + word.len()..].starts_with(char::is_whitespace)
                && is_secret_name(word.trim_start_matches('-')));
    }
    if let Some(at) = text.find("-----BEGIN ")
        && text[at..].contains("PRIVATE KEY")
    {
        hidden.push(at..text.len());
    }
}

/// The published prefixes of access keys and tokens, each with the least length of what follows.
const SHAPES: [(&str, usize); 17] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("sk-", 20),
    ("sk_live_", 16),
    ("npm_", 30),
    ("pypi-", 30),
];

fn has_secret_shape(word: &str) -> bool {
    let rest = |prefix: &str| {
        let at = word.find(prefix)?;
        let begins = !word[..at].ends_with(char::is_alphanumeric);
        begins.then(|| &word[at + prefix.len()..])
    };
    let long = |rest: &str, least: usize| {
        rest.len() >= least
            && rest.bytes().take(least).all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    // A JSON web token: three parts, the first two of which begin as `{"` does in base64.
    let web_token =
        rest("eyJ").is_some_and(|r| r.contains(".eyJ") || r.matches('.').count() == 2 && r.len() > 30);
    web_token || SHAPES.iter().any(|(prefix, least)| rest(prefix).is_some_and(|r| long(r, *least)))
}
