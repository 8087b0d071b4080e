//! Listening sockets, and who is let in.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::transport::Transport;
use crate::server::Server;

/// A listening socket.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// TLS over TCP.
    Tls(TcpListener, Arc<ServerConfig>),
    /// A Unix socket.
    Unix(UnixListener),
}

const DENIED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the \
    default user. In this mode connections are only accepted from the loopback interface. To connect from other machines start \
    filedb-server with --requirepass, or with --protected-mode no where everybody who can connect may change the data.\r\n";

impl Listener {
    /// Listens on TCP.
    pub fn tcp(host: &str, port: u16) -> io::Result<TcpListener> {
        let address: SocketAddr = (host, port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    /// Listens on a Unix socket. One that nobody listens on any more is replaced.
    pub fn unix(path: &Path) -> io::Result<UnixListener> {
        match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let is_socket = std::fs::symlink_metadata(path)
                    .is_ok_and(|about| std::os::unix::fs::FileTypeExt::is_socket(&about.file_type()));
                if !is_socket || std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(error);
                }
                std::fs::remove_file(path)?;
                UnixListener::bind(path)
            }
            other => other,
        }
    }

    /// Registers it.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => {
                registry.register(listener, token, Interest::READABLE)
            }
            Listener::Unix(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// The port, of TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => {
                listener.local_addr().ok().map(|it| it.port())
            }
            Listener::Unix(_) => None,
        }
    }

    /// The next connection that waits.
    pub fn accept(&self, keepalive_s: u64) -> io::Result<Transport> {
        let ready = |stream: TcpStream| -> TcpStream {
            let _ = stream.set_nodelay(true);
            if keepalive_s > 0 {
                let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(keepalive_s));
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
            }
            stream
        };
        Ok(match self {
            Listener::Tcp(listener) => Transport::Tcp(ready(listener.accept()?.0)),
            Listener::Unix(listener) => Transport::Unix(listener.accept()?.0),
            Listener::Tls(listener, config) => {
                let stream = ready(listener.accept()?.0);
                let tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                Transport::Tls(Box::new(tls), stream)
            }
        })
    }
}

/// Whether a connection may stay; one that may not is told why.
pub fn is_welcome(server: &Server, transport: &mut Transport) -> bool {
    server.stats.connections.fetch_add(1, Ordering::Relaxed);
    let settings = &server.settings;
    let clients = server.clients.lock().len() as u64;
    let refusal = if clients >= settings.max_clients.load(Ordering::Relaxed) {
        "-ERR max number of clients reached\r\n"
    } else if settings.protected_mode.load(Ordering::Relaxed)
        && settings.password.read().is_empty()
        && !transport.is_local()
    {
        DENIED
    } else {
        return true;
    };
    server.stats.rejected.fetch_add(1, Ordering::Relaxed);
    match transport {
        Transport::Tcp(stream) => drop(stream.write(refusal.as_bytes())),
        Transport::Unix(stream) => drop(stream.write(refusal.as_bytes())),
        Transport::Tls(..) => {}
    }
    false
}
