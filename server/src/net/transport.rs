//! What bytes come over: TCP, a Unix socket, or TLS over TCP.

use std::io::{self, Read, Write};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustls::ServerConnection;

/// A connection's socket. Nothing here waits.
pub enum Transport {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS.
    Tls(Box<ServerConnection>, TcpStream),
}

impl Transport {
    /// Registers the socket for both directions.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Transport::Tcp(stream) | Transport::Tls(_, stream) => stream.register(registry, token, interest),
            Transport::Unix(stream) => stream.register(registry, token, interest),
        }
    }

    /// Both ends, as CLIENT LIST shows them.
    pub fn ends(&self, socket: &str) -> (String, String) {
        let show = |address: io::Result<std::net::SocketAddr>| {
            address.map_or_else(|_| "?:0".into(), |it| it.to_string())
        };
        match self {
            Transport::Tcp(stream) | Transport::Tls(_, stream) => {
                (show(stream.peer_addr()), show(stream.local_addr()))
            }
            Transport::Unix(_) => (format!("{socket}:0"), format!("{socket}:0")),
        }
    }

    /// Whether the other end is on this machine, as protected mode means it.
    pub fn is_local(&self) -> bool {
        match self {
            Transport::Unix(_) => true,
            Transport::Tcp(stream) | Transport::Tls(_, stream) => {
                stream.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
        }
    }

    /// Whether a short read says that nothing more is there.
    pub fn is_plain(&self) -> bool {
        !matches!(self, Transport::Tls(..))
    }

    /// Reads what is there; 0 at the end.
    pub fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => stream.read(to),
            Transport::Unix(stream) => stream.read(to),
            Transport::Tls(tls, stream) => read_tls(tls, stream, to),
        }
    }

    /// Writes what there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => stream.write(bytes),
            Transport::Unix(stream) => stream.write(bytes),
            Transport::Tls(tls, stream) => {
                let written = tls.writer().write(bytes)?;
                match flush_tls(tls, stream) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && written > 0 => Ok(written),
                    other => other.map(|()| written),
                }
            }
        }
    }

    /// Sends what TLS holds back. False where something is left.
    pub fn flush(&mut self) -> io::Result<bool> {
        if let Transport::Tls(tls, stream) = self
            && let Err(error) = flush_tls(tls, stream)
        {
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) };
        }
        Ok(true)
    }
}

fn read_tls(tls: &mut ServerConnection, stream: &mut TcpStream, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        if tls.read_tls(stream)? == 0 {
            return Ok(0);
        }
        let processed = tls.process_new_packets();
        let flushed = flush_tls(tls, stream);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match flushed {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

fn flush_tls(tls: &mut ServerConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}
