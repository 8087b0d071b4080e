//! One connection: its socket, what it has sent and what it is to be sent.

use std::io;
use std::sync::atomic::Ordering;

use super::output::Output;
use super::transport::Transport;
use crate::resp::request::Parser;
use crate::session::Session;

/// With so much that it was not sent, a client's commands wait: who does not read is not worked for.
pub const MOST_UNSENT: usize = 1 << 20;

/// Of a client whose commands wait for that, so much is read all the same: one that sends all of its commands before it reads a reply would
/// else never read.
const MOST_INPUT: usize = 64 << 20;

/// See the module.
pub struct Connection {
    /// The connection's socket.
    pub transport: Transport,
    /// What the client chose.
    pub session: Session,
    /// What was read and not done.
    pub input: Vec<u8>,
    /// How many bytes at the beginning of the input were done.
    pub input_done: usize,
    /// How far the first command of it was read.
    pub parser: Parser,
    /// What is to be sent.
    pub output: Output,
    /// There may be more to read.
    pub is_readable: bool,
    /// The next command waits until a pause is over.
    pub is_paused: bool,
    /// All that the other end will ever send was read.
    pub has_ended: bool,
    /// The socket has failed, or the client is to be disconnected.
    pub is_gone: bool,
    /// The connection is in the list of those that are to be flushed.
    pub is_listed: bool,
    /// What another event loop gave it must be durable up to this ticket before it is sent. Looked at when the round is finished: commands
    /// that were done since then have a later ticket.
    pub given_ticket: u64,
}

impl Connection {
    /// A connection that has just come.
    pub fn new(transport: Transport, session: Session) -> Self {
        Connection {
            transport,
            session,
            input: Vec::new(),
            input_done: 0,
            parser: Parser::default(),
            output: Output::default(),
            is_readable: false,
            is_paused: false,
            has_ended: false,
            is_gone: false,
            is_listed: false,
            given_ticket: 0,
        }
    }

    /// Whether its next command may be done now.
    pub fn may_go_on(&self) -> bool {
        self.waits_for_nothing() && self.output.unsent() <= MOST_UNSENT
    }

    /// Whether more may be read of it that is done later.
    pub fn may_be_read(&self) -> bool {
        self.waits_for_nothing() && self.input.len() < MOST_INPUT
    }

    fn waits_for_nothing(&self) -> bool {
        !self.is_gone && !self.session.ends && self.session.wait.is_none() && !self.is_paused
    }

    /// Sends what may be sent and there is room for.
    pub fn flush(&mut self) {
        if let Err(error) = self.try_flush()
            && error.kind() != io::ErrorKind::WouldBlock
        {
            self.is_gone = true;
        }
        let client = &self.session.client;
        client.unsent.store(self.output.unsent() as u64, Ordering::Relaxed);
        client.input.store((self.input.len() - self.input_done) as u64, Ordering::Relaxed);
        let buffers = self.input.capacity() + self.output.bytes.capacity();
        client.buffers.store(buffers as u64, Ordering::Relaxed);
    }

    fn try_flush(&mut self) -> io::Result<()> {
        self.transport.flush()?;
        while !self.output.ready().is_empty() {
            let ready = self.output.ready();
            let all = ready.len();
            match self.transport.write(ready) {
                Ok(0) if self.transport.is_plain() => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.output.was_sent(count);
                    if count < all && self.transport.is_plain() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
