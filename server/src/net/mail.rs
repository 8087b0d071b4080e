//! Messages from one event loop, or another thread, to an event loop.
//!
//! What is published is the only kind of which there can be any number: who publishes waits while a mailbox is full ([`Mailbox::is_full`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;
use parking_lot::Mutex;

use super::transport::Transport;
use crate::feed::Feed;
use crate::keyspace::blocked::Address;

/// A message.
pub enum Mail {
    /// A connection that was accepted.
    Adopt(Box<Transport>),
    /// Bytes for a client that did not ask for them just now, once a batch is durable where that is promised.
    Bytes {
        /// The client.
        to: Address,
        /// The bytes.
        bytes: Arc<[u8]>,
        /// The batch.
        ticket: u64,
    },
    /// The reply of a client that waited for an element.
    Served {
        /// The client.
        to: Address,
        /// The reply.
        bytes: Vec<u8>,
        /// The batch.
        ticket: u64,
    },
    /// What a feed tells its client. A feed sends no more than its client has room for.
    Feed {
        /// The feed.
        feed: Arc<Feed>,
        /// Messages.
        bytes: Vec<u8>,
        /// The number of the last of them.
        seq: u64,
        /// Whether the feed is over.
        is_last: bool,
    },
    /// A client is to be disconnected.
    Kill(Address),
    /// More is durable, or nothing will be any more.
    Durable,
    /// Who waited may go on.
    Resume,
    /// The server ends.
    End,
}

/// What a message takes beside its bytes, about.
const PER_MAIL: usize = 128;
/// With so many bytes a mailbox is full.
const MOST_BYTES: usize = 8 << 20;

#[derive(Default)]
struct Inbox {
    mails: Vec<Mail>,
    bytes: usize,
    /// There is one of these already: a second would say nothing more.
    has_durable: bool,
    has_resume: bool,
}

/// Where an event loop gets messages.
pub struct Mailbox {
    inbox: Mutex<Inbox>,
    is_full: AtomicBool,
    waker: Waker,
}

impl Mailbox {
    /// An empty one.
    pub fn new(waker: Waker) -> Self {
        Mailbox { inbox: Mutex::default(), is_full: AtomicBool::new(false), waker }
    }

    /// Adds a message, and wakes the loop where it is the first.
    pub fn post(&self, mail: Mail) {
        let is_first = {
            let mut inbox = self.inbox.lock();
            let is_there = match &mail {
                Mail::Durable => std::mem::replace(&mut inbox.has_durable, true),
                Mail::Resume => std::mem::replace(&mut inbox.has_resume, true),
                _ => false,
            };
            if is_there {
                return;
            }
            let length = match &mail {
                Mail::Bytes { bytes, .. } => bytes.len(),
                Mail::Served { bytes, .. } => bytes.len(),
                _ => 0,
            };
            inbox.bytes += length + PER_MAIL;
            if inbox.bytes > MOST_BYTES {
                self.is_full.store(true, Ordering::Relaxed);
            }
            inbox.mails.push(mail);
            inbox.mails.len() == 1
        };
        if is_first && let Err(error) = self.waker.wake() {
            log::error!("an event loop could not be woken: {error}");
        }
    }

    /// Whether so much waits that who publishes waits too.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Takes all messages, and says whether it was full.
    pub fn take(&self) -> (Vec<Mail>, bool) {
        let mut inbox = self.inbox.lock();
        let was_full = self.is_full.swap(false, Ordering::Relaxed);
        (std::mem::take(&mut *inbox).mails, was_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_full_until_its_loop_takes_what_is_in_it() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Mailbox::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let to = Address { event_loop: 0, token: 0, client: 1 };
        let bytes: Arc<[u8]> = vec![0; 1 << 20].into();
        for n in 0..8 {
            assert!(!mailbox.is_full(), "{n} messages");
            mailbox.post(Mail::Bytes { to, bytes: bytes.clone(), ticket: 0 });
        }
        assert!(mailbox.is_full());
        for _ in 0..1000 {
            mailbox.post(Mail::Durable);
            mailbox.post(Mail::Resume);
        }
        let (mails, was_full) = mailbox.take();
        assert_eq!((mails.len(), was_full), (10, true), "of those that say the same there is one");
        assert!(!mailbox.is_full());
        mailbox.post(Mail::Durable);
        assert_eq!(mailbox.take().0.len(), 1);
    }
}
