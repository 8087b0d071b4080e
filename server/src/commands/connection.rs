//! The connection itself: who the client is, and what it speaks.

use super::args::{int, int32, is, text};
use super::fault::{Fault, Result, SYNTAX};
use super::pubsub;
use super::table::{Command, Flags, Keys, command};
use super::{Context, transactions, wrong_number};
use crate::keyspace::DATABASES;
use crate::session::Replies;

const PLAIN: Flags = Flags(Flags::FAST.0 | Flags::NO_SCRIPT.0);
const OPEN: Flags = Flags(PLAIN.0 | Flags::NO_AUTH.0);

/// The version of Redis whose semantics this is.
pub const VERSION: &str = "7.2.0";

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "ping",
        ping,
        -1,
        Flags(Flags::FAST.0 | Flags::SUBSCRIBER.0),
        Keys::NONE,
        "connection",
        "1.0.0",
        "Returns the server's liveliness response.",
    ),
    command("echo", echo, 2, Flags::FAST, Keys::NONE, "connection", "1.0.0", "Returns the given string."),
    command(
        "quit",
        quit,
        -1,
        Flags(OPEN.0 | Flags::NOT_QUEUED.0 | Flags::SUBSCRIBER.0),
        Keys::NONE,
        "connection",
        "1.0.0",
        "Closes the connection.",
    ),
    command("auth", auth, -2, OPEN, Keys::NONE, "connection", "1.0.0", "Authenticates the connection."),
    command("hello", hello, -1, OPEN, Keys::NONE, "connection", "6.0.0", "Handshakes with the server."),
    command(
        "select",
        select,
        2,
        Flags::FAST,
        Keys::NONE,
        "connection",
        "1.0.0",
        "Changes the selected database.",
    ),
    command(
        "reset",
        reset,
        1,
        Flags(OPEN.0 | Flags::NOT_QUEUED.0 | Flags::SUBSCRIBER.0),
        Keys::NONE,
        "connection",
        "6.2.0",
        "Resets the connection.",
    ),
];

fn ping(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if args.len() > 2 {
        return Err(wrong_number("ping"));
    }
    if context.session.is_subscriber() && !context.session.is_resp3 {
        let mut reply = context.reply();
        reply.array(2);
        reply.bulk(b"pong");
        reply.bulk(args.get(1).copied().unwrap_or_default());
        return Ok(());
    }
    match args.get(1) {
        Some(word) => context.reply().bulk(word),
        None => context.reply().simple("PONG"),
    }
    Ok(())
}

fn echo(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.reply().bulk(args[1]);
    Ok(())
}

fn quit(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    context.session.ends = true;
    context.reply().ok();
    Ok(())
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let different = one.iter().zip(other).fold(0, |different, (a, b)| different | (a ^ b));
    one.len() == other.len() && std::hint::black_box(different) == 0
}

fn authenticate(context: &mut Context<'_>, user: &[u8], password: &[u8]) -> Result {
    let expected = context.server.settings.password.read().clone();
    let is_right = user == b"default" && (expected.is_empty() || is_equal(password, expected.as_bytes()));
    if !is_right {
        return Err(Fault::from("WRONGPASS invalid username-password pair or user is disabled."));
    }
    context.session.is_trusted = true;
    Ok(())
}

fn auth(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match args[1..] {
        [password] => {
            if context.server.settings.password.read().is_empty() {
                return Err(Fault::from(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            authenticate(context, b"default", password)?;
        }
        [user, password] => authenticate(context, user, password)?,
        _ => return Err(Fault::from(SYNTAX)),
    }
    context.reply().ok();
    Ok(())
}

fn hello(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut is_resp3 = context.session.is_resp3;
    if let Some(version) = args.get(1) {
        let version = int(version)
            .map_err(|_| Fault::from("ERR Protocol version is not an integer or out of range"))?;
        if !(2..=3).contains(&version) {
            return Err(Fault::from("NOPROTO unsupported protocol version"));
        }
        is_resp3 = version == 3;
    }
    if is_resp3 != context.session.is_resp3 && context.session.feed.is_some() {
        // Messages that were made already, and not sent yet, are of the version that it has.
        return Err(Fault::from(
            "ERR this connection follows the changes in the other version of the protocol: end that first with FILEDB.FEED STOP",
        ));
    }
    let mut name = None;
    let mut rest = args.get(2..).unwrap_or_default();
    while let Some((word, more)) = rest.split_first() {
        rest = match more {
            [user, password, more @ ..] if is(word, "AUTH") => {
                authenticate(context, user, password)?;
                more
            }
            [value, more @ ..] if is(word, "SETNAME") => {
                name = Some(super::client::checked_name(value)?);
                more
            }
            _ => return Err(Fault::from(format!("ERR Syntax error in HELLO option '{}'", text(word)))),
        };
    }
    if !context.session.is_trusted {
        return Err(Fault::from(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    context.session.is_resp3 = is_resp3;
    context.session.publish_state();
    if let Some(name) = name {
        context.session.client.known.lock().name = name;
    }
    let id = context.session.id();
    let mut reply = context.reply();
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(if is_resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// The database that SELECT names.
pub fn database(args: &[&[u8]]) -> Result<u8> {
    let number = int32(args.get(1).copied().unwrap_or_default())?;
    if !(0..DATABASES as i64).contains(&number) {
        return Err(Fault::from("ERR DB index is out of range"));
    }
    Ok(number as u8)
}

fn select(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.session.database = database(args)?;
    context.session.publish_state();
    context.reply().ok();
    Ok(())
}

fn reset(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    transactions::discard(context.session, &context.work.keyspace);
    pubsub::leave_all(context.server, context.session);
    context.server.feeds.leave(context.session, &context.work.keyspace);
    let session = &mut context.session;
    session.database = 0;
    session.is_resp3 = false;
    session.replies = Replies::On;
    session.is_trusted = context.server.settings.password.read().is_empty();
    let mut known = session.client.known.lock();
    known.name.clear();
    (known.no_evict, known.no_touch) = (false, false);
    drop(known);
    session.publish_state();
    context.reply().simple("RESET");
    Ok(())
}
