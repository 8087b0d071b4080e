//! Commands that took long: SLOWLOG.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::server::wall_clock;
use crate::session::Client;

/// A command that took long.
#[derive(Clone)]
pub struct Slow {
    /// Its number.
    pub id: u64,
    /// When it was done, in seconds since 1970.
    pub at_s: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its arguments, shortened.
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
        let mut shortened: Vec<Vec<u8>> = args.iter().take(31).map(|arg| shorten(arg)).collect();
        if args.len() > 32 {
            shortened.push(format!("... ({} more arguments)", args.len() - 31).into_bytes());
        } else if let Some(last) = args.get(31) {
            shortened.push(shorten(last));
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
