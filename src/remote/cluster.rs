//! Which server of a cluster has which keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::connection::{ARRAY, Access, Connection, Deadline, Request, Unconnected, reply_budget};
use super::node::Node;
use super::reply::Reply;
use super::url::Host;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::lock::{Mutex, RwLock};

/// The parts that a cluster divides keys into.
pub const SLOTS: usize = 16384;

/// No cluster has more servers: Valkey's own advice is a thousand.
const MOST_SERVERS: usize = 4096;

/// A cluster, as far as it is known.
pub struct Cluster {
    /// Where to ask when nobody else answers.
    seeds: Vec<Host>,
    access: Arc<Access>,
    pool_size: usize,
    map: RwLock<Map>,
    /// How often the map was made anew.
    version: AtomicU64,
    /// One asks at a time. Nobody waits for that.
    asking: Mutex<()>,
    /// How often somebody asked.
    attempts: AtomicUsize,
}

/// The first slot of each run that one server has, with that server's name for itself, which is the same whoever is asked.
pub type Owners = Vec<(usize, Option<Vec<u8>>)>;

#[derive(Default)]
struct Map {
    nodes: Vec<Arc<Node>>,
    /// The place of each slot's primary in `nodes`.
    slots: Vec<Option<u16>>,
    owners: Owners,
    is_closed: bool,
}

/// The slot of a key: of what stands in its first braces, if something does.
pub fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..end).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS as u16
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0u16, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

impl Cluster {
    /// A cluster in which these servers are.
    pub fn new(seeds: Vec<Host>, access: Arc<Access>, pool_size: usize) -> Self {
        Cluster {
            seeds,
            access,
            pool_size,
            map: RwLock::default(),
            version: AtomicU64::new(0),
            asking: Mutex::default(),
            attempts: AtomicUsize::new(0),
        }
    }

    /// The primary of a slot, if it is known.
    pub fn node_of(&self, slot: u16) -> Option<Arc<Node>> {
        let map = self.map.read();
        let place = map.slots.get(usize::from(slot)).copied().flatten()?;
        map.nodes.get(usize::from(place)).cloned()
    }

    /// A server by its address, which another one named. An empty name means that one itself.
    pub fn node_at(&self, named: &str, by: &Node) -> Option<Arc<Node>> {
        let (name, port) = named.rsplit_once(':')?;
        let name = if name.is_empty() { &by.host.name } else { name };
        let host = Host { name: name.into(), port: port.parse().ok()? };
        let mut map = self.map.write();
        // A server that names another one each time is not believed for ever; the next map forgets those.
        let is_known = map.nodes.len() < MOST_SERVERS || map.nodes.iter().any(|node| node.host == host);
        is_known.then(|| self.known_or_new(&mut map, host))
    }

    fn known_or_new(&self, map: &mut Map, host: Host) -> Arc<Node> {
        if let Some(node) = map.nodes.iter().find(|node| node.host == host) {
            return node.clone();
        }
        let node = Arc::new(Node::new(host, self.access.clone(), self.pool_size));
        if map.is_closed {
            node.close();
        }
        map.nodes.push(node.clone());
        node
    }

    /// The primaries, each once.
    pub fn primaries(&self) -> Vec<Arc<Node>> {
        let map = self.map.read();
        let mut is_primary = vec![false; map.nodes.len()];
        for place in map.slots.iter().flatten() {
            if let Some(is_primary) = is_primary.get_mut(usize::from(*place)) {
                *is_primary = true;
            }
        }
        let nodes = map.nodes.iter().zip(is_primary);
        nodes.filter(|(_, is_primary)| *is_primary).map(|(node, _)| node.clone()).collect()
    }

    /// One of the slots that a primary has, another for each `n`.
    pub fn slot_at(&self, node: &Arc<Node>, n: usize) -> Option<u16> {
        let map = self.map.read();
        let place = map.nodes.iter().position(|known| Arc::ptr_eq(known, node))?;
        let is_its = |slot: &&Option<u16>| slot.map(usize::from) == Some(place);
        let count = map.slots.iter().filter(is_its).count();
        // Far apart: those that are given away are often neighbours.
        let n = n.wrapping_mul(2_654_435_761) % count.max(1);
        let slots = map.slots.iter().enumerate().filter(|(_, slot)| is_its(slot));
        u16::try_from(slots.map(|(slot, _)| slot).nth(n)?).ok()
    }

    /// Who has which slots.
    pub fn owners(&self) -> Owners {
        self.map.read().owners.clone()
    }

    /// How often the map was made.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Asks the servers who has what, until one answers. Nothing where somebody else did since `version`, or does now.
    pub fn refresh(&self, version: u64, deadline: Deadline) -> Result<()> {
        let Some(_asking) = self.asking.try_lock() else { return Ok(()) };
        if self.version() != version {
            return Ok(());
        }
        let known: Vec<Arc<Node>> = self.map.read().nodes.clone();
        let seeds = self.seeds.iter().filter(|seed| known.iter().all(|node| node.host != **seed));
        let mut hosts: Vec<&Host> = known.iter().map(|node| &node.host).chain(seeds).collect();
        // Another one first each time: one that is cut off from the others answers what was once true.
        let first = self.attempts.fetch_add(1, Ordering::Relaxed) % hosts.len().max(1);
        hosts.rotate_left(first);
        let mut why = "it has no server".to_owned();
        let count = hosts.len();
        for (n, host) in hosts.into_iter().enumerate() {
            // One that hangs leaves time for those behind it.
            let share = deadline.left() / u32::try_from(count - n).unwrap_or(u32::MAX);
            match self.ask(host, deadline.or_after(share)) {
                Ok(()) => {
                    self.version.fetch_add(1, Ordering::AcqRel);
                    return Ok(());
                }
                Err(Unconnected::Refused(error)) => return Err(error),
                Err(Unconnected::Transient(reason)) => why = format!("{}: {reason}", host.text()),
            }
            if deadline.is_over() {
                break;
            }
        }
        Err(Error::Connection { message: format!("no server of the cluster says who has which keys: {why}") })
    }

    /// Asks one server, over a connection of its own: those of the pool may all wait for one that hangs.
    fn ask(&self, host: &Host, deadline: Deadline) -> std::result::Result<(), Unconnected> {
        let deadline = deadline.or_after(self.access.connect_timeout);
        let mut connection = Connection::open(host, &self.access, deadline)?;
        let request = Request { args: &[b"CLUSTER", b"SLOTS"], expects: ARRAY };
        let reply =
            connection.exchange(&[request], deadline, &mut reply_budget()).map_err(Unconnected::from)?;
        let ranges = match reply.first() {
            Some(Reply::Array(ranges)) => ranges,
            Some(Reply::Error(said)) if said.starts_with(b"ERR This instance has cluster support") => {
                let message = format!(
                    "{} is a server of its own and in no cluster: its URL begins with valkey://",
                    host.text()
                );
                return Err(Unconnected::Refused(Error::InvalidArgument { message }));
            }
            Some(Reply::Error(said)) if said.starts_with(b"NOAUTH") => {
                return Err(Unconnected::Refused(Error::invalid(
                    "the server asks for a password, and the URL and the options have none",
                )));
            }
            _ => return Err(Unconnected::Transient("it does not say who has which keys".into())),
        };
        let damaged = || Unconnected::Transient("what it says of the cluster is damaged".into());
        let slots = memory::vec_of(None, SLOTS).map_err(|refused| Unconnected::Refused(refused.into()))?;
        self.learn(ranges, host, slots).ok_or_else(damaged)
    }

    /// Makes the map of what a server said: ranges of slots, each with its primary and its replicas.
    fn learn(&self, ranges: &[Reply], by: &Host, mut slots: Vec<Option<u16>>) -> Option<()> {
        let mut hosts: Vec<Host> = Vec::new();
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut places: BTreeMap<Host, usize> = BTreeMap::new();
        for range in ranges {
            let Reply::Array(parts) = range else { return None };
            let [Reply::Number(first), Reply::Number(last), servers @ ..] = parts.as_slice() else {
                return None;
            };
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            for (n, server) in servers.iter().enumerate() {
                let Reply::Array(parts) = server else { return None };
                let host = host(parts, by)?;
                let place = *places.entry(host.clone()).or_insert(hosts.len());
                if place == hosts.len() {
                    if place >= MOST_SERVERS {
                        return None;
                    }
                    names.push(name(parts).unwrap_or_else(|| host.text().into_bytes()));
                    hosts.push(host);
                }
                if n == 0 {
                    slots.get_mut(first..=last)?.fill(Some(u16::try_from(place).ok()?));
                }
            }
        }
        if hosts.is_empty() {
            return None;
        }
        let mut owners = Owners::new();
        for (slot, place) in slots.iter().enumerate() {
            if slot == 0 || slots.get(slot - 1) != Some(place) {
                owners.push((slot, place.and_then(|place| names.get(usize::from(place)).cloned())));
            }
        }
        let mut map = self.map.write();
        map.owners = owners;
        let nodes: Vec<Arc<Node>> = hosts.into_iter().map(|host| self.known_or_new(&mut map, host)).collect();
        map.nodes = nodes;
        map.slots = slots;
        Some(())
    }

    /// No more connections.
    pub fn close(&self) {
        let nodes = {
            let mut map = self.map.write();
            map.is_closed = true;
            map.nodes.clone()
        };
        nodes.iter().for_each(|node| node.close());
        nodes.iter().for_each(|node| node.wait_until_unused());
    }
}

/// The address of a server in `CLUSTER SLOTS`: its name, or nothing where it does not know that itself, and its port.
fn host(parts: &[Reply], by: &Host) -> Option<Host> {
    let [name, Reply::Number(port), ..] = parts else { return None };
    let name = match name {
        Reply::Bytes(name) | Reply::Simple(name) => std::str::from_utf8(name).ok()?,
        Reply::Nil => "",
        _ => return None,
    };
    let name = if name.is_empty() || name == "?" { &by.name } else { name };
    Some(Host { name: name.into(), port: u16::try_from(*port).ok()? })
}

/// The name of a server in `CLUSTER SLOTS`, which it keeps wherever it is.
fn name(parts: &[Reply]) -> Option<Vec<u8>> {
    match parts {
        [_, _, Reply::Bytes(name) | Reply::Simple(name), ..] if !name.is_empty() => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_servers_give_it() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % 16384);
        assert_eq!(slot_of(b"foo{{bar}}zap"), crc16(b"{bar") % 16384);
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
    }
}
