//! A call: requests that one server answers, found, tried again where that is safe, and ended in time.
//!
//! What is not known to have been sent whole was not done, and is tried again. What was sent and not answered may have been done: reads
//! are tried again, writes are not, and the error says so. That is why this is not left to a client for clusters: the one of the crate
//! `redis` sends a write again whose reply was lost.

use std::sync::Arc;
use std::time::Duration;

use super::Remote;
use super::cluster::{Cluster, Owners, slot_of};
use super::connection::{Broken, Deadline, Request, SIMPLE, is_begin, only, reply_budget};
use super::node::{NoLease, Node};
use super::refusal::{Detour, detour, shown};
use super::reply::{MAX_VALUE, Reply};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory::vec_with_room;
use crate::sync::thread::NotCancelled;

/// Whether requests may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The commands change nothing.
    Read,
    /// The commands change something.
    Write,
}

/// Which server is asked.
#[derive(Clone)]
pub enum Route {
    /// The one that has this slot.
    Slot(u16),
    /// This one, and no other.
    Node(Arc<Node>),
}

/// The servers.
pub enum Servers {
    /// One.
    One(Arc<Node>),
    /// The nodes of a cluster.
    Cluster(Cluster),
}

/// The first pause before something is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How many redirections are followed without a pause.
const REDIRECTIONS: u32 = 5;

/// How an attempt ended.
enum Attempt {
    Answered(Vec<Reply>),
    /// The server has done nothing, for this reason.
    NotDone(String),
    /// The server may have done what was asked.
    InDoubt(String),
    Failed(Error),
}

impl Servers {
    /// All that have keys.
    pub fn primaries(&self) -> Vec<Arc<Node>> {
        match self {
            Servers::One(node) => vec![node.clone()],
            Servers::Cluster(cluster) => cluster.primaries(),
        }
    }

    /// Closes all connections, and waits for calls under way.
    pub fn close(&self) {
        match self {
            Servers::One(node) => {
                node.close();
                node.wait_until_unused();
            }
            Servers::Cluster(cluster) => cluster.close(),
        }
    }
}

impl Remote {
    /// Where a key is.
    pub fn route(&self, key: &[u8]) -> Route {
        match &self.servers {
            Servers::One(node) => Route::Node(node.clone()),
            Servers::Cluster(_) => Route::Slot(slot_of(key)),
        }
    }

    /// One request about one key, answered.
    pub fn ask(&self, kind: Kind, key: &[u8], args: &[&[u8]], expects: u8) -> Result<Reply> {
        only(self.call(kind, &self.route(key), &[Request { args, expects }])?)
    }

    /// Requests that one server answers, in one round trip.
    pub fn call(&self, kind: Kind, route: &Route, requests: &[Request<'_>]) -> Result<Vec<Reply>> {
        let deadline = Deadline::after(self.timeout);
        self.call_until(kind, route, requests, deadline)
    }

    /// As [`Remote::call`], until a moment.
    pub fn call_until(
        &self,
        kind: Kind,
        route: &Route,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        let _not_cancelled = NotCancelled::begin();
        let (mut redirected, mut redirections, mut pause) = (None, 0, FIRST_PAUSE);
        loop {
            self.check_open()?;
            let version = self.map_version();
            let (node, is_asking) = match redirected.take() {
                Some((node, is_asking)) => (Some(node), is_asking),
                None => (self.find(route), false),
            };
            let attempt = match &node {
                Some(node) if is_asking => attempt_asking(node, kind, requests, deadline),
                Some(node) => attempt(node, kind, requests, deadline),
                None => Attempt::NotDone("no server of the cluster is known to have the key".into()),
            };
            let (why, is_in_doubt) = match attempt {
                Attempt::Failed(error) => return Err(error),
                Attempt::NotDone(why) => (why, false),
                Attempt::InDoubt(why) => {
                    if let Some(node) = &node {
                        node.forget_idle();
                    }
                    (why, true)
                }
                Attempt::Answered(replies) => {
                    let Some((said, detour)) = detour_in(requests, &replies) else { return Ok(replies) };
                    let said = shown(said);
                    if let (Detour::Moved(_) | Detour::Ask(_), Servers::Cluster(cluster), Route::Node(node)) =
                        (&detour, &self.servers, route)
                    {
                        // Who asks this server asks about a slot that it chose, and may choose another.
                        let _ = cluster.refresh(version, deadline);
                        let message = format!("{} gives slots away: {said}", node.host.text());
                        return Err(Error::Connection { message });
                    }
                    let target = match (detour, &self.servers, &node) {
                        (Detour::Moved(to), Servers::Cluster(cluster), Some(by)) => {
                            // It may be that more has moved. Where nobody says so, the one that is named will do.
                            let _ = cluster.refresh(version, deadline);
                            cluster.node_at(to, by).map(|node| (node, false))
                        }
                        (Detour::Ask(to), Servers::Cluster(cluster), Some(by)) => {
                            cluster.node_at(to, by).map(|node| (node, true))
                        }
                        (Detour::LaterAnew, _, Some(node)) => {
                            node.forget_idle();
                            None
                        }
                        (Detour::Moved(_) | Detour::Ask(_), Servers::One(_), _) => {
                            let message =
                                "the server is one of a cluster: its URL begins with valkey-cluster://";
                            return Err(Error::InvalidArgument { message: message.into() });
                        }
                        _ => None,
                    };
                    redirected = target;
                    redirections += 1;
                    if redirected.is_some() && redirections <= REDIRECTIONS && !deadline.is_over() {
                        continue;
                    }
                    (said, false)
                }
            };
            if is_in_doubt && kind == Kind::Write {
                self.events.log(LogLevel::Warn, || format!("a write is in doubt: {why}"));
                self.learn_for_others(version);
                return Err(Error::Connection {
                    message: format!("the connection failed, and the write may have happened or not: {why}"),
                });
            }
            if deadline.left() <= pause {
                let message = match kind {
                    Kind::Read => format!("the server gave no answer: {why}"),
                    Kind::Write => format!("the write did not happen: {why}"),
                };
                self.learn_for_others(version);
                return Err(Error::Connection { message });
            }
            self.events.log(LogLevel::Debug, || format!("trying again: {why}"));
            self.pause(pause)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let _ = self.learn(version, deadline);
            if let (Route::Node(node), Servers::Cluster(cluster)) = (route, &self.servers)
                && !cluster.primaries().iter().any(|primary| Arc::ptr_eq(primary, node))
            {
                let message = format!("{} has no keys of the cluster any more: {why}", node.host.text());
                return Err(Error::Connection { message });
            }
        }
    }

    /// Asks every server that has keys, and gives the sum of what they say. From the beginning where those change meanwhile, so it is
    /// for what may be done twice.
    pub fn ask_all(&self, mut ask: impl FnMut(&Arc<Node>, Deadline) -> Result<u64>) -> Result<u64> {
        let deadline = Deadline::after(self.timeout);
        loop {
            let version = self.map_version();
            let nodes = self.servers.primaries();
            let mut sum = 0u64;
            let asked = nodes.iter().try_for_each(|node| {
                sum = sum.saturating_add(ask(node, deadline)?);
                Ok(())
            });
            match asked {
                Ok(()) if nodes.is_empty() => {}
                Ok(()) => return Ok(sum),
                Err(Error::Connection { .. }) if self.map_version() != version && !deadline.is_over() => {}
                Err(error) => return Err(error),
            }
            if deadline.is_over() {
                let message = "no server of the cluster is known to have keys";
                return Err(Error::Connection { message: message.into() });
            }
            self.pause(LONGEST_PAUSE.min(deadline.left()))?;
            let _ = self.learn(version, deadline);
        }
    }

    /// Requests to one server, once, that change nothing. `None` where they were not answered.
    pub fn call_once(
        &self,
        node: &Arc<Node>,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Option<Vec<Reply>>> {
        let _not_cancelled = NotCancelled::begin();
        self.check_open()?;
        match attempt(node, Kind::Read, requests, deadline) {
            Attempt::Answered(replies) => Ok(Some(replies)),
            Attempt::NotDone(_) | Attempt::InDoubt(_) | Attempt::Failed(Error::NoMemory { .. }) => Ok(None),
            Attempt::Failed(error) => Err(error),
        }
    }

    /// The server that a route leads to, if one is known.
    pub fn find(&self, route: &Route) -> Option<Arc<Node>> {
        match (route, &self.servers) {
            (Route::Node(node), _) | (Route::Slot(_), Servers::One(node)) => Some(node.clone()),
            (Route::Slot(slot), Servers::Cluster(cluster)) => cluster.node_of(*slot),
        }
    }

    fn map_version(&self) -> u64 {
        match &self.servers {
            Servers::One(_) => 0,
            Servers::Cluster(cluster) => cluster.version(),
        }
    }

    /// Who has which slots, by what a cluster says now.
    pub fn owners_now(&self) -> Result<Owners> {
        let Servers::Cluster(cluster) = &self.servers else { return Ok(Vec::new()) };
        let _not_cancelled = NotCancelled::begin();
        let (before, deadline) = (cluster.version(), Deadline::after(self.timeout));
        let mut version = before;
        // Nothing is asked while somebody else asks; then that answer does as well.
        while version == before {
            cluster.refresh(before, deadline)?;
            version = cluster.version();
            if version == before {
                self.pause(FIRST_PAUSE)?;
            }
        }
        Ok(cluster.owners())
    }

    /// A call has failed, and its time is over: the next one is not to fail in the same way because nobody had time to ask who took over.
    fn learn_for_others(&self, version: u64) {
        let _ = self.learn(version, Deadline::after(LONGEST_PAUSE));
    }

    /// Asks a cluster who has what, unless somebody did since `version`.
    fn learn(&self, version: u64, deadline: Deadline) -> Result<()> {
        match &self.servers {
            Servers::One(_) => Ok(()),
            Servers::Cluster(cluster) => cluster.refresh(version, deadline),
        }
    }
}

fn attempt(node: &Arc<Node>, kind: Kind, requests: &[Request<'_>], deadline: Deadline) -> Attempt {
    let mut lease = match node.lease(deadline) {
        Ok(lease) => lease,
        Err(NoLease::Transient(why)) => return Attempt::NotDone(why),
        Err(NoLease::Refused(error)) => return Attempt::Failed(error),
    };
    let Some(connection) = lease.connection() else { return Attempt::NotDone("no connection".into()) };
    let at = |why: Broken| format!("{}: {}", node.host.text(), why.words());
    // What a write takes out is nowhere else any more.
    let least = if kind == Kind::Write { MAX_VALUE + (1 << 20) } else { 0 };
    match connection.exchange(requests, deadline, &mut reply_budget().max(least)) {
        Ok(replies) => Attempt::Answered(replies),
        Err(why @ Broken::Unsent(_)) => Attempt::NotDone(at(why)),
        Err(Broken::Unasked(bytes)) => Attempt::Failed(Error::NoMemory { bytes }),
        Err(Broken::NoMemory(bytes)) if kind == Kind::Read => Attempt::Failed(Error::NoMemory { bytes }),
        Err(why) => Attempt::InDoubt(at(why)),
    }
}

/// As [`attempt`], at a server that has the key before its slot has arrived: it wants to hear that with each request, and of a transaction
/// once, for all that is in it.
fn attempt_asking(node: &Arc<Node>, kind: Kind, requests: &[Request<'_>], deadline: Deadline) -> Attempt {
    let asking = Request { args: &[b"ASKING"], expects: SIMPLE };
    let mut all: Vec<Request<'_>> = match vec_with_room(2 * requests.len()) {
        Ok(all) => all,
        Err(refused) => return Attempt::Failed(refused.into()),
    };
    let is_once = requests.first().is_some_and(is_begin);
    match is_once {
        true => all.extend([asking].iter().chain(requests)),
        false => all.extend(requests.iter().flat_map(|request| [asking, *request])),
    }
    match attempt(node, kind, &all, deadline) {
        Attempt::Answered(mut replies) => {
            let mut n = 0;
            replies.retain(|_| {
                n += 1;
                if is_once { n > 1 } else { n % 2 == 0 }
            });
            Attempt::Answered(replies)
        }
        other => other,
    }
}

/// The refusal among replies that says where else, or when, the requests are answered. Not of a wait for what was written before: that
/// is not to be written again.
fn detour_in<'a>(requests: &[Request<'_>], replies: &'a [Reply]) -> Option<(&'a [u8], Detour<'a>)> {
    requests
        .iter()
        .zip(replies)
        .filter(|(request, _)| request.args.first() != Some(&&b"WAITAOF"[..]))
        .find_map(|(_, reply)| match reply {
            Reply::Error(said) => detour(said).map(|detour| (said.as_slice(), detour)),
            _ => None,
        })
}
