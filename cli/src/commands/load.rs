//! Reads what `dump` prints, and puts it into a store. Keys that are there are replaced.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use filedb::{Batch, Db, Expiry};
use serde_json::Value;

use super::dump::EMPTY;
use crate::args::{Args, Format};
use crate::output::{Answer, say};
use crate::{progress, text};

/// Writes are put together up to so many, or so many bytes.
const TOGETHER: (usize, usize) = (1000, 1 << 20);
/// The longest word and the most words that a command is believed to have.
const LONGEST: usize = u32::MAX as usize;
const MOST_WORDS: usize = 1 << 24;

/// A list is replaced in one step up to so many bytes, which are held in memory.
const LIST_AT_ONCE: usize = 256 << 20;

/// Writes on their way into a store.
struct Loading<'a> {
    db: &'a Db,
    batch: Batch,
    bytes: usize,
    keys: u64,
    /// The list that the commands of Redis push to, one after the other.
    pushed_to: Vec<u8>,
    /// Whether nothing was written since keys were removed.
    begins_list: bool,
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

    fn value(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<()> {
        if !self.pushed_to.is_empty() {
            self.flush()?;
            self.pushed_to.clear();
        }
        self.begins_list = false;
        self.batch.put_with_expiry(key, value, expiry)?;
        self.keys += 1;
        self.wrote(key.len() + value.len())
    }

    /// Replaces a list: all of it or nothing, unless it is very long.
    fn list(&mut self, key: &[u8], elements: &[Vec<u8>], expiry: Expiry) -> Result<()> {
        self.flush()?;
        self.keys += 1;
        let written = self.write_list(key, elements, expiry);
        if written.is_err() {
            self.forget();
        }
        written
    }

    fn write_list(&mut self, key: &[u8], elements: &[Vec<u8>], expiry: Expiry) -> Result<()> {
        self.batch.delete(key)?;
        let mut bytes = 0;
        for element in elements {
            self.batch.push_back(key, element)?;
            bytes += element.len();
            if bytes >= LIST_AT_ONCE {
                self.flush()?;
                bytes = 0;
            }
        }
        if expiry != Expiry::Never && !elements.is_empty() {
            self.batch.list_expire(key, expiry)?;
        }
        self.flush()
    }

    /// Leaves out the list that was being written.
    fn forget(&mut self) {
        self.batch.clear();
        self.bytes = 0;
        self.keys -= 1;
    }

    /// Removes keys. What is pushed to one behind that is written with it.
    fn delete(&mut self, keys: &[Vec<u8>]) -> Result<()> {
        self.flush()?;
        self.pushed_to.clear();
        self.begins_list = true;
        Ok(keys.iter().try_for_each(|key| self.batch.delete(key))?)
    }

    fn push(&mut self, key: &[u8], elements: &[Vec<u8>]) -> Result<()> {
        if self.pushed_to != key {
            if !self.begins_list {
                self.flush()?;
            }
            self.keys += 1;
            self.pushed_to = key.to_vec();
            self.begins_list = false;
        }
        for element in elements {
            self.batch.push_back(key, element)?;
            self.bytes += key.len() + element.len();
        }
        // What follows may belong to it: a list and the time that it has to live are written together.
        if self.bytes >= LIST_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Lets a key expire, which was written before.
    fn expire(&mut self, key: &[u8], ttl_ms: u64) -> Result<()> {
        if self.pushed_to == key && !self.batch.is_empty() {
            self.batch.list_expire(key, Expiry::After(ttl_ms))?;
            return self.flush();
        }
        self.flush()?;
        self.db.expire(key, Duration::from_millis(ttl_ms))?;
        Ok(())
    }
}

pub fn load(args: &Args, db: &Db, format: Format) -> Result<Answer> {
    let mut input = BufReader::with_capacity(1 << 20, std::io::stdin().lock());
    let (batch, pushed_to) = (Batch::new(), Vec::new());
    let mut loading = Loading { db, batch, bytes: 0, keys: 0, pushed_to, begins_list: false };
    let bar = progress::endless("keys loaded");
    let loaded = match format {
        Format::Redis => commands(&mut input, &mut loading, &bar),
        Format::Json => lines(&mut input, &mut loading, &bar, json),
        Format::Text => lines(&mut input, &mut loading, &bar, words),
    };
    // What came before a mistake is loaded, but for a list that may not be whole.
    if loaded.is_err() && !loading.pushed_to.is_empty() && !loading.batch.is_empty() {
        loading.forget();
    }
    loading.flush()?;
    bar.finish_and_clear();
    let keys = loading.keys;
    db.close()?;
    loaded.with_context(|| format!("{keys} keys were loaded before"))?;
    match args.json {
        true => say(format_args!("{}", serde_json::json!({ "keys": keys })))?,
        false => say(format_args!("{keys} keys loaded"))?,
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
    let number = |name: &str| match line.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => {
            let number = number.as_u64().with_context(|| format!("'{name}' is a number of milliseconds"));
            number.map(Some)
        }
    };
    let expiry = match (number("expires_at_ms")?, number("ttl_ms")?) {
        (Some(at_ms), _) => Expiry::At(at_ms),
        (None, Some(ttl_ms)) => Expiry::After(ttl_ms),
        (None, None) => Expiry::Never,
    };
    match (line.get("value"), line.get("list")) {
        (Some(value), None) => loading.value(&key, &text::from_json(value)?, expiry),
        (None, Some(Value::Array(list))) => {
            let elements = list.iter().map(text::from_json).collect::<Result<Vec<_>>>()?;
            loading.list(&key, &elements, expiry)
        }
        _ => bail!("there has to be either a 'value' or a 'list'"),
    }
}

fn words(line: &[u8], loading: &mut Loading<'_>) -> Result<()> {
    let mut words = line.split(|byte| *byte == b' ');
    let what = words.next().unwrap_or_default();
    let word = |word: &[u8]| if word == EMPTY.as_bytes() { Ok(Vec::new()) } else { text::unescape(word) };
    let key = word(words.next().context("there is no key")?)?;
    let expiry = match words.next().context("there is no time to live; '-' is none")? {
        b"-" => Expiry::Never,
        ttl => {
            let ttl = std::str::from_utf8(ttl)?.parse();
            Expiry::After(ttl.context("the time to live is a number or '-'")?)
        }
    };
    let values = words.map(word).collect::<Result<Vec<_>>>()?;
    match (what, values.as_slice()) {
        (b"value", [value]) => loading.value(&key, value, expiry),
        (b"list", values) => loading.list(&key, values, expiry),
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
        (b"SET", [key, value]) => loading.value(key, value, Expiry::Never),
        (b"SET", [key, value, unit, ttl]) if unit.eq_ignore_ascii_case(b"px") => {
            loading.value(key, value, Expiry::After(time(ttl)?))
        }
        (b"SET", [key, value, unit, ttl]) if unit.eq_ignore_ascii_case(b"ex") => {
            loading.value(key, value, Expiry::After(time(ttl)?.saturating_mul(1000)))
        }
        (b"RPUSH", [key, elements @ ..]) if !elements.is_empty() => loading.push(key, elements),
        (b"PEXPIRE", [key, ttl]) => loading.expire(key, time(ttl)?),
        (b"EXPIRE", [key, ttl]) => loading.expire(key, time(ttl)?.saturating_mul(1000)),
        (b"DEL", keys) if !keys.is_empty() => loading.delete(keys),
        _ => bail!(
            "{} is none of the commands that a load knows: SET, RPUSH, EXPIRE, PEXPIRE, DEL",
            text::escape(&name)
        ),
    }
}
