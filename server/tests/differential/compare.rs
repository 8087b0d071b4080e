//! When two replies are as good as equal.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::length;

/// What is not compared, and why.
pub const NOT_COMPARED: &[(&str, &str)] = &[
    ("filedb.feed", "Redis has no such command"),
    ("client|setinfo", "Redis has it since 7.2, and Debian has 7.0"),
    ("client|no-touch", "Redis has it since 7.2, and Debian has 7.0"),
    ("command|getkeysandflags", "Redis 7.0 wants one argument more than 7.2"),
    ("waitaof", "Redis has it since 7.2, and Debian has 7.0"),
    ("bgsave", "it begins something whose end changes what others answer"),
    ("bgrewriteaof", "it begins something whose end changes what others answer"),
    ("shutdown", "it ends the server; compared is how it refuses wrong arguments"),
    ("quit", "it ends the connection; compared at the end"),
    ("subscribe", "its messages are replies to nothing: messages.rs"),
    ("unsubscribe", "its messages are replies to nothing: messages.rs"),
    ("psubscribe", "its messages are replies to nothing: messages.rs"),
    ("punsubscribe", "its messages are replies to nothing: messages.rs"),
];

/// Commands whose replies are of one kind (an array, a number, an error, nothing), and cannot be equal, because of what they tell: the time, the
/// process, its memory, its connections, the table of commands, or what comes in no order and was chosen by chance.
const KIND: &[&str] = &[
    "bgrewriteaof",
    "client id",
    "client info",
    "client list",
    "command",
    "command count",
    "command docs",
    "command info",
    "command list",
    "config get",
    "debug object",
    "dump",
    "hello",
    "info",
    "lastsave",
    "latency doctor",
    "latency graph",
    "latency histogram",
    "latency history",
    "latency latest",
    "memory doctor",
    "memory stats",
    "memory usage",
    // The value decides here, how it came about in Redis.
    "object encoding",
    "object idletime",
    // Small numbers are shared in Redis.
    "object refcount",
    "randomkey",
    "slowlog get",
    "slowlog len",
    "time",
];

/// Commands whose replies have the same elements in some order.
const IN_ANY_ORDER: &[&str] = &["keys", "scan", "pubsub channels"];

/// A command, and the replies to it that differ.
pub type Difference<'a> = (&'a [Vec<u8>], &'a [u8], &'a [u8]);

/// What was sent before decides which replies may differ.
#[derive(Default)]
pub struct Before {
    /// The commands of a transaction.
    queued: Vec<Vec<Vec<u8>>>,
    /// The times to live that keys of this name were given, in whichever database.
    lives: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

impl Before {
    /// Notes a command that both have answered.
    pub fn note(&mut self, command: &[Vec<u8>], reply: &[u8]) {
        match command[0].to_ascii_uppercase().as_slice() {
            // MULTI inside of a transaction is an error, and changes nothing.
            b"MULTI" | b"DISCARD" | b"RESET" if reply.starts_with(b"+") => self.queued.clear(),
            b"EXEC" => std::mem::take(&mut self.queued).iter().for_each(|queued| self.note_life(queued)),
            _ if reply == b"+QUEUED\r\n" => self.queued.push(command.to_vec()),
            _ => self.note_life(command),
        }
    }

    fn note_life(&mut self, command: &[Vec<u8>]) {
        let name = command[0].to_ascii_uppercase();
        match (name.as_slice(), command) {
            (b"EXPIRE" | b"PEXPIRE" | b"SETEX", [_, key, life, ..])
            | (b"SET", [_, key, _, _, life])
            | (b"GETEX", [_, key, _, life]) => {
                self.lives.entry(key.clone()).or_default().insert(life.clone());
            }
            (b"RENAME" | b"RENAMENX" | b"COPY", [_, from, to, ..]) => {
                let lives = self.lives.get(from).cloned().unwrap_or_default();
                self.lives.entry(to.clone()).or_default().extend(lives);
            }
            _ => {}
        }
    }

    /// What is not as good as equal of these replies to a command: itself, or a command that waited for EXEC, and the replies to it.
    pub fn difference<'a>(
        &'a self,
        command: &'a [Vec<u8>],
        ours: &'a [u8],
        theirs: &'a [u8],
    ) -> Option<Difference<'a>> {
        if ours == theirs {
            return None;
        }
        if command[0].eq_ignore_ascii_case(b"exec") {
            let (our_parts, their_parts) = (elements(ours), elements(theirs));
            let count = self.queued.len();
            if (our_parts.len(), their_parts.len()) == (count, count) {
                let parts = self.queued.iter().zip(our_parts.into_iter().zip(their_parts));
                return parts
                    .map(|(queued, (ours, theirs))| (queued.as_slice(), ours, theirs))
                    .find(|(queued, ours, theirs)| ours != theirs && !self.may_differ(queued, ours, theirs));
            }
        }
        (!self.may_differ(command, ours, theirs)).then_some((command, ours, theirs))
    }

    fn may_differ(&self, command: &[Vec<u8>], ours: &[u8], theirs: &[u8]) -> bool {
        let word = |n: usize| {
            command.get(n).map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default()
        };
        let (name, part) = (word(0), format!("{} {}", word(0), word(1)));
        // Redis shows what has expired until somebody looks at it otherwise.
        if ["debug object", "memory usage"].contains(&part.as_str())
            && (kind(ours).1 || ours == b"-ERR no such key\r\n")
        {
            return !theirs.starts_with(b"-");
        }
        // Why something is wrong is compared, also where what is right is not.
        // The words of help are of another version.
        let is_help = part.ends_with(" help");
        if is_help || KIND.contains(&name.as_str()) || KIND.contains(&part.as_str()) {
            return kind(ours) == kind(theirs) && !ours.starts_with(b"-");
        }
        // It would let all wait for the keys of the transaction.
        if part == "debug sleep" && ours == b"-ERR DEBUG SLEEP is not allowed in a transaction\r\n" {
            return theirs == b"+OK\r\n";
        }
        if IN_ANY_ORDER.contains(&name.as_str()) || IN_ANY_ORDER.contains(&part.as_str()) {
            return sorted(ours) == sorted(theirs);
        }
        let number =
            |reply: &[u8]| std::str::from_utf8(reply).ok()?.trim().strip_prefix(':')?.parse::<i64>().ok();
        // Both times pass, and seconds may round differently.
        let are_near = |most: i64| match (number(ours), number(theirs)) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= most && ours > 0 && theirs > 0,
            _ => false,
        };
        match name.as_str() {
            "ttl" | "expiretime" => are_near(5),
            "pttl" | "pexpiretime" => are_near(5_000),
            // The same time to live again ends later, if a millisecond has passed.
            "expire" | "pexpire" => {
                let is_compared = ["gt", "lt"].contains(&word(3).as_str());
                is_compared && self.lives.get(&command[1]).is_some_and(|lives| lives.contains(&command[2]))
            }
            // Version 7.2 refuses this rank, version 7.0 does not.
            "lpos" => command.iter().any(|word| word == b"-9223372036854775808"),
            // Redis counts keys that have expired and were not looked at.
            "dbsize" => number(ours) < number(theirs),
            _ => false,
        }
    }
}

/// What kind of a reply this is.
fn kind(reply: &[u8]) -> (u8, bool) {
    let is_null = reply.starts_with(b"_") || reply.starts_with(b"$-1") || reply.starts_with(b"*-1");
    (reply.first().copied().unwrap_or_default(), is_null)
}

/// All elements of a reply, also those of arrays in it, in order.
fn sorted(reply: &[u8]) -> Vec<Vec<u8>> {
    let parts = elements(reply);
    let mut all: Vec<_> = parts.iter().flat_map(|part| sorted(part)).collect();
    if parts.is_empty() {
        all.push(reply.to_vec());
    }
    all.sort();
    all
}

/// The elements of an array, a set or a map, as they came.
pub fn elements(reply: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let line = reply.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    let (Some(mut at), Some(b'*' | b'~' | b'%' | b'>')) = (line, reply.first()) else { return found };
    while at < reply.len() {
        let Some(count) = length(&reply[at..]) else { return found };
        found.push(&reply[at..at + count]);
        at += count;
    }
    found
}
