//! Messages and events of keys: what a client hears that listens, beside what it would hear of Redis.

use crate::common::{Client, Process, Random, encode};
use crate::compare::elements;
use crate::{setting, show};

const CHANNELS: &[&str] = &["news", "sports", "n", "__keyspace@0__:k1", "__keyevent@0__:set"];
const PATTERNS: &[&str] = &["n*", "*", "?ews", "[ns]*", "__key*__:*", "nothing"];
const CHANGES: &[&str] = &[
    "SET k1 v",
    "SET k2 1 EX 1000",
    "GETEX k2 PERSIST",
    "GETDEL k1",
    "DEL k1 k2 l1",
    "INCR k2",
    "APPEND k1 x",
    "SETRANGE k1 3 y",
    "EXPIRE k1 1000",
    "EXPIRE k1 -1",
    "PERSIST k1",
    "RENAME k1 k3",
    "COPY k3 k1",
    "RPUSH l1 a b c",
    "LPUSH l1 x",
    "LPOP l1",
    "RPOP l1 10",
    "LSET l1 0 z",
    "LREM l1 0 a",
    "LTRIM l1 0 1",
    "LINSERT l1 BEFORE a q",
    "LMOVE l1 l2 LEFT RIGHT",
    "SORT l1 ALPHA STORE l2",
    "MSET k1 a k2 b",
    "MOVE k1 3",
];

/// The two ends of one server.
struct Pair {
    listener: Client,
    talker: Client,
}

impl Pair {
    fn new(process: &Process) -> Pair {
        let mut talker = process.connect();
        assert_eq!(talker.ask("CONFIG SET notify-keyspace-events KEA"), "+OK\r\n");
        Pair { listener: process.connect(), talker }
    }

    /// What the listener was sent so far.
    fn heard(&mut self, n: u64) -> Vec<Vec<u8>> {
        let mark = format!("mark {n}");
        self.listener.send(&encode(&["PING", &mark]));
        let mut all = Vec::new();
        loop {
            let reply = self.listener.reply();
            let ends = |part: &[u8]| part == format!("${}\r\n{mark}\r\n", mark.len()).as_bytes();
            if ends(&reply) || elements(&reply).last().is_some_and(|last| ends(last)) {
                return all;
            }
            all.push(reply);
        }
    }
}

#[test]
fn who_listens_hears_what_it_would_hear_of_redis() {
    let count = setting("FILEDB_DIFF_COMMANDS", 20_000) / 10;
    let seed = setting("FILEDB_DIFF_SEED", std::process::id().into());
    println!("seed {seed}, {count} commands");
    let directory = tempfile::tempdir().unwrap();
    let Some(redis) = Process::redis(directory.path()) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    // With one thread what one client was answered is before what another asks for after that, as in Redis.
    let filedb = Process::filedb(&directory.path().join("store"), &["--threads", "1"]);
    let mut pairs = [Pair::new(&filedb), Pair::new(&redis)];
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut is_resp3 = false;
    let mut differences = Vec::new();
    for n in 0..count {
        let (channel, pattern) = (random.one(CHANNELS), random.one(PATTERNS));
        // The listener's, or the talker's.
        let (is_listener, line) = match random.below(16) {
            0 => (true, format!("SUBSCRIBE {channel}")),
            1 => (true, format!("SUBSCRIBE {channel} {}", random.one(CHANNELS))),
            2 => (true, format!("UNSUBSCRIBE {channel}")),
            3 => (true, format!("PSUBSCRIBE {pattern}")),
            4 => (true, format!("PUNSUBSCRIBE {pattern}")),
            5 if random.below(8) == 0 => {
                (true, random.one(&["UNSUBSCRIBE", "PUNSUBSCRIBE", "RESET"]).to_owned())
            }
            5 => (
                true,
                random.one(&["GET k1", "PING", "SUBSCRIBE", "MULTI", "DISCARD", "SET k1 x"]).to_owned(),
            ),
            6 if is_resp3 => (true, format!("PUBLISH {channel} mine")),
            6 if random.below(4) == 0 => (true, "HELLO 3".to_owned()),
            7 => (false, random.one(&["PUBSUB CHANNELS n*", "PUBSUB NUMPAT"]).to_owned()),
            8 => (false, format!("PUBSUB NUMSUB {channel} {}", random.one(CHANNELS))),
            9..12 => (false, format!("PUBLISH {channel} message{n}")),
            _ => (false, random.one(CHANGES).to_owned()),
        };
        let told = pairs.each_mut().map(|pair| {
            let words: Vec<&str> = line.split(' ').collect();
            let mut all = Vec::new();
            if is_listener {
                pair.listener.send(&encode(&words));
            } else {
                pair.talker.send(&encode(&words));
                all.push(pair.talker.reply());
            }
            if line == "MULTI" {
                // Nothing is queued: what marks the end would be.
                pair.listener.send(&encode(&["DISCARD"]));
            }
            all.extend(pair.heard(n));
            if line.starts_with("SET") {
                // What its own change is, it hears behind the replies to all that it sent at once.
                all.extend(pair.heard(count + n));
            }
            // In no order: who listens with more than one pattern is told in any.
            all.sort();
            all
        });
        if line == "HELLO 3" && told[1].iter().any(|reply| reply.starts_with(b"%")) {
            is_resp3 = true;
            continue;
        }
        is_resp3 &= line != "RESET";
        // All are left in some order, and how many are left is told each time.
        let shown = told.map(|all| {
            let mut all: Vec<_> = all.iter().map(|reply| comparable(&line, reply)).collect();
            all.sort();
            all
        });
        if shown[0] != shown[1] {
            differences.push(format!("{line}\n  ours:   {:?}\n  theirs: {:?}", shown[0], shown[1]));
        }
        if differences.len() > 20 {
            break;
        }
    }
    assert!(differences.is_empty(), "seed {seed}:\n{}", differences.join("\n"));
}

fn comparable(line: &str, reply: &[u8]) -> String {
    let all = elements(reply);
    if line.starts_with("PUBSUB CHANNELS") {
        let mut all: Vec<_> = all.iter().map(|part| show(part)).collect();
        all.sort();
        return all.join(" ");
    }
    if ["UNSUBSCRIBE", "PUNSUBSCRIBE"].contains(&line) && all.len() == 3 {
        return show(&all[..2].concat());
    }
    show(reply)
}
