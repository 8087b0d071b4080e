//! What a history consists of: keys, values and operations, all plain data, so that it can be printed, shrunk and run again.

use std::fmt;

use filedb::PutOptions;
use filedb::disk::sim::Random;

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

/// One of the writes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: u8,
    /// None: the key is deleted.
    pub value: Option<Value>,
    pub ttl_ms: Option<u64>,
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
    /// Time goes by.
    Advance {
        ms: u64,
    },
    /// The wall clock is set forward, or back.
    SetClock {
        by_ms: i64,
    },
    /// Merges what can be merged.
    Merge,
    /// All of these writes or none.
    Batch {
        writes: Vec<Write>,
    },
    /// A put with conditions, an expiry, or both.
    PutWith {
        key: u8,
        value: Value,
        how: PutOptions,
    },
    /// The key gets another expiry.
    Expire {
        key: u8,
        ttl_ms: u64,
    },
    /// The key loses its expiry.
    Persist {
        key: u8,
    },
    /// How long the key has to live.
    Ttl {
        key: u8,
    },
}

impl Op {
    /// The key of an operation on one key.
    pub fn key(&self) -> Option<u8> {
        match self {
            Op::Put { key, .. }
            | Op::Delete { key }
            | Op::Get { key, .. }
            | Op::Exists { key }
            | Op::PutWith { key, .. }
            | Op::Expire { key, .. }
            | Op::Persist { key }
            | Op::Ttl { key } => Some(*key),
            _ => None,
        }
    }

    /// Whether what it does depends on what the key holds.
    pub fn asks_first(&self) -> bool {
        match self {
            Op::PutWith { how, .. } => how.if_absent || how.if_present || how.keep_ttl,
            Op::Expire { .. } | Op::Persist { .. } => true,
            _ => false,
        }
    }
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
                writes.iter().try_for_each(|Write { key, value, ttl_ms }| match value {
                    Some(Value { version, len }) => {
                        write!(f, " [put {} version {version} of {len} bytes", key_text(key))?;
                        ttl_ms.map_or(Ok(()), |ttl_ms| write!(f, " for {ttl_ms} ms"))?;
                        write!(f, "]")
                    }
                    None => write!(f, " [delete {}]", key_text(key)),
                })
            }
            Op::PutWith { key, value: Value { version, len }, how } => {
                write!(f, "put {} version {version} of {len} bytes with {how:?}", key_text(key))
            }
            Op::Expire { key, ttl_ms } => write!(f, "let {} expire in {ttl_ms} ms", key_text(key)),
            Op::Persist { key } => write!(f, "let {} live for ever", key_text(key)),
            Op::Ttl { key } => write!(f, "ask how long {} lives", key_text(key)),
            other => write!(f, "{other:?}"),
        }
    }
}
