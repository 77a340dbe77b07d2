//! Which sources answered a look at the machine.

use std::fmt::Display;

use super::Source;

/// The verdicts of one look. A source that was not due has none.
#[derive(Debug, Default)]
pub(in crate::monitor) struct Verdicts {
    pub(in crate::monitor) good: u16,
    pub(in crate::monitor) bad: Vec<(Source, String)>,
}

impl Verdicts {
    /// Keeps the value of a source that answered; tells the reason of one that did not.
    pub(in crate::monitor) fn keep<T, E: Display>(
        &mut self,
        source: Source,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.good |= source.bit();
                Some(value)
            }
            Err(reason) => {
                self.bad.push((source, reason.to_string()));
                None
            }
        }
    }
}
