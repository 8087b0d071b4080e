//! What a client is to be sent, and what of it may be sent already.

use std::collections::VecDeque;

/// See the module. Places count all bytes that the client was ever given.
#[derive(Default)]
pub struct Output {
    /// What is added to.
    pub bytes: Vec<u8>,
    /// The place of the first of them.
    base: u64,
    /// How many of the bytes were sent.
    sent: usize,
    /// All before this place may be sent; what follows waits for batches, whose numbers these are, up to a place each.
    free: u64,
    holds: VecDeque<(u64, u64)>,
}

/// Memory that is kept when all was sent.
const KEPT: usize = 16 << 10;

impl Output {
    /// The place behind all bytes.
    pub fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The bytes that were not sent.
    pub fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// All that is not held yet waits for a batch.
    pub fn hold(&mut self, ticket: u64) {
        if self.holds.is_empty() {
            // What comes before was free already.
            self.free = self.free.max(self.base + self.sent as u64);
        }
        match self.holds.back_mut() {
            Some((last, end)) if *last == ticket => *end = self.base + self.bytes.len() as u64,
            _ => self.holds.push_back((ticket, self.base + self.bytes.len() as u64)),
        }
    }

    /// Whether something waits for a batch.
    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// All batches up to this one are durable.
    pub fn release(&mut self, durable: u64) {
        while let Some((_, end)) = self.holds.front().filter(|(ticket, _)| *ticket <= durable) {
            self.free = *end;
            self.holds.pop_front();
        }
    }

    /// What may be sent now.
    pub fn ready(&self) -> &[u8] {
        let end = match self.holds.is_empty() {
            true => self.bytes.len(),
            false => (self.free.saturating_sub(self.base) as usize).min(self.bytes.len()),
        };
        self.bytes.get(self.sent..end).unwrap_or_default()
    }

    /// Notes that this many more bytes were sent.
    pub fn was_sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.bytes.len() {
            self.base += self.sent as u64;
            self.sent = 0;
            if self.bytes.capacity() > KEPT { self.bytes = Vec::new() } else { self.bytes.clear() }
        } else if self.sent > 1 << 20 {
            self.bytes.drain(..self.sent);
            self.base += self.sent as u64;
            self.sent = 0;
        }
    }

    /// Puts an error in the place of a reply that was not sent.
    pub fn replace(&mut self, range: std::ops::Range<u64>, error: &str) {
        let from = range.start.saturating_sub(self.base) as usize;
        let to = (range.end.saturating_sub(self.base) as usize).min(self.bytes.len());
        if range.start >= self.base && from >= self.sent && from < to {
            self.bytes.splice(from..to, format!("-{}\r\n", error.replace(['\r', '\n'], " ")).into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_sent_when_its_batch_is_durable_and_in_order() {
        let mut output = Output::default();
        output.bytes.extend(b"read");
        output.bytes.extend(b"first");
        output.hold(1);
        assert_eq!(output.ready(), b"");
        output.bytes.extend(b"second");
        output.hold(2);
        output.release(1);
        assert_eq!(output.ready(), b"readfirst");
        output.was_sent(4);
        assert_eq!(output.ready(), b"first");
        output.release(5);
        assert_eq!(output.ready(), b"firstsecond");
        output.was_sent(11);
        assert!(output.unsent() == 0 && !output.is_held());
        output.bytes.extend(b"free");
        assert_eq!(output.ready(), b"free");
    }

    #[test]
    fn a_reply_that_was_not_sent_can_become_an_error() {
        let mut output = Output::default();
        output.bytes.extend(b"+OK\r\n:1\r\n");
        output.replace(5..9, "ERR no");
        output.replace(0..5, "ERR no");
        assert_eq!(output.bytes, b"-ERR no\r\n-ERR no\r\n");
    }
}
