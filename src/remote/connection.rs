//! One connection to a server: requests out, replies in, all of it until a moment and not longer.
//!
//! A timeout of a socket counts for one read; a server that sends a byte now and then would hold a call for ever. So the moment at which
//! a call ends is compared at every read and write, and the socket's timeouts are only what wakes us.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::refusal::{Detour, detour};
use super::reply::{BUFFER, NoReply, Replies, Reply};
use super::tls::Tls;
use super::url::Host;
use crate::disk::process;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused};
use crate::store::options::Secret;

/// The moment at which a call ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is this far from now.
    pub fn after(time: Duration) -> Self {
        Deadline(Instant::now() + time)
    }

    /// The earlier one: this, or so long from now.
    pub fn or_after(self, time: Duration) -> Self {
        Deadline(self.0.min(Instant::now() + time))
    }

    /// How long it is until then.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// What is asked, and which kinds of replies answer it; an error of the server's always does.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The command and its arguments.
    pub args: &'a [&'a [u8]],
    /// A set of kinds.
    pub expects: u8,
}

/// Kinds of replies, for [`Request::expects`].
pub const SIMPLE: u8 = 1;
/// See [`SIMPLE`].
pub const NUMBER: u8 = 2;
/// See [`SIMPLE`].
pub const BYTES: u8 = 4;
/// See [`SIMPLE`].
pub const NIL: u8 = 8;
/// See [`SIMPLE`].
pub const ARRAY: u8 = 16;

impl Request<'_> {
    fn is_answered_by(&self, reply: &Reply) -> bool {
        let kind = match reply {
            Reply::Error(_) => return true,
            Reply::Simple(_) => SIMPLE,
            Reply::Number(_) => NUMBER,
            Reply::Bytes(_) => BYTES,
            Reply::Nil => NIL,
            Reply::Array(_) => ARRAY,
        };
        self.expects & kind != 0
    }
}

/// Where a server refuses everything at the moment, and not only this.
fn not_now(said: &[u8]) -> Option<Unconnected> {
    let why = match detour(said)? {
        Detour::LaterAnew if said.starts_with(b"ERR") => "it has as many clients as it may have".into(),
        _ => {
            let word = said.split(|byte| *byte == b' ').next().unwrap_or_default();
            format!("it takes no requests at the moment: {}", word.escape_ascii())
        }
    };
    Some(Unconnected::Transient(why))
}

/// Whether a request begins a transaction.
pub fn is_begin(request: &Request<'_>) -> bool {
    request.args == [b"MULTI"]
}

/// Why requests were not answered. The connection is of no use any more.
#[derive(Debug)]
pub enum Broken {
    /// The server did not get all of the first request, so it has done nothing.
    Unsent(String),
    /// The server may have done what was asked.
    Unanswered(String),
    /// The server may have done what was asked, and there is no memory for its reply.
    NoMemory(u64),
    /// The server has done nothing, because there was no memory to ask it.
    Unasked(u64),
}

impl Broken {
    /// What happened, for people.
    pub fn words(self) -> String {
        match self {
            Broken::Unsent(why) | Broken::Unanswered(why) => why,
            Broken::Unasked(bytes) => format!("there are no {bytes} bytes of memory to ask it"),
            Broken::NoMemory(bytes) => {
                format!("its reply takes more memory than there is for one: the next {bytes} bytes of it")
            }
        }
    }
}

/// How servers are reached and what they are told first.
pub struct Access {
    /// Whom, if not the default user.
    pub user: Secret,
    /// What proves that the user is this one.
    pub password: Secret,
    /// The number of the database.
    pub database: u32,
    /// How connections are protected, if they are.
    pub tls: Option<Tls>,
    /// The longest time that connecting takes.
    pub connect_timeout: Duration,
    /// The longest time that a call takes.
    pub timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Unconnected {
    /// The server may be there in a moment.
    Transient(String),
    /// Trying again is of no use.
    Refused(Error),
}

impl From<io::Error> for Unconnected {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::OutOfMemory => Unconnected::Refused(Error::NoMemory { bytes: BUFFER as u64 }),
            _ => Unconnected::Transient(words(&error)),
        }
    }
}

impl From<Broken> for Unconnected {
    fn from(why: Broken) -> Self {
        match why {
            Broken::NoMemory(bytes) | Broken::Unasked(bytes) => {
                Unconnected::Refused(Error::NoMemory { bytes })
            }
            why => Unconnected::Transient(why.words()),
        }
    }
}

/// A value of at least so many bytes is not copied on its way out.
const COPIED: usize = 16 << 10;
/// Requests go out in pieces of about so many bytes.
const PIECE: usize = 64 << 10;
/// A connection that nobody has used for so long is looked at before it is used for a write.
const IDLE: Duration = Duration::from_millis(20);

/// How many requests are sent before their replies are read. The replies to more may fill what lies between us and a server that then reads
/// no more.
const MOST_UNANSWERED: usize = 8192;

/// A connection.
pub struct Connection {
    stream: Stream,
    replies: Replies,
    out: Vec<u8>,
    used: Instant,
    /// Whether all that was asked is answered.
    is_clean: bool,
    /// Whether the server has begun a transaction for us.
    has_transactions: bool,
}

impl Connection {
    /// Connects, and tells the server who we are.
    pub fn open(host: &Host, access: &Access, deadline: Deadline) -> std::result::Result<Self, Unconnected> {
        let deadline = deadline.or_after(access.connect_timeout);
        let tcp = connect(host, deadline)?;
        tcp.set_nodelay(true)?;
        let wire =
            Wire { tcp, deadline, reads: access.timeout, writes: access.timeout, usual: access.timeout };
        wire.tcp.set_read_timeout(Some(access.timeout))?;
        wire.tcp.set_write_timeout(Some(access.timeout))?;
        let stream = match &access.tls {
            None => Stream::Plain(wire),
            Some(tls) => {
                let connection = tls.connection(&host.name).map_err(Unconnected::Transient)?;
                let mut stream = StreamOwned::new(connection, wire);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock).map_err(|why| {
                        Unconnected::Transient(format!("TLS was not agreed on: {}", words(&why)))
                    })?;
                }
                Stream::Tls(Box::new(stream))
            }
        };
        let replies = Replies::new()?;
        let mut connection = Connection {
            stream,
            replies,
            out: Vec::new(),
            used: Instant::now(),
            is_clean: true,
            has_transactions: false,
        };
        connection.greet(access, deadline)?;
        Ok(connection)
    }

    fn greet(&mut self, access: &Access, deadline: Deadline) -> std::result::Result<(), Unconnected> {
        let mut budget = 1 << 16;
        let mut ask =
            |args: &[&[u8]]| match self.exchange(&[Request { args, expects: SIMPLE }], deadline, &mut budget)
            {
                Ok(replies) => Ok(replies.into_iter().next().unwrap_or(Reply::Nil)),
                Err(why) => Err(Unconnected::from(why)),
            };
        if !access.password.is_empty() {
            let (user, password) = (access.user.reveal(), access.password.reveal());
            let answer = match user {
                b"" => ask(&[b"AUTH", password])?,
                user => ask(&[b"AUTH", user, password])?,
            };
            // Not in the server's own words: one that does not know the command repeats what it was given.
            if let Reply::Error(said) = answer {
                if let Some(later) = not_now(&said) {
                    return Err(later);
                }
                return Err(Unconnected::Refused(Error::invalid(
                    "the server does not accept this user and password, or asks for none",
                )));
            }
        }
        if access.database != 0
            && let Reply::Error(said) = ask(&[b"SELECT", access.database.to_string().as_bytes()])?
        {
            if let Some(later) = not_now(&said) {
                return Err(later);
            }
            let number = access.database;
            return Err(Unconnected::Refused(match said.starts_with(b"NOAUTH") {
                true => {
                    Error::invalid("the server asks for a password, and the URL and the options have none")
                }
                false => Error::invalid(format!("the server gives no access to a database number {number}")),
            }));
        }
        Ok(())
    }

    /// Sends requests and reads their replies. Where the server refuses to begin a transaction, nothing of it is sent, and that is the reply to
    /// all of it: its commands would be done one by one.
    pub fn exchange(
        &mut self,
        requests: &[Request<'_>],
        deadline: Deadline,
        budget: &mut u64,
    ) -> std::result::Result<Vec<Reply>, Broken> {
        let unasked = |refused: Refused| Broken::Unasked(refused.bytes as u64);
        memory::room_for_more().map_err(unasked)?;
        // What is sent goes in pieces that are larger by one argument at most.
        let args = requests.iter().flat_map(|request| request.args);
        let size = args.map(|arg| if arg.len() < COPIED { arg.len() + 64 } else { 64 }).sum::<usize>();
        memory::reserve(&mut self.out, size.min(PIECE + COPIED)).map_err(unasked)?;
        let mut replies = memory::vec_with_room(requests.len()).map_err(unasked)?;
        self.is_clean = false;
        self.stream.wire().deadline = deadline;
        let mut rest = requests;
        // A server that takes one takes more: asked once for each connection.
        if let Some(at) = requests.iter().position(is_begin).filter(|_| !self.has_transactions) {
            let (begin, others) = requests.split_at(at + 1);
            self.round_trip(begin, budget, &mut replies).map_err(|why| match why {
                // Nothing that changes something was sent yet.
                Broken::Unanswered(why) => Broken::Unsent(why),
                other => other,
            })?;
            if let Some(refusal @ Reply::Error(_)) = replies.last() {
                let refusal = refusal.clone();
                replies.resize(requests.len(), refusal);
                rest = &[];
            } else {
                self.has_transactions = true;
                rest = others;
            }
        }
        // Not all before the first reply is read: the server's replies have only so much room on the way.
        for part in rest.chunks(MOST_UNANSWERED) {
            self.round_trip(part, budget, &mut replies)?;
        }
        if self.replies.has_more() {
            return Err(Broken::Unanswered("more came than was asked for".into()));
        }
        self.used = Instant::now();
        self.is_clean = true;
        Ok(replies)
    }

    fn round_trip(
        &mut self,
        requests: &[Request<'_>],
        budget: &mut u64,
        replies: &mut Vec<Reply>,
    ) -> std::result::Result<(), Broken> {
        let is_first = replies.is_empty();
        self.send(requests).map_err(|error| match (&self.stream, requests) {
            // What did not go to the kernel whole did not arrive whole. TLS says less about what went.
            (Stream::Plain(_), [_]) if is_first => Broken::Unsent(words(&error)),
            _ => Broken::Unanswered(words(&error)),
        })?;
        for request in requests {
            let reply = self.replies.next(&mut self.stream, budget).map_err(|why| match why {
                NoReply::Io(error) => Broken::Unanswered(words(&error)),
                NoReply::Rubbish(what) => {
                    Broken::Unanswered(format!("what came is no reply of a Valkey server: {what}"))
                }
                NoReply::TooMuch { bytes } => Broken::NoMemory(bytes),
            })?;
            if !request.is_answered_by(&reply) {
                let name = request.args.first().copied().unwrap_or_default().escape_ascii();
                return Err(Broken::Unanswered(format!("what came is no reply to the command {name}")));
            }
            replies.push(reply);
        }
        Ok(())
    }

    fn send(&mut self, requests: &[Request<'_>]) -> io::Result<()> {
        self.out.clear();
        for request in requests {
            self.put(b'*', request.args.len())?;
            for arg in request.args {
                self.put(b'$', arg.len())?;
                if arg.len() >= COPIED {
                    self.flush()?;
                    self.stream.write_all(arg)?;
                } else {
                    self.out.try_reserve(arg.len()).map_err(|_| ErrorKind::OutOfMemory)?;
                    self.out.extend_from_slice(arg);
                }
                self.out.try_reserve(2).map_err(|_| ErrorKind::OutOfMemory)?;
                self.out.extend_from_slice(b"\r\n");
            }
            if self.out.len() >= PIECE {
                self.flush()?;
            }
        }
        self.flush()?;
        self.stream.flush()
    }

    fn put(&mut self, kind: u8, number: usize) -> io::Result<()> {
        self.out.try_reserve(24).map_err(|_| ErrorKind::OutOfMemory)?;
        self.out.push(kind);
        write!(self.out, "{number}\r\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Whether it can be used again.
    pub fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// Whether the server is still at the other end, as far as can be told without asking it. Looks only at one that was idle for a
    /// while: a server that went away since then is the case in which a write would be in doubt for no reason.
    pub fn is_alive(&mut self) -> bool {
        if self.used.elapsed() < IDLE {
            return true;
        }
        let tcp = &self.stream.wire().tcp;
        if tcp.set_nonblocking(true).is_err() {
            return false;
        }
        let is_silent = match &mut self.stream {
            Stream::Plain(wire) => {
                matches!(wire.tcp.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
            }
            Stream::Tls(stream) => is_silent(&mut stream.conn, &stream.sock.tcp),
        };
        self.stream.wire().tcp.set_nonblocking(false).is_ok() && is_silent
    }
}

/// Whether a server has said nothing over TLS, and has not ended it: what it sends besides replies is taken in. For a socket that does not wait.
fn is_silent(tls: &mut ClientConnection, mut tcp: &TcpStream) -> bool {
    loop {
        match tls.read_tls(&mut tcp) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        match tls.process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
            _ => return false,
        }
    }
}

/// The most memory that the replies of one call take.
pub fn reply_budget() -> u64 {
    process::memory_share(4, 64 << 20..=1 << 30)
}

/// Connects to the first address of a host that answers.
fn connect(host: &Host, deadline: Deadline) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match host.name.parse::<IpAddr>() {
        Ok(address) => vec![(address, host.port).into()],
        Err(_) => (host.name.as_str(), host.port).to_socket_addrs()?.collect(),
    };
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    let count = addresses.len();
    for (n, address) in addresses.into_iter().enumerate() {
        let left = deadline.left();
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        // One that does not answer leaves time for those behind it.
        let share = left / u32::try_from(count - n).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What happened, for people.
fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer came in time".into(),
        ErrorKind::UnexpectedEof => "the connection was closed".into(),
        _ => error.to_string(),
    }
}

enum Stream {
    Plain(Wire),
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Stream {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Stream::Plain(wire) => wire,
            Stream::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(wire) => wire.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(wire) => wire.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(wire) => wire.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A socket whose reads and writes end at a moment.
struct Wire {
    tcp: TcpStream,
    deadline: Deadline,
    /// What the socket's timeouts are now.
    reads: Duration,
    writes: Duration,
    /// What they are for a call that has all of its time.
    usual: Duration,
}

/// The timeout of a socket for a call that has so much time left, if it is another than the one it has. Small differences are left
/// alone: each change is a system call.
fn timeout(now: Duration, left: Duration, usual: Duration) -> Option<Duration> {
    let slack = usual / 32;
    let is_fine = now <= left.saturating_add(slack) && now >= left / 4;
    (!is_fine).then_some(left)
}

impl Wire {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.left();
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(timeout) = timeout(self.reads, self.left()?, self.usual) {
                self.tcp.set_read_timeout(Some(timeout))?;
                self.reads = timeout;
            }
            match self.tcp.read(buffer) {
                Err(error) if is_a_pause(&error) => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(timeout) = timeout(self.writes, self.left()?, self.usual) {
                self.tcp.set_write_timeout(Some(timeout))?;
                self.writes = timeout;
            }
            match self.tcp.write(bytes) {
                Err(error) if is_a_pause(&error) => {}
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the call may go on when there is time: a signal came, or the socket's own timeout.
fn is_a_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Something that answers no reply of a server.
pub fn strange() -> Error {
    Error::Connection { message: "the server answered something else than it was asked".into() }
}

/// The only reply.
pub fn only(replies: Vec<Reply>) -> Result<Reply> {
    replies.into_iter().next().ok_or_else(strange)
}
