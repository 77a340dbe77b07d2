//! Bytes to and from the network.

use std::io;
use std::path::Path;

use super::super::baseline::Baseline;
use super::text::{self, Kept};
use crate::clock::Time;
use crate::monitor::Rates;

/// The interfaces of the network namespace of the thread that reads first.
#[derive(Debug)]
pub(super) struct NetworkFile {
    file: Kept,
    baseline: Baseline<(u64, u64)>,
}

impl NetworkFile {
    pub(super) fn new(proc_root: &Path) -> Self {
        NetworkFile { file: Kept::new(proc_root.join("net/dev")), baseline: Baseline::default() }
    }

    pub(super) fn read(&mut self, at: Time, buffer: &mut Vec<u8>) -> io::Result<Option<Rates>> {
        let totals = totals(self.file.read(buffer)?);
        let totals = totals.ok_or_else(|| text::malformed(self.file.path(), "a line is too short"))?;
        Ok(self.baseline.step(at, &totals).map(|(span, before)| Rates::between(*before, totals, span)))
    }
}

/// Bytes received and sent by every interface but loopback.
pub(super) fn totals(dev: &[u8]) -> Option<(u64, u64)> {
    let (mut received, mut sent) = (0u64, 0u64);
    // The two lines of headings have no colon; a name may stand against its first number.
    for line in text::lines(dev) {
        let Some(colon) = line.iter().rposition(|b| *b == b':') else { continue };
        let (name, counters) = line.split_at(colon);
        if text::words(name).next() == Some(b"lo") {
            continue;
        }
        let mut counters = text::words(&counters[1..]).map(text::number);
        received = received.saturating_add(counters.next()??);
        sent = sent.saturating_add(counters.nth(7)??);
    }
    Some((received, sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_left_out() {
        let dev = b"Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 3193 29 0 0 0 0 0 0 3193 29 0 0 0 0 0 0
  eth0:39198929 2907 0 0 0 0 0 0 336707 2444 0 0 0 0 0 0
 eth0:1: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0
";
        assert_eq!(totals(dev), Some((39_198_930, 336_709)));
        assert_eq!(totals(b"eth0: 1 2"), None);
    }
}
