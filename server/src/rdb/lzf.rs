//! Undoes LZF, with which Redis compresses strings of more than 20 bytes.

/// The longest piece that is repeated, for the three bytes that say so.
const MOST_PER_BYTE: usize = 264 / 3 + 1;

/// What was compressed to `input`, if that has exactly this length.
pub fn unpack(mut input: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > input.len().checked_mul(MOST_PER_BYTE)? {
        return None;
    }
    let mut output = Vec::with_capacity(length);
    while let Some((first, rest)) = input.split_first() {
        let first = usize::from(*first);
        input = rest;
        if first < 32 {
            let (literal, rest) = input.split_at_checked(first + 1)?;
            output.extend_from_slice(literal);
            input = rest;
        } else {
            let mut count = first >> 5;
            if count == 7 {
                let (more, rest) = input.split_first()?;
                count += usize::from(*more);
                input = rest;
            }
            let (low, rest) = input.split_first()?;
            input = rest;
            let back = ((first & 31) << 8 | usize::from(*low)) + 1;
            let from = output.len().checked_sub(back)?;
            // It may reach into itself.
            for at in from..from + count + 2 {
                output.push(*output.get(at)?);
            }
        }
        if output.len() > length {
            return None;
        }
    }
    (output.len() == length).then_some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repetitions_are_unpacked() {
        assert_eq!(unpack(b"\x02abc", 3).unwrap(), b"abc");
        // "a", then nine bytes from one byte back.
        assert_eq!(unpack(b"\x00a\xe0\x00\x00", 10).unwrap(), b"aaaaaaaaaa");
        for wrong in [&b"\x05abc"[..], b"\xe0\x00\x00", b"\x00a\xe0", b"\x00a\x20\x05"] {
            assert_eq!(unpack(wrong, 10), None, "{wrong:?}");
        }
        assert_eq!(unpack(b"\x02abc", 4), None);
        assert_eq!(unpack(b"\x02abc", usize::MAX), None);
    }
}
