//! Who follows a server with FILEDB.FEED, and applies what it is told.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Client, encode};

/// What a key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A string.
    Value(Vec<u8>),
    /// A list.
    List(VecDeque<Vec<u8>>),
}

/// All keys: by database and key, with the time when they expire.
pub type Map = BTreeMap<(usize, Vec<u8>), (Held, Option<u64>)>;

/// The parts of a message, numbers as text.
pub fn parts(message: &[u8]) -> Vec<Option<Vec<u8>>> {
    let (mut parts, mut rest) = (Vec::new(), message);
    let line = |rest: &mut &[u8]| {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let line = rest[..end - 1].to_vec();
        *rest = &rest[end + 1..];
        line
    };
    while !rest.is_empty() {
        let head = line(&mut rest);
        match head[0] {
            b'$' if head != b"$-1" => {
                let len: usize = std::str::from_utf8(&head[1..]).unwrap().parse().unwrap();
                parts.push(Some(rest[..len].to_vec()));
                rest = &rest[len + 2..];
            }
            b'$' | b'_' => parts.push(None),
            b'*' | b'>' => {}
            _ => parts.push(Some(head[1..].to_vec())),
        }
    }
    parts
}

/// What all databases of a server have.
pub fn contents(client: &mut Client) -> Map {
    let mut map = Map::new();
    let bytes = |client: &mut Client, words: &[&[u8]]| {
        client.send(&encode(words));
        parts(&client.reply()).into_iter().flatten().collect::<Vec<_>>()
    };
    for database in 0..16 {
        client.ask(&format!("SELECT {database}"));
        for key in bytes(client, &[b"KEYS", b"*"]) {
            let expiry = bytes(client, &[b"PEXPIRETIME", &key]);
            let expiry: i64 = std::str::from_utf8(&expiry[0]).unwrap().parse().unwrap();
            let held = match bytes(client, &[b"TYPE", &key])[0].as_slice() {
                b"list" => Held::List(bytes(client, &[b"LRANGE", &key, b"0", b"-1"]).into()),
                b"string" => match bytes(client, &[b"GET", &key]).pop() {
                    Some(value) => Held::Value(value),
                    None => continue,
                },
                _ => continue,
            };
            map.insert((database, key), (held, u64::try_from(expiry).ok()));
        }
    }
    map
}

/// What a follower has.
#[derive(Clone, Debug, Default)]
pub struct Following {
    /// What it knows of the keys.
    pub map: Map,
    /// All up to this number was applied.
    pub seq: u64,
    /// It began with a copy that was made up to this number.
    pub copied: u64,
    /// How often it had to begin anew.
    pub gaps: u64,
    /// How many changes it was told.
    pub told: u64,
}

impl Following {
    /// What is not over by the clock of this machine.
    pub fn held(&self) -> Map {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let is_there = |expiry: &Option<u64>| expiry.is_none_or(|at| at > now);
        self.map
            .iter()
            .filter(|(_, (_, expiry))| is_there(expiry))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Applies a message; false where it has to begin anew.
    pub fn apply(&mut self, message: &[u8]) -> bool {
        let parts = parts(message);
        assert_eq!(
            (parts.len(), parts[0].as_deref()),
            (8, Some(&b"filedb.feed"[..])),
            "{}",
            message.escape_ascii()
        );
        let number = |n: usize| {
            parts[n].as_ref().map(|text| std::str::from_utf8(text).unwrap().parse::<u64>().unwrap())
        };
        let what = std::str::from_utf8(parts[1].as_ref().unwrap()).unwrap();
        let seq = number(2).unwrap();
        match what {
            "start" => return true,
            "gap" => return false,
            "error" => panic!("{}", message.escape_ascii()),
            "swapdb" => {
                if seq <= self.copied {
                    // Some keys were copied before it, and others afterwards.
                    return false;
                }
                let numbers = String::from_utf8(parts[6].clone().unwrap()).unwrap();
                let numbers: Vec<usize> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
                for pair in numbers.chunks(2) {
                    let other = |n: usize| {
                        if n == pair[0] {
                            pair[1]
                        } else if n == pair[1] {
                            pair[0]
                        } else {
                            n
                        }
                    };
                    let map = std::mem::take(&mut self.map);
                    self.map = map.into_iter().map(|((n, key), held)| ((other(n), key), held)).collect();
                }
            }
            _ => self.change(
                what,
                (number(4).unwrap() as usize, parts[5].clone().unwrap()),
                &parts[6],
                number(7),
            ),
        }
        assert!(seq + 1 >= self.seq, "numbers grow");
        self.seq = seq;
        self.told += 1;
        true
    }

    fn change(&mut self, what: &str, key: (usize, Vec<u8>), value: &Option<Vec<u8>>, expiry: Option<u64>) {
        match what {
            "put" => drop(self.map.insert(key, (Held::Value(value.clone().unwrap()), expiry))),
            "delete" => drop(self.map.remove(&key)),
            "expire" => {
                if let Some((_, at)) = self.map.get_mut(&key) {
                    *at = expiry;
                }
            }
            _ => {
                let (held, _) = self.map.entry(key.clone()).or_insert((Held::List(VecDeque::new()), None));
                let Held::List(list) = held else { panic!("{what} of a string: {key:?}") };
                match what {
                    "push" => list.push_back(value.clone().unwrap()),
                    "push-front" => list.push_front(value.clone().unwrap()),
                    "pop" => drop(list.pop_back()),
                    "pop-front" => drop(list.pop_front()),
                    _ => panic!("{what}"),
                }
                if list.is_empty() {
                    self.map.remove(&key);
                }
            }
        }
    }
}

/// A thread that follows a server, until its connection ends.
pub struct Follower {
    thread: JoinHandle<()>,
    /// That of its connection; without one it is killed.
    stream: Arc<Mutex<Option<TcpStream>>>,
}

impl Follower {
    /// Goes on with what the follower has. It ends by itself when it was told so many changes.
    pub fn start(port: u16, following: &Arc<Mutex<Following>>, most: u64) -> Follower {
        let mut client = Client::connect(port);
        let stream = Arc::new(Mutex::new(Some(client.stream.try_clone().unwrap())));
        let (following, its) = (following.clone(), stream.clone());
        let thread = std::thread::spawn(move || {
            let from = following.lock().unwrap().seq.to_string();
            if client.stream.write_all(&encode(&["FILEDB.FEED", &from])).is_err() {
                return;
            }
            for _ in 0..most {
                let Some(message) = client.try_reply() else { return };
                if !following.lock().unwrap().apply(&message) {
                    match begin_anew(port) {
                        Some((new_client, new)) => {
                            client = new_client;
                            let mut its = its.lock().unwrap();
                            if its.is_none() {
                                return;
                            }
                            *its = Some(client.stream.try_clone().unwrap());
                            drop(its);
                            let mut following = following.lock().unwrap();
                            *following = Following { gaps: following.gaps + 1, told: following.told, ..new };
                        }
                        None => return,
                    }
                }
            }
        });
        Follower { thread, stream }
    }

    /// Ends it at once, wherever it is.
    pub fn kill(self) {
        if let Some(stream) = self.stream.lock().unwrap().take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.join();
    }

    /// Whether its connection has ended.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until its connection has ended.
    pub fn join(self) {
        self.thread.join().unwrap();
    }
}

/// As docs/SERVER.md says. `None` where the server is gone.
fn begin_anew(port: u16) -> Option<(Client, Following)> {
    let port_is_open = TcpStream::connect(("127.0.0.1", port)).is_ok();
    if !port_is_open {
        return None;
    }
    std::panic::catch_unwind(|| {
        let (mut client, mut other) = (Client::connect(port), Client::connect(port));
        let started = parts(client.command(&["FILEDB.FEED", "$"]).as_bytes());
        let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<u64>().unwrap();
        let seq = number(started[2].as_ref().unwrap());
        let map = contents(&mut other);
        let info = other.ask("INFO filedb");
        let last = info.lines().find_map(|line| line.strip_prefix("last_seq:")).unwrap();
        (client, Following { map, seq, copied: number(last.as_bytes()), ..Following::default() })
    })
    .ok()
}
