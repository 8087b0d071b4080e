//! Prints a store, in a form that `load` reads again, or `redis-cli --pipe`.
//!
//! - `json`: `{"key": K, "value": V, "ttl_ms": N, "expires_at_ms": T}`, or `"list": [V, ...]` in place of the value; without an expiry
//!   neither of the last two. `T` is the time, in milliseconds since 1970, by the clock of the store, and what a load goes by; `ttl_ms` is how
//!   long that was from the dump on. A `K` or `V` that is no UTF-8 is `{"base64": "..."}`.
//! - `text`: words with one space between: `value KEY TTL VALUE` and `list KEY TTL ELEMENT...`; TTL is in milliseconds or `-`. What is no
//!   printable ASCII is an escape, and an empty word is `\e`.
//! - `redis`: the commands DEL, SET, RPUSH and PEXPIRE, as clients send them.

use std::ffi::OsString;
use std::io::{BufWriter, Write};

use anyhow::Result;
use filedb::{Db, Ttl, Type};
use serde_json::json;

use super::keys::bytes;
use crate::args::{Args, Format};
use crate::output::Answer;
use crate::{progress, text};

/// An empty word.
pub const EMPTY: &str = "\\e";
/// How many elements of a list are read at once.
const ELEMENTS_AT_ONCE: i64 = 1024;

/// What a key holds.
enum Held {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
}

/// When a key expires.
#[derive(Clone, Copy)]
struct Expiry {
    /// How many milliseconds were left when it was looked at.
    ttl_ms: u64,
    /// By the clock of the store.
    at_ms: u64,
}

pub fn dump(args: &Args, db: &Db, format: Format, prefix: Option<&OsString>) -> Result<Answer> {
    let prefix = prefix.map(|prefix| bytes(args, prefix)).transpose()?.unwrap_or_default();
    let bar = progress::count("dumping", db.count()?);
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    for row in db.iter(prefix)? {
        let row = row?;
        let key = row.key();
        let held = match row.type_of() {
            Type::Value => Held::Value(row.value().to_vec()),
            _ => match elements(db, key)? {
                Some(elements) => Held::List(elements),
                None => continue,
            },
        };
        // Last: what it holds is from before it expires. A key that is gone by now is left out, for nobody knows for how long it would live.
        let expiry = match db.ttl(key)? {
            Some(Ttl::Left(life)) => {
                let ttl_ms = life.as_millis() as u64;
                Some(Expiry { ttl_ms, at_ms: db.now_ms()?.saturating_add(ttl_ms) })
            }
            Some(Ttl::Forever) => None,
            None => continue,
        };
        match format {
            Format::Json => json(&mut out, key, &held, expiry)?,
            Format::Text => line(&mut out, key, &held, expiry)?,
            Format::Redis => commands(&mut out, key, &held, expiry)?,
        }
        bar.inc(1);
    }
    out.flush()?;
    bar.finish_and_clear();
    Ok(Answer::Done)
}

/// The elements of a list; `None` where it is gone meanwhile.
fn elements(db: &Db, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
    let mut elements = Vec::new();
    let mut from = 0;
    loop {
        let Some(some) = db.list_range(key, from, from + ELEMENTS_AT_ONCE - 1)? else { return Ok(None) };
        elements.extend(some.iter().map(<[u8]>::to_vec));
        if (some.len() as i64) < ELEMENTS_AT_ONCE {
            return Ok(Some(elements));
        }
        from += ELEMENTS_AT_ONCE;
    }
}

fn json(out: &mut impl Write, key: &[u8], held: &Held, expiry: Option<Expiry>) -> Result<()> {
    let mut line = json!({ "key": text::to_json(key) });
    match held {
        Held::Value(value) => line["value"] = text::to_json(value),
        Held::List(list) => line["list"] = list.iter().map(|element| text::to_json(element)).collect(),
    }
    if let Some(Expiry { ttl_ms, at_ms }) = expiry {
        line["ttl_ms"] = json!(ttl_ms);
        line["expires_at_ms"] = json!(at_ms);
    }
    Ok(writeln!(out, "{line}")?)
}

fn line(out: &mut impl Write, key: &[u8], held: &Held, expiry: Option<Expiry>) -> Result<()> {
    let ttl = expiry.map_or("-".into(), |expiry| expiry.ttl_ms.to_string());
    let (what, values) = match held {
        Held::Value(value) => ("value", std::slice::from_ref(value)),
        Held::List(list) => ("list", list.as_slice()),
    };
    write!(out, "{what} {} {ttl}", text::escape(key))?;
    for value in values {
        let word = text::escape(value);
        write!(out, " {}", if word.is_empty() { EMPTY } else { &word })?;
    }
    Ok(writeln!(out)?)
}

fn commands(out: &mut impl Write, key: &[u8], held: &Held, expiry: Option<Expiry>) -> Result<()> {
    let ttl = expiry.map(|expiry| expiry.ttl_ms.to_string().into_bytes());
    match (held, &ttl) {
        (Held::Value(value), None) => command(out, &[b"SET", key, value]),
        (Held::Value(value), Some(ttl)) => command(out, &[b"SET", key, value, b"PX", ttl]),
        (Held::List(list), ttl) => {
            // Loading it twice gives the same list.
            command(out, &[b"DEL", key])?;
            for some in list.chunks(ELEMENTS_AT_ONCE as usize) {
                let words: Vec<&[u8]> =
                    [&b"RPUSH"[..], key].into_iter().chain(some.iter().map(Vec::as_slice)).collect();
                command(out, &words)?;
            }
            ttl.as_ref().map_or(Ok(()), |ttl| command(out, &[b"PEXPIRE", key, ttl]))
        }
    }
}

/// A command as clients send it: an array of bulk strings.
fn command(out: &mut impl Write, words: &[&[u8]]) -> Result<()> {
    write!(out, "*{}\r\n", words.len())?;
    for word in words {
        write!(out, "${}\r\n", word.len())?;
        out.write_all(word)?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}
