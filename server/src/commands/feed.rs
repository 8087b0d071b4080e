//! FILEDB.FEED: a client follows the changes of all databases.

use super::Context;
use super::args::is;
use super::fault::{Fault, Result};
use super::table::{Command, Flags, Keys, command};
use crate::feed::{self, Refused, Source};
use crate::resp::request::number;

const FOLLOWS: Flags = Flags(Flags::PUBSUB.0 | Flags::NO_SCRIPT.0 | Flags::SUBSCRIBER.0 | Flags::NO_MULTI.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[command(
    "filedb.feed",
    feed,
    2,
    FOLLOWS,
    Keys::NONE,
    "pubsub",
    "7.2.0",
    "Sends the changes of all databases behind a number, or those to come ($), until STOP.",
)];

fn feed(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if is(args[1], "STOP") {
        return stop(context);
    }
    if context.session.feed.is_some() {
        return Err(Fault::from(
            "ERR this connection follows the changes already: FILEDB.FEED STOP ends that",
        ));
    }
    // What came before it is told as it is written.
    context.work.flush()?;
    let server = context.server;
    let databases = &server.keyspace.databases;
    let (seq, exchanges, from) = if args[1] == b"$" {
        let (seq, exchanges) = databases.now(&server.keyspace.db)?;
        // A power cut must not give that number to another change once it was told.
        context.session.must_be_durable |= server.durability.is_always();
        (seq, exchanges, seq)
    } else {
        let seq = number(args[1]).and_then(|seq| u64::try_from(seq).ok());
        let seq = seq.ok_or_else(|| {
            Fault::from("ERR the number of a change is meant: that of the last one that you have, 0, or $ for the last one that there is")
        })?;
        match databases.exchanges_behind(seq) {
            Some(exchanges) => (seq, exchanges, seq),
            // Nobody knows which databases were exchanged since: a number that the store has not given is told as a gap.
            None => (seq, databases.now(&server.keyspace.db)?.1, u64::MAX),
        }
    };
    let address = context.session.client.address;
    let mailbox = server.mailboxes.get().and_then(|all| all.get(address.event_loop));
    let mailbox = mailbox.ok_or_else(|| Fault::from("ERR the server is not ready"))?.clone();
    let changes = server.keyspace.db.changes(from)?;
    let source = Source { keyspace: server.keyspace.clone(), mailbox, seq, changes, exchanges };
    let most = server.settings.max_feeds.load(std::sync::atomic::Ordering::Relaxed);
    let begun = server.feeds.begin(&context.session.client, source, most).map_err(|refused| match refused {
        Refused::TooMany(count) => Fault::from(format!(
            "ERR {count} connections follow the changes, which is as many as maxfeeds allows: end one of them, or raise it with CONFIG SET maxfeeds"
        )),
        Refused::NoThread(error) => Fault::from(format!("ERR there is no thread for the feed: {error}")),
    })?;
    context.session.feed = Some(begun);
    context.session.publish_state();
    feed::tell_start(&mut context.reply(), seq);
    Ok(())
}

fn stop(context: &mut Context<'_>) -> Result {
    let seq = context.server.feeds.leave(context.session, &context.server.keyspace);
    context.session.publish_state();
    feed::tell_stop(&mut context.reply(), seq);
    Ok(())
}
