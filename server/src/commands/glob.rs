//! Patterns of KEYS, SCAN and PSUBSCRIBE.

/// Whether the whole text matches: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a byte that means itself.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when what follows the last `*` does not fit: one byte later. So the time is at most the product of both lengths.
    let (mut p, mut t) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if pattern.get(p) == Some(&b'*') {
            again = Some((p, t));
            p += 1;
            continue;
        }
        if let (Some(byte), Some(next)) = (text.get(t), pattern.get(p..).filter(|rest| !rest.is_empty()))
            && let Some(taken) = one(next, *byte)
        {
            p += taken;
            t += 1;
            continue;
        }
        match again {
            Some((star, from)) if from < text.len() => {
                again = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
            _ => return false,
        }
    }
    true
}

/// How many bytes of the pattern stand for this byte; `None` where it does not fit.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => Some(1),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        b'[' => {
            let negated = pattern.get(1) == Some(&b'^');
            let (mut at, mut fits) = (if negated { 2 } else { 1 }, false);
            loop {
                match pattern.get(at) {
                    None => break,
                    Some(b'\\') if at + 1 < pattern.len() => {
                        fits |= pattern[at + 1] == byte;
                        at += 2;
                    }
                    Some(b']') => {
                        at += 1;
                        break;
                    }
                    Some(low) if pattern.get(at + 1) == Some(&b'-') && at + 2 < pattern.len() => {
                        let high = pattern[at + 2];
                        let (low, high) = (*low.min(&high), *low.max(&high));
                        fits |= (low..=high).contains(&byte);
                        at += 3;
                    }
                    Some(other) => {
                        fits |= *other == byte;
                        at += 1;
                    }
                }
            }
            (fits != negated).then_some(at)
        }
        other => (other == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("[", "[", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_more_time_than_the_product_of_the_lengths() {
        let pattern = b"a*".repeat(40);
        let text = b"a".repeat(2000);
        assert!(matches(&pattern, &text));
        let mut longer = pattern.clone();
        longer.push(b'b');
        assert!(!matches(&longer, &text));
    }
}
