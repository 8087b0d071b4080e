//! Requests: finds one command after the other in what a client has sent so far, which may end anywhere.
//!
//! The parser looks at each byte once, also where a command comes in many pieces: it remembers how far it is.

use std::ops::Range;

use smallvec::SmallVec;

use super::inline;

/// A line of the protocol, and an inline command, has at most so many bytes.
const MAX_LINE: usize = 64 << 10;
/// The most arguments of a command.
const MAX_ARGUMENTS: i64 = 1 << 20;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of an argument.
    pub max_bulk: u64,
    /// The most bytes of a command.
    pub max_command: u64,
    /// Whether the client has said the password, if there is one.
    pub is_trusted: bool,
}

/// Why a client is not understood. The connection ends then.
pub type ProtocolError = String;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The command goes on in what is not here yet.
    Part,
    /// A command, of so many bytes.
    Command(usize),
    /// Nothing to do, of so many bytes.
    Nothing(usize),
}

/// Where an argument is.
type Place = Range<usize>;

/// How far a command was read. See the module.
#[derive(Default)]
pub struct Parser {
    places: SmallVec<[Place; 8]>,
    /// The words of an inline command; the others stand in the input.
    words: Vec<u8>,
    is_inline: bool,
    /// Arguments to come; `None` before their number is known.
    left: Option<usize>,
    /// The length of the argument that is being read.
    bulk: Option<usize>,
    /// All before this is understood.
    at: usize,
    /// No end of a line was found before this.
    searched: usize,
}

/// Room for so many arguments is kept between commands.
const KEPT_PLACES: usize = 1024;

impl Parser {
    /// Looks for a command at the beginning of `input`, which begins as it did the last time if that was [`Found::Part`].
    pub fn parse(&mut self, input: &[u8], limits: &Limits) -> Result<Found, ProtocolError> {
        if self.left.is_none() && self.at == 0 {
            match input.first() {
                None => return Ok(Found::Part),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(input),
            }
        }
        let found = self.parse_array(input, limits)?;
        Ok(found)
    }

    /// Whether the last look found a whole command, which was not forgotten since.
    pub fn has_found(&self) -> bool {
        self.left == Some(0) || self.is_inline
    }

    /// Forgets the command that was found.
    pub fn reset(&mut self) {
        self.places.clear();
        self.words.clear();
        if self.places.capacity() > KEPT_PLACES {
            self.places = SmallVec::new();
        }
        (self.is_inline, self.left, self.bulk, self.at, self.searched) = (false, None, None, 0, 0);
    }

    /// The arguments of the command that was found in `input`; the first is its name.
    pub fn arguments<'a>(&'a self, input: &'a [u8]) -> SmallVec<[&'a [u8]; 8]> {
        let from = if self.is_inline { &self.words } else { input };
        self.places.iter().map(|place| from.get(place.clone()).unwrap_or_default()).collect()
    }

    /// How many bytes the command has at least, as far as it is known: for who makes room.
    pub fn wanted(&self) -> usize {
        self.at + self.bulk.map_or(0, |len| len + 2)
    }

    fn parse_inline(&mut self, input: &[u8]) -> Result<Found, ProtocolError> {
        let Some(end) = memchr::memchr(b'\n', &input[self.searched..]).map(|at| at + self.searched) else {
            if input.len() > MAX_LINE {
                return Err("too big inline request".into());
            }
            self.searched = input.len();
            return Ok(Found::Part);
        };
        if end > MAX_LINE {
            return Err("too big inline request".into());
        }
        let line = &input[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let words = inline::split(line, &mut self.words).ok_or("unbalanced quotes in request")?;
        if words.is_empty() {
            return Ok(Found::Nothing(end + 1));
        }
        self.is_inline = true;
        self.places.extend(words);
        Ok(Found::Command(end + 1))
    }

    fn parse_array(&mut self, input: &[u8], limits: &Limits) -> Result<Found, ProtocolError> {
        let mut left = match self.left {
            Some(left) => left,
            None => {
                let Some((line, next)) = self.line(input, "too big mbulk count string")? else {
                    return Ok(Found::Part);
                };
                let count = number(&line[1..]).filter(|count| *count <= MAX_ARGUMENTS);
                let count = count.ok_or("invalid multibulk length")?;
                if !limits.is_trusted && count > 10 {
                    return Err("unauthenticated multibulk length".into());
                }
                self.at = next;
                self.searched = next;
                if count <= 0 {
                    return Ok(Found::Nothing(next));
                }
                self.places.reserve((count as usize).min(1024));
                count as usize
            }
        };
        while left > 0 {
            self.left = Some(left);
            let len = match self.bulk {
                Some(len) => len,
                None => {
                    let Some((line, next)) = self.line(input, "too big bulk count string")? else {
                        return Ok(Found::Part);
                    };
                    let (Some(b'$'), Some(digits)) = (line.first(), line.get(1..)) else {
                        let got = line.first().map_or('\r', |byte| *byte as char);
                        return Err(format!("expected '$', got '{got}'"));
                    };
                    let len = number(digits).and_then(|len| u64::try_from(len).ok());
                    let len = len.filter(|len| *len <= limits.max_bulk).ok_or("invalid bulk length")?;
                    if !limits.is_trusted && len > 16_384 {
                        return Err("unauthenticated bulk length".into());
                    }
                    if next as u64 + len > limits.max_command {
                        return Err("the command is larger than client-query-buffer-limit".into());
                    }
                    self.at = next;
                    self.searched = next;
                    self.bulk = Some(len as usize);
                    len as usize
                }
            };
            if input.len() < self.at + len + 2 {
                return Ok(Found::Part);
            }
            self.places.push(self.at..self.at + len);
            self.at += len + 2;
            self.searched = self.at;
            self.bulk = None;
            left -= 1;
        }
        self.left = Some(0);
        Ok(Found::Command(self.at))
    }

    /// The line at the place that is reached, and where the next begins; `None` where its end is not here yet.
    #[allow(clippy::type_complexity)]
    fn line<'a>(
        &mut self,
        input: &'a [u8],
        too_long: &'static str,
    ) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
        let rest = input.get(self.searched..).unwrap_or_default();
        match memchr::memchr(b'\r', rest).map(|at| at + self.searched) {
            Some(end) if end + 1 < input.len() => Ok(Some((&input[self.at..end], end + 2))),
            Some(end) => {
                self.searched = end;
                Ok(None)
            }
            None if input.len() - self.at > MAX_LINE => Err(too_long.into()),
            None => {
                self.searched = input.len();
                Ok(None)
            }
        }
    }
}

/// A number as Redis reads one: decimal, no sign but a minus, no zeros in front.
pub fn number(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text.split_first()? {
        (b'-', rest) => (rest, true),
        _ => (text, false),
    };
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { max_bulk: 1 << 20, max_command: 4 << 20, is_trusted: true };

    fn all(input: &[u8], cuts: &[usize]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let (mut parser, mut begin, mut commands) = (Parser::default(), 0, Vec::new());
        let ends = cuts.iter().copied().chain([input.len()]);
        for end in ends {
            loop {
                let here = &input[begin..end];
                match parser.parse(here, &LIMITS)? {
                    Found::Part => break,
                    Found::Nothing(len) => begin += len,
                    Found::Command(len) => {
                        commands.push(parser.arguments(here).iter().map(|word| word.to_vec()).collect());
                        begin += len;
                    }
                }
                parser.reset();
                if begin == end {
                    break;
                }
            }
        }
        Ok(commands)
    }

    fn encode(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend(format!("*{}\r\n", command.len()).bytes());
            for word in command {
                bytes.extend(format!("${}\r\n", word.len()).bytes());
                bytes.extend(word);
                bytes.extend(b"\r\n");
            }
        }
        bytes
    }

    #[test]
    fn a_command_may_be_cut_at_every_byte() {
        let commands = vec![vec![b"SET".to_vec(), b"k\r\ny".to_vec(), vec![0; 20]], vec![b"PING".to_vec()]];
        let mut input = encode(&commands);
        input.extend(b"*0\r\n\r\nget  \"a b\"\r\n");
        let expected = all(&input, &[]).unwrap();
        assert_eq!(expected[..2], commands);
        assert_eq!(expected[2], [b"get".to_vec(), b"a b".to_vec()]);
        for first in 0..input.len() {
            assert_eq!(all(&input, &[first]).unwrap(), expected, "cut at {first}");
        }
        let everywhere: Vec<_> = (0..input.len()).collect();
        assert_eq!(all(&input, &everywhere).unwrap(), expected);
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_words_of_redis() {
        for (input, expected) in [
            (&b"*x\r\n"[..], "invalid multibulk length"),
            (b"*2147483648\r\n", "invalid multibulk length"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$99999999999\r\n", "invalid bulk length"),
            (b"set 'a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(all(input, &[]).unwrap_err(), expected);
        }
        assert_eq!(all(&vec![b'a'; MAX_LINE + 1], &[]).unwrap_err(), "too big inline request");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            commands in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..6), 1..6),
            mut cuts in proptest::collection::vec(any::<u16>(), 0..12),
        ) {
            let input = encode(&commands);
            for cut in &mut cuts {
                *cut %= input.len() as u16;
            }
            cuts.sort_unstable();
            let cuts: Vec<_> = cuts.into_iter().map(usize::from).collect();
            prop_assert_eq!(all(&input, &cuts).unwrap(), commands);
        }

        #[test]
        fn no_bytes_make_it_panic(input in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<u8>()) {
            let cut = usize::from(cut) % (input.len() + 1);
            let whole = all(&input, &[]);
            prop_assert_eq!(all(&input, &[cut]), whole);
        }
    }
}
