//! A client's session: what it chose and what it is in the middle of. And what others may know of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::commands::Command;
use crate::feed::Feed;
use crate::keyspace::blocked::{Address, Waiter};
use crate::keyspace::watch::Flag;

/// What others may know of a client.
pub struct Client {
    /// Where it is, with its number.
    pub address: Address,
    /// The client's end of the connection, and ours.
    pub peer: String,
    /// Our end.
    pub local: String,
    /// When it came.
    pub since: Instant,
    /// What changes rarely.
    pub known: Mutex<Known>,
    /// When it was heard last, in milliseconds since the server was started.
    pub heard_ms: AtomicU64,
    /// The client's database.
    pub database: AtomicU64,
    /// Channels and patterns that it listens to.
    pub channels: AtomicU64,
    /// Patterns.
    pub patterns: AtomicU64,
    /// Commands that are queued after MULTI; -1 without.
    pub queued: AtomicI64,
    /// What those take, in bytes.
    pub queued_bytes: AtomicU64,
    /// Bytes that it has sent and that were not done yet.
    pub input: AtomicU64,
    /// The memory that is held for its input and its output, in bytes.
    pub buffers: AtomicU64,
    /// Bytes that it was not sent yet.
    pub unsent: AtomicU64,
    /// Whether it waits for an element.
    pub is_blocked: AtomicBool,
    /// Whether it speaks version 3.
    pub is_resp3: AtomicBool,
}

impl Client {
    /// A client that has just come, `now_ms` after the server was started.
    pub fn new(address: Address, peer: String, local: String, now_ms: u64) -> Self {
        Client {
            address,
            peer,
            local,
            since: Instant::now(),
            known: Mutex::new(Known::default()),
            heard_ms: now_ms.into(),
            database: 0.into(),
            channels: 0.into(),
            patterns: 0.into(),
            queued: (-1).into(),
            queued_bytes: 0.into(),
            input: 0.into(),
            buffers: 0.into(),
            unsent: 0.into(),
            is_blocked: false.into(),
            is_resp3: false.into(),
        }
    }
}

/// What a client said of itself, and its last command.
#[derive(Clone, Default)]
pub struct Known {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO.
    pub library: String,
    /// CLIENT SETINFO.
    pub library_version: String,
    /// The name of its last command.
    pub command: &'static str,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
}

/// Which replies a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// None of the command after this.
    SkipNext,
    /// None of this command.
    Skip,
}

/// A command that waits for EXEC.
pub struct Queued {
    /// The command.
    pub command: &'static Command,
    /// The arguments of the command.
    pub args: Vec<Vec<u8>>,
}

/// Commands that wait for EXEC.
#[derive(Default)]
pub struct Queue {
    /// The commands of the transaction.
    pub commands: Vec<Queued>,
    /// What they take, in bytes.
    pub bytes: usize,
    /// One of them was wrong.
    pub is_spoilt: bool,
}

/// A key that is watched.
pub struct Watched {
    /// The database of the key.
    pub database: u8,
    /// As the client calls it.
    pub name: Vec<u8>,
    /// When it expires, if it was there.
    pub expiry_ms: Option<u64>,
}

/// A wait, and when it ends; `None` for never.
pub type Wait = (Arc<Waiter>, Option<Instant>);

/// See the module.
pub struct Session {
    /// What others may know.
    pub client: Arc<Client>,
    /// The database that was selected.
    pub database: u8,
    /// Whether it speaks version 3.
    pub is_resp3: bool,
    /// Whether it said the password, or there is none.
    pub is_trusted: bool,
    /// After MULTI.
    pub queue: Option<Queue>,
    /// Whether EXEC is at work.
    pub is_executing: bool,
    /// WATCH.
    pub watched: Vec<Watched>,
    /// Set by who changes a watched key.
    pub touched: Flag,
    /// SUBSCRIBE.
    pub channels: HashSet<Vec<u8>>,
    /// PSUBSCRIBE.
    pub patterns: HashSet<Vec<u8>>,
    /// FILEDB.FEED.
    pub feed: Option<Arc<Feed>>,
    /// CLIENT REPLY.
    pub replies: Replies,
    /// The wait for an element, and its end.
    pub wait: Option<Wait>,
    /// The connection ends when all was sent.
    pub ends: bool,
    /// The client will send no more than what was read, or is there to read: it has closed, or its end of the connection.
    pub is_at_end: bool,
    /// The command that ran last.
    pub last: Option<&'static Command>,
    /// The reply waits until all that was written before is on the disk.
    pub must_be_durable: bool,
}

impl Session {
    /// The session of a client that has just come.
    pub fn new(client: Arc<Client>, is_trusted: bool) -> Self {
        Session {
            client,
            database: 0,
            is_resp3: false,
            is_trusted,
            queue: None,
            is_executing: false,
            watched: Vec::new(),
            touched: Flag::default(),
            channels: HashSet::new(),
            patterns: HashSet::new(),
            feed: None,
            replies: Replies::On,
            wait: None,
            ends: false,
            is_at_end: false,
            last: None,
            must_be_durable: false,
        }
    }

    /// The client's number.
    pub fn id(&self) -> u64 {
        self.client.address.client
    }

    /// Whether it listens to messages, or follows the changes.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty() || self.feed.is_some()
    }

    /// The number of channels and patterns.
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether the client wants the reply that its wait ends with.
    pub fn wants_late_reply(&mut self) -> bool {
        if self.replies == Replies::Skip {
            self.replies = Replies::On;
            return false;
        }
        self.replies != Replies::Off
    }

    /// A command is wrong that was to be queued.
    pub fn spoil_queue(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.is_spoilt = true;
        }
    }

    /// Tells others what has changed.
    pub fn publish_state(&self) {
        let client = &self.client;
        client.database.store(u64::from(self.database), Ordering::Relaxed);
        client.channels.store(self.channels.len() as u64, Ordering::Relaxed);
        client.patterns.store(self.patterns.len() as u64, Ordering::Relaxed);
        let queued = self.queue.as_ref().map_or(-1, |queue| queue.commands.len() as i64);
        client.queued.store(queued, Ordering::Relaxed);
        let bytes = self.queue.as_ref().map_or(0, |queue| queue.bytes as u64);
        client.queued_bytes.store(bytes, Ordering::Relaxed);
        client.is_resp3.store(self.is_resp3, Ordering::Relaxed);
        client.is_blocked.store(self.wait.is_some(), Ordering::Relaxed);
    }
}
