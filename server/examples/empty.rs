//! The ceiling of the race: a server that answers each command with OK and does nothing else.
//!
//! `empty PORT`. It understands what redis-benchmark sends, and no more.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// The number of commands that begin in the input: each with a star at the beginning of a line.
fn commands(input: &[u8]) -> usize {
    input.windows(2).filter(|pair| pair == b"\n*").count() + usize::from(input.first() == Some(&b'*'))
}

fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, Token(usize::MAX - 1), Interest::READABLE)?;
    let mut connections: Slab<TcpStream> = Slab::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let replies = b"+OK\r\n".repeat(1 << 15);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(at) = event.token();
            if at == usize::MAX - 1 {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let entry = connections.vacant_entry();
                    poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
                    entry.insert(stream);
                }
                continue;
            }
            let Some(stream) = connections.get_mut(at) else { continue };
            match stream.read(&mut buffer) {
                Ok(0) => drop(connections.remove(at)),
                Ok(count) => {
                    let count = commands(&buffer[..count]) * 5;
                    stream.write_all(&replies[..count])?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => drop(connections.remove(at)),
            }
        }
    }
}
