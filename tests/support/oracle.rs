//! What a store may hold after a history, a crash, or a failure: the rules of durability, in one place.
//!
//! - After a killed process: every completed write, and the one under way whole or not at all.
//! - After a power cut: for each key the last synced value or a later one, and each batch whole or not at all. Between
//!   two syncs a later write may be kept and an earlier one lost: that much the disk may do.

use std::collections::BTreeMap;

use super::history::{KEYS, Op, PREFIXES, Value, key};

/// What a store was found to hold, by the number of the key.
pub type Found = BTreeMap<u8, Vec<u8>>;

type Contents = BTreeMap<u8, Value>;
/// The writes of one operation, which happen together.
type Writes = Vec<(u8, Option<Value>)>;

/// Follows a history.
#[derive(Clone, Default)]
pub struct Oracle {
    /// What was there when everything was last durable.
    synced: Contents,
    /// The writes since, oldest first.
    since: Vec<Writes>,
    /// What is there.
    now: Contents,
}

impl Oracle {
    /// The operation was completed; `durable` says that each completed write is.
    pub fn completed(&mut self, op: &Op, durable: bool) {
        let writes = writes(op);
        if !writes.is_empty() {
            apply(&mut self.now, &writes);
            self.since.push(writes);
        }
        // A clean close leaves nothing to lose: the next open relies on that and scans nothing.
        if durable || matches!(op, Op::Sync | Op::Reopen) {
            self.all_durable();
        }
    }

    /// Everything up to now is durable.
    pub fn all_durable(&mut self) {
        self.synced = self.now.clone();
        self.since.clear();
    }

    pub fn value(&self, key: u8) -> Option<Value> {
        self.now.get(&key).copied()
    }

    pub fn bytes(&self, key: u8) -> Option<Vec<u8>> {
        self.value(key).map(|value| value.bytes(key))
    }

    pub fn count(&self) -> u64 {
        self.now.len() as u64
    }

    /// The keys with the prefix, sorted.
    pub fn list(&self, prefix: usize) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self.now.keys().map(|index| key(*index)).collect();
        keys.retain(|key| key.starts_with(PREFIXES[prefix]));
        keys.sort();
        keys
    }

    /// Whether the store holds exactly what was completed.
    pub fn check_exact(&self, found: &Found) -> Result<(), String> {
        for key in 0..KEYS {
            let expected = self.value(key);
            if !matches(key, found.get(&key), expected) {
                return Err(format!("key #{key} holds {}, not {}", name(found.get(&key)), name_of(expected)));
            }
        }
        Ok(())
    }

    /// Rule R7: whether the store holds what a killed process must leave.
    pub fn check_killed(&self, found: &Found, in_flight: Option<&Op>) -> Result<(), String> {
        let without = match self.check_exact(found) {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        let Some(op) = in_flight else { return Err(format!("after the kill, {without}")) };
        let mut with = self.clone();
        with.completed(op, false);
        with.check_exact(found).map_err(|with| {
            format!("after the kill in the middle of '{op}', it was neither left out ({without}) nor done ({with})")
        })
    }

    /// Rules R1, R2 and R6: whether the store holds what a power cut may leave.
    pub fn check_cut(&self, found: &Found, in_flight: Option<&Op>) -> Result<(), String> {
        let in_flight = in_flight.map(writes).unwrap_or_default();
        let since = || self.since.iter().chain([&in_flight]);
        for key in 0..KEYS {
            let synced = self.synced.get(&key).copied();
            let mut later = since().flatten().filter(|(written, _)| *written == key).map(|(_, value)| *value);
            let held = found.get(&key);
            if !matches(key, held, synced) && !later.clone().any(|value| matches(key, held, value)) {
                return Err(format!(
                    "after the power cut, key #{key} holds {}; it was synced as {}, and written later as [{}]",
                    name(held),
                    name_of(synced),
                    later.by_ref().map(name_of).collect::<Vec<_>>().join(", "),
                ));
            }
        }
        let groups: Vec<&Writes> = since().collect();
        for (n, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
            check_whole(group, &groups[n + 1..], found)?;
        }
        Ok(())
    }
}

/// Whether a batch is there as a whole or not at all, as far as what was written `later` lets it be seen.
fn check_whole(batch: &Writes, later: &[&Writes], found: &Found) -> Result<(), String> {
    // The last write of a key counts.
    let last: BTreeMap<u8, Option<Value>> = batch.iter().copied().collect();
    let is_there = |(key, value): (&u8, &Option<Value>)| matches(*key, found.get(key), *value);
    let replaced = |key: u8| {
        let mut others = later.iter().copied().flatten().filter(|(other, _)| *other == key);
        others.any(|(_, value)| matches(key, found.get(&key), *value))
    };
    // That a key is absent does not say whose doing it is.
    let there = last.iter().filter(|(_, value)| value.is_some()).find(|(key, value)| is_there((key, value)));
    let gone = last.iter().find(|(key, value)| !is_there((key, value)) && !replaced(**key));
    match (there, gone) {
        (Some((there, _)), Some((gone, _))) => Err(format!(
            "after the power cut, key #{there} holds what a batch wrote, and key #{gone} holds {}, which is neither \
             what the same batch wrote nor anything later",
            name(found.get(gone))
        )),
        _ => Ok(()),
    }
}

/// What the operation writes. A delete of an absent key writes nothing that could be seen.
fn writes(op: &Op) -> Writes {
    match op {
        Op::Put { key, value } => vec![(*key, Some(*value))],
        Op::Delete { key } => vec![(*key, None)],
        Op::Batch { writes } => writes.clone(),
        _ => Vec::new(),
    }
}

fn apply(contents: &mut Contents, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => contents.insert(*key, *value),
            None => contents.remove(key),
        };
    }
}

pub fn matches(key: u8, held: Option<&Vec<u8>>, expected: Option<Value>) -> bool {
    match (held, expected) {
        (None, None) => true,
        (Some(held), Some(value)) => held.len() == value.len as usize && *held == value.bytes(key),
        _ => false,
    }
}

/// What was found, for people.
pub fn name(held: Option<&Vec<u8>>) -> String {
    match held {
        None => "nothing".into(),
        Some(bytes) => match bytes.first_chunk() {
            Some(version) => format!("version {} ({} bytes)", u32::from_le_bytes(*version), bytes.len()),
            None => format!("{} bytes {bytes:?}", bytes.len()),
        },
    }
}

pub fn name_of(value: Option<Value>) -> String {
    match value {
        None => "nothing".into(),
        Some(Value { version, len }) => format!("version {version} ({len} bytes)"),
    }
}
