//! What a store may hold after a history, a crash, or a failure: the rules of durability, in one place.
//!
//! - After a killed process: every completed write, and the one under way whole or not at all. A key that was told to
//!   have expired stays gone.
//! - After a power cut: for each key the last synced value or a later one, and each batch whole or not at all. Between
//!   two syncs a later write may be kept and an earlier one lost: that much the disk may do.
//! - A key holds its value, and its time to live is right, until its time has come, and nothing after that: also not
//!   what it held before.

use std::collections::BTreeMap;

use super::clock::{Clock, Span};
use super::history::{KEYS, Op, PREFIXES, Value, key};
use super::store::Answer;

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub bytes: Vec<u8>,
    /// How long it has to live; none where it does not expire.
    pub ttl_ms: Option<u64>,
}

impl Held {
    /// What does not expire.
    pub fn forever(bytes: Vec<u8>) -> Self {
        Held { bytes, ttl_ms: None }
    }
}

/// What a store was found to hold, by the number of the key.
pub type Found = BTreeMap<u8, Held>;

/// What a key was given: a value, and when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub value: Value,
    pub expires: Option<Span>,
}

impl State {
    /// Whether it can be there at a moment of `now`.
    pub fn may_live(&self, now: Span) -> bool {
        self.expires.is_none_or(|expires| now.earliest < expires.latest)
    }

    /// Whether it can have expired.
    pub fn may_be_expired(&self, now: Span) -> bool {
        self.expires.is_some_and(|expires| expires.earliest <= now.latest)
    }
}

type Contents = BTreeMap<u8, State>;
/// The writes of one operation, which happen together.
type Writes = Vec<(u8, Option<State>)>;

/// An operation that has begun and not ended.
pub struct InFlight<'a> {
    op: &'a Op,
    writes: Writes,
}

/// Follows a history.
#[derive(Clone)]
pub struct Oracle {
    pub clock: Clock,
    /// What was there when everything was last durable.
    synced: Contents,
    /// The writes since, oldest first.
    since: Vec<Writes>,
    /// What is there, or is there until its time comes.
    now: Contents,
}

impl Oracle {
    /// Of a store that is empty.
    pub fn new(clock: Clock) -> Self {
        Oracle { clock, synced: Contents::new(), since: Vec::new(), now: Contents::new() }
    }

    /// The operation was completed; `durable` says that each completed write is.
    pub fn completed(&mut self, op: &Op, answer: &Answer, durable: bool) {
        match op {
            Op::Advance { ms } => self.clock.advance(*ms),
            Op::SetClock { by_ms } => self.clock.set(*by_ms),
            _ => {}
        }
        self.heard(op, answer);
        let writes = self.written(op, answer);
        let wrote = !writes.is_empty();
        if wrote {
            apply(&mut self.now, &writes);
            self.since.push(writes);
            self.clock.stamped();
        }
        let asked = matches!(op, Op::PutWith { how, .. } if how.sync);
        // A clean close leaves nothing to lose: the next open relies on that and scans nothing.
        if wrote && (durable || asked) || matches!(op, Op::Sync | Op::Reopen) {
            self.all_durable();
        }
    }

    /// The operation begins now.
    pub fn begin<'a>(&self, op: &'a Op) -> InFlight<'a> {
        InFlight { op, writes: self.writes(op) }
    }

    /// Everything up to now is durable.
    pub fn all_durable(&mut self) {
        self.synced = self.now.clone();
        self.since.clear();
    }

    /// What the key has, if its time has not certainly come.
    pub fn state(&self, key: u8) -> Option<State> {
        self.now.get(&key).copied().filter(|state| state.may_live(self.clock.now()))
    }

    /// Whether nobody can say if the key is there or has expired.
    pub fn is_unsure(&self, key: u8) -> bool {
        self.state(key).is_some_and(|state| state.may_be_expired(self.clock.now()))
    }

    /// Whether the operation's answer, and what it does, cannot be foretold.
    pub fn cannot_tell(&self, op: &Op) -> bool {
        op.asks_first() && op.key().is_some_and(|key| self.is_unsure(key))
    }

    /// How many keys there are, at least and at most.
    pub fn count(&self) -> (u64, u64) {
        let unsure = (0..KEYS).filter(|key| self.is_unsure(*key)).count() as u64;
        let most = (0..KEYS).filter(|key| self.state(*key).is_some()).count() as u64;
        (most - unsure, most)
    }

    /// Whether this may be the list of the keys with the prefix, sorted.
    pub fn may_list(&self, prefix: usize, listed: &[Vec<u8>]) -> bool {
        let known = |index: &u8| {
            let is_listed = listed.binary_search(&key(*index)).is_ok();
            is_listed == self.state(*index).is_some() || !is_listed && self.is_unsure(*index)
        };
        let mut of_prefix = (0..KEYS).filter(|index| key(*index).starts_with(PREFIXES[prefix]));
        let all_are_keys = listed.iter().all(|listed| {
            listed.starts_with(PREFIXES[prefix]) && (0..KEYS).any(|index| key(index) == *listed)
        });
        listed.is_sorted_by(|a, b| a < b) && all_are_keys && of_prefix.all(|index| known(&index))
    }

    /// Takes note of the keys that an answer told to have expired: they stay gone.
    fn heard(&mut self, op: &Op, answer: &Answer) {
        match (op, answer) {
            (
                Op::Get { key, .. } | Op::Exists { key } | Op::Delete { key } | Op::Ttl { key },
                Answer::Value(None) | Answer::Is(false) | Answer::Ttl(None),
            ) => self.told_expired(*key),
            (Op::List { prefix }, Answer::Keys(listed)) => {
                for index in 0..KEYS {
                    if key(index).starts_with(PREFIXES[*prefix]) && !listed.contains(&key(index)) {
                        self.told_expired(index);
                    }
                }
            }
            _ => {}
        }
    }

    /// As an answer, all that was found.
    pub fn saw(&mut self, found: &Found) {
        (0..KEYS).filter(|key| !found.contains_key(key)).for_each(|key| self.told_expired(key));
    }

    fn told_expired(&mut self, key: u8) {
        if let Some(State { expires: Some(expires), .. }) = self.now.remove(&key) {
            self.since.push(vec![(key, None)]);
            self.clock.told(expires);
        }
    }

    /// What a completed operation has written.
    fn written(&self, op: &Op, answer: &Answer) -> Writes {
        match answer {
            Answer::Is(false) => Vec::new(),
            _ => self.writes(op),
        }
    }

    /// What the operation writes. A delete of an absent key writes nothing that could be seen.
    fn writes(&self, op: &Op) -> Writes {
        let clock = &self.clock;
        match op {
            Op::Batch { writes } => {
                let expires = |ttl_ms: Option<u64>| ttl_ms.map(|ttl| clock.expiry(ttl));
                let state = |value, ttl_ms| State { value, expires: expires(ttl_ms) };
                writes.iter().map(|it| (it.key, it.value.map(|value| state(value, it.ttl_ms)))).collect()
            }
            op => match op.key().and_then(|key| Some((key, outcome(op, self.state(key), clock)?))) {
                Some(write) => vec![write],
                None => Vec::new(),
            },
        }
    }

    /// Whether the store holds exactly what was completed.
    pub fn check_exact(&self, found: &Found) -> Result<(), String> {
        for key in 0..KEYS {
            let expected = self.now.get(&key).copied();
            if !matches(key, found.get(&key), expected, self.clock.now()) {
                let (held, expected) = (name(found.get(&key)), name_of(expected));
                return Err(format!("key #{key} holds {held}, not {expected}, at {:?}", self.clock.now()));
            }
        }
        Ok(())
    }

    /// Rule R7: whether the store holds what a killed process must leave.
    pub fn check_killed(&self, found: &Found, in_flight: Option<&InFlight<'_>>) -> Result<(), String> {
        let mut without = self.clone();
        without.clock.killed();
        let Err(why) = without.check_exact(found) else { return Ok(()) };
        let Some(InFlight { op, writes }) = in_flight else { return Err(format!("after the kill, {why}")) };
        let mut with = self.clone();
        apply(&mut with.now, writes);
        with.clock.killed();
        with.check_exact(found).map_err(|with| {
            format!(
                "after the kill in the middle of '{op}', it was neither left out ({why}) nor done ({with})"
            )
        })
    }

    /// Rules R1, R2 and R6: whether the store holds what a power cut may leave.
    pub fn check_cut(&self, found: &Found, in_flight: Option<&InFlight<'_>>) -> Result<(), String> {
        let mut clock = self.clock;
        clock.cut();
        let now = clock.now();
        let since = || self.since.iter().chain(in_flight.map(|it| &it.writes));
        for key in 0..KEYS {
            let synced = self.synced.get(&key).copied();
            let mut later = since().flatten().filter(|(written, _)| *written == key).map(|(_, state)| *state);
            let held = found.get(&key);
            if !matches(key, held, synced, now) && !later.clone().any(|state| matches(key, held, state, now))
            {
                return Err(format!(
                    "after the power cut, key #{key} holds {}; it was synced as {}, and written later as [{}]; it is {now:?}",
                    name(held),
                    name_of(synced),
                    later.by_ref().map(name_of).collect::<Vec<_>>().join(", "),
                ));
            }
        }
        let groups: Vec<&Writes> = since().collect();
        for (n, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
            check_whole(group, (&self.synced, &groups[..n]), &groups[n + 1..], found, now)?;
        }
        Ok(())
    }
}

impl Oracle {
    /// After a power cut and [`Oracle::check_cut`]: of what was possible, what was found is what is there, and durable.
    pub fn settle(&mut self, found: &Found) {
        let mut clock = self.clock;
        clock.cut();
        let now = clock.now();
        let mut settled = Contents::new();
        for key in 0..KEYS {
            let synced = self.synced.get(&key).copied();
            let later = self.since.iter().flatten().filter(|(written, _)| *written == key);
            let mut possible = [synced].into_iter().chain(later.map(|(_, state)| *state));
            let state = possible.find(|state| matches(key, found.get(&key), *state, now)).flatten();
            settled.extend(state.map(|state| (key, state)));
        }
        self.now = settled;
        self.all_durable();
    }
}

/// What an operation on one key makes of what it has; `None` where it writes nothing. `before` is there.
pub fn outcome(op: &Op, before: Option<State>, clock: &Clock) -> Option<Option<State>> {
    match op {
        Op::Put { value, .. } => Some(Some(State { value: *value, expires: None })),
        Op::Delete { .. } => before.map(|_| None),
        Op::PutWith { value, how, .. } => {
            if how.if_absent && before.is_some() || how.if_present && before.is_none() {
                return None;
            }
            let kept = if how.keep_ttl { before.and_then(|before| before.expires) } else { None };
            Some(Some(State {
                value: *value,
                expires: how.ttl.map(|life| clock.expiry(life.as_millis() as u64)).or(kept),
            }))
        }
        Op::Expire { ttl_ms, .. } => {
            before.map(|before| Some(State { expires: Some(clock.expiry(*ttl_ms)), ..before }))
        }
        Op::Persist { .. } => before.map(|before| Some(State { expires: None, ..before })),
        _ => None,
    }
}

/// Whether a batch is there as a whole or not at all, as far as what was written before and `later` lets it be seen.
fn check_whole(
    batch: &Writes,
    (synced, earlier): (&Contents, &[&Writes]),
    later: &[&Writes],
    found: &Found,
    now: Span,
) -> Result<(), String> {
    // The last write of a key counts.
    let last: BTreeMap<u8, Option<State>> = batch.iter().copied().collect();
    let is_there = |(key, state): (&u8, &Option<State>)| matches(*key, found.get(key), *state, now);
    let replaced = |key: u8| {
        let mut others = later.iter().copied().flatten().filter(|(other, _)| *other == key);
        others.any(|(_, state)| matches(key, found.get(&key), *state, now))
    };
    // Short values are alike. That a key is absent does not say whose doing it is either.
    let was_there = |key: u8| {
        let before = earlier.iter().copied().flatten().filter(|(other, _)| *other == key);
        let mut before = before.map(|(_, state)| *state).chain([synced.get(&key).copied()]);
        before.any(|state| matches(key, found.get(&key), state, now))
    };
    let there = last
        .iter()
        .filter(|(key, _)| found.contains_key(key) && !was_there(**key))
        .find(|(key, state)| is_there((key, state)));
    let gone = last.iter().find(|(key, state)| !is_there((key, state)) && !replaced(**key));
    match (there, gone) {
        (Some((there, _)), Some((gone, _))) => Err(format!(
            "after the power cut, key #{there} holds what a batch wrote, and key #{gone} holds {}, which is neither \
             what the same batch wrote nor anything later",
            name(found.get(gone))
        )),
        _ => Ok(()),
    }
}

fn apply(contents: &mut Contents, writes: &Writes) {
    for (key, state) in writes {
        match state {
            Some(state) => contents.insert(*key, *state),
            None => contents.remove(key),
        };
    }
}

/// Whether what was found under the key can be what it was given, at a moment of `now`.
pub fn matches(key: u8, held: Option<&Held>, expected: Option<State>, now: Span) -> bool {
    let Some(state) = expected else { return held.is_none() };
    let Some(held) = held else { return state.may_be_expired(now) };
    let lives = match (held.ttl_ms, state.expires) {
        (None, None) => true,
        (Some(ttl_ms), Some(expires)) => state.may_live(now) && now.until(expires).contains(ttl_ms),
        _ => false,
    };
    lives && is_value(key, &held.bytes, state.value)
}

/// As [`matches`], of what does not expire.
pub fn is_held(key: u8, held: Option<&Vec<u8>>, expected: Option<Value>) -> bool {
    match (held, expected) {
        (Some(bytes), Some(value)) => is_value(key, bytes, value),
        (held, expected) => held.is_none() && expected.is_none(),
    }
}

/// Whether these are the bytes of that value.
pub fn is_value(key: u8, bytes: &[u8], value: Value) -> bool {
    bytes.len() == value.len as usize && *bytes == value.bytes(key)
}

/// What was found, for people.
pub fn name(held: Option<&Held>) -> String {
    let ttl = held.and_then(|held| held.ttl_ms).map_or(String::new(), |ttl_ms| format!(", for {ttl_ms} ms"));
    name_bytes(held.map(|held| &held.bytes)) + &ttl
}

pub fn name_bytes(held: Option<&Vec<u8>>) -> String {
    match held {
        None => "nothing".into(),
        Some(bytes) => match bytes.first_chunk() {
            Some(version) => format!("version {} ({} bytes)", u32::from_le_bytes(*version), bytes.len()),
            None => format!("{} bytes {bytes:?}", bytes.len()),
        },
    }
}

pub fn name_of(state: Option<State>) -> String {
    let expires = state.and_then(|state| state.expires);
    let until = expires.map_or(String::new(), |at| format!(", until {}..={}", at.earliest, at.latest));
    name_of_value(state.map(|state| state.value)) + &until
}

pub fn name_of_value(value: Option<Value>) -> String {
    match value {
        None => "nothing".into(),
        Some(Value { version, len }) => format!("version {version} ({len} bytes)"),
    }
}
