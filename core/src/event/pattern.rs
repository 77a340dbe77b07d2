//! Which topics a subscription asks for.

use super::topic;
use crate::error::Result;

/// A dotted pattern: `*` stands for one word, `>` at the end for one or more.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// No wildcard: compare whole texts.
    Exact,
    /// `>` alone.
    Everything,
    /// Words, of which the last may be `>`.
    Words,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern> {
        if let Some(why) = topic::fault(text, |w| w == "*" || w == ">" || topic::is_plain(w)) {
            return Err(topic::refused("pattern", text, why));
        }
        let rest = text.split('.').position(|w| w == ">");
        if rest.is_some_and(|at| at + 1 != text.split('.').count()) {
            return Err(topic::refused(
                "pattern",
                text,
                "\">\" stands for the rest and can only be its last word",
            ));
        }
        let kind = match text {
            ">" => Kind::Everything,
            _ if text.split('.').any(|w| w == "*" || w == ">") => Kind::Words,
            _ => Kind::Exact,
        };
        Ok(Pattern { text: text.into(), kind })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `topic`, a valid one, is asked for.
    pub(super) fn matches(&self, topic: &str) -> bool {
        match self.kind {
            Kind::Exact => *self.text == *topic,
            Kind::Everything => true,
            Kind::Words => {
                let mut words = topic.split('.');
                for wanted in self.text.split('.') {
                    match (wanted, words.next()) {
                        (_, None) => return false,
                        (">", Some(_)) => return true,
                        ("*", Some(_)) => {}
                        (wanted, Some(word)) if wanted == word => {}
                        _ => return false,
                    }
                }
                words.next().is_none()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(topic)
    }

    #[test]
    fn a_star_is_one_word_and_the_rest_is_one_or_more() {
        assert!(matches("task.started", "task.started"));
        assert!(!matches("task.started", "task.finished"));
        assert!(!matches("task", "task.started"));
        assert!(matches("task.*", "task.started"));
        assert!(!matches("task.*", "task"));
        assert!(!matches("task.*", "task.a.b"));
        assert!(matches("*.started", "task.started"));
        assert!(matches("task.>", "task.a"));
        assert!(matches("task.>", "task.a.b"));
        assert!(!matches("task.>", "task"));
        assert!(matches(">", "task"));
        assert!(matches("*.>", "task.a.b"));
        assert!(!matches("*.>", "task"));
    }

    #[test]
    fn malformed_patterns_are_refused_and_named() {
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a*.b", "task.>.x", ">.>", "a\n", "a>"] {
            let e = Pattern::parse(bad).expect_err(bad).to_string();
            assert!(e.contains(&format!("{bad:?}")), "{e}");
        }
        assert!(Pattern::parse(&"x".repeat(256)).is_err());
        assert!(topic::check("a.*").is_err() && topic::check("größe.änderung").is_ok());
    }

    /// The plainest matcher that can be written.
    fn naive(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([], []) => true,
            ([">"], [_, ..]) => true,
            (["*", p @ ..], [_, t @ ..]) => naive(p, t),
            ([a, p @ ..], [b, t @ ..]) => a == b && naive(p, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_plainest_matcher(
            pattern in prop::collection::vec("[ab*>]", 1..5),
            topic in prop::collection::vec("[ab]", 1..5),
        ) {
            if let Ok(p) = Pattern::parse(&pattern.join(".")) {
                let words: Vec<&str> = pattern.iter().map(String::as_str).collect();
                let topic_words: Vec<&str> = topic.iter().map(String::as_str).collect();
                prop_assert_eq!(p.matches(&topic.join(".")), naive(&words, &topic_words));
            }
        }
    }
}
