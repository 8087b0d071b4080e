//! Does the commands that stand in what a client has sent, one after the other. GETs that follow each other are looked up together.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smallvec::SmallVec;

use super::connection::{Connection, MOST_UNSENT};
use super::output::Output;
use crate::commands::fault::text_of_store;
use crate::commands::{self, Command, Context, Flags, dispatch, table};
use crate::keyspace::MAX_KEY;
use crate::keyspace::work::Work;
use crate::resp::reply::Reply;
use crate::resp::request::{Found, Limits};
use crate::server::Server;
use crate::session::{Replies, Session};
use crate::tally::Tally;

static GET: LazyLock<Option<&'static Command>> = LazyLock::new(|| table::find(b"get"));

/// How many GETs are looked up together at most, and how many at first: while their values are small, more each time.
const MOST_GETS: usize = 128;
const FIRST_GETS: usize = 16;
/// Values that are small together.
const SMALL: usize = 64 << 10;

/// GETs whose replies are due.
#[derive(Default)]
pub struct Gets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Where each begins in the input.
    starts: Vec<usize>,
}

impl Gets {
    fn push(&mut self, place: u8, key: &[u8], start: usize) {
        self.bytes.push(place);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.starts.push(start);
    }

    /// Replies to them, until the output has no more room. Gives the place in the input of the first that has no reply, and how many have none.
    fn answer(
        &mut self,
        server: &Server,
        work: &mut Work,
        session: &Session,
        output: &mut Output,
    ) -> Option<(usize, u64)> {
        if self.ends.is_empty() {
            return None;
        }
        let mut keys: SmallVec<[&[u8]; 32]> = SmallVec::with_capacity(self.ends.len());
        let mut begin = 0;
        for end in &self.ends {
            keys.push(&self.bytes[begin..*end]);
            begin = *end;
        }
        let slow = server.settings.slowlog_micros.load(Ordering::Relaxed) as i64;
        let started = Instant::now();
        let (mut hits, mut answered, mut at_once) = (0, 0, FIRST_GETS);
        while answered < keys.len() && (answered == 0 || output.unsent() <= MOST_UNSENT) {
            let some = &keys[answered..keys.len().min(answered + at_once)];
            let before = output.bytes.len();
            let (found, replied) = look_up(work, session, some, &mut output.bytes);
            hits += found;
            answered += replied;
            let is_small = output.bytes.len() - before <= SMALL;
            at_once = if is_small { at_once * 2 } else { FIRST_GETS };
        }
        let left = keys.len() - answered;
        let nanos = started.elapsed().as_nanos() as u64;
        work.tally.done(GET.map_or(0, |get| get.number), answered as u64, nanos);
        if nanos >= nanos_of(slow) {
            log_slow(server, session, &keys[..answered], nanos / 1000, slow as u64);
        }
        if nanos >= LATENCY {
            server.latency.note(&server.settings, "fast-command", nanos);
        }
        drop(keys);
        work.hits += hits;
        work.misses += answered as u64 - hits;
        let unanswered = self.starts.get(answered).map(|start| (*start, left as u64));
        self.bytes.clear();
        self.ends.clear();
        self.starts.clear();
        unanswered
    }
}

/// No shorter time is an event of LATENCY, in nanoseconds.
pub const LATENCY: u64 = 1_000_000;

/// The time from which on a command is in the log of slow commands, in nanoseconds; none for a negative number of microseconds.
#[inline]
pub fn nanos_of(slow: i64) -> u64 {
    u64::try_from(slow).map_or(u64::MAX, |micros| micros.saturating_mul(1000))
}

/// Puts GETs that were looked up together into the log of slow commands: each, if they were slow by themselves, else the first for all.
#[cold]
fn log_slow(server: &Server, session: &Session, keys: &[&[u8]], micros: u64, slow: u64) {
    let most = server.settings.slowlog_len.load(Ordering::Relaxed) as usize;
    let each = micros / keys.len().max(1) as u64;
    let (count, micros) = if each >= slow { (keys.len(), each) } else { (1, micros) };
    for key in keys.iter().take(count) {
        server.slowlog.add(&[b"GET", key.get(1..).unwrap_or_default()], micros, &session.client, most);
    }
}

/// Replies to GETs of these keys, or of the first of them where their values are large: how many were there, and how many have a reply.
fn look_up(work: &mut Work, session: &Session, keys: &[&[u8]], out: &mut Vec<u8>) -> (u64, usize) {
    let (begin, many_begun) = (out.len(), work.many_begun());
    let mut reply = Reply { out, is_resp3: session.is_resp3 };
    let (mut hits, mut replied) = (0, 0);
    if !work.must_wait() {
        let tally = &work.tally;
        let mut show = |shown: filedb::Shown<'_>| {
            if reply.out.len() - begin <= MOST_UNSENT {
                hits += answer(&mut reply, tally, shown);
                replied += 1;
            }
        };
        if let Err(error) = work.db().read_many(keys, &mut show) {
            keys.iter().for_each(|_| show(Err(error.clone())));
        }
        // Where a batch of several keys began meanwhile, one GET may have seen it and the next one not.
        if work.many_begun() == many_begun {
            return (hits, replied);
        }
        reply.out.truncate(begin);
        (hits, replied) = (0, 0);
    }
    let tally = work.tally.clone();
    for key in keys {
        if reply.out.len() - begin > MOST_UNSENT {
            break;
        }
        replied += 1;
        let shown = work.peek(key, |found| match found {
            Some(found) if found.is_list => answer(&mut reply, &tally, Err(filedb::Error::WrongType)),
            found => answer(&mut reply, &tally, Ok(found.map(|found| found.value))),
        });
        hits += shown.unwrap_or_else(|error| answer(&mut reply, &tally, Err(error)));
    }
    (hits, replied)
}

/// One reply: how many hits it is.
fn answer(reply: &mut Reply<'_>, tally: &Tally, shown: filedb::Shown<'_>) -> u64 {
    match shown {
        Ok(Some(value)) => {
            reply.bulk(value);
            1
        }
        Ok(None) => {
            reply.null();
            0
        }
        Err(error) => {
            let text = text_of_store(&error);
            tally.replied(&text);
            tally.failed(GET.map_or(0, |get| get.number));
            reply.error(&text);
            u64::from(matches!(error, filedb::Error::WrongType))
        }
    }
}

/// Does the commands in `input` that can be done now: how many bytes they took, and how many they were.
pub fn drive(
    server: &Server,
    work: &mut Work,
    connection: &mut Connection,
    gets: &mut Gets,
    input: &[u8],
) -> (usize, u64) {
    let (mut done, mut count) = (0, 0);
    // When the command before ended, if nothing was done since: reading the clock is a part of what a short command costs.
    let mut ended = None;
    let token = connection.session.client.address.token;
    let settings = &server.settings;
    while done < input.len() && connection.may_go_on() {
        if connection.parser.has_found() {
            // A command that had to wait is looked at anew.
            connection.parser.reset();
        }
        let Connection { parser, session, output, is_paused, .. } = &mut *connection;
        let limits = Limits {
            max_bulk: settings.max_bulk.load(Ordering::Relaxed),
            max_command: settings.max_query.load(Ordering::Relaxed),
            is_trusted: session.is_trusted,
        };
        let rest = &input[done..];
        let length = match parser.parse(rest, &limits) {
            Ok(Found::Part) => break,
            Ok(Found::Nothing(length)) => length,
            Ok(Found::Command(length)) => {
                let args = parser.arguments(rest);
                let command = dispatch::find(&args);
                if let (Ok(get), [_, key]) = (&command, args.as_slice())
                    && is_quick_get(get, session, work, key)
                    && !server.pause.holds(false, || server.uptime_ms())
                {
                    gets.push(work.keyspace.databases.place(session.database), key, done);
                    ended = None;
                    session.last = Some(get);
                    if gets.ends.len() >= MOST_GETS
                        && let Some((start, left)) = gets.answer(server, work, session, output)
                    {
                        (done, count) = (start, count + 1 - left);
                        break;
                    }
                } else {
                    if let Some((start, left)) = gets.answer(server, work, session, output) {
                        (done, count) = (start, count - left);
                        break;
                    }
                    if let Ok(command) = &command
                        && must_pause(server, session, command, work.has_listeners)
                    {
                        *is_paused = true;
                        break;
                    }
                    let begin = output.end();
                    ended = Some(one(server, work, session, &mut output.bytes, (command, &args), ended));
                    work.mark(token, begin..output.end());
                    if !work.pushed.is_empty() {
                        commands::serve_pushed(work);
                        ended = None;
                    }
                }
                count += 1;
                length
            }
            Err(why) => {
                if let Some((start, left)) = gets.answer(server, work, session, output) {
                    parser.reset();
                    (done, count) = (start, count - left);
                    break;
                }
                let mut reply = Reply { out: &mut output.bytes, is_resp3: session.is_resp3 };
                reply.error(&format!("ERR Protocol error: {why}"));
                session.ends = true;
                break;
            }
        };
        connection.parser.reset();
        done += length;
    }
    if let Some((start, left)) = gets.answer(server, work, &connection.session, &mut connection.output) {
        connection.parser.reset();
        (done, count) = (start, count - left);
    }
    (done, count)
}

/// Whether a command is a GET that nothing stands against looking up together with others.
#[inline]
fn is_quick_get(command: &'static Command, session: &Session, work: &Work, key: &[u8]) -> bool {
    GET.is_some_and(|get| std::ptr::eq(get, command))
        && session.is_trusted
        && session.queue.is_none()
        && !session.is_subscriber()
        && session.replies == Replies::On
        && work.is_empty()
        && key.len() <= MAX_KEY
}

fn must_pause(server: &Server, session: &Session, command: &Command, has_listeners: bool) -> bool {
    let executes = command.name == "exec"
        && session
            .queue
            .as_ref()
            .is_some_and(|queue| queue.commands.iter().any(|queued| queued.command.flags.has(Flags::WRITE)));
    let is_write = (command.flags.has(Flags::WRITE) && session.queue.is_none()) || executes;
    // Who sends others more than they come to read waits for them, as all do where one thread does everything.
    let tells = command.name == "publish" || command.name == "exec" || (is_write && has_listeners);
    if tells && server.has_full_mailbox() {
        return true;
    }
    let is_exempt = command.flags.has(Flags::NO_AUTH) || command.flags.has(Flags::ADMIN);
    !is_exempt && server.pause.holds(is_write, || server.uptime_ms())
}

/// A command with its arguments, or why there is none.
type Request<'a> = (commands::fault::Result<&'static Command>, &'a [&'a [u8]]);

/// Notes a command that may have taken too long.
#[cold]
pub fn was_slow(server: &Server, session: &Session, (command, args): (&Command, &[&[u8]]), nanos: u64) {
    let settings = &server.settings;
    let slow = settings.slowlog_micros.load(Ordering::Relaxed) as i64;
    // What a transaction did is noted command by command.
    if nanos >= nanos_of(slow) && command.name != "exec" && session.wait.is_none() {
        let most = settings.slowlog_len.load(Ordering::Relaxed) as usize;
        server.slowlog.add(args, nanos / 1000, &session.client, most);
    }
    if nanos >= LATENCY && session.wait.is_none() {
        let is_fast = command.flags.has(Flags::FAST);
        server.latency.note(settings, if is_fast { "fast-command" } else { "command" }, nanos);
    }
}

/// Does one command, which began at `started`, or now: when it ended.
fn one(
    server: &Server,
    work: &mut Work,
    session: &mut Session,
    out: &mut Vec<u8>,
    (command, args): Request<'_>,
    started: Option<Instant>,
) -> Instant {
    let begin = out.len();
    if let Ok(command) = command
        && session.last.is_none_or(|last| !std::ptr::eq(last, command))
    {
        session.last = Some(command);
        session.client.known.lock().command = command.name;
    }
    let started = started.unwrap_or_else(Instant::now);
    let command = match command {
        Ok(command) => {
            let is_done = dispatch::run(&mut Context { server, work, session, out }, Ok(command), args);
            is_done.then_some(command)
        }
        Err(fault) => {
            dispatch::run(&mut Context { server, work, session, out }, Err(fault), args);
            None
        }
    };
    let ended = Instant::now();
    let nanos = ended.duration_since(started).as_nanos() as u64;
    if let Some(command) = command {
        work.tally.done(command.number, 1, nanos);
        let slow = server.settings.slowlog_micros.load(Ordering::Relaxed) as i64;
        if nanos >= nanos_of(slow).min(LATENCY) {
            was_slow(server, session, (command, args), nanos);
        }
    }
    session.replies = match session.replies {
        Replies::Off => {
            out.truncate(begin);
            Replies::Off
        }
        Replies::Skip => {
            out.truncate(begin);
            // The reply of who waits comes later.
            if session.wait.is_some() { Replies::Skip } else { Replies::On }
        }
        Replies::SkipNext => Replies::Skip,
        Replies::On => Replies::On,
    };
    ended
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backups::Backups;
    use crate::durability::{Durability, Promise};
    use crate::keyspace::Keyspace;
    use crate::keyspace::blocked::Address;
    use crate::net::event_loop::EventLoop;
    use crate::settings::Settings;

    #[test]
    fn who_publishes_waits_while_a_mailbox_is_full() {
        let db = filedb::Db::open("memory://", &filedb::Options::default()).unwrap();
        let keyspace = Arc::new(Keyspace::new(db).unwrap());
        let durability = Durability::new(Arc::new(Promise::new(filedb::SyncMode::None)));
        let server = Server::new(keyspace, Settings::default(), durability, Arc::new(Backups::new(None)));
        let (_poll, mailbox) = EventLoop::poll().unwrap();
        assert!(server.mailboxes.set(vec![mailbox.clone()]).is_ok());
        let to = Address { event_loop: 0, token: 0, client: 1 };
        let session =
            Session::new(Arc::new(crate::session::Client::new(to, String::new(), String::new(), 0)), true);
        let waits = |name: &str, has_listeners| {
            must_pause(&server, &session, table::find(name.as_bytes()).unwrap(), has_listeners)
        };
        let all = || [waits("publish", false), waits("set", true), waits("set", false), waits("get", true)];
        assert_eq!(all(), [false; 4]);
        server.send(to, vec![0; 9 << 20].into(), 0);
        assert_eq!(all(), [true, true, false, false], "who tells others waits, and nobody else");
        mailbox.take();
        assert_eq!(all(), [false; 4]);
    }
}
