//! Random histories: what is done to a store, in which order, with which settings.
//!
//! A history is plain data and depends on its seed only, so that it can be printed, shrunk and run again.

use std::fmt;

use filedb::disk::sim::{Random, Reserve};
use filedb::{IoMode, MergeMode, Options, SyncMode};

/// How many keys there are.
pub const KEYS: u8 = 50;

/// A key by its number: short and long, text and binary, with common prefixes.
pub fn key(index: u8) -> Vec<u8> {
    match index % 5 {
        0 => format!("user/{index:02}").into_bytes(),
        1 => format!("user/{index:02}/mail").into_bytes(),
        2 => vec![index],
        3 => vec![0, 0xff, index, b'\n', 0],
        _ => format!("long/{index:02}/{}", "x".repeat(usize::from(index) * 6)).into_bytes(),
    }
}

/// What is listed.
pub const PREFIXES: [&[u8]; 7] = [b"", b"user/", b"user/1", b"\0", b"long/", b"nobody", &[12]];

/// A value by its description; its bytes depend on the key, so that one key's value is never right for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Different for every write of a history.
    pub version: u32,
    /// Its length in bytes.
    pub len: u32,
}

impl Value {
    /// The bytes: the version first, then noise.
    pub fn bytes(self, key: u8) -> Vec<u8> {
        let len = self.len as usize;
        let mut bytes = Vec::with_capacity(len + 8);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        let mut noise = Random::new(u64::from(self.version) << 8 | u64::from(key));
        while bytes.len() < len {
            bytes.extend_from_slice(&noise.number().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// Which verb reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Get,
    Read,
    Pinned,
    Many,
}

/// One thing done to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put {
        key: u8,
        value: Value,
    },
    Delete {
        key: u8,
    },
    Get {
        key: u8,
        reader: Reader,
    },
    Exists {
        key: u8,
    },
    List {
        prefix: usize,
    },
    Count,
    Sync,
    /// Close and open.
    Reopen,
    /// The process is killed, and another opens the store.
    Kill,
    /// One pass of maintenance.
    Maintain,
    /// The clock goes on.
    Advance {
        ms: u64,
    },
    /// Merges what can be merged.
    Merge,
    /// All of these writes or none.
    Batch {
        writes: Vec<(u8, Option<Value>)>,
    },
    /// A put that expires.
    PutTtl {
        key: u8,
        value: Value,
        ttl_ms: u64,
    },
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_text = |index: &u8| {
            let key = key(*index);
            format!("#{index} '{}'", key[..key.len().min(20)].escape_ascii())
        };
        match self {
            Op::Put { key, value } => {
                write!(f, "put {} version {} of {} bytes", key_text(key), value.version, value.len)
            }
            Op::Delete { key } => write!(f, "delete {}", key_text(key)),
            Op::Get { key, reader } => write!(f, "get {} with {reader:?}", key_text(key)),
            Op::Exists { key } => write!(f, "exists {}", key_text(key)),
            Op::List { prefix } => write!(f, "list '{}'", PREFIXES[*prefix].escape_ascii()),
            Op::Batch { writes } => {
                write!(f, "batch of")?;
                writes.iter().try_for_each(|(key, value)| match value {
                    Some(Value { version, len }) => {
                        write!(f, " [put {} version {version} of {len} bytes]", key_text(key))
                    }
                    None => write!(f, " [delete {}]", key_text(key)),
                })
            }
            Op::PutTtl { key, value, ttl_ms } => {
                let Value { version, len } = value;
                write!(f, "put {} version {version} of {len} bytes for {ttl_ms} ms", key_text(key))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// What the engine can do by now; histories hold nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Merge,
    Batch,
    Ttl,
}

/// Extended as the engine grows; `store::apply` is where the verbs are called.
pub const CAPABILITIES: &[Capability] = &[Capability::Merge, Capability::Batch];

/// What kind of histories a test wants.
#[derive(Clone, Copy)]
pub struct Profile {
    /// How many operations.
    pub ops: usize,
    /// How many different keys; fewer are overwritten more often.
    pub keys: u8,
    /// Whether the process may be killed.
    pub kills: bool,
    /// Whether there are reads: a test that reads everything after each step needs none.
    pub reads: bool,
}

/// How the store of a history is opened, and what its disk is like.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub sync: SyncMode,
    pub io: IoMode,
    pub max_file_size: u64,
    pub reserve: Reserve,
}

impl Settings {
    /// Small files, so that they rotate all the time.
    pub fn random(random: &mut Random) -> Self {
        Settings {
            sync: pick(random, &[SyncMode::None, SyncMode::None, SyncMode::Always, SyncMode::Interval]),
            io: IoMode::Pread,
            max_file_size: pick(random, &[400, 400, 400, 256, 1_000, 16 << 10]),
            reserve: pick(random, &[Reserve::Pages, Reserve::Exact, Reserve::Nothing]),
        }
    }

    pub fn options(&self) -> Options {
        Options {
            sync: self.sync,
            io: self.io,
            max_file_size: self.max_file_size,
            merge: MergeMode::Manual,
            ..Options::default()
        }
    }
}

/// A history, ready to run.
#[derive(Clone)]
pub struct Case {
    pub seed: u64,
    pub settings: Settings,
    pub ops: Vec<Op>,
}

impl Case {
    pub fn random(seed: u64, profile: Profile) -> Case {
        let mut random = Random::new(seed);
        let settings = Settings::random(&mut random);
        Case { seed, settings, ops: random_ops(&mut random, profile) }
    }
}

pub fn random_ops(random: &mut Random, profile: Profile) -> Vec<Op> {
    let mut next_version = 0;
    (0..profile.ops).map(|_| random_op(random, profile, &mut next_version)).collect()
}

fn random_op(random: &mut Random, profile: Profile, next_version: &mut u32) -> Op {
    let mut value = |random: &mut Random| {
        *next_version += 1;
        Value { version: *next_version, len: random_len(random) }
    };
    let key = random.below(u64::from(profile.keys)) as u8;
    loop {
        let op = match random.below(100) {
            0..42 => Op::Put { key, value: value(random) },
            42..54 => Op::Delete { key },
            54..64 if profile.reads => Op::Get {
                key,
                reader: pick(random, &[Reader::Get, Reader::Read, Reader::Pinned, Reader::Many]),
            },
            64..67 if profile.reads => Op::Exists { key },
            67..69 if profile.reads => Op::List { prefix: random.below(PREFIXES.len() as u64) as usize },
            69..71 if profile.reads => Op::Count,
            71..77 => Op::Sync,
            77..80 => Op::Reopen,
            80..83 if profile.kills => Op::Kill,
            83..86 => Op::Maintain,
            86..88 => Op::Advance { ms: random.below(5_000) },
            88..90 if CAPABILITIES.contains(&Capability::Merge) => Op::Merge,
            90..95 if CAPABILITIES.contains(&Capability::Batch) => {
                let writes = 1 + random.below(6);
                let write = |_| {
                    let key = random.below(u64::from(profile.keys)) as u8;
                    (key, (!random.one_in(4)).then(|| value(random)))
                };
                Op::Batch { writes: (0..writes).map(write).collect() }
            }
            95..100 if CAPABILITIES.contains(&Capability::Ttl) => {
                Op::PutTtl { key, value: value(random), ttl_ms: 1 + random.below(10_000) }
            }
            _ => continue,
        };
        return op;
    }
}

/// Empty, small, some of the size of a file, and now and then one of more than a page.
fn random_len(random: &mut Random) -> u32 {
    let len = match random.below(20) {
        0..2 => 0,
        2..5 => random.below(8),
        5..13 => random.below(80),
        13..19 => random.below(420),
        _ => 5_000 + random.below(240),
    };
    len as u32
}

pub fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}
