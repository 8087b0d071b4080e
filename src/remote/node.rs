//! One server and the pool of connections to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Access, Connection, Deadline, Unconnected};
use super::url::Host;
use crate::store::error::Error;
use crate::sync::monitor::Monitor;

/// A server.
pub struct Node {
    /// Where it is.
    pub host: Host,
    access: Arc<Access>,
    pool_size: usize,
    pool: Monitor<Pool>,
}

#[derive(Default)]
struct Pool {
    /// The connections that nobody uses, the last used one last.
    idle: Vec<Connection>,
    /// All that there are, those that are being made too.
    count: usize,
    /// Connections that could not be made, one after the other.
    failures: u32,
    /// When the next may be tried.
    not_before: Option<Instant>,
    is_closed: bool,
}

/// Why there is no connection to be had.
pub enum NoLease {
    /// Nothing was sent. Trying again may help.
    Transient(String),
    /// Nothing was sent. Trying again does not help.
    Refused(Error),
}

/// The first pause after a failure to connect; it doubles with each one up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Node {
    /// A server, without a connection yet.
    pub fn new(host: Host, access: Arc<Access>, pool_size: usize) -> Self {
        Node { host, access, pool_size, pool: Monitor::default() }
    }

    /// A connection for one call; it waits until one is there, and while the pause after a failure lasts.
    pub fn lease(self: &Arc<Self>, deadline: Deadline) -> Result<Lease, NoLease> {
        let mut pool = self.pool.lock();
        loop {
            if pool.is_closed {
                return Err(NoLease::Refused(Error::Closed));
            }
            if let Some(mut connection) = pool.idle.pop() {
                drop(pool);
                if connection.is_alive() {
                    return Ok(Lease { node: self.clone(), connection: Some(connection) });
                }
                drop(connection);
                self.lose_one();
                pool = self.pool.lock();
                continue;
            }
            let pause = pool.not_before.map(|moment| moment.saturating_duration_since(Instant::now()));
            let pause = pause.filter(|pause| !pause.is_zero());
            let left = deadline.left();
            // Rather early than not at all.
            if pool.count < self.pool_size && pause.is_none_or(|pause| pause >= left) && !left.is_zero() {
                pool.count += 1;
                break;
            }
            if left.is_zero() {
                let why = match pause {
                    Some(_) => format!("{} could not be connected to", self.host.text()),
                    None => format!("all {} connections to {} were in use", self.pool_size, self.host.text()),
                };
                return Err(NoLease::Transient(why));
            }
            pool = self.pool.wait_for(pool, pause.map_or(left, |pause| pause.min(left)));
        }
        drop(pool);
        self.connect(deadline)
    }

    /// Makes a connection, which was counted already.
    fn connect(self: &Arc<Self>, deadline: Deadline) -> Result<Lease, NoLease> {
        // Counted down again also where a panic ends this.
        let mut lease = Lease { node: self.clone(), connection: None };
        match Connection::open(&self.host, &self.access, deadline) {
            Ok(connection) => {
                let mut pool = self.pool.lock();
                (pool.failures, pool.not_before) = (0, None);
                drop(pool);
                lease.connection = Some(connection);
                Ok(lease)
            }
            Err(why) => {
                let mut pool = self.pool.lock();
                let pause = FIRST_PAUSE.saturating_mul(1 << pool.failures.min(10)).min(LONGEST_PAUSE);
                // Threads that fail together are one failure.
                if pool.not_before.is_none_or(|moment| moment <= Instant::now()) {
                    pool.failures = pool.failures.saturating_add(1);
                    pool.not_before = Some(Instant::now() + pause);
                }
                drop(pool);
                Err(match why {
                    Unconnected::Transient(why) => {
                        NoLease::Transient(format!("{} could not be connected to: {why}", self.host.text()))
                    }
                    Unconnected::Refused(error) => NoLease::Refused(error),
                })
            }
        }
    }

    /// A connection is gone.
    fn lose_one(&self) {
        let mut pool = self.pool.lock();
        pool.count -= 1;
        drop(pool);
        self.pool.notify_all();
    }

    /// Lets go of the connections that nobody uses: those of a server that went away are of no use.
    pub fn forget_idle(&self) {
        let mut pool = self.pool.lock();
        let idle = std::mem::take(&mut pool.idle);
        pool.count -= idle.len();
        drop(pool);
        self.pool.notify_all();
    }

    /// No more connections.
    pub fn close(&self) {
        self.pool.lock().is_closed = true;
        self.forget_idle();
    }

    /// Waits until nobody uses a connection. Every call ends at its own time.
    pub fn wait_until_unused(&self) {
        let mut pool = self.pool.lock();
        while pool.count > 0 {
            pool = self.pool.wait(pool);
        }
    }
}

/// A connection that one call uses. When it is dropped it goes back, if it can be used again.
pub struct Lease {
    node: Arc<Node>,
    connection: Option<Connection>,
}

impl Lease {
    /// The connection.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(Connection::is_clean);
        let mut pool = self.node.pool.lock();
        match connection {
            Some(connection) if !pool.is_closed && pool.idle.try_reserve(1).is_ok() => {
                pool.idle.push(connection);
                drop(pool);
                self.node.pool.notify_one();
            }
            _ => {
                drop(pool);
                self.node.lose_one();
            }
        }
    }
}
