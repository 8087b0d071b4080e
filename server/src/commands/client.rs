//! CLIENT: who is connected, and what may be done about it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Context;
use super::args::{int, int_within, is, text, timeout_ms};
use super::fault::{Fault, Result, SYNTAX};
use super::table::{Command, Flags, Keys, command};
use crate::keyspace::blocked::Wish;
use crate::net::mail::Mail;
use crate::resp::reply::Reply;
use crate::session::{Client, Replies, Session};

const PLAIN: Flags = Flags(Flags::NO_SCRIPT.0);
const ADMIN: Flags = Flags(Flags::NO_SCRIPT.0 | Flags::ADMIN.0);

const fn line(
    name: &'static str,
    arity: i32,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
) -> Command {
    command(name, client, arity, flags, Keys::NONE, "connection", since, summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[Command {
    name: "client",
    handler: client,
    arity: -2,
    flags: Flags::NONE,
    keys: Keys::NONE,
    group: "connection",
    since: "2.4.0",
    summary: "A container for client connection commands.",
    subcommands: &[
        line("client|id", 2, PLAIN, "5.0.0", "Returns the unique client ID of the connection."),
        line("client|setname", 3, PLAIN, "2.6.9", "Sets the connection name."),
        line("client|getname", 2, PLAIN, "2.6.9", "Returns the name of the connection."),
        line("client|setinfo", 4, PLAIN, "7.2.0", "Sets information specific to the client or connection."),
        line("client|list", -2, ADMIN, "2.4.0", "Lists open connections."),
        line("client|info", 2, PLAIN, "6.2.0", "Returns information about the connection."),
        line("client|kill", -3, ADMIN, "2.4.0", "Terminates open connections."),
        line("client|no-evict", 3, ADMIN, "7.0.0", "Sets the client eviction mode of the connection."),
        line(
            "client|no-touch",
            3,
            PLAIN,
            "7.2.0",
            "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
        ),
        line("client|reply", 3, PLAIN, "3.2.0", "Instructs the server whether to reply to commands."),
        line("client|pause", -3, ADMIN, "3.0.0", "Suspends commands processing."),
        line("client|unpause", 2, ADMIN, "6.2.0", "Resumes processing commands from paused clients."),
        line(
            "client|unblock",
            -3,
            ADMIN,
            "5.0.0",
            "Unblocks a client blocked by a blocking command from a different connection.",
        ),
        super::help::line("client|help", "connection", "5.0.0"),
    ],
    number: 0,
}];

/// A name that a client may have.
pub fn checked_name(name: &[u8]) -> Result<String> {
    match std::str::from_utf8(name) {
        Ok(name) if name.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) => Ok(name.to_owned()),
        _ => Err(Fault::from("ERR Client names cannot contain spaces, newlines or special characters.")),
    }
}

fn client(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let word = args[1].to_ascii_lowercase();
    match word.as_slice() {
        b"id" => {
            let id = context.session.id();
            context.reply().int(id as i64);
        }
        b"setname" => {
            let name = checked_name(args[2])?;
            context.session.client.known.lock().name = name;
            context.reply().ok();
        }
        b"getname" => {
            let name = context.session.client.known.lock().name.clone();
            context.reply().bulk_or_null(Some(name.as_bytes()).filter(|name| !name.is_empty()));
        }
        b"setinfo" => set_info(context, args)?,
        b"list" => list(context, args)?,
        b"info" => {
            let line = describe(context, &context.session.client.clone());
            context.reply().verbatim(&line);
        }
        b"kill" => kill(context, args)?,
        b"no-evict" | b"no-touch" => {
            let on = on_or_off(args[2])?;
            let mut known = context.session.client.known.lock();
            if word == b"no-evict" {
                known.no_evict = on
            } else {
                known.no_touch = on
            }
            drop(known);
            context.reply().ok();
        }
        b"reply" => {
            context.session.replies = match args[2] {
                word if is(word, "ON") => Replies::On,
                word if is(word, "OFF") => Replies::Off,
                word if is(word, "SKIP") => match context.session.replies {
                    Replies::Off => Replies::Off,
                    _ => Replies::SkipNext,
                },
                _ => return Err(Fault::from(SYNTAX)),
            };
            if context.session.replies == Replies::On {
                context.reply().ok();
            }
        }
        b"pause" => {
            let all = match args.get(3..) {
                Some([]) | None => true,
                Some([word]) if is(word, "ALL") => true,
                Some([word]) if is(word, "WRITE") => false,
                _ => return Err(Fault::from("ERR CLIENT PAUSE mode must be WRITE or ALL")),
            };
            let millis = timeout_ms(args[2])?;
            context.server.pause.until(context.server.uptime_ms().saturating_add(millis as u64), all);
            context.reply().ok();
        }
        b"unpause" => {
            context.server.pause.end_clients_pause();
            context.server.post_all(|| Mail::Resume);
            context.reply().ok();
        }
        b"unblock" => unblock(context, args)?,
        _ => return Err(Fault::from(SYNTAX)),
    }
    Ok(())
}

fn on_or_off(word: &[u8]) -> Result<bool> {
    match word {
        word if is(word, "ON") => Ok(true),
        word if is(word, "OFF") => Ok(false),
        _ => Err(Fault::from(SYNTAX)),
    }
}

fn set_info(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let value = args[3];
    let name = text(args[2]);
    if !value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Err(Fault::from(format!(
            "ERR {name} cannot contain spaces, newlines or special characters."
        )));
    }
    let mut known = context.session.client.known.lock();
    match args[2] {
        word if is(word, "LIB-NAME") => known.library = text(value),
        word if is(word, "LIB-VER") => known.library_version = text(value),
        _ => return Err(Fault::from(format!("ERR Unrecognized option '{name}'"))),
    }
    drop(known);
    context.reply().ok();
    Ok(())
}

/// A line of CLIENT LIST.
fn describe(context: &Context<'_>, client: &Client) -> String {
    let known = client.known.lock().clone();
    let load = |place: &std::sync::atomic::AtomicU64| place.load(Ordering::Relaxed);
    let (channels, patterns) = (load(&client.channels), load(&client.patterns));
    let queued = client.queued.load(Ordering::Relaxed);
    let mut flags = String::new();
    for (is_set, flag) in [
        (channels + patterns > 0, 'P'),
        (queued >= 0, 'x'),
        (client.is_blocked.load(Ordering::Relaxed), 'b'),
        (known.no_evict, 'e'),
        (known.no_touch, 'T'),
    ] {
        if is_set {
            flags.push(flag);
        }
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let (queued_bytes, unsent, buffers) =
        (load(&client.queued_bytes), load(&client.unsent), load(&client.buffers));
    let all = size_of::<Client>() as u64 + size_of::<Session>() as u64 + queued_bytes + buffers;
    format!(
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={channels} psub={patterns} ssub=0 multi={queued} \
         qbuf={} qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl={unsent} oll=0 omem={unsent} tot-mem={all} \
         events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
        client.address.client,
        client.peer,
        client.local,
        known.name,
        client.since.elapsed().as_secs(),
        context.server.uptime_ms().saturating_sub(load(&client.heard_ms)) / 1000,
        load(&client.database),
        load(&client.input),
        if known.command.is_empty() { "NULL" } else { known.command },
        if client.is_resp3.load(Ordering::Relaxed) { 3 } else { 2 },
        known.library,
        known.library_version,
    )
}

fn is_of_type(client: &Client, kind: &[u8]) -> Result<bool> {
    let listens = client.channels.load(Ordering::Relaxed) + client.patterns.load(Ordering::Relaxed) > 0;
    match kind {
        kind if is(kind, "normal") => Ok(!listens),
        kind if is(kind, "pubsub") => Ok(listens),
        kind if is(kind, "master") || is(kind, "replica") || is(kind, "slave") => Ok(false),
        kind => Err(Fault::from(format!("ERR Unknown client type '{}'", text(kind)))),
    }
}

fn list(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let clients: Vec<Arc<Client>> = context.server.clients.lock().values().cloned().collect();
    let mut lines = String::new();
    match args[2..] {
        [] => clients.iter().for_each(|client| lines.push_str(&describe(context, client))),
        [word, kind] if is(word, "TYPE") => {
            for client in &clients {
                if is_of_type(client, kind)? {
                    lines.push_str(&describe(context, client));
                }
            }
            is_of_type(&context.session.client, kind)?;
        }
        [word, ref ids @ ..] if is(word, "ID") && !ids.is_empty() => {
            for id in ids {
                let id = int(id).map_err(|_| Fault::from("ERR Invalid client ID"))?;
                if let Some(client) = clients.iter().find(|client| client.address.client as i64 == id) {
                    lines.push_str(&describe(context, client));
                }
            }
        }
        _ => return Err(Fault::from(SYNTAX)),
    }
    context.reply().verbatim(&lines);
    Ok(())
}

fn kill(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let clients: Vec<Arc<Client>> = context.server.clients.lock().values().cloned().collect();
    let own = context.session.id();
    let is_old = args.len() == 3;
    let (mut skip_me, mut victims) = (!is_old, clients);
    if is_old {
        victims.retain(|client| client.peer.as_bytes() == args[2]);
    } else {
        if !args.len().is_multiple_of(2) {
            return Err(Fault::from(SYNTAX));
        }
        for pair in args[2..].chunks_exact(2) {
            match pair[0] {
                word if is(word, "ID") => {
                    let id = int_within(pair[1], 1, i64::MAX, "ERR client-id should be greater than 0")?;
                    victims.retain(|client| client.address.client as i64 == id);
                }
                word if is(word, "ADDR") => victims.retain(|client| client.peer.as_bytes() == pair[1]),
                word if is(word, "LADDR") => victims.retain(|client| client.local.as_bytes() == pair[1]),
                word if is(word, "USER") => {
                    if pair[1] != b"default" {
                        return Err(Fault::from(format!("ERR No such user '{}'", text(pair[1]))));
                    }
                }
                word if is(word, "MAXAGE") => {
                    let age =
                        int_within(pair[1], 0, i64::MAX, "ERR maxage is not an integer or out of range")?;
                    victims.retain(|client| client.since.elapsed().as_secs() as i64 >= age);
                }
                word if is(word, "TYPE") => {
                    is_of_type(&context.session.client, pair[1])?;
                    victims.retain(|client| is_of_type(client, pair[1]).unwrap_or(false));
                }
                word if is(word, "SKIPME") => {
                    skip_me = match pair[1] {
                        word if is(word, "yes") => true,
                        word if is(word, "no") => false,
                        _ => return Err(Fault::from(SYNTAX)),
                    }
                }
                _ => return Err(Fault::from(SYNTAX)),
            }
        }
    }
    if skip_me {
        victims.retain(|client| client.address.client != own);
    }
    for client in &victims {
        if client.address.client == own {
            context.session.ends = true;
        } else {
            // Who looks next does not see it any more, also where another loop has yet to close it.
            context.server.clients.lock().remove(&client.address.client);
            context.server.post(client.address.event_loop, Mail::Kill(client.address));
        }
    }
    match (is_old, victims.len()) {
        (true, 0) => return Err(Fault::from("ERR No such client")),
        (true, _) => context.reply().ok(),
        (false, count) => context.reply().count(count),
    }
    Ok(())
}

fn unblock(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let is_error = match args[3..] {
        [] => false,
        [word] if is(word, "TIMEOUT") => false,
        [word] if is(word, "ERROR") => true,
        _ => return Err(Fault::from("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = int(args[2])?;
    let waiter = context.work.keyspace.blocked.of_client(id as u64).filter(|waiter| waiter.decide());
    if let Some(waiter) = &waiter {
        let mut bytes = Vec::new();
        let mut reply = Reply { out: &mut bytes, is_resp3: waiter.is_resp3 };
        match (&waiter.wish, is_error) {
            (_, true) => reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            (Wish::Durable { .. }, false) => super::waitaof_reply(&mut reply, false),
            (_, false) => reply.null_array(),
        }
        let to = waiter.address;
        context.server.post(to.event_loop, Mail::Served { to, bytes, ticket: 0 });
    }
    context.reply().flag(waiter.is_some());
    Ok(())
}
