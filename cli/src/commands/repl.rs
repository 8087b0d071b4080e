//! Commands line by line, with history and completion. Words are divided by spaces; one with spaces, or with other bytes than printable
//! ASCII, is written with the escapes of the text form: `\x20`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use filedb::{Db, Ttl};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use crate::output::{Answer, sentence};
use crate::text;

/// The commands, and what each takes.
const COMMANDS: &[(&str, &str)] = &[
    ("get", "KEY"),
    ("put", "KEY VALUE [TIME]"),
    ("delete", "KEY..."),
    ("list", "[PREFIX]"),
    ("count", ""),
    ("push", "KEY VALUE..."),
    ("push-front", "KEY VALUE..."),
    ("pop", "KEY"),
    ("pop-front", "KEY"),
    ("range", "KEY"),
    ("ttl", "KEY"),
    ("expire", "KEY TIME|never"),
    ("merge", ""),
    ("help", ""),
    ("quit", ""),
];

/// How many keys are offered.
const OFFERED: usize = 100;

struct Completion {
    db: Db,
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..at).unwrap_or_default();
        let from = before.rfind(' ').map_or(0, |space| space + 1);
        let word = before.get(from..).unwrap_or_default();
        if from == 0 {
            let names = COMMANDS.iter().map(|(name, _)| *name).filter(|name| name.starts_with(word));
            return Ok((from, names.map(String::from).collect()));
        }
        let Ok(prefix) = text::unescape(word.as_bytes()) else { return Ok((from, Vec::new())) };
        let rows = self.db.iter(prefix).into_iter().flatten().filter_map(|row| row.ok());
        let mut keys: Vec<String> = rows.take(OFFERED).map(|row| text::escape(row.key())).collect();
        keys.sort();
        Ok((from, keys))
    }
}

pub fn repl(db: &Db) -> Result<Answer> {
    let config = Config::builder().auto_add_history(true).build();
    let mut editor = Editor::<Completion, FileHistory>::with_config(config)?;
    editor.set_helper(Some(Completion { db: db.clone() }));
    let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".filedb_history"));
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    loop {
        match editor.readline("filedb> ") {
            Ok(line) if line.trim() == "quit" => break,
            Ok(line) => match execute(db, &line) {
                Ok(answer) if answer.is_empty() => {}
                Ok(answer) => println!("{answer}"),
                Err(error) => println!("{}", sentence(&error)),
            },
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(history) = &history {
        let _ = editor.save_history(history);
    }
    editor.set_helper(None);
    db.close()?;
    Ok(Answer::Done)
}

/// Does what a line says, and gives what is to be printed.
fn execute(db: &Db, line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let Some(command) = words.next() else { return Ok(String::new()) };
    let words = words.map(|word| text::unescape(word.as_bytes())).collect::<Result<Vec<_>>>()?;
    let or_nothing = |value: Option<Vec<u8>>| value.map_or("(nothing)".into(), |value| text::escape(&value));
    let time = |word: &[u8]| text::duration(&String::from_utf8_lossy(word));
    Ok(match (command, words.as_slice()) {
        ("get", [key]) => or_nothing(db.get(key)?),
        ("put", [key, value]) => db.put(key, value).map(|()| String::new())?,
        ("put", [key, value, life]) => {
            db.put_with(key, value, &filedb::PutOptions::new().ttl(time(life)?))?;
            String::new()
        }
        ("delete", keys) if !keys.is_empty() => {
            let mut removed = 0;
            for key in keys {
                removed += u64::from(db.delete(key)?);
            }
            removed.to_string()
        }
        ("list", [] | [_]) => {
            let keys = db.list_sorted(words.first().cloned().unwrap_or_default())?;
            keys.iter().map(text::escape).collect::<Vec<_>>().join("\n")
        }
        ("count", []) => db.count()?.to_string(),
        ("push" | "push-front", [key, values @ ..]) if !values.is_empty() => {
            let mut length = 0;
            for value in values {
                length =
                    if command == "push" { db.push_back(key, value)? } else { db.push_front(key, value)? };
            }
            length.to_string()
        }
        ("pop", [key]) => or_nothing(db.pop_back(key)?),
        ("pop-front", [key]) => or_nothing(db.pop_front(key)?),
        ("range", [key]) => match db.list_range(key, 0, -1)? {
            Some(list) => list.iter().map(text::escape).collect::<Vec<_>>().join("\n"),
            None => "(nothing)".into(),
        },
        ("ttl", [key]) => match db.ttl(key)? {
            None => "(nothing)".into(),
            Some(Ttl::Forever) => "never".into(),
            Some(Ttl::Left(life)) => format!("{}ms", life.as_millis()),
        },
        ("expire", [key, life]) if life == b"never" => db.persist(key)?.to_string(),
        ("expire", [key, life]) => db.expire(key, time(life)?)?.to_string(),
        ("merge", []) => db.merge().map(|()| String::new())?,
        ("help", _) => {
            let lines = COMMANDS.iter().map(|(name, takes)| format!("{name} {takes}"));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => match COMMANDS.iter().find(|(name, _)| *name == command) {
            Some((name, takes)) => bail!("it has to be: {name} {takes}"),
            None => bail!("there is no command '{command}'; 'help' lists them"),
        },
    })
}
