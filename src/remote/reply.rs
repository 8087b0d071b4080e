//! The replies of a server (RESP2), read as bytes that anybody may have sent.
//!
//! No more memory is taken than bytes have arrived for, in steps, and no more than a budget; what is refused is an error and never the
//! end of the process.

use std::io::{self, Read};

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Simple(Vec<u8>),
    /// The server refuses.
    Error(Vec<u8>),
    /// A number.
    Number(i64),
    /// A value.
    Bytes(Vec<u8>),
    /// No value.
    Nil,
    /// Several replies.
    Array(Vec<Reply>),
}

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    /// The connection has ended, or the time has.
    Io(io::Error),
    /// What came is no reply.
    Rubbish(&'static str),
    /// The reply takes more memory than there is, or than a reply may.
    TooMuch {
        /// How much, as far as it is known.
        bytes: u64,
    },
}

/// The longest value that a server sends or takes; its own limit (`proto-max-bulk-len`) is the same by default.
pub const MAX_VALUE: u64 = 512 << 20;

/// Bytes are read so many at a time; a line is shorter.
pub const BUFFER: usize = 16 << 10;
/// Memory for a value is taken in steps of at least so much.
const STEP: usize = 64 << 10;
/// Arrays in arrays, at most. `CLUSTER SLOTS` has four.
const MAX_DEPTH: usize = 8;

/// Reads replies from a stream.
pub struct Replies {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Replies {
    /// Without anything read.
    pub fn new() -> io::Result<Self> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(BUFFER).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(BUFFER, 0);
        Ok(Replies { buffer, start: 0, end: 0 })
    }

    /// Whether something was read that belongs to no reply yet.
    pub fn has_more(&self) -> bool {
        self.start < self.end
    }

    /// The next reply. It takes its memory from `budget`.
    pub fn next(&mut self, from: &mut impl Read, budget: &mut u64) -> Result<Reply, NoReply> {
        self.nested(from, budget, 0)
    }

    fn nested(&mut self, from: &mut impl Read, budget: &mut u64, depth: usize) -> Result<Reply, NoReply> {
        let line = self.line(from)?;
        let (kind, text) = line.split_first().ok_or(NoReply::Rubbish("an empty line"))?;
        match kind {
            b'+' => Ok(Reply::Simple(copied(text, budget)?)),
            b'-' => Ok(Reply::Error(copied(text, budget)?)),
            b':' => Ok(Reply::Number(number(text)?)),
            b'$' => match number(text)? {
                -1 => Ok(Reply::Nil),
                len => self.value(from, size(len, MAX_VALUE)?, budget),
            },
            b'*' => match number(text)? {
                -1 => Ok(Reply::Nil),
                _ if depth == MAX_DEPTH => Err(NoReply::Rubbish("arrays in arrays without an end")),
                count => {
                    let count = size(count, u64::from(u32::MAX))?;
                    let mut items = Vec::new();
                    for _ in 0..count {
                        take(budget, size_of::<Reply>() as u64)?;
                        if items.len() == items.capacity() {
                            let more = (count - items.len()).min(items.len().max(64));
                            items.try_reserve_exact(more).map_err(|_| too_much(more * size_of::<Reply>()))?;
                        }
                        items.push(self.nested(from, budget, depth + 1)?);
                    }
                    Ok(Reply::Array(items))
                }
            },
            _ => Err(NoReply::Rubbish("a line that begins as no reply does")),
        }
    }

    /// A line without its end.
    fn line(&mut self, from: &mut impl Read) -> Result<&[u8], NoReply> {
        let mut looked_at = self.start;
        loop {
            let found = self.buffer[looked_at..self.end].windows(2).position(|two| two == b"\r\n");
            if let Some(found) = found {
                let line = self.start..looked_at + found;
                self.start = line.end + 2;
                return Ok(&self.buffer[line]);
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            looked_at = self.end.saturating_sub(1);
            if self.end == BUFFER {
                return Err(NoReply::Rubbish("a line without an end"));
            }
            match from.read(&mut self.buffer[self.end..]).map_err(NoReply::Io)? {
                0 => return Err(NoReply::Io(io::ErrorKind::UnexpectedEof.into())),
                n => self.end += n,
            }
        }
    }

    /// A value of so many bytes, and the end of the line behind it.
    fn value(&mut self, from: &mut impl Read, len: usize, budget: &mut u64) -> Result<Reply, NoReply> {
        take(budget, len as u64)?;
        let mut value = Vec::new();
        while value.len() < len {
            let step = (len - value.len()).min(value.len().max(STEP));
            value.try_reserve_exact(step).map_err(|_| too_much(len))?;
            let wanted = value.len() + step;
            let held = step.min(self.end - self.start);
            value.extend_from_slice(&self.buffer[self.start..self.start + held]);
            self.start += held;
            if value.len() < wanted {
                let missing = (wanted - value.len()) as u64;
                let read = from.by_ref().take(missing).read_to_end(&mut value).map_err(NoReply::Io)?;
                if (read as u64) < missing {
                    return Err(NoReply::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
        match self.line(from)? {
            b"" => Ok(Reply::Bytes(value)),
            _ => Err(NoReply::Rubbish("a value that is longer than it says")),
        }
    }
}

fn take(budget: &mut u64, bytes: u64) -> Result<(), NoReply> {
    *budget = budget.checked_sub(bytes).ok_or(NoReply::TooMuch { bytes })?;
    Ok(())
}

fn too_much(bytes: usize) -> NoReply {
    NoReply::TooMuch { bytes: bytes as u64 }
}

fn copied(text: &[u8], budget: &mut u64) -> Result<Vec<u8>, NoReply> {
    take(budget, text.len() as u64)?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(text.len()).map_err(|_| too_much(text.len()))?;
    copy.extend_from_slice(text);
    Ok(copy)
}

fn number(text: &[u8]) -> Result<i64, NoReply> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(NoReply::Rubbish("a number that is none"))
}

fn size(number: i64, limit: u64) -> Result<usize, NoReply> {
    let size = u64::try_from(number).ok().filter(|size| *size <= limit);
    size.and_then(|size| usize::try_from(size).ok()).ok_or(NoReply::Rubbish("a size that no server sends"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::{collection, sample};

    use super::*;

    /// Gives its bytes a few at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn all(bytes: &[u8], step: usize, mut budget: u64) -> Result<Vec<Reply>, NoReply> {
        let (mut replies, mut stream, mut found) =
            (Replies::new().unwrap(), Trickle(bytes, step), Vec::new());
        while replies.has_more() || !stream.0.is_empty() {
            found.push(replies.next(&mut stream, &mut budget)?);
        }
        Ok(found)
    }

    #[test]
    fn replies_are_read_however_they_arrive() {
        let long = vec![7; 70_000];
        let mut bytes =
            b"+OK\r\n-ERR no\r\n:-5\r\n$-1\r\n*-1\r\n$0\r\n\r\n*2\r\n$3\r\na\r\n\r\n*0\r\n$70000\r\n"
                .to_vec();
        bytes.extend_from_slice(&long);
        bytes.extend_from_slice(b"\r\n:9\r\n");
        let expected = [
            Reply::Simple(b"OK".to_vec()),
            Reply::Error(b"ERR no".to_vec()),
            Reply::Number(-5),
            Reply::Nil,
            Reply::Nil,
            Reply::Bytes(vec![]),
            Reply::Array(vec![Reply::Bytes(b"a\r\n".to_vec()), Reply::Array(vec![])]),
            Reply::Bytes(long),
            Reply::Number(9),
        ];
        for step in [1, 2, 3, 7, 1_000, 1 << 20] {
            assert_eq!(all(&bytes, step, 1 << 20).unwrap(), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn rubbish_is_told_from_replies() {
        let endless = vec![b'+'; BUFFER + 10];
        let deep = b"*1\r\n".repeat(100);
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"\r\n",
            b"$x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*99999999999\r\n",
            b":12a\r\n",
            b"$1\r\nab\r\n",
            &endless,
            &deep,
        ] {
            let outcome = all(bytes, 100, 1 << 20);
            assert!(matches!(outcome, Err(NoReply::Rubbish(_))), "{}: {outcome:?}", bytes.escape_ascii());
        }
    }

    proptest! {
        /// Pieces of replies in any order, cut anywhere: an answer or an error, and no more memory than the budget.
        #[test]
        fn whatever_a_server_sends_is_read_or_refused(
            pieces in collection::vec(
                prop_oneof![
                    sample::select(vec![
                        &b"+OK\r\n"[..], b"-ERR\r\n", b":12\r\n", b"$3\r\nabc\r\n", b"$-1\r\n", b"*2\r\n", b"*-1\r\n", b"$9", b"*",
                        b"\r\n", b"\r", b"\n", b"$18446744073709551615\r\n", b"*9223372036854775807\r\n", b":-9223372036854775809\r\n",
                    ]).prop_map(<[u8]>::to_vec),
                    collection::vec(any::<u8>(), 0..9),
                ],
                0..12,
            ),
            step in 1usize..40,
        ) {
            let _ = all(&pieces.concat(), step, 1 << 16);
        }
    }

    #[test]
    fn memory_is_taken_for_what_has_arrived_and_within_the_budget() {
        // A size is believed when the bytes are there.
        assert!(matches!(all(b"$536870912\r\nabc", 100, 1 << 30), Err(NoReply::Io(_))));
        assert!(matches!(all(b"*4294967295\r\n:1\r\n", 100, 1 << 30), Err(NoReply::Io(_))));
        assert!(matches!(all(b"$2000\r\nabc", 100, 1_000), Err(NoReply::TooMuch { bytes: 2_000 })));
        assert!(all(b":1\r\n".as_ref(), 100, 0).is_ok());
        let many = [&b"*1000\r\n"[..], &b":1\r\n".repeat(1000)].concat();
        assert!(matches!(all(&many, 100, 10_000), Err(NoReply::TooMuch { .. })));
    }
}
