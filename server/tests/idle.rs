//! Many connections that do nothing cost little memory and disturb nobody.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpStream;

use common::Process;

/// Sees to it that this process may have so many descriptors.
fn allow_descriptors(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let maximum = limit.maximum.map(|maximum| maximum.max(count));
        let wanted = Rlimit { current: Some(count), maximum };
        let raised = setrlimit(Resource::Nofile, wanted);
        raised.unwrap_or_else(|error| panic!("this test needs {count} descriptors (ulimit -n): {error}"));
    }
}

#[test]
fn ten_thousand_idle_connections_take_little_memory_and_disturb_nobody() {
    const CONNECTIONS: u64 = 10_000;
    allow_descriptors(CONNECTIONS + 1000);
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--maxclients", "20000"]);
    let mut witness = process.connect();
    witness.ask("SET k v");
    let before = process.resident();
    let mut idle = Vec::new();
    while idle.len() < CONNECTIONS as usize {
        let connected = TcpStream::connect(("127.0.0.1", process.port));
        idle.push(connected.unwrap_or_else(|error| panic!("only {} connections: {error}", idle.len())));
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
