//! Bytes as text and back, and lengths of time.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filedb::Ttl;
use serde_json::{Value, json};

/// Bytes as one word of printable text: what is not printable ASCII, a space and a backslash are escapes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x21..=0x7e => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// The bytes that [`escape`] made a text of.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'\\') => b'\\',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).copied().collect();
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| digits.len() == 2);
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                byte.context("behind \\x two digits of a byte have to follow, as in \\x0a")?
            }
            _ => bail!("behind a backslash comes one of \\ n r t 0 xHH"),
        });
    }
    Ok(bytes)
}

/// A key or a value on the command line.
pub fn argument(text: &OsStr, escaped: bool) -> Result<Vec<u8>> {
    match escaped {
        true => unescape(text.as_bytes()),
        false => Ok(text.as_bytes().to_vec()),
    }
}

/// Bytes in JSON: a string where they are UTF-8, else an object.
pub fn to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// The bytes of what [`to_json`] makes.
pub fn from_json(value: &Value) -> Result<Vec<u8>> {
    match value {
        Value::String(text) => Ok(text.clone().into_bytes()),
        Value::Object(object) => {
            let text = object.get("base64").and_then(Value::as_str);
            let text = text.context("bytes are a string, or an object with 'base64'")?;
            STANDARD.decode(text).context("'base64' does not hold base64")
        }
        _ => bail!("bytes are a string, or an object with 'base64'"),
    }
}

/// A length of time: a number with ms, s, min, h or d behind it.
pub fn duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "" => bail!("'{text}' lacks a unit of time, as 500ms, 15s, 10min, 2h and 7d have one"),
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => bail!("'{other}' is no unit of time; those are ms, s, min, h and d"),
    };
    let number: u64 = digits.parse().with_context(|| format!("'{text}' is no time, as 500ms or 15s is"))?;
    Ok(Duration::from_millis(number.checked_mul(unit).context("the time is too long")?))
}

/// How long a key has to live: a length of time, or never.
pub fn life(text: &str) -> Result<Ttl> {
    if text == "never" { Ok(Ttl::Forever) } else { duration(text).map(Ttl::Left) }
}

/// A number of what `one` names, for people.
pub fn many(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_text() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(escape(&all).as_bytes()).unwrap(), all);
        assert!(escape(&all).bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(from_json(&to_json(&all)).unwrap(), all);
        assert_eq!(from_json(&to_json("grün".as_bytes())).unwrap(), "grün".as_bytes());
        for wrong in ["\\", "\\q", "\\x", "\\x0", "\\xzz"] {
            assert!(unescape(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("15s").unwrap(), Duration::from_secs(15));
        assert_eq!(duration("7ms").unwrap(), Duration::from_millis(7));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        for wrong in ["", "5", "s", "1 week", "-1s", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
