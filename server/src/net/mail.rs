//! Messages from one event loop, or another thread, to an event loop.

use std::sync::Arc;

use mio::Waker;
use parking_lot::Mutex;

use super::transport::Transport;
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
    /// A client is to be disconnected.
    Kill(Address),
    /// More is durable, or nothing will be any more.
    Durable,
    /// Who waited may go on.
    Resume,
    /// The server ends.
    End,
}

/// Where an event loop gets messages.
pub struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    waker: Waker,
}

impl Mailbox {
    /// An empty one.
    pub fn new(waker: Waker) -> Self {
        Mailbox { mails: Mutex::default(), waker }
    }

    /// Adds a message, and wakes the loop where it is the first.
    pub fn post(&self, mail: Mail) {
        let is_first = {
            let mut mails = self.mails.lock();
            mails.push(mail);
            mails.len() == 1
        };
        if is_first && let Err(error) = self.waker.wake() {
            log::error!("an event loop could not be woken: {error}");
        }
    }

    /// Takes all messages.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.mails.lock())
    }
}
