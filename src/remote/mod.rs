//! Stores on a Valkey server or a Valkey Cluster: every verb is one round trip, or a fixed number of them.
//!
//! Nothing is kept here but connections. There is no thread: what is to be done is done inside the calls, each of which ends in the time
//! that the option `timeout_ms` gives it. Only the look-up of a host's name, which the C library does, has a time of its own.

mod asking;
mod batch;
mod call;
mod cluster;
mod connection;
mod durable;
mod node;
mod refusal;
mod reply;
mod tls;
mod url;
mod verbs;
mod walk;

use std::sync::{Arc, Weak};
use std::time::Duration;

use call::{Kind, Route, Servers};
use cluster::Cluster;
use connection::{ARRAY, Access, Deadline, NUMBER, Request, SIMPLE, only};
use node::{NoLease, Node};
use refusal::error_of;
use reply::Reply;
use tls::Tls;
use url::Url;

use crate::disk::process::ForkGuard;
use crate::store::address::Scheme;
use crate::store::error::{Error, Result};
use crate::store::events::{Events, LogLevel};
use crate::store::options::{Options, Secret, SyncMode};
use crate::sync::lock::Mutex;
use crate::sync::monitor::Monitor;
use crate::sync::thread::NotCancelled;

/// A store on one server or a cluster.
pub struct Remote {
    servers: Servers,
    /// What errors name the store by: its URL without user and password.
    name: String,
    timeout: Duration,
    is_read_only: bool,
    /// Whether the servers can be asked to make writes durable.
    can_sync: bool,
    /// Whether every write is.
    syncs_always: bool,
    events: Events,
    owner: ForkGuard,
    is_closed: Monitor<bool>,
    /// The store itself, for walks, which hold it.
    me: Weak<Remote>,
    /// Why there are no more writes.
    poison: Mutex<Option<String>>,
}

impl Remote {
    /// Connects to a store.
    pub fn open(scheme: Scheme, rest: &Secret, options: &Options) -> Result<Arc<Self>> {
        options.check()?;
        let url = Url::parse(rest)?;
        let is_cluster = scheme == Scheme::ValkeyCluster;
        if !is_cluster && url.hosts.len() > 1 {
            return Err(Error::invalid("the URL names several hosts, and only valkey-cluster:// has them"));
        }
        if is_cluster && url.database.is_some() {
            return Err(Error::invalid("a cluster has one database only: its URL ends with the hosts"));
        }
        if options.truncate && url.database.is_none() {
            return refusal::unsupported(
                "a server or cluster is not emptied: 'truncate' needs a database of its own, with its number in the URL",
            );
        }
        let hosts: Vec<String> = url.hosts.iter().map(url::Host::text).collect();
        let database = url.database.map(|number| format!("/{number}")).unwrap_or_default();
        let prefix = match scheme {
            Scheme::Valkey => "valkey",
            Scheme::ValkeyTls => "valkeys",
            Scheme::ValkeyCluster => "valkey-cluster",
        };
        let name = format!("{prefix}://{}{database}", hosts.join(","));
        let wants_tls =
            !(options.tls_ca.is_empty() && options.tls_cert.is_empty() && options.tls_key.is_empty());
        if wants_tls && scheme == Scheme::Valkey {
            return Err(Error::invalid(
                "the options tls_ca, tls_cert and tls_key are for valkeys:// and valkey-cluster://; by valkey:// all of it, a password \
                 too, would be sent for everybody to read",
            ));
        }
        let has_tls = scheme == Scheme::ValkeyTls || wants_tls;
        let user = url.user.unwrap_or_else(|| options.user.as_str().into());
        let password = url.password.unwrap_or_else(|| options.password.clone());
        if password.is_empty() && !user.is_empty() {
            return Err(Error::invalid(
                "the URL or the options name a user, and no password: a server knows nobody by the name alone",
            ));
        }
        let access = Arc::new(Access {
            user,
            password,
            database: url.database.unwrap_or_default(),
            tls: has_tls.then(|| Tls::new(options)).transpose()?,
            connect_timeout: Duration::from_millis(options.connect_timeout_ms),
            timeout: Duration::from_millis(options.timeout_ms),
        });
        let pool_size = usize::try_from(options.pool_size).unwrap_or(1);
        let mut hosts = url.hosts.into_iter();
        let servers = match hosts.next() {
            Some(host) if !is_cluster => Servers::One(Arc::new(Node::new(host, access.clone(), pool_size))),
            first => {
                Servers::Cluster(Cluster::new(first.into_iter().chain(hosts).collect(), access, pool_size))
            }
        };
        let mut remote = Remote {
            servers,
            name,
            timeout: Duration::from_millis(options.timeout_ms),
            is_read_only: options.read_only,
            can_sync: false,
            syncs_always: false,
            events: Events::new(options.log.clone(), options.log_level),
            owner: ForkGuard::new(),
            is_closed: Monitor::default(),
            me: Weak::new(),
            poison: Mutex::default(),
        };
        remote.begin(options)?;
        Ok(Arc::new_cyclic(|me| Remote { me: me.clone(), ..remote }))
    }

    fn shared(&self) -> Result<Arc<Remote>> {
        self.me.upgrade().ok_or(Error::Closed)
    }

    /// What a new handle asks its servers.
    fn begin(&mut self, options: &Options) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        let deadline = Deadline::after(self.timeout);
        match &self.servers {
            // A server that is not there is an error now, and not after a while.
            Servers::One(node) => match node.lease(deadline) {
                Ok(_) => {}
                Err(NoLease::Refused(error)) => return Err(error),
                Err(NoLease::Transient(message)) => return Err(Error::Connection { message }),
            },
            Servers::Cluster(cluster) => cluster.refresh(0, deadline)?,
        }
        if options.error_if_exists && self.size()? > 0 {
            return Err(Error::Exists { path: self.name.clone().into() });
        }
        if options.truncate {
            for node in self.servers.primaries() {
                let request = Request { args: &[b"FLUSHDB"], expects: SIMPLE };
                let route = Route::Node(node.clone());
                if let Reply::Error(said) = only(self.call(Kind::Write, &route, &[request])?)? {
                    return Err(error_of(&said, &self.name));
                }
            }
        }
        self.can_sync = self.finds_sync()?;
        if options.sync == SyncMode::Always {
            if !self.can_sync {
                return refusal::unsupported(
                    "the server keeps no log of writes (appendonly), or is older than Valkey 7.2: it cannot make each \
                     write durable, which sync=always asks for",
                );
            }
            self.syncs_always = true;
        }
        self.events.log(LogLevel::Info, || format!("connected to {}", self.name));
        Ok(())
    }

    /// Whether all servers have a log of writes that they can be asked to sync.
    fn finds_sync(&self) -> Result<bool> {
        let nodes = self.servers.primaries();
        for node in &nodes {
            let request = Request { args: &[b"WAITAOF", b"1", b"0", b"1"], expects: ARRAY };
            let route = Route::Node(node.clone());
            match only(self.call(Kind::Read, &route, &[request])?)? {
                Reply::Error(said) if said.starts_with(b"NOAUTH") => return Err(error_of(&said, &self.name)),
                Reply::Error(_) => return Ok(false),
                _ => {}
            }
        }
        Ok(!nodes.is_empty())
    }

    /// The number of keys, those that have expired and are not taken out yet too.
    fn size(&self) -> Result<u64> {
        self.ask_all(|node, deadline| {
            let request = Request { args: &[b"DBSIZE"], expects: NUMBER };
            let route = Route::Node(node.clone());
            match only(self.call_until(Kind::Read, &route, &[request], deadline)?)? {
                Reply::Number(keys) => u64::try_from(keys).map_err(|_| connection::strange()),
                Reply::Error(said) => Err(error_of(&said, &self.name)),
                _ => Err(connection::strange()),
            }
        })
    }

    /// `Err` once it is closed, and in a forked child.
    fn check_open(&self) -> Result<()> {
        // First: the lock may be held by a thread that a child does not have.
        if self.owner.is_forked() {
            return Err(Error::Forked);
        }
        if *self.is_closed.lock() { Err(Error::Closed) } else { Ok(()) }
    }

    /// As [`Remote::check_open`], for writes.
    fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.is_read_only {
            return Err(Error::ReadOnly);
        }
        match &*self.poison.lock() {
            Some(reason) => Err(Error::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Waits so long, or until the store is closed.
    fn pause(&self, time: Duration) -> Result<()> {
        let end = Deadline::after(time);
        let mut is_closed = self.is_closed.lock();
        while !*is_closed && !end.is_over() {
            is_closed = self.is_closed.wait_for(is_closed, end.left());
        }
        if *is_closed { Err(Error::Closed) } else { Ok(()) }
    }

    /// No more calls; waits for those under way.
    fn shut(&self) -> Result<()> {
        if self.owner.is_forked() {
            return Err(Error::Forked);
        }
        let _not_cancelled = NotCancelled::begin();
        if std::mem::replace(&mut *self.is_closed.lock(), true) {
            return Err(Error::Closed);
        }
        self.is_closed.notify_all();
        self.servers.close();
        Ok(())
    }
}
