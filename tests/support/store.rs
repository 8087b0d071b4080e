//! The store under test: opened on a simulated disk or in a real directory, and every verb of it called one way.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filedb::disk::Disk;
use filedb::disk::sim::SimDisk;
use filedb::{Batch, Db, Error, Options, Pinned, Ttl};

use super::clock::{Clock, set_by};
use super::history::{KEYS, Op, PREFIXES, Reader, Write, key};
use super::oracle::{Found, Held, Oracle, is_value, name_bytes, name_of};

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

    /// What it is before anything was done there.
    pub fn oracle(&self) -> Oracle {
        Oracle::new(match self {
            Ground::Simulated(disk) => clock_of(disk),
            Ground::Directory { .. } => Clock::real(),
        })
    }

    pub fn disk(&self) -> Option<&SimDisk> {
        match self {
            Ground::Simulated(disk) => Some(disk),
            Ground::Directory { .. } => None,
        }
    }
}

/// The clock of a machine on which nothing has happened yet.
pub fn clock_of(disk: &SimDisk) -> Clock {
    Clock::simulated(disk.now_ms(true))
}

/// Does what an operation does to the clocks of a simulated machine.
pub fn pass_time(disk: &SimDisk, op: &Op) {
    match op {
        Op::Advance { ms } => disk.advance_clock_ms(*ms),
        Op::SetClock { by_ms } => disk.set_clock_ms(set_by(disk.now_ms(true), *by_ms)),
        op => panic!("'{op}' does nothing to clocks"),
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
    /// Whether a condition held, or a key was there.
    Is(bool),
    Value(Option<Vec<u8>>),
    Ttl(Option<Ttl>),
    Keys(Vec<Vec<u8>>),
    Count(u64),
}

/// Does the operation; those that replace the handle or the clock are the caller's.
pub fn apply(db: &Db, op: &Op) -> Result<Answer, Error> {
    Ok(match op {
        Op::Put { key: index, value } => {
            db.put(key(*index), value.bytes(*index))?;
            Answer::Done
        }
        Op::PutWith { key: index, value, how } => {
            Answer::Is(db.put_with(key(*index), value.bytes(*index), how)?)
        }
        Op::Delete { key: index } => Answer::Is(db.delete(key(*index))?),
        Op::Expire { key: index, ttl_ms } => {
            Answer::Is(db.expire(key(*index), Duration::from_millis(*ttl_ms))?)
        }
        Op::Persist { key: index } => Answer::Is(db.persist(key(*index))?),
        Op::Get { key: index, reader } => Answer::Value(read(db, *index, *reader)?),
        Op::Exists { key: index } => Answer::Is(db.exists(key(*index))?),
        Op::Ttl { key: index } => Answer::Ttl(db.ttl(key(*index))?),
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
        Op::Reopen | Op::Kill | Op::Advance { .. } | Op::SetClock { .. } => {
            panic!("'{op}' is not done to an open store")
        }
        Op::Merge => {
            db.merge()?;
            Answer::Done
        }
        Op::Batch { writes } => {
            let mut batch = Batch::new();
            for Write { key: index, value, ttl_ms } in writes {
                match (value.map(|value| value.bytes(*index)), ttl_ms) {
                    (Some(bytes), Some(ttl_ms)) => {
                        batch.put_with_ttl(key(*index), &bytes, Duration::from_millis(*ttl_ms))?
                    }
                    (Some(bytes), None) => batch.put(key(*index), &bytes)?,
                    (None, _) => batch.delete(key(*index))?,
                }
            }
            db.write(&batch)?;
            Answer::Done
        }
    })
}

/// Whether the answer can be the right one, and if not, what is wrong.
pub fn check_answer(oracle: &Oracle, op: &Op, answer: &Answer) -> Result<(), String> {
    let now = oracle.clock.now();
    let state = op.key().and_then(|key| oracle.state(key));
    // Where it cannot be told whether the key has expired, both answers are right.
    let may_be_gone = state.is_none_or(|state| state.may_be_expired(now));
    let is_right = match (op, answer) {
        (Op::PutWith { how, .. }, Answer::Is(done)) => {
            let may_do = !(how.if_absent && !may_be_gone || how.if_present && state.is_none());
            let may_refuse = how.if_absent && state.is_some() || how.if_present && may_be_gone;
            if *done { may_do } else { may_refuse }
        }
        (_, Answer::Is(is)) => {
            if *is {
                state.is_some()
            } else {
                may_be_gone
            }
        }
        (Op::Get { key, .. }, Answer::Value(Some(bytes))) => {
            state.is_some_and(|state| is_value(*key, bytes, state.value))
        }
        (Op::Get { .. }, Answer::Value(None)) | (_, Answer::Ttl(None)) => may_be_gone,
        (_, Answer::Ttl(Some(Ttl::Forever))) => state.is_some_and(|state| state.expires.is_none()),
        (_, Answer::Ttl(Some(Ttl::Left(left)))) => {
            let expires = state.and_then(|state| state.expires);
            expires.is_some_and(|expires| now.until(expires).contains(left.as_millis() as u64))
        }
        (Op::List { prefix }, Answer::Keys(keys)) => oracle.may_list(*prefix, keys),
        (Op::Count, Answer::Count(count)) => {
            let (least, most) = oracle.count();
            (least..=most).contains(count)
        }
        (_, answer) => *answer == Answer::Done,
    };
    if is_right {
        return Ok(());
    }
    let answer = match answer {
        Answer::Value(held) => name_bytes(held.as_ref()),
        other => format!("{other:?}"),
    };
    let is = match op {
        Op::List { .. } | Op::Count => format!("there are {:?} keys", oracle.count()),
        _ => format!("the key holds {}", name_of(state)),
    };
    Err(format!("'{op}' answered {answer}, but {is}, at {now:?}"))
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
        let bytes = db.get(key(index)).map_err(|error| format!("reading key #{index}: {error}"))?;
        let exists = db.exists(key(index)).map_err(|error| format!("asking for key #{index}: {error}"))?;
        let ttl =
            db.ttl(key(index)).map_err(|error| format!("asking how long key #{index} lives: {error}"))?;
        if exists != bytes.is_some() || exists != ttl.is_some() {
            let bytes = name_bytes(bytes.as_ref());
            return Err(format!(
                "key #{index} exists: {exists}, but a get gives {bytes}, and its ttl is {ttl:?}"
            ));
        }
        let ttl_ms = ttl.and_then(|ttl| match ttl {
            Ttl::Left(left) => Some(left.as_millis() as u64),
            Ttl::Forever => None,
        });
        found.extend(bytes.map(|bytes| (index, Held { bytes, ttl_ms })));
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
    db.recount().map_err(|why| format!("what is live and dead was counted wrongly: {why}"))?;
    Ok(found)
}

fn show_keys(keys: &[Vec<u8>]) -> String {
    keys.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}
