//! Finds the paths in code that start at the crate's root.

use crate::token::Token;

/// The first name after the root of a path.
#[derive(Debug, PartialEq)]
pub(crate) struct Reached {
    pub(crate) line: usize,
    pub(crate) name: String,
}

/// Where every `crate::…`, and every `super::…` that climbs to the root, leads.
///
/// `nesting` is how many modules deep the file itself is.
pub(crate) fn from_the_root(tokens: &[Token<'_>], nesting: usize) -> Vec<Reached> {
    let mut reached = Vec::new();
    // One entry an open brace: whether it is the body of a module.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "{" => braces.push(at >= 2 && tokens[at - 2].text == "mod"),
            "}" => drop(braces.pop()),
            "crate" if is(tokens, at + 1, "::") => names(tokens, at + 2, &mut reached),
            "super" if is(tokens, at + 1, "::") => {
                let start = at;
                while is(tokens, at + 2, "super") && is(tokens, at + 3, "::") {
                    at += 2;
                }
                let climbed = (at - start) / 2 + 1;
                let inline = braces.iter().filter(|is_module| **is_module).count();
                if climbed >= nesting + inline {
                    names(tokens, at + 2, &mut reached);
                }
            }
            _ => {}
        }
        at += 1;
    }
    reached
}

/// The names that the root exports, each with the module that it comes from.
pub(crate) fn exported(tokens: &[Token<'_>]) -> Vec<(String, String)> {
    let mut exported = Vec::new();
    for at in 0..tokens.len() {
        if is(tokens, at, "use") && is(tokens, at + 2, "::") {
            let mut found = Vec::new();
            names(tokens, at + 3, &mut found);
            exported.extend(found.into_iter().map(|f| (f.name, tokens[at + 1].text.to_owned())));
        }
    }
    exported
}

fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// The name at `at`, or the first name of each path in the group that opens there.
fn names(tokens: &[Token<'_>], at: usize, into: &mut Vec<Reached>) {
    let push = |token: &Token<'_>, into: &mut Vec<Reached>| {
        into.push(Reached { line: token.line, name: token.text.to_owned() });
    };
    let Some(first) = tokens.get(at) else { return };
    if first.text != "{" {
        return push(first, into);
    }
    let (mut depth, mut starts) = (0, true);
    for token in &tokens[at..] {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => starts = true,
            _ => {
                if depth == 1 && starts {
                    push(token, into);
                }
                starts = false;
            }
        }
        if depth == 0 {
            return;
        }
    }
}
