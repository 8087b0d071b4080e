//! Reads what `dump` prints, and puts it into a store. Keys that are there are replaced.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use filedb::{Batch, Db};
use serde_json::Value;

use super::dump::EMPTY;
use crate::args::{Args, Format};
use crate::output::Answer;
use crate::{progress, text};

/// Writes are put together up to so many, or so many bytes.
const TOGETHER: (usize, usize) = (1000, 1 << 20);
/// The longest word and the most words that a command is believed to have.
const LONGEST: usize = u32::MAX as usize;
const MOST_WORDS: usize = 1 << 24;

/// Writes on their way into a store.
struct Loading<'a> {
    db: &'a Db,
    batch: Batch,
    bytes: usize,
    keys: u64,
}

impl Loading<'_> {
    fn wrote(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.batch.len() >= TOGETHER.0 || self.bytes >= TOGETHER.1 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.db.write(&self.batch)?;
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }

    fn value(&mut self, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<()> {
        match ttl_ms {
            None => self.batch.put(key, value)?,
            Some(ttl_ms) => self.batch.put_with_ttl(key, value, Duration::from_millis(ttl_ms))?,
        }
        self.keys += 1;
        self.wrote(key.len() + value.len())
    }

    fn list(&mut self, key: &[u8], elements: &[Vec<u8>], ttl_ms: Option<u64>) -> Result<()> {
        self.batch.delete(key)?;
        self.push(key, elements)?;
        if let Some(ttl_ms) = ttl_ms {
            self.expire(key, ttl_ms)?;
        }
        self.keys += 1;
        Ok(())
    }

    fn push(&mut self, key: &[u8], elements: &[Vec<u8>]) -> Result<()> {
        for element in elements {
            self.batch.push_back(key, element)?;
            self.wrote(key.len() + element.len())?;
        }
        Ok(())
    }

    fn expire(&mut self, key: &[u8], ttl_ms: u64) -> Result<()> {
        self.flush()?;
        self.db.expire(key, Duration::from_millis(ttl_ms))?;
        Ok(())
    }
}

pub fn load(args: &Args, db: &Db, format: Format) -> Result<Answer> {
    let mut input = BufReader::with_capacity(1 << 20, std::io::stdin().lock());
    let mut loading = Loading { db, batch: Batch::new(), bytes: 0, keys: 0 };
    let bar = progress::endless("keys loaded");
    let loaded = match format {
        Format::Redis => commands(&mut input, &mut loading, &bar),
        Format::Json => lines(&mut input, &mut loading, &bar, json),
        Format::Text => lines(&mut input, &mut loading, &bar, words),
    };
    // What came before a mistake is loaded.
    loading.flush()?;
    bar.finish_and_clear();
    let keys = loading.keys;
    db.close()?;
    loaded.with_context(|| format!("{keys} keys were loaded before"))?;
    match args.json {
        true => println!("{}", serde_json::json!({ "keys": keys })),
        false => println!("{keys} keys loaded"),
    }
    Ok(Answer::Done)
}

fn lines(
    input: &mut impl BufRead,
    loading: &mut Loading<'_>,
    bar: &indicatif::ProgressBar,
    read: fn(&[u8], &mut Loading<'_>) -> Result<()>,
) -> Result<()> {
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            read(text, loading).with_context(|| format!("line {number}"))?;
        }
        bar.set_position(loading.keys);
    }
    Ok(())
}

fn json(line: &[u8], loading: &mut Loading<'_>) -> Result<()> {
    let line: Value = serde_json::from_slice(line).context("it is no JSON")?;
    let key = text::from_json(line.get("key").context("there is no 'key'")?)?;
    let ttl_ms = match line.get("ttl_ms") {
        None | Some(Value::Null) => None,
        Some(ttl) => Some(ttl.as_u64().context("'ttl_ms' is a number of milliseconds")?),
    };
    match (line.get("value"), line.get("list")) {
        (Some(value), None) => loading.value(&key, &text::from_json(value)?, ttl_ms),
        (None, Some(Value::Array(list))) => {
            let elements = list.iter().map(text::from_json).collect::<Result<Vec<_>>>()?;
            loading.list(&key, &elements, ttl_ms)
        }
        _ => bail!("there has to be either a 'value' or a 'list'"),
    }
}

fn words(line: &[u8], loading: &mut Loading<'_>) -> Result<()> {
    let mut words = line.split(|byte| *byte == b' ');
    let what = words.next().unwrap_or_default();
    let word = |word: &[u8]| if word == EMPTY.as_bytes() { Ok(Vec::new()) } else { text::unescape(word) };
    let key = word(words.next().context("there is no key")?)?;
    let ttl_ms = match words.next().context("there is no time to live; '-' is none")? {
        b"-" => None,
        ttl => Some(std::str::from_utf8(ttl)?.parse().context("the time to live is a number or '-'")?),
    };
    let values = words.map(word).collect::<Result<Vec<_>>>()?;
    match (what, values.as_slice()) {
        (b"value", [value]) => loading.value(&key, value, ttl_ms),
        (b"list", values) => loading.list(&key, values, ttl_ms),
        _ => bail!("it has to be 'value KEY TTL VALUE' or 'list KEY TTL ELEMENT...'"),
    }
}

fn commands(input: &mut impl BufRead, loading: &mut Loading<'_>, bar: &indicatif::ProgressBar) -> Result<()> {
    for number in 1u64.. {
        let Some(words) = command(input).with_context(|| format!("command {number}"))? else { break };
        apply(&words, loading).with_context(|| format!("command {number}"))?;
        bar.set_position(loading.keys);
    }
    Ok(())
}

/// The next command; `None` at the end.
fn command(input: &mut impl BufRead) -> Result<Option<Vec<Vec<u8>>>> {
    let mut line = Vec::new();
    if input.take(64).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let count = number(&line, b'*')?;
    ensure!(count <= MOST_WORDS, "it has {count} words, which is too many");
    let mut words = Vec::new();
    for _ in 0..count {
        line.clear();
        input.take(64).read_until(b'\n', &mut line)?;
        let size = number(&line, b'$')?;
        ensure!(size <= LONGEST, "a word has {size} bytes, which is too many");
        let mut word = Vec::new();
        input.take(size as u64).read_to_end(&mut word)?;
        let mut end = [0; 2];
        input.read_exact(&mut end).context("it ends too early")?;
        ensure!(word.len() == size && end == *b"\r\n", "a word has another length than is said");
        words.push(word);
    }
    Ok(Some(words))
}

fn number(line: &[u8], mark: u8) -> Result<usize> {
    let digits = line.trim_ascii().strip_prefix(&[mark]).and_then(|digits| std::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("'{}' is not how the protocol of Redis goes on", text::escape(line)))
}

fn apply(words: &[Vec<u8>], loading: &mut Loading<'_>) -> Result<()> {
    let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    let time = |word: &[u8]| -> Result<u64> {
        std::str::from_utf8(word)?.parse::<u64>().context("a time is a number")
    };
    match (name.as_slice(), words.get(1..).unwrap_or_default()) {
        (b"SET", [key, value]) => loading.value(key, value, None),
        (b"SET", [key, value, unit, ttl]) if unit.eq_ignore_ascii_case(b"px") => {
            loading.value(key, value, Some(time(ttl)?))
        }
        (b"SET", [key, value, unit, ttl]) if unit.eq_ignore_ascii_case(b"ex") => {
            loading.value(key, value, Some(time(ttl)?.saturating_mul(1000)))
        }
        (b"RPUSH", [key, elements @ ..]) if !elements.is_empty() => {
            loading.keys += 1;
            loading.push(key, elements)
        }
        (b"PEXPIRE", [key, ttl]) => loading.expire(key, time(ttl)?),
        (b"EXPIRE", [key, ttl]) => loading.expire(key, time(ttl)?.saturating_mul(1000)),
        (b"DEL", keys) if !keys.is_empty() => {
            keys.iter().try_for_each(|key| loading.batch.delete(key))?;
            loading.wrote(0)
        }
        _ => bail!(
            "{} is none of the commands that a load knows: SET, RPUSH, EXPIRE, PEXPIRE, DEL",
            text::escape(&name)
        ),
    }
}
