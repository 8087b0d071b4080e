//! What all threads of a server share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::backups::Backups;
use crate::commands::pubsub::PubSub;
use crate::durability::Durability;
use crate::durations::Durations;
use crate::feed::Feeds;
use crate::keyspace::Keyspace;
use crate::keyspace::blocked::Address;
use crate::latency::Latency;
use crate::merges::Merges;
use crate::net::mail::{Mail, Mailbox};
use crate::pause::Pause;
use crate::session::Client;
use crate::settings::Settings;
use crate::slowlog::SlowLog;
use crate::systemd;
use crate::tally::Tallies;

/// What happened since the server was started, or CONFIG RESETSTAT.
#[derive(Default)]
pub struct Stats {
    /// Commands that were done.
    pub commands: AtomicU64,
    /// Connections that came.
    pub connections: AtomicU64,
    /// Connections that were refused.
    pub rejected: AtomicU64,
    /// Errors that were replied.
    pub errors: AtomicU64,
    /// Reads of keys that were there.
    pub hits: AtomicU64,
    /// Reads of keys that were not there.
    pub misses: AtomicU64,
    /// Reads of sockets that gave something.
    pub reads: AtomicU64,
    /// Writes to sockets.
    pub writes: AtomicU64,
    /// Bytes that came.
    pub input_bytes: AtomicU64,
    /// Bytes that were sent.
    pub output_bytes: AtomicU64,
    /// Rounds of event loops, and the time that they took in microseconds.
    pub rounds: AtomicU64,
    /// The time of these rounds.
    pub round_micros: AtomicU64,
    /// What commands took.
    pub durations: Durations,
    /// Commands in the last second.
    pub commands_per_second: AtomicU64,
    /// Bytes that came in the last second.
    pub input_per_second: AtomicU64,
    /// Bytes that were sent in the last second.
    pub output_per_second: AtomicU64,
}

impl Stats {
    /// All as at the start.
    pub fn reset(&self) {
        let Stats {
            commands,
            connections,
            rejected,
            errors,
            hits,
            misses,
            reads,
            writes,
            input_bytes,
            output_bytes,
            ..
        } = self;
        for counter in
            [commands, connections, rejected, errors, hits, misses, reads, writes, input_bytes, output_bytes]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// See the module.
pub struct Server {
    /// The keys.
    pub keyspace: Arc<Keyspace>,
    /// Who listens to which channels.
    pub pubsub: PubSub,
    /// Who follows the changes.
    pub feeds: Arc<Feeds>,
    /// Everybody who is connected, by number.
    pub clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    /// What CONFIG changes.
    pub settings: Settings,
    /// Figures.
    pub stats: Stats,
    /// How often each command was done.
    pub tallies: Tallies,
    /// What was slow.
    pub slowlog: SlowLog,
    /// When events were slow, and how slow.
    pub latency: Latency,
    /// What BGREWRITEAOF began.
    pub merges: Arc<Merges>,
    /// What waits for the disk.
    pub durability: Durability,
    /// What BGSAVE makes.
    pub backups: Arc<Backups>,
    /// CLIENT PAUSE, and the pauses that the store asks for.
    pub pause: Pause,
    /// Where event loops get messages.
    pub mailboxes: OnceLock<Vec<Arc<Mailbox>>>,
    /// When it was started.
    pub started: Instant,
    /// The memory of the process at that time, in bytes.
    pub resident_at_start: u64,
    /// A name for this run.
    pub run_id: String,
    /// The port that clients connect to.
    pub port: AtomicU64,
    /// The server is to end.
    pub is_ending: AtomicBool,
    next_client: AtomicU64,
}

impl Server {
    /// A server of these keys, without threads.
    pub fn new(
        keyspace: Arc<Keyspace>,
        settings: Settings,
        durability: Durability,
        backups: Arc<Backups>,
    ) -> Self {
        use std::hash::{BuildHasher, RandomState};
        let run_id: String = (0..3).map(|n| format!("{:016x}", RandomState::new().hash_one(n))).collect();
        Server {
            keyspace,
            pubsub: PubSub::default(),
            feeds: Arc::default(),
            clients: Mutex::default(),
            settings,
            stats: Stats::default(),
            tallies: Tallies::default(),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            merges: Arc::default(),
            durability,
            backups,
            pause: Pause::default(),
            mailboxes: OnceLock::new(),
            started: Instant::now(),
            resident_at_start: crate::commands::resident().0,
            run_id: run_id.chars().take(40).collect(),
            port: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            next_client: AtomicU64::new(1),
        }
    }

    /// Of when the last copy is that BGSAVE made; without a directory for copies, when the store was synced last.
    pub fn last_save_s(&self) -> u64 {
        match self.backups.are_made() {
            true => self.backups.last_s(),
            false => self.durability.last_sync_s.load(Ordering::Relaxed),
        }
    }

    /// A number for a client that has just come.
    pub fn next_client(&self) -> u64 {
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a message to an event loop.
    pub fn post(&self, event_loop: usize, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get().and_then(|all| all.get(event_loop)) {
            mailbox.post(mail);
        }
    }

    /// Whether an event loop has not yet come to what was published some time ago.
    pub fn has_full_mailbox(&self) -> bool {
        self.mailboxes.get().is_some_and(|all| all.iter().any(|mailbox| mailbox.is_full()))
    }

    /// Sends bytes to a client.
    pub fn send(&self, to: Address, bytes: Arc<[u8]>, ticket: u64) {
        self.post(to.event_loop, Mail::Bytes { to, bytes, ticket });
    }

    /// Sends a message to all event loops.
    pub fn post_all(&self, mail: impl Fn() -> Mail) {
        for mailbox in self.mailboxes.get().into_iter().flatten() {
            mailbox.post(mail());
        }
    }

    /// Asks all threads to end.
    pub fn end(&self) {
        if !self.is_ending.swap(true, Ordering::SeqCst) {
            systemd::notify("STOPPING=1");
        }
        self.keyspace.blocked.end();
        self.post_all(|| Mail::End);
    }

    /// Milliseconds since the server was started.
    pub fn uptime_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// The time by the wall clock, since 1970.
pub fn wall_clock() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
