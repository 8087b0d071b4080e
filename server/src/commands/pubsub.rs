//! Messages: who listens to which channel, and who is told what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::args::is;
use super::fault::{Fault, Result};
use super::table::{Command, Flags, Keys, command};
use super::{Context, matches};
use crate::keyspace::blocked::Address;
use crate::keyspace::work::Event;
use crate::resp::reply::Reply;
use crate::server::Server;
use crate::session::Session;

const TALKS: Flags = Flags(Flags::PUBSUB.0 | Flags::NO_SCRIPT.0 | Flags::SUBSCRIBER.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "subscribe",
        subscribe,
        -2,
        TALKS,
        Keys::NONE,
        "pubsub",
        "2.0.0",
        "Listens for messages published to channels.",
    ),
    command(
        "unsubscribe",
        unsubscribe,
        -1,
        TALKS,
        Keys::NONE,
        "pubsub",
        "2.0.0",
        "Stops listening to messages posted to channels.",
    ),
    command(
        "psubscribe",
        psubscribe,
        -2,
        TALKS,
        Keys::NONE,
        "pubsub",
        "2.0.0",
        "Listens for messages published to channels that match patterns.",
    ),
    command(
        "punsubscribe",
        punsubscribe,
        -1,
        TALKS,
        Keys::NONE,
        "pubsub",
        "2.0.0",
        "Stops listening to messages published to channels that match patterns.",
    ),
    command(
        "publish",
        publish_command,
        3,
        Flags(Flags::PUBSUB.0 | Flags::FAST.0),
        Keys::NONE,
        "pubsub",
        "2.0.0",
        "Posts a message to a channel.",
    ),
    Command {
        name: "pubsub",
        handler: pubsub,
        arity: -2,
        flags: Flags::NONE,
        keys: Keys::NONE,
        group: "pubsub",
        since: "2.8.0",
        summary: "A container for Pub/Sub commands.",
        subcommands: &[
            command(
                "pubsub|channels",
                pubsub,
                -2,
                Flags::PUBSUB,
                Keys::NONE,
                "pubsub",
                "2.8.0",
                "Returns the active channels.",
            ),
            command(
                "pubsub|numsub",
                pubsub,
                -2,
                Flags::PUBSUB,
                Keys::NONE,
                "pubsub",
                "2.8.0",
                "Returns a count of subscribers to channels.",
            ),
            command(
                "pubsub|numpat",
                pubsub,
                2,
                Flags::PUBSUB,
                Keys::NONE,
                "pubsub",
                "2.8.0",
                "Returns a count of unique pattern subscriptions.",
            ),
            super::help::line("pubsub|help", "pubsub", "6.2.0"),
        ],
        number: 0,
    },
];

/// Each message is compared with each pattern.
const MOST_PATTERNS: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Listener {
    address: Address,
    is_resp3: bool,
}

type Listeners = HashMap<Vec<u8>, Vec<Listener>>;

/// Who listens to what.
#[derive(Default)]
pub struct PubSub {
    channels: RwLock<Listeners>,
    patterns: RwLock<Listeners>,
    /// Nobody looks further where it is 0.
    count: AtomicUsize,
}

impl PubSub {
    fn add(&self, listeners: &RwLock<Listeners>, name: &[u8], listener: Listener) {
        listeners.write().entry(name.to_vec()).or_default().push(listener);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn remove(&self, listeners: &RwLock<Listeners>, name: &[u8], client: u64) {
        let mut listeners = listeners.write();
        if let Some(all) = listeners.get_mut(name) {
            let before = all.len();
            all.retain(|listener| listener.address.client != client);
            self.count.fetch_sub(before - all.len(), Ordering::SeqCst);
            if all.is_empty() {
                listeners.remove(name);
            }
        }
    }

    /// The number of channels, and of patterns, that somebody listens to.
    pub fn counts(&self) -> (usize, usize) {
        (self.channels.read().len(), self.patterns.read().len())
    }
}

fn encode(is_resp3: bool, pattern: Option<&[u8]>, channel: &[u8], message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(channel.len() + message.len() + 64);
    let mut reply = Reply { out: &mut bytes, is_resp3 };
    reply.push(if pattern.is_some() { 4 } else { 3 });
    reply.bulk(if pattern.is_some() { b"pmessage" } else { b"message" });
    if let Some(pattern) = pattern {
        reply.bulk(pattern);
    }
    reply.bulk(channel);
    reply.bulk(message);
    bytes
}

/// Sends a message to all who listen, and says how many those are. `own` is the client that sends it, with its output.
fn publish(
    server: &Server,
    channel: &[u8],
    message: &[u8],
    ticket: u64,
    mut own: Option<(u64, &mut Vec<u8>)>,
) -> usize {
    let pubsub = &server.pubsub;
    if pubsub.count.load(Ordering::SeqCst) == 0 {
        return 0;
    }
    let mut count = 0;
    let mut tell = |listeners: &[Listener], pattern: Option<&[u8]>| {
        let mut encoded: [Option<Arc<[u8]>>; 2] = [None, None];
        for listener in listeners {
            let bytes = encoded[usize::from(listener.is_resp3)]
                .get_or_insert_with(|| encode(listener.is_resp3, pattern, channel, message).into());
            match &mut own {
                Some((client, out)) if *client == listener.address.client => out.extend_from_slice(bytes),
                _ => server.send(listener.address, bytes.clone(), ticket),
            }
            count += 1;
        }
    };
    if let Some(listeners) = pubsub.channels.read().get(channel) {
        tell(listeners, None);
    }
    for (pattern, listeners) in pubsub.patterns.read().iter() {
        if matches(pattern, channel) {
            tell(listeners, Some(pattern));
        }
    }
    count
}

/// Tells who listens what happened to a key.
pub fn publish_event(server: &Server, event: &Event, ticket: u64) {
    let Some((on_keys, on_events)) = server.settings.publishes(event.class) else { return };
    let Some((place, key)) = event.key.split_first() else { return };
    let database = server.keyspace.databases.number(*place);
    if on_keys {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(key);
        publish(server, &channel, event.name.as_bytes(), ticket, None);
    }
    if on_events {
        let channel = format!("__keyevent@{database}__:{}", event.name);
        publish(server, channel.as_bytes(), key, ticket, None);
    }
}

/// Ends all of a client's subscriptions.
pub fn leave_all(server: &Server, session: &mut Session) {
    let client = session.id();
    for name in session.channels.drain() {
        server.pubsub.remove(&server.pubsub.channels, &name, client);
    }
    for name in session.patterns.drain() {
        server.pubsub.remove(&server.pubsub.patterns, &name, client);
    }
}

fn confirm(context: &mut Context<'_>, kind: &str, name: Option<&[u8]>) {
    let count = context.session.subscriptions();
    let mut reply = context.reply();
    reply.push(3);
    reply.bulk(kind.as_bytes());
    reply.bulk_or_null(name);
    reply.count(count);
}

fn listen(context: &mut Context<'_>, args: &[&[u8]], with_patterns: bool) -> Result {
    let server = context.server;
    let pubsub = &server.pubsub;
    if with_patterns && context.session.patterns.len() + args.len() - 1 > MOST_PATTERNS {
        return Err(Fault::from(format!("ERR a client listens to at most {MOST_PATTERNS} patterns")));
    }
    for name in &args[1..] {
        let listener =
            Listener { address: context.session.client.address, is_resp3: context.session.is_resp3 };
        if with_patterns {
            if context.session.patterns.insert(name.to_vec()) {
                pubsub.add(&pubsub.patterns, name, listener);
            }
        } else if context.session.channels.insert(name.to_vec()) {
            pubsub.add(&pubsub.channels, name, listener);
        }
        confirm(context, if with_patterns { "psubscribe" } else { "subscribe" }, Some(name));
    }
    context.session.publish_state();
    Ok(())
}

fn leave(context: &mut Context<'_>, args: &[&[u8]], with_patterns: bool) -> Result {
    let server = context.server;
    let kind = if with_patterns { "punsubscribe" } else { "unsubscribe" };
    let mine = if with_patterns { &context.session.patterns } else { &context.session.channels };
    let names: Vec<Vec<u8>> = if args.len() > 1 {
        args[1..].iter().map(|name| name.to_vec()).collect()
    } else {
        mine.iter().cloned().collect()
    };
    if names.is_empty() {
        confirm(context, kind, None);
    }
    let client = context.session.id();
    for name in names {
        if with_patterns {
            context.session.patterns.remove(&name);
            server.pubsub.remove(&server.pubsub.patterns, &name, client);
        } else {
            context.session.channels.remove(&name);
            server.pubsub.remove(&server.pubsub.channels, &name, client);
        }
        confirm(context, kind, Some(&name));
    }
    context.session.publish_state();
    Ok(())
}

fn subscribe(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    listen(context, args, false)
}

fn psubscribe(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    listen(context, args, true)
}

fn unsubscribe(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    leave(context, args, false)
}

fn punsubscribe(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    leave(context, args, true)
}

fn publish_command(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let client = context.session.id();
    let count = publish(context.server, args[1], args[2], 0, Some((client, context.out)));
    context.reply().count(count);
    Ok(())
}

fn pubsub(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let pubsub = &context.server.pubsub;
    if is(args[1], "CHANNELS") {
        if args.len() > 3 {
            return Err(super::wrong_number("pubsub|channels"));
        }
        let names: Vec<Vec<u8>> = pubsub.channels.read().keys().cloned().collect();
        let pattern = args.get(2).copied();
        let names: Vec<_> =
            names.into_iter().filter(|name| pattern.is_none_or(|pattern| matches(pattern, name))).collect();
        context.reply().bulks(&names);
    } else if is(args[1], "NUMPAT") {
        let count = pubsub.patterns.read().len();
        context.reply().count(count);
    } else {
        let channels = pubsub.channels.read();
        let counts: Vec<_> = args[2..].iter().map(|name| channels.get(*name).map_or(0, Vec::len)).collect();
        drop(channels);
        let mut reply = context.reply();
        reply.array(counts.len() * 2);
        for (name, count) in args[2..].iter().zip(counts) {
            reply.bulk(name);
            reply.count(count);
        }
    }
    Ok(())
}
