//! Inline commands: a line of words, as a person types them, with quotes as Redis has them.

use std::ops::Range;

/// Splits a line into words, which are added to `bytes`, and says where each is. `None` where quotes do not match.
pub fn split(line: &[u8], bytes: &mut Vec<u8>) -> Option<Vec<Range<usize>>> {
    let (mut words, mut at) = (Vec::new(), 0);
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    loop {
        while line.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let start = bytes.len();
        loop {
            match line.get(at) {
                None | Some(0) => break,
                Some(byte) if is_space(*byte) => break,
                Some(b'"') => at = double_quoted(line, at + 1, bytes)?,
                Some(b'\'') => at = single_quoted(line, at + 1, bytes)?,
                Some(byte) => {
                    bytes.push(*byte);
                    at += 1;
                    continue;
                }
            }
            // A closing quote ends the word, and a space or the end must follow.
            if line.get(at).is_some_and(|byte| !is_space(*byte)) {
                return None;
            }
            break;
        }
        words.push(start..bytes.len());
        if line.get(at) == Some(&0) {
            return Some(words);
        }
    }
}

/// Where the text goes on behind the closing quote.
fn double_quoted(line: &[u8], mut at: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                let hex =
                    |offset: usize| line.get(at + offset).and_then(|digit| (*digit as char).to_digit(16));
                if line.get(at + 1) == Some(&b'x')
                    && let (Some(high), Some(low)) = (hex(2), hex(3))
                {
                    bytes.push((high * 16 + low) as u8);
                    at += 4;
                    continue;
                }
                let escaped = *line.get(at + 1)?;
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(line: &[u8], mut at: usize, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(at)? {
            b'\'' => return Some(at + 1),
            b'\\' if line.get(at + 1) == Some(&b'\'') => {
                bytes.push(b'\'');
                at += 2;
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        let ranges = split(line, &mut bytes)?;
        Some(ranges.into_iter().map(|range| bytes[range].to_vec()).collect())
    }

    #[test]
    fn words_are_split_and_quotes_and_escapes_undone() {
        assert_eq!(
            words(b"  set key  value "),
            Some(vec![b"set".to_vec(), b"key".to_vec(), b"value".to_vec()])
        );
        assert_eq!(words(br#"set "a b\x41\n" 'c\'d'"#).unwrap()[1..], [b"a bA\n".to_vec(), b"c'd".to_vec()]);
        assert_eq!(words(b"set \"\""), Some(vec![b"set".to_vec(), Vec::new()]));
        assert_eq!(words(b""), Some(Vec::new()));
    }

    #[test]
    fn quotes_that_do_not_match_are_refused() {
        for line in [&b"get \"a"[..], b"get 'a", b"get \"a\"b", b"get \"a\\"] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
