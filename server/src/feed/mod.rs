//! Clients that follow the changes: FILEDB.FEED.
//!
//! A feed is a thread, for the log may have to be searched, and with `sync=always` a change waits for the disk. It takes changes from the
//! store as long as its client has room for them (`MOST_UNSENT`), and sleeps otherwise: until there is room again, or until the next
//! batch is written. What was not taken stays in the log. So a client that does not read costs that room and a thread that sleeps,
//! and, for ten seconds, the memory and the files that its place in the log takes; and nobody waits for it.

mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::Changes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::keyspace::Keyspace;
use crate::keyspace::databases::Exchanges;
use crate::net::mail::{Mail, Mailbox};
use crate::session::{Client, Session};
use stream::{Got, Stream};
pub use stream::{tell_start, tell_stop};

/// A client that was not sent so much yet is given no more.
const MOST_UNSENT: usize = 256 << 10;

/// Each batch that is waited for costs its writer a call of the system: where they come faster than this, some are waited for together.
const FAST: Duration = Duration::from_micros(200);

/// Where a client reads nothing for so long, its feed lets go of what it holds of the store, and finds its place again when there is room.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stack of a thread that feeds.
const STACK: usize = 512 << 10;

/// All feeds.
#[derive(Default)]
pub struct Feeds {
    all: Mutex<Vec<Arc<Feed>>>,
    ended: Condvar,
    /// Changes that clients were told.
    pub told: AtomicU64,
}

/// One client's.
pub struct Feed {
    client: Arc<Client>,
    is_ended: AtomicBool,
    /// Up to this number the client was told all: of what its event loop has taken, for what it has not taken is dropped where the feed ends.
    at: AtomicU64,
    room: Mutex<Room>,
    changed: Condvar,
}

/// What the client was not sent yet, in bytes.
#[derive(Default)]
struct Room {
    /// Bytes that the client's event loop has not taken yet.
    in_mail: usize,
    /// Bytes that the event loop has taken and not sent.
    unsent: usize,
}

/// What a feed works with.
pub struct Source {
    /// The keys.
    pub keyspace: Arc<Keyspace>,
    /// Of the client's event loop.
    pub mailbox: Arc<Mailbox>,
    /// The client has all up to this number.
    pub seq: u64,
    /// The changes behind it.
    pub changes: Changes,
    /// The exchanges of databases behind it.
    pub exchanges: Exchanges,
}

/// Why there is no feed.
pub enum Refused {
    /// There are so many.
    TooMany(usize),
    /// The system has no more threads.
    NoThread(std::io::Error),
}

impl Feeds {
    /// The number of feeds.
    pub fn count(&self) -> usize {
        self.all.lock().len()
    }

    /// Begins a feed for a client, unless there are as many as there may be.
    pub fn begin(
        self: &Arc<Self>,
        client: &Arc<Client>,
        source: Source,
        most: u64,
    ) -> Result<Arc<Feed>, Refused> {
        let at = source.seq.into();
        let (room, changed) = (Mutex::default(), Condvar::new());
        let feed = Arc::new(Feed { client: client.clone(), is_ended: false.into(), at, room, changed });
        {
            let mut all = self.all.lock();
            if all.len() as u64 >= most {
                return Err(Refused::TooMany(all.len()));
            }
            all.push(feed.clone());
        }
        let listed = Listed { feeds: self.clone(), feed: feed.clone(), mailbox: source.mailbox.clone() };
        let thread = std::thread::Builder::new().name("feed".into()).stack_size(STACK);
        match thread.spawn(move || listed.feed.run(source, &listed.feeds.told)) {
            Ok(_) => Ok(feed),
            Err(error) => Err(Refused::NoThread(error)),
        }
    }

    /// Ends the feed of a client, if it has one: up to which number it was told all.
    pub fn leave(&self, session: &mut Session, keyspace: &Keyspace) -> Option<u64> {
        let feed = session.feed.take()?;
        feed.end(keyspace);
        Some(feed.at.load(Ordering::SeqCst))
    }

    /// Ends all feeds. One that searches the log goes on until it has found something, or the store is closed.
    pub fn end(&self, keyspace: &Keyspace) {
        self.all.lock().iter().for_each(|feed| feed.end(keyspace));
    }

    /// Returns when all feeds are over.
    pub fn wait(&self) {
        let mut all = self.all.lock();
        while !all.is_empty() {
            self.ended.wait(&mut all);
        }
    }
}

/// A feed that counts until its thread ends, however that happens.
struct Listed {
    feeds: Arc<Feeds>,
    feed: Arc<Feed>,
    mailbox: Arc<Mailbox>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.mailbox.post(Mail::Kill(self.feed.client.address));
        }
        self.feeds.all.lock().retain(|feed| !Arc::ptr_eq(feed, &self.feed));
        self.feeds.ended.notify_all();
    }
}

impl Feed {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client's event loop has taken so many bytes, of messages up to the number `seq`, and so many were not sent by now.
    pub fn was_taken(&self, count: usize, seq: u64, unsent: usize) {
        self.at.store(seq, Ordering::SeqCst);
        let mut room = self.room.lock();
        room.in_mail = room.in_mail.saturating_sub(count);
        room.unsent = unsent;
    }

    /// Notes how many bytes of what the event loop has were not sent by now.
    pub fn was_sent(&self, unsent: usize) {
        let mut room = self.room.lock();
        room.unsent = unsent;
        if room.is_left() {
            self.changed.notify_one();
        }
    }

    fn end(&self, keyspace: &Keyspace) {
        self.is_ended.store(true, Ordering::SeqCst);
        {
            let _room = self.room.lock();
            self.changed.notify_one();
        }
        keyspace.written.wake();
    }

    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst)
    }

    /// Returns when the client has room for more; false once the feed is to end. Calls `rest` where that takes long.
    fn wait_for_room(&self, rest: impl FnOnce()) -> bool {
        let (mut room, mut rest) = (self.room.lock(), Some(rest));
        let rests_at = Instant::now() + PATIENCE;
        while !room.is_left() && !self.is_ended() {
            if rest.is_none() {
                self.changed.wait(&mut room);
            } else if self.changed.wait_until(&mut room, rests_at).timed_out()
                && let Some(rest) = rest.take()
            {
                MutexGuard::unlocked(&mut room, rest);
            }
        }
        !self.is_ended()
    }

    fn post(self: &Arc<Self>, mailbox: &Mailbox, bytes: Vec<u8>, seq: u64, is_last: bool) {
        self.room.lock().in_mail += bytes.len();
        mailbox.post(Mail::Feed { feed: self.clone(), bytes, seq, is_last });
    }

    fn run(self: &Arc<Self>, source: Source, told: &AtomicU64) {
        let Source { keyspace, mailbox, seq, changes, exchanges } = source;
        let mut stream = Stream::new(seq, changes, exchanges);
        let mut woken: Option<Instant> = None;
        while self.wait_for_room(|| stream.rest()) {
            let written = keyspace.written.count();
            let mut bytes = Vec::new();
            let got = stream.take(
                &keyspace.databases,
                &mut bytes,
                self.client.is_resp3.load(Ordering::Relaxed),
                told,
            );
            if !bytes.is_empty() || got == Got::TheLast {
                self.post(&mailbox, bytes, stream.at(), got == Got::TheLast);
            }
            match got {
                Got::Some => {}
                Got::TheLast => return,
                Got::AllThatIsThere => {
                    keyspace.written.wait_for_more_than(written, || self.is_ended());
                    if woken.replace(Instant::now()).is_some_and(|last| last.elapsed() < FAST) {
                        std::thread::sleep(FAST / 4);
                    }
                }
            }
        }
    }
}

impl Room {
    fn is_left(&self) -> bool {
        self.in_mail + self.unsent < MOST_UNSENT
    }
}
