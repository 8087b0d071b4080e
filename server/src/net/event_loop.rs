//! An event loop: a thread that reads, does commands, writes them as one batch, and sends replies, for the connections that it has.
//!
//! A round: what is readable is read and done, connection by connection; then the batch is written; then each client is sent its replies
//! with one call. Nothing in here waits but the poll. Where a reply must wait for the disk it is held ([`Output::hold`]) and
//! the thread goes on.
//!
//! [`Output::hold`]: super::output::Output::hold

mod waits;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use slab::Slab;

use super::accept::{Listener, is_welcome};
use super::connection::Connection;
use super::driver::{Gets, drive};
use super::mail::{Mail, Mailbox};
use super::transport::Transport;
use crate::commands::{pubsub, transactions};
use crate::keyspace::blocked::{Address, Wish};
use crate::keyspace::work::Work;
use crate::server::Server;
use crate::session::{Client, Session, Wait};

const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 64;

/// How much is read from a connection before others have their turn.
const READ_AT_ONCE: usize = 64 << 10;

/// See the module.
pub struct EventLoop {
    index: usize,
    server: Arc<Server>,
    poll: Poll,
    mailbox: Arc<Mailbox>,
    listeners: Vec<Listener>,
    connections: Slab<Option<Box<Connection>>>,
    work: Work,
    gets: Gets,
    buffer: Vec<u8>,
    /// Connections that have something to send, or to do after the batch.
    listed: Vec<usize>,
    /// Connections that have more to read.
    again: Vec<usize>,
    /// Connections whose replies wait for the disk, or that wait for it themselves.
    held: BTreeSet<usize>,
    /// Connections whose next command waits for a pause.
    paused: BTreeSet<usize>,
    /// When waits end.
    deadlines: BTreeSet<(Instant, usize, u64)>,
    /// The last batch when the last round was finished. What was written since then is what replies wait for.
    finished_ticket: u64,
    /// A connection that waits could not be accepted.
    must_accept: bool,
    commands: u64,
    /// Reads of sockets that gave something, and writes.
    reads: u64,
    writes: u64,
    next_second: Instant,
    ends_at: Option<Instant>,
}

impl EventLoop {
    /// A loop without connections, with the listening sockets that it has to watch.
    pub fn new(
        index: usize,
        server: Arc<Server>,
        poll: Poll,
        mailbox: Arc<Mailbox>,
        listeners: Vec<Listener>,
    ) -> io::Result<Self> {
        let mut listeners = listeners;
        for (n, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(FIRST_LISTENER + n))?;
        }
        let work = Work::new(server.keyspace.clone());
        server.tallies.add(work.tally.clone());
        Ok(EventLoop {
            index,
            work,
            server,
            poll,
            mailbox,
            listeners,
            connections: Slab::new(),
            gets: Gets::default(),
            buffer: vec![0; READ_AT_ONCE],
            listed: Vec::new(),
            again: Vec::new(),
            held: BTreeSet::new(),
            paused: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            finished_ticket: 0,
            must_accept: false,
            commands: 0,
            reads: 0,
            writes: 0,
            next_second: Instant::now(),
            ends_at: None,
        })
    }

    /// What wakes a loop, and its mailbox.
    pub fn poll() -> io::Result<(Poll, Arc<Mailbox>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, Arc::new(Mailbox::new(waker))))
    }

    /// Works until the server ends and what was to be sent is sent.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("an event loop cannot go on: {error}");
                return self.server.end();
            }
            let started = Instant::now();
            self.work.has_listeners = self.server.settings.has_events.load(Ordering::Relaxed);
            // Before anything is read: a message that came before a command is heard before its reply.
            let (mails, was_full) = self.mailbox.take();
            for mail in mails {
                self.receive(mail);
            }
            if was_full {
                self.server.post_all(|| Mail::Resume);
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    Token(n) if n < FIRST_CONNECTION => self.accept(n - FIRST_LISTENER),
                    Token(n) => {
                        let at = n - FIRST_CONNECTION;
                        if event.is_writable() {
                            self.list(at);
                        }
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.read(at, event.is_read_closed() || event.is_error());
                        }
                    }
                }
            }
            for at in std::mem::take(&mut self.again) {
                self.read(at, false);
            }
            self.end_waits(started);
            self.finish_round();
            self.each_second(started);
            let stats = &self.server.stats;
            let (commands, micros) =
                (std::mem::take(&mut self.commands), started.elapsed().as_micros() as u64);
            if commands > 0 {
                stats.commands.fetch_add(commands, Ordering::Relaxed);
                stats.durations.note(micros, commands);
            }
            for (taken, total) in [
                (&mut self.work.hits, &stats.hits),
                (&mut self.work.misses, &stats.misses),
                (&mut self.reads, &stats.reads),
                (&mut self.writes, &stats.writes),
            ] {
                if *taken > 0 {
                    total.fetch_add(std::mem::take(taken), Ordering::Relaxed);
                }
            }
            stats.rounds.fetch_add(1, Ordering::Relaxed);
            stats.round_micros.fetch_add(micros, Ordering::Relaxed);
            if let Some(ends_at) = self.ends_at {
                // Who still waits then was given something: its message is on the way.
                let all_sent = self.connections.iter().all(|(_, it)| {
                    it.as_ref().is_none_or(|it| it.output.unsent() == 0 && it.session.wait.is_none())
                });
                if all_sent || started >= ends_at {
                    return;
                }
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.listed.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let deadline = self.deadlines.first().map(|(at, ..)| at.saturating_duration_since(now));
        let pause = (!self.paused.is_empty()).then(|| Duration::from_millis(10));
        let second = self.next_second.saturating_duration_since(now);
        let ends = self.ends_at.map(|_| Duration::from_millis(10));
        [deadline, pause, Some(second), ends].into_iter().flatten().min()
    }

    fn accept(&mut self, listener: usize) {
        loop {
            let Some(listener) = self.listeners.get(listener) else { return };
            let keepalive_s = self.server.settings.keepalive_s.load(Ordering::Relaxed);
            match listener.accept(keepalive_s) {
                Ok(mut transport) => {
                    if self.ends_at.is_none() && is_welcome(&self.server, &mut transport) {
                        self.hand_out(transport);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // There may be descriptors or memory again in a moment; nobody will say so.
                    log::warn!("a connection could not be accepted: {error}");
                    self.must_accept = true;
                    return;
                }
            }
        }
    }

    /// Gives a connection to one of the loops, in turn.
    fn hand_out(&mut self, transport: Transport) {
        let loops = self.server.mailboxes.get().map_or(1, Vec::len).max(1);
        let turn = self.server.stats.connections.load(Ordering::Relaxed) as usize % loops;
        if turn == self.index {
            self.adopt(transport);
        } else {
            self.server.post(turn, Mail::Adopt(Box::new(transport)));
        }
    }

    fn adopt(&mut self, mut transport: Transport) {
        let entry = self.connections.vacant_entry();
        let token = entry.key();
        if let Err(error) = transport.register(self.poll.registry(), Token(FIRST_CONNECTION + token)) {
            log::warn!("a connection could not be watched: {error}");
            return;
        }
        let (peer, local) = transport.ends("unix");
        let address = Address { event_loop: self.index, token, client: self.server.next_client() };
        let client = Arc::new(Client::new(address, peer, local, self.server.uptime_ms()));
        self.server.clients.lock().insert(address.client, client.clone());
        let is_trusted = self.server.settings.password.read().is_empty();
        entry.insert(Some(Box::new(Connection::new(transport, Session::new(client, is_trusted)))));
    }

    /// Has a connection looked at when the batch is written.
    fn list(&mut self, at: usize) {
        if let Some(Some(connection)) = self.connections.get_mut(at)
            && !connection.is_listed
        {
            connection.is_listed = true;
            self.listed.push(at);
        }
    }

    /// Reads what a client has sent, and does it. `is_closed`: the other end will send no more.
    fn read(&mut self, at: usize, is_closed: bool) {
        let Some(slot) = self.connections.get_mut(at) else { return };
        let Some(mut connection) = slot.take() else { return };
        connection.session.is_at_end |= is_closed;
        let mut taken = 0;
        loop {
            let is_done = connection.may_go_on();
            if !is_done && !connection.may_be_read() {
                connection.is_readable = true;
                // Who waits for an element and is gone must not be given one.
                let takes = |(waiter, _): &Wait| waiter.wish.takes_elements();
                connection.is_gone |=
                    connection.session.is_at_end && connection.session.wait.as_ref().is_some_and(takes);
                break;
            }
            connection.is_readable = false;
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = connection.transport.read(&mut buffer);
            match &read {
                Ok(count) if *count > 0 => self.take_in(&mut connection, &buffer[..*count], is_done),
                _ => {}
            }
            let size = buffer.len();
            self.buffer = buffer;
            match read {
                Ok(0) => {
                    connection.session.is_at_end = true;
                    connection.has_ended = true;
                    break;
                }
                Ok(count) => {
                    taken += count;
                    // A short read of a plain socket says that nothing more is there, unless it is the end.
                    if count < size && connection.transport.is_plain() && !connection.session.is_at_end {
                        break;
                    }
                    if taken >= READ_AT_ONCE {
                        self.again.push(at);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    connection.is_gone = true;
                    break;
                }
            }
        }
        self.put_back(at, connection);
    }

    fn put_back(&mut self, at: usize, mut connection: Box<Connection>) {
        if connection.is_paused {
            self.paused.insert(at);
        }
        if let Some((waiter, deadline)) = &connection.session.wait {
            if let Some(deadline) = deadline {
                self.deadlines.insert((*deadline, at, connection.session.id()));
            }
            if matches!(waiter.wish, Wish::Durable { .. }) {
                self.held.insert(at);
            }
        }
        if !connection.is_listed {
            connection.is_listed = true;
            self.listed.push(at);
        }
        if let Some(slot) = self.connections.get_mut(at) {
            *slot = Some(connection);
        }
    }

    /// Does what stands in new input, behind what was left of the last; only keeps it where that `is_done` later.
    fn take_in(&mut self, connection: &mut Connection, new: &[u8], is_done: bool) {
        self.reads += 1;
        self.server.stats.input_bytes.fetch_add(new.len() as u64, Ordering::Relaxed);
        connection.session.client.heard_ms.store(self.server.uptime_ms(), Ordering::Relaxed);
        if is_done && connection.input.is_empty() {
            let (done, count) = drive(&self.server, &mut self.work, connection, &mut self.gets, new);
            self.commands += count;
            connection.input.extend_from_slice(&new[done..]);
            return;
        }
        let left = connection.input.len() - connection.input_done;
        connection.input.reserve(connection.parser.wanted().saturating_sub(left).min(32 << 20));
        connection.input.extend_from_slice(new);
        if is_done {
            self.go_on(connection);
        }
    }

    /// Does what stands in the input.
    fn go_on(&mut self, connection: &mut Connection) {
        let input = std::mem::take(&mut connection.input);
        let rest = input.get(connection.input_done..).unwrap_or_default();
        let (done, count) = drive(&self.server, &mut self.work, connection, &mut self.gets, rest);
        self.commands += count;
        connection.input_done += done;
        if connection.input_done >= input.len() {
            connection.input_done = 0;
            return;
        }
        connection.input = input;
        // Not each time, or a long pipeline would be moved again and again.
        if connection.input_done > connection.input.len() / 2 {
            connection.input.drain(..connection.input_done);
            connection.input_done = 0;
        }
    }

    /// Goes on with a connection that waited.
    fn resume(&mut self, at: usize) {
        let Some(Some(connection)) = self.connections.get(at) else { return };
        if !connection.may_go_on() {
            return;
        }
        let is_readable = connection.is_readable;
        if !connection.input.is_empty() {
            let Some(mut connection) = self.connections.get_mut(at).and_then(Option::take) else { return };
            self.go_on(&mut connection);
            self.put_back(at, connection);
        }
        if is_readable {
            self.read(at, false);
        }
    }

    /// Writes the batch, and sends what may be sent.
    fn finish_round(&mut self) {
        let is_watched = self.server.settings.latency_ms.load(Ordering::Relaxed) > 0;
        let begun = is_watched.then(Instant::now);
        self.work.commit();
        if let Some(begun) = begun {
            let nanos = begun.elapsed().as_nanos() as u64;
            self.server.latency.note(&self.server.settings, "aof-write", nanos);
        }
        for (mark, text) in std::mem::take(&mut self.work.failures).into_iter().rev() {
            if let Some(Some(connection)) = self.connections.get_mut(mark.token) {
                connection.output.replace(mark.range, &text);
            }
        }
        let ticket = self.work.ticket;
        for event in std::mem::take(&mut self.work.told) {
            pubsub::publish_event(&self.server, &event, ticket);
        }
        for outgoing in std::mem::take(&mut self.work.sent) {
            self.server.post(
                outgoing.to.event_loop,
                Mail::Served { to: outgoing.to, bytes: outgoing.bytes, ticket },
            );
        }
        if std::mem::take(&mut self.work.wants_pause) {
            self.server.pause.store_is_behind();
        }
        // Also by what was done when the last round had been finished.
        let has_written = ticket != self.finished_ticket;
        self.finished_ticket = ticket;
        if has_written && self.server.durability.is_always() {
            // Before the first connection is told to wait: the sync begins meanwhile.
            self.server.durability.want(ticket);
        }
        for at in std::mem::take(&mut self.listed) {
            // Once for all that is there: a reply to a write of this round may stand in front of what was given with an older ticket.
            let connection = self.connections.get_mut(at).and_then(Option::as_mut);
            let given = connection.map_or(0, |connection| std::mem::take(&mut connection.given_ticket));
            self.hold(at, if has_written { ticket.max(given) } else { given });
            self.finish(at);
        }
    }

    /// Sends what a connection is to be sent; closes it where that is the end.
    fn finish(&mut self, at: usize) {
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        connection.is_listed = false;
        let unsent = connection.output.unsent();
        if std::mem::take(&mut connection.session.must_be_durable) {
            let ticket = self.server.keyspace.written.count();
            self.server.durability.want(ticket);
            if ticket > self.server.durability.durable() {
                connection.output.hold(ticket);
                self.held.insert(at);
                // Then it never will be, and nobody will say so again.
                connection.is_gone |= self.server.durability.failure().is_some();
            }
        }
        if !connection.is_gone || unsent > 0 {
            connection.flush();
            self.writes += u64::from(unsent > 0);
        }
        let sent = unsent - connection.output.unsent();
        self.server.stats.output_bytes.fetch_add(sent as u64, Ordering::Relaxed);
        if sent > 0
            && let Some(feed) = &connection.session.feed
        {
            feed.was_sent(connection.output.unsent());
        }
        let is_all_sent = connection.output.unsent() == 0;
        if sent > 0 && !is_all_sent {
            // Who reads a long reply is not silent.
            connection.session.client.heard_ms.store(self.server.uptime_ms(), Ordering::Relaxed);
        }
        if connection.is_gone || (connection.session.ends && is_all_sent) {
            return self.close(at);
        }
        let waits_for_room = !connection.input.is_empty() || connection.is_readable;
        if waits_for_room && sent > 0 && connection.may_go_on() {
            self.resume(at);
        } else if connection.has_ended && is_all_sent && connection.may_go_on() {
            // What is left of the input is a part of a command.
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        let Some(mut connection) = self.connections.try_remove(at).flatten() else { return };
        self.held.remove(&at);
        self.paused.remove(&at);
        let session = &mut connection.session;
        if let Some((waiter, deadline)) = session.wait.take() {
            if let Some(deadline) = deadline {
                self.deadlines.remove(&(deadline, at, session.id()));
            }
            waiter.decide();
            self.server.keyspace.blocked.remove(&waiter);
        }
        transactions::unwatch(session, &self.server.keyspace);
        pubsub::leave_all(&self.server, session);
        self.server.feeds.leave(session, &self.server.keyspace);
        self.server.clients.lock().remove(&session.id());
    }

    fn each_second(&mut self, now: Instant) {
        if !self.paused.is_empty() {
            self.end_pauses();
        }
        if now < self.next_second {
            return;
        }
        self.next_second = now + Duration::from_secs(1);
        if std::mem::take(&mut self.must_accept) {
            (0..self.listeners.len()).for_each(|listener| self.accept(listener));
        }
        let timeout_s = self.server.settings.timeout_s.load(Ordering::Relaxed);
        if timeout_s == 0 {
            return;
        }
        let now_ms = self.server.uptime_ms();
        let mut silent = Vec::new();
        for (at, connection) in &self.connections {
            if let Some(connection) = connection
                && now_ms.saturating_sub(connection.session.client.heard_ms.load(Ordering::Relaxed))
                    > timeout_s * 1000
                && connection.session.wait.is_none()
                && !connection.session.is_subscriber()
            {
                silent.push(at);
            }
        }
        silent.into_iter().for_each(|at| self.close(at));
    }
}

/// Whether an error of `accept` says nothing of the connections behind that one.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}
