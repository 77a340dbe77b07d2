//! Just enough of Rust's lexical structure to tell code from comments and text.

#[derive(Debug, PartialEq)]
pub(crate) struct Token<'a> {
    /// Counted from 1.
    pub(crate) line: usize,
    /// An identifier, `::`, or one other character.
    pub(crate) text: &'a str,
}

/// The tokens of `source` without comments, strings, characters and lifetimes.
pub(crate) fn of(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let (length, is_code) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (comment(rest), false),
            '"' => (text(rest), false),
            '\'' => (quote(rest), false),
            _ if raw_text(rest).is_some() => (raw_text(rest).unwrap(), false),
            _ if first == '_' || first.is_alphanumeric() => (word(rest), true),
            _ if rest.starts_with("::") => (2, true),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        if is_code {
            tokens.push(Token { line, text: &rest[..length] });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len())
}

fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, and the same with `b` or `c` before.
fn raw_text(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = prefix.len() + hashes + 1;
    Some(rest[start..].find(&end).map_or(rest.len(), |found| start + found + end.len()))
}

/// A character, or the mark of a lifetime alone.
fn quote(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |found| 3 + found + 1),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}
