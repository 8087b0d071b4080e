//! What an event loop does when what a connection waited for has come: messages, the disk, the end of a pause or of a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::connection::Connection;
use super::super::mail::Mail;
use super::EventLoop;
use crate::commands::fault::not_durable;
use crate::commands::waitaof_reply;
use crate::keyspace::blocked::{Address, Wish};
use crate::resp::reply::Reply;

impl EventLoop {
    pub(super) fn receive(&mut self, mail: Mail) {
        match mail {
            Mail::Adopt(transport) => self.adopt(*transport),
            Mail::Bytes { to, bytes, ticket } => {
                let most = self.server.settings.max_pubsub_output.load(Ordering::Relaxed);
                if let Some(connection) = self.at(to) {
                    connection.output.bytes.extend_from_slice(&bytes);
                    if connection.output.unsent() as u64 > most {
                        log::warn!("client {} does not read its messages and is disconnected", to.client);
                        connection.is_gone = true;
                    }
                    connection.given_ticket = connection.given_ticket.max(ticket);
                    self.list(to.token);
                }
            }
            Mail::Served { to, bytes, ticket } => {
                if let Some(connection) = self.at(to) {
                    if let Some((waiter, deadline)) = connection.session.wait.take() {
                        self.server.keyspace.blocked.remove(&waiter);
                        if let Some(deadline) = deadline {
                            self.deadlines.remove(&(deadline, to.token, to.client));
                        }
                    }
                    let Some(connection) = self.at(to) else { return };
                    if connection.session.wants_late_reply() {
                        connection.output.bytes.extend_from_slice(&bytes);
                    }
                    connection.session.publish_state();
                    connection.given_ticket = connection.given_ticket.max(ticket);
                    self.list(to.token);
                    self.resume(to.token);
                }
            }
            Mail::Feed { feed, bytes, seq, is_last } => {
                let to = feed.client().address;
                if let Some(connection) = self.at(to)
                    && connection.session.feed.as_ref().is_some_and(|its| Arc::ptr_eq(its, &feed))
                {
                    connection.output.bytes.extend_from_slice(&bytes);
                    feed.was_taken(bytes.len(), seq, connection.output.unsent());
                    if is_last {
                        connection.session.feed = None;
                    }
                    self.list(to.token);
                }
            }
            Mail::Kill(to) => {
                if let Some(connection) = self.at(to) {
                    connection.is_gone = true;
                    self.list(to.token);
                }
            }
            Mail::Durable => self.release_held(),
            Mail::Resume => self.end_pauses(),
            Mail::End => {
                self.ends_at.get_or_insert_with(|| Instant::now() + Duration::from_secs(2));
                self.listeners.clear();
                self.give_up_waits();
            }
        }
    }

    /// The server ends: who waits will not be given anything. Who was given something already is told so first.
    fn give_up_waits(&mut self) {
        for (_, connection) in &mut self.connections {
            let Some(connection) = connection else { continue };
            self.server.feeds.leave(&mut connection.session, &self.server.keyspace);
            if let Some((waiter, _)) = connection.session.wait.take_if(|(waiter, _)| waiter.decide()) {
                self.server.keyspace.blocked.remove(&waiter);
                // A reply to what it has sent behind would be taken for that of its wait.
                connection.session.ends = true;
            }
        }
    }

    fn at(&mut self, to: Address) -> Option<&mut Box<Connection>> {
        let connection = self.connections.get_mut(to.token)?.as_mut()?;
        (connection.session.id() == to.client).then_some(connection)
    }

    /// What a connection is to be sent waits until this ticket is durable, where clients were promised that.
    pub(super) fn hold(&mut self, at: usize, ticket: u64) {
        let durability = &self.server.durability;
        if ticket > durability.durable()
            && durability.is_always()
            && let Some(Some(connection)) = self.connections.get_mut(at)
        {
            connection.output.hold(ticket);
            self.held.insert(at);
            // Also where the promise was another when the batch was written.
            durability.want(ticket);
            // Then it never will be durable, and nobody will say so again.
            connection.is_gone |= self.server.durability.failure().is_some();
        }
    }

    pub(super) fn release_held(&mut self) {
        let (durable, failure) = (self.server.durability.durable(), self.server.durability.failure());
        for at in std::mem::take(&mut self.held) {
            let Some(Some(connection)) = self.connections.get_mut(at) else { continue };
            connection.output.release(durable);
            if connection.output.is_held() {
                // Nobody knows what became of these writes: the client is told nothing.
                connection.is_gone |= failure.is_some();
                self.held.insert(at);
            }
            if let Some((waiter, _)) = &connection.session.wait
                && let Wish::Durable { ticket } = waiter.wish
            {
                if ticket <= durable || failure.is_some() {
                    self.end_wait(at, |reply| match &failure {
                        Some(why) if ticket > durable => reply.error(&not_durable(why)),
                        _ => waitaof_reply(reply, true),
                    });
                } else {
                    self.held.insert(at);
                }
            }
            self.list(at);
        }
    }

    pub(super) fn end_pauses(&mut self) {
        for at in std::mem::take(&mut self.paused) {
            if let Some(Some(connection)) = self.connections.get_mut(at) {
                connection.is_paused = false;
                self.resume(at);
            }
        }
    }

    /// Tells clients that waited long enough that there is nothing.
    pub(super) fn end_waits(&mut self, now: Instant) {
        while let Some((deadline, token, client)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let to = Address { event_loop: self.index, token, client };
            let Some(connection) = self.at(to) else { continue };
            let Some((waiter, Some(until))) = &connection.session.wait else { continue };
            if *until != deadline {
                continue;
            }
            let wish = waiter.wish.clone();
            self.end_wait(token, |reply| match wish {
                Wish::Sleep => reply.ok(),
                Wish::Durable { .. } => waitaof_reply(reply, false),
                _ => reply.null_array(),
            });
        }
    }

    /// Ends the wait of a connection with this reply, unless somebody else has decided what becomes of it, and goes on with it.
    fn end_wait(&mut self, at: usize, write: impl FnOnce(&mut Reply<'_>)) {
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        let session = &mut connection.session;
        let Some((waiter, deadline)) = session.wait.take_if(|(waiter, _)| waiter.decide()) else { return };
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, at, session.id()));
        }
        let begin = connection.output.bytes.len();
        write(&mut Reply { out: &mut connection.output.bytes, is_resp3: session.is_resp3 });
        if !session.wants_late_reply() {
            connection.output.bytes.truncate(begin);
        }
        session.publish_state();
        self.server.keyspace.blocked.remove(&waiter);
        self.list(at);
        self.resume(at);
    }
}
