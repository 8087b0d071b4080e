//! Many connections that do nothing cost little memory and disturb nobody.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpStream;

use common::Process;

#[test]
fn ten_thousand_idle_connections_take_little_memory_and_disturb_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--maxclients", "20000"]);
    let mut witness = process.connect();
    witness.ask("SET k v");
    let before = process.resident();
    let mut idle = Vec::new();
    // As many as this process may have descriptors; the machines of the tests allow more than ten thousand.
    while idle.len() < 10_000 {
        match TcpStream::connect(("127.0.0.1", process.port)) {
            Ok(stream) => idle.push(stream),
            Err(error) => {
                println!("only {} connections: {error}", idle.len());
                break;
            }
        }
    }
    assert_eq!(witness.ask("GET k"), "$1\r\nv\r\n");
    let mut connected = 0;
    while connected < idle.len() + 1 {
        let info = witness.ask("INFO clients");
        let line = info.lines().find_map(|line| line.strip_prefix("connected_clients:")).unwrap();
        connected = line.parse().unwrap();
    }
    let each = (process.resident() - before) / idle.len() as u64;
    assert!(each < 4096, "a connection takes {each} bytes");
}
