//! Commands that took long: SLOWLOG.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::commands::args::is;
use crate::server::wall_clock;
use crate::session::Client;

/// A command that took long.
#[derive(Clone)]
pub struct Slow {
    /// The number of the entry.
    pub id: u64,
    /// When it was done, in seconds since 1970.
    pub at_s: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The arguments of the command, shortened.
    pub args: Vec<Vec<u8>>,
    /// Who sent it.
    pub peer: String,
    /// What the client calls itself.
    pub name: String,
}

/// See the module.
#[derive(Default)]
pub struct SlowLog {
    entries: Mutex<(u64, VecDeque<Slow>)>,
}

impl SlowLog {
    /// Adds a command; only the last `most` are kept.
    pub fn add(&self, args: &[&[u8]], micros: u64, client: &Client, most: usize) {
        let secrets = secrets(args);
        let shown = |(n, arg): (usize, &&[u8])| match secrets.contains(&n) {
            true => b"(redacted)".to_vec(),
            false => shorten(arg),
        };
        let mut shortened: Vec<Vec<u8>> = args.iter().enumerate().take(31).map(shown).collect();
        if args.len() > 32 {
            shortened.push(format!("... ({} more arguments)", args.len() - 31).into_bytes());
        } else if let Some(last) = args.get(31) {
            shortened.push(shown((31, last)));
        }
        let (peer, name) = (client.peer.clone(), client.known.lock().name.clone());
        let mut entries = self.entries.lock();
        let id = entries.0;
        entries.0 += 1;
        entries.1.push_front(Slow { id, at_s: wall_clock().as_secs(), micros, args: shortened, peer, name });
        entries.1.truncate(most);
    }

    /// The last commands, newest first.
    pub fn last(&self, count: usize) -> Vec<Slow> {
        self.entries.lock().1.iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.lock().1.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.lock().1.clear();
    }
}

fn shorten(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= 128 {
        return arg.to_vec();
    }
    let mut short = arg[..128].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", arg.len() - 128).as_bytes());
    short
}

/// The places of arguments that nobody is shown: users and passwords.
fn secrets(args: &[&[u8]]) -> Vec<usize> {
    let says = |n: usize, word: &str| args.get(n).is_some_and(|arg| is(arg, word));
    match args.first() {
        Some(name) if is(name, "AUTH") => (1..args.len()).collect(),
        Some(name) if is(name, "HELLO") => match (1..args.len()).find(|n| says(*n, "AUTH")) {
            Some(at) => vec![at + 1, at + 2],
            None => Vec::new(),
        },
        Some(name) if is(name, "CONFIG") && says(1, "SET") => {
            (2..args.len()).step_by(2).filter(|n| says(*n, "requirepass")).map(|n| n + 1).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let secrets = |line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            secrets(&args)
        };
        assert_eq!(secrets("auth secret"), [1]);
        assert_eq!(secrets("AUTH user secret"), [1, 2]);
        assert_eq!(secrets("HELLO 3 AUTH default secret SETNAME x"), [3, 4]);
        assert_eq!(secrets("CONFIG SET maxclients 5 RequirePass secret"), [5]);
        assert!(secrets("SET auth secret").is_empty());
    }
}
