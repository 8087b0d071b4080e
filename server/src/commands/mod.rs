//! Commands: one table, and what each of them does.
//!
//! A command is a line of the table of its group ([`GROUPS`]): its name, what does it, how many arguments it takes, what it is like,
//! where its keys are and what it is for. What is checked for all commands is checked in [`dispatch`], by that line.

pub mod args;
mod bits;
mod blocking;
mod client;
mod command;
mod config;
mod connection;
mod counters;
mod debug;
pub mod dispatch;
pub mod docs;
mod dump;
mod expiry;
pub mod fault;
mod feed;
mod glob;
mod help;
mod info;
mod keys;
mod latency;
mod lcs;
mod list_edits;
mod lists;
pub mod pubsub;
mod scan;
mod server;
mod set;
mod slowlog;
mod sort;
mod string_parts;
mod strings;
pub mod table;
pub mod transactions;

use std::sync::atomic::Ordering;

use crate::keyspace::Key;
use crate::keyspace::work::Work;
use crate::resp::reply::Reply;
use crate::server::Server;
use crate::session::Session;
use fault::{Fault, Result};

pub use blocking::serve_pushed;
pub use glob::matches;
pub use info::{processor_seconds, resident, unsynced_changes};
pub use scan::counted_reply;
pub use server::waitaof_reply;
pub use table::{Command, Flags, Keys};

/// What a command works with.
pub struct Context<'a> {
    /// What all clients share.
    pub server: &'a Server,
    /// The keys.
    pub work: &'a mut Work,
    /// The client.
    pub session: &'a mut Session,
    /// The client's output.
    pub out: &'a mut Vec<u8>,
}

impl Context<'_> {
    /// For the reply.
    #[inline]
    pub fn reply(&mut self) -> Reply<'_> {
        Reply { out: self.out, is_resp3: self.session.is_resp3 }
    }

    /// The room for a reply that a command collects.
    pub fn room(&self) -> Room {
        let most = self.server.settings.max_reply.load(Ordering::Relaxed);
        Room { most, left: Some(most) }
    }

    /// A key of the client's database, as it is stored.
    #[inline]
    pub fn key(&self, key: &[u8]) -> Key {
        self.work.keyspace.key(self.session.database, key)
    }
}

/// How large a reply may become: whoever collects one takes of it.
pub struct Room {
    most: u64,
    /// `None` where it was not enough.
    left: Option<u64>,
}

impl Room {
    /// What a part of a reply takes beside its bytes.
    const PER_PART: u64 = 16;

    /// Takes room for a part of so many bytes: whether there was enough.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> bool {
        self.left = self.left.and_then(|left| left.checked_sub(bytes as u64 + Self::PER_PART));
        self.left.is_some()
    }

    /// Fails where there was not enough.
    pub fn check(&self) -> Result {
        let text = || {
            let most = self.most;
            Fault::from(format!("OOM the reply takes more than {most} bytes, see client-output-buffer-limit"))
        };
        self.left.map(drop).ok_or_else(text)
    }
}

/// What does a command: its arguments begin with its name.
pub type Handler = fn(&mut Context<'_>, &[&[u8]]) -> Result;

/// The tables of all groups.
pub static GROUPS: &[&[Command]] = &[
    strings::COMMANDS,
    string_parts::COMMANDS,
    counters::COMMANDS,
    bits::COMMANDS,
    lcs::COMMANDS,
    keys::COMMANDS,
    dump::COMMANDS,
    expiry::COMMANDS,
    scan::COMMANDS,
    sort::COMMANDS,
    lists::COMMANDS,
    list_edits::COMMANDS,
    blocking::COMMANDS,
    transactions::COMMANDS,
    pubsub::COMMANDS,
    feed::COMMANDS,
    connection::COMMANDS,
    client::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    info::COMMANDS,
    server::COMMANDS,
    slowlog::COMMANDS,
    latency::COMMANDS,
    debug::COMMANDS,
];

/// An error for a subcommand with so many arguments as it does not take.
pub fn wrong_subcommand(command: &str, word: &[u8]) -> Fault {
    let word = args::text(word);
    Fault::from(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try {command} HELP."
    ))
}

/// An error for an argument count that does not fit.
pub fn wrong_number(name: &str) -> Fault {
    Fault::from(format!("ERR wrong number of arguments for '{name}' command"))
}
