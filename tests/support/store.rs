//! The store under test: opened on a simulated disk or in a real directory, and every verb of it called one way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filedb::disk::sim::SimDisk;
use filedb::{Batch, Db, Error, Options, Pinned};

use super::history::{KEYS, Op, PREFIXES, Reader, key};
use super::oracle::{Found, Oracle, name, name_of};

/// Where a store lives.
pub enum Ground {
    Simulated(SimDisk),
    Directory { path: PathBuf, _home: tempfile::TempDir },
}

impl Ground {
    /// A new directory of the real file system.
    pub fn directory() -> Ground {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        Ground::Directory { path, _home: home }
    }

    pub fn open(&self, options: &Options) -> Result<Db, Error> {
        match self {
            Ground::Simulated(disk) => Db::open_on(Arc::new(disk.clone()), options),
            Ground::Directory { path, .. } => Db::open(path, options),
        }
    }

    /// The process is killed: what the next one finds takes the place of what is there.
    pub fn kill(&mut self, db: Db) {
        match self {
            Ground::Simulated(disk) => *disk = disk.kill(),
            // Nobody can kill a part of this process: the handle is only let go of. `kill.rs` kills real processes.
            Ground::Directory { .. } => drop(db),
        }
    }

    pub fn disk(&self) -> Option<&SimDisk> {
        match self {
            Ground::Simulated(disk) => Some(disk),
            Ground::Directory { .. } => None,
        }
    }
}

pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("creating the copy");
    for entry in std::fs::read_dir(from).expect("reading the store's directory") {
        let entry = entry.expect("reading the store's directory");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copying a file");
    }
}

/// What an operation answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Deleted(bool),
    Value(Option<Vec<u8>>),
    Exists(bool),
    Keys(Vec<Vec<u8>>),
    Count(u64),
}

/// Does the operation; those that replace the handle or the clock are the caller's.
pub fn apply(db: &Db, op: &Op) -> Result<Answer, Error> {
    Ok(match op {
        Op::Put { key: index, value } => {
            db.put(&key(*index), &value.bytes(*index))?;
            Answer::Done
        }
        Op::Delete { key: index } => Answer::Deleted(db.delete(&key(*index))?),
        Op::Get { key: index, reader } => Answer::Value(read(db, *index, *reader)?),
        Op::Exists { key: index } => Answer::Exists(db.exists(&key(*index))?),
        Op::List { prefix } => Answer::Keys(list(db, PREFIXES[*prefix])?),
        Op::Count => Answer::Count(db.count()?),
        Op::Sync => {
            db.sync()?;
            Answer::Done
        }
        Op::Maintain => {
            db.maintain()?;
            Answer::Done
        }
        Op::Reopen | Op::Kill | Op::Advance { .. } => panic!("'{op}' is not done to an open store"),
        Op::Merge => {
            db.merge()?;
            Answer::Done
        }
        Op::Batch { writes } => {
            let mut batch = Batch::new();
            for (index, value) in writes {
                match value {
                    Some(value) => batch.put(&key(*index), &value.bytes(*index))?,
                    None => batch.delete(&key(*index))?,
                }
            }
            db.write(&batch)?;
            Answer::Done
        }
        Op::PutTtl { .. } => panic!("'{op}' is not among the CAPABILITIES yet"),
    })
}

/// What the operation must answer.
pub fn expected(oracle: &Oracle, op: &Op) -> Answer {
    match op {
        Op::Delete { key } => Answer::Deleted(oracle.value(*key).is_some()),
        Op::Get { key, .. } => Answer::Value(oracle.bytes(*key)),
        Op::Exists { key } => Answer::Exists(oracle.value(*key).is_some()),
        Op::List { prefix } => Answer::Keys(oracle.list(*prefix)),
        Op::Count => Answer::Count(oracle.count()),
        _ => Answer::Done,
    }
}

/// Whether the answer is the right one, and if not, what is wrong.
pub fn check_answer(oracle: &Oracle, op: &Op, answer: &Answer) -> Result<(), String> {
    if *answer == expected(oracle, op) {
        return Ok(());
    }
    Err(match (op, answer) {
        (Op::Get { key, .. }, Answer::Value(held)) => {
            format!("'{op}' gave {}, not {}", name(held.as_ref()), name_of(oracle.value(*key)))
        }
        _ => format!("'{op}' answered {answer:?}, not {:?}", expected(oracle, op)),
    })
}

fn read(db: &Db, index: u8, reader: Reader) -> Result<Option<Vec<u8>>, Error> {
    let key = key(index);
    match reader {
        Reader::Get => db.get(&key),
        Reader::Read => db.read(&key, <[u8]>::to_vec),
        Reader::Pinned => Ok(db.get_pinned(&key)?.map(|pinned| pinned.to_vec())),
        Reader::Many => {
            // In the company of other keys, twice, so that a mix-up would show.
            let other = super::history::key((index + 1) % KEYS);
            let mut values = Vec::new();
            db.get_many(&[&other, &key, &other, &key], &mut values)?;
            assert_eq!(values.len(), 4, "get_many gives one result for each key");
            let last = values.pop().expect("four results")?;
            let other_last = values.pop().expect("four results")?;
            let first = values.pop().expect("four results")?;
            let other_first = values.pop().expect("four results")?;
            let bytes = |pinned: &Option<Pinned>| pinned.as_ref().map(|pinned| pinned.to_vec());
            assert_eq!(bytes(&first), bytes(&last), "get_many gives one key two values");
            assert_eq!(bytes(&other_first), bytes(&other_last), "get_many gives one key two values");
            Ok(bytes(&last))
        }
    }
}

/// The keys with the prefix, sorted: the store promises no order.
pub fn list(db: &Db, prefix: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let keys = db.list(prefix)?;
    let mut list: Vec<Vec<u8>> = keys.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(keys.len(), list.len(), "a list is as long as it says");
    list.sort();
    Ok(list)
}

/// All that the store holds. Its verbs must agree with each other about it.
pub fn contents(db: &Db) -> Result<Found, String> {
    let mut found = Found::new();
    for index in 0..KEYS {
        let bytes = db.get(&key(index)).map_err(|error| format!("reading key #{index}: {error}"))?;
        let exists = db.exists(&key(index)).map_err(|error| format!("asking for key #{index}: {error}"))?;
        if exists != bytes.is_some() {
            return Err(format!("key #{index} exists: {exists}, but a get gives {}", name(bytes.as_ref())));
        }
        found.extend(bytes.map(|bytes| (index, bytes)));
    }
    let listed = list(db, b"").map_err(|error| format!("listing all keys: {error}"))?;
    let mut expected: Vec<_> = found.keys().map(|index| key(*index)).collect();
    expected.sort();
    if listed != expected {
        let (listed, expected) = (show_keys(&listed), show_keys(&expected));
        return Err(format!("the keys listed are [{listed}], those that can be read are [{expected}]"));
    }
    let count = db.count().map_err(|error| format!("counting: {error}"))?;
    if count != found.len() as u64 {
        return Err(format!("count says {count}, {} keys can be read", found.len()));
    }
    Ok(found)
}

fn show_keys(keys: &[Vec<u8>]) -> String {
    keys.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}
