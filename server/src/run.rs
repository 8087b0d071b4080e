//! Starts a server and ends it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use filedb::{Db, Error, LogLevel, LogSink};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::backups::Backups;
use crate::commands::counted_reply;
use crate::config::Config;
use crate::durability::Durability;
use crate::keyspace::Keyspace;
use crate::metrics;
use crate::net::accept::Listener;
use crate::net::event_loop::EventLoop;
use crate::net::mail::Mail;
use crate::server::Server;
use crate::systemd;

/// A server whose threads run.
pub struct Running {
    /// What they share.
    pub server: Arc<Server>,
    /// Where TCP clients connect to.
    pub port: Option<u16>,
    /// Where metrics are.
    pub metrics: Option<SocketAddr>,
    loops: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    unixsocket: Option<std::path::PathBuf>,
}

fn describe(error: &Error) -> String {
    match error {
        Error::Locked { path } => format!(
            "the store '{}' is open in another process, which must close it first (another filedb-server?)",
            path.display()
        ),
        error => error.to_string(),
    }
}

fn tls(config: &Config) -> Result<Option<Arc<ServerConfig>>, String> {
    let Some((cert, key)) = &config.tls else { return Ok(None) };
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        format!("cannot use '{}': {error}", path.display())
    };
    let certs: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(|error| wrong(cert, &error))?.collect();
    let certs = certs.map_err(|error| wrong(cert, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, key_der));
    built.map(|config| Some(Arc::new(config))).map_err(|error| wrong(cert, &error))
}

fn listeners(config: &Config) -> Result<Vec<Listener>, String> {
    let tls = tls(config)?;
    let mut listeners = Vec::new();
    for host in config.bind.split_whitespace() {
        let listener = Listener::tcp(host, config.port)
            .map_err(|error| format!("cannot listen on {host}, port {}: {error}", config.port))?;
        listeners.push(match &tls {
            Some(tls) => Listener::Tls(listener, tls.clone()),
            None => Listener::Tcp(listener),
        });
    }
    if let Some(path) = &config.unixsocket {
        let listener = Listener::unix(path)
            .map_err(|error| format!("cannot listen on '{}': {error}", path.display()))?;
        listeners.push(Listener::Unix(listener));
    }
    if listeners.is_empty() {
        return Err("there is nothing to listen on: give --bind or --unixsocket".into());
    }
    Ok(listeners)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|error| format!("a thread could not be started: {error}"))
}

/// Sees to it that this process may have a descriptor for each client, if that can be had.
fn allow_descriptors(clients: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// For what is no client: data files, listening sockets, polls.
    const OTHERS: u64 = 1024;
    let (limit, wanted) = (getrlimit(Resource::Nofile), clients.saturating_add(OTHERS));
    if limit.current.is_some_and(|current| current < wanted) {
        let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let new = Rlimit { current: Some(most), maximum: limit.maximum };
        if setrlimit(Resource::Nofile, new).is_err() || most < wanted {
            log::warn!(
                "this process may have {most} descriptors, too few for {clients} clients (--maxclients)"
            );
        }
    }
}

/// Opens the store and starts all threads.
pub fn start(mut config: Config) -> Result<Running, String> {
    allow_descriptors(config.settings.max_clients.load(Ordering::Relaxed));
    let listeners = listeners(&config)?;
    let port = listeners.iter().find_map(Listener::port);
    config.store.log = LogSink::new(|level, message| match level {
        LogLevel::Error => log::error!("{message}"),
        LogLevel::Warn => log::warn!("{message}"),
        LogLevel::Info => log::debug!("{message}"),
        LogLevel::Debug => log::trace!("{message}"),
    });
    let db = Db::open(&config.dir, &config.store).map_err(|error| describe(&error))?;
    let keyspace = Arc::new(Keyspace::new(db).map_err(|error| describe(&error))?);
    let durability = Durability::new(config.settings.promise.clone());
    let backups = Arc::new(Backups::new(config.backup_dir));
    let server = Arc::new(Server::new(keyspace, config.settings, durability, backups));
    server.port.store(port.unwrap_or(0).into(), Ordering::Relaxed);

    let wrong = |error: std::io::Error| format!("an event loop could not be made: {error}");
    let mut polls = Vec::new();
    let mut mailboxes = Vec::new();
    for _ in 0..config.threads {
        let (poll, mailbox) = EventLoop::poll().map_err(wrong)?;
        polls.push((poll, mailbox.clone()));
        mailboxes.push(mailbox);
    }
    let _ = server.mailboxes.set(mailboxes);
    let mut of_first = Some(listeners);
    let mut loops = Vec::new();
    for (index, (poll, mailbox)) in polls.into_iter().enumerate() {
        let listeners = of_first.take().unwrap_or_default();
        let event_loop = EventLoop::new(index, server.clone(), poll, mailbox, listeners).map_err(wrong)?;
        let shared = server.clone();
        loops.push(spawn(&format!("loop-{index}"), move || {
            // Whoever panics takes the whole server down, in order: others would wait for its connections for ever.
            let _ends = EndsWithIt(shared);
            event_loop.run();
        })?);
    }
    let mut others = Vec::new();
    let shared = server.clone();
    others.push(spawn("sync", move || {
        let took = |nanos| {
            let event = if shared.durability.is_always() { "aof-fsync-always" } else { "aof-fsync" };
            shared.latency.note(&shared.settings, event, nanos);
        };
        shared.durability.run(&shared.keyspace, took, || shared.post_all(|| Mail::Durable));
    })?);
    let shared = server.clone();
    others.push(spawn("pause", move || {
        shared.pause.run(&shared.keyspace, || shared.post_all(|| Mail::Resume));
    })?);
    let shared = server.clone();
    others.push(spawn("count", move || {
        shared.keyspace.counts.run(&shared.keyspace, |waiter, counted| {
            let bytes = counted_reply(counted, waiter.is_resp3);
            shared.post(waiter.address.event_loop, Mail::Served { to: waiter.address, bytes, ticket: 0 });
        });
    })?);
    let shared = server.clone();
    others.push(spawn("seconds", move || metrics::sample(&shared))?);
    let metrics = match &config.metrics_addr {
        Some(address) => {
            let (address, thread) = metrics::serve(&server, address)?;
            others.push(thread);
            Some(address)
        }
        None => None,
    };
    Ok(Running { server, port, metrics, loops, others, unixsocket: config.unixsocket })
}

/// Ends the server when a loop ends.
struct EndsWithIt(Arc<Server>);

impl Drop for EndsWithIt {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Running {
    /// Waits until the server was ended ([`Server::end`]), and closes the store.
    pub fn wait(self) -> Result<(), String> {
        let mut has_panicked = false;
        for thread in self.loops {
            has_panicked |= thread.join().is_err();
        }
        self.server.feeds.end(&self.server.keyspace);
        self.server.durability.end();
        self.server.pause.end();
        self.server.keyspace.counts.end();
        for thread in self.others {
            has_panicked |= thread.join().is_err();
        }
        if let Some(path) = &self.unixsocket {
            let _ = std::fs::remove_file(path);
        }
        let closed = self.server.keyspace.db.close();
        // Closing the store ends those that search the log.
        self.server.feeds.wait();
        closed.map_err(|error| describe(&error))?;
        if has_panicked { Err("a thread failed; the store was closed".into()) } else { Ok(()) }
    }
}

/// Runs a server until it is ended by SHUTDOWN, SIGTERM or SIGINT.
pub fn until_ended(config: Config) -> Result<(), String> {
    // Before anybody is told that the server runs: whoever ends it then is to end it in order.
    let mut signals = signal_hook::iterator::Signals::new([libc::SIGTERM, libc::SIGINT])
        .map_err(|error| format!("signals cannot be waited for: {error}"))?;
    let handle = signals.handle();
    let dir = config.dir.display().to_string();
    let running = start(config)?;
    let port = running.port.map_or_else(|| "no port".into(), |port| format!("port {port}"));
    log::info!("ready to accept connections on {port}, for the store '{dir}'");
    if let Some(address) = running.metrics {
        log::info!(
            "metrics are at http://{address}/metrics, and a page that shows them at http://{address}/"
        );
    }
    systemd::notify("READY=1");
    let server = running.server.clone();
    let waiting = spawn("signals", move || {
        if let Some(signal) = signals.forever().next() {
            log::info!("signal {signal}: the server ends");
            server.end();
        }
    })?;
    let ended = running.wait();
    handle.close();
    let _ = waiting.join();
    log::info!("ended");
    ended
}
