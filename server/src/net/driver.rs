//! Does the commands that stand in what a client has sent, one after the other. GETs that follow each other are looked up together.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smallvec::SmallVec;

use super::connection::{Connection, MOST_UNSENT};
use crate::commands::fault::text_of_store;
use crate::commands::{self, Command, Context, Flags, dispatch, table};
use crate::keyspace::MAX_KEY;
use crate::keyspace::work::Work;
use crate::resp::reply::Reply;
use crate::resp::request::{Found, Limits};
use crate::server::Server;
use crate::session::{Replies, Session};

static GET: LazyLock<Option<&'static Command>> = LazyLock::new(|| table::find(b"get"));

/// So many GETs are looked up together at most.
const MOST_GETS: usize = 128;

/// GETs whose replies are due.
#[derive(Default)]
pub struct Gets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Gets {
    fn push(&mut self, place: u8, key: &[u8]) {
        self.bytes.push(place);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// Replies to all of them.
    fn answer(&mut self, server: &Server, work: &mut Work, session: &Session, out: &mut Vec<u8>) {
        if self.ends.is_empty() {
            return;
        }
        let mut keys: SmallVec<[&[u8]; 32]> = SmallVec::with_capacity(self.ends.len());
        let mut begin = 0;
        for end in &self.ends {
            keys.push(&self.bytes[begin..*end]);
            begin = *end;
        }
        let mut reply = Reply { out, is_resp3: session.is_resp3 };
        let (mut hits, count) = (0, keys.len() as u64);
        let mut answer = |shown: filedb::Shown<'_>| match shown {
            Ok(Some(value)) => {
                hits += 1;
                reply.bulk(value);
            }
            Ok(None) => reply.null(),
            Err(error) => reply.error(&text_of_store(&error)),
        };
        if work.must_wait() {
            for key in &keys {
                let shown = work.find(key, |found| match found {
                    Some(found) if found.is_list => answer(Err(filedb::Error::WrongType)),
                    found => answer(Ok(found.map(|found| found.value))),
                });
                if let Err(error) = shown {
                    answer(Err(error));
                }
            }
        } else if let Err(error) = work.db().read_many(&keys, &mut answer) {
            keys.iter().for_each(|_| answer(Err(error.clone())));
        }
        drop(keys);
        server.stats.hits.fetch_add(hits, Ordering::Relaxed);
        server.stats.misses.fetch_add(count - hits, Ordering::Relaxed);
        self.bytes.clear();
        self.ends.clear();
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
                    gets.push(work.keyspace.databases.place(session.database), key);
                    session.last = Some(get);
                    if gets.ends.len() >= MOST_GETS || output.unsent() > MOST_UNSENT {
                        gets.answer(server, work, session, &mut output.bytes);
                    }
                } else {
                    gets.answer(server, work, session, &mut output.bytes);
                    if let Ok(command) = &command
                        && must_pause(server, session, command)
                    {
                        *is_paused = true;
                        break;
                    }
                    let begin = output.end();
                    one(server, work, session, &mut output.bytes, command, &args);
                    work.mark(token, begin..output.end());
                    if !work.pushed.is_empty() {
                        commands::serve_pushed(work);
                    }
                }
                count += 1;
                length
            }
            Err(why) => {
                gets.answer(server, work, session, &mut output.bytes);
                let mut reply = Reply { out: &mut output.bytes, is_resp3: session.is_resp3 };
                reply.error(&format!("ERR Protocol error: {why}"));
                session.ends = true;
                break;
            }
        };
        connection.parser.reset();
        done += length;
    }
    gets.answer(server, work, &connection.session, &mut connection.output.bytes);
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

fn must_pause(server: &Server, session: &Session, command: &Command) -> bool {
    let executes = command.name == "exec"
        && session
            .queue
            .as_ref()
            .is_some_and(|queue| queue.commands.iter().any(|queued| queued.command.flags.has(Flags::WRITE)));
    let is_write = (command.flags.has(Flags::WRITE) && session.queue.is_none()) || executes;
    let is_exempt = command.flags.has(Flags::NO_AUTH) || command.flags.has(Flags::ADMIN);
    !is_exempt && server.pause.holds(is_write, || server.uptime_ms())
}

fn one(
    server: &Server,
    work: &mut Work,
    session: &mut Session,
    out: &mut Vec<u8>,
    command: commands::fault::Result<&'static Command>,
    args: &[&[u8]],
) {
    let begin = out.len();
    if let Ok(command) = command
        && session.last.is_none_or(|last| !std::ptr::eq(last, command))
    {
        session.last = Some(command);
        session.client.known.lock().command = command.name;
    }
    let slow = server.settings.slowlog_micros.load(Ordering::Relaxed) as i64;
    let started = (slow >= 0).then(Instant::now);
    let name = command.as_ref().map(|command| command.name).unwrap_or_default();
    dispatch::run(&mut Context { server, work, session, out }, command, args);
    if let Some(started) = started {
        let micros = started.elapsed().as_micros() as u64;
        if micros >= slow as u64 && name != "exec" && session.wait.is_none() {
            let most = server.settings.slowlog_len.load(Ordering::Relaxed) as usize;
            server.slowlog.add(args, micros, &session.client, most);
        }
    }
    session.replies = match session.replies {
        Replies::Off => {
            out.truncate(begin);
            Replies::Off
        }
        Replies::Skip => {
            out.truncate(begin);
            Replies::On
        }
        Replies::SkipNext => Replies::Skip,
        Replies::On => Replies::On,
    };
}
