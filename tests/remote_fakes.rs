//! Remote stores on servers that a test plays: what a real one does rarely, at the moment at which it matters.

#![cfg(feature = "valkey")]
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filedb::{Batch, Db, Error, Options};

/// What a connection of a fake server has in mind.
#[derive(Default)]
struct Connection {
    has_asked: bool,
    queued: Option<Vec<String>>,
    is_spoilt: bool,
}

/// A server that answers as `answer` says: nothing at all where that is `None`. Its port.
fn fake(answer: impl Fn(u16, &mut Connection, &[String]) -> Option<String> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                serve(stream.unwrap(), |connection, command| answer(port, connection, command))
            });
        }
    });
    port
}

fn serve(mut stream: TcpStream, answer: impl Fn(&mut Connection, &[String]) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut connection = Connection::default();
    while let Some(command) = read_command(&mut reader) {
        if let Some(answer) = answer(&mut connection, &command)
            && stream.write_all(answer.as_bytes()).is_err()
        {
            return;
        }
    }
}

fn read_command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut line = String::new();
    let mut number = |reader: &mut dyn BufRead| {
        line.clear();
        reader.read_line(&mut line).ok()?;
        line.trim().get(1..)?.parse::<usize>().ok()
    };
    let count = number(reader)?;
    (0..count)
        .map(|_| {
            let mut arg = vec![0; number(reader)? + 2];
            reader.read_exact(&mut arg).ok()?;
            arg.truncate(arg.len() - 2);
            Some(String::from_utf8_lossy(&arg).into_owned())
        })
        .collect()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// CLUSTER SLOTS: ranges of slots and the ports of who has them.
fn slots(ranges: &[(u16, u16, u16)]) -> Option<String> {
    let mut all = format!("*{}\r\n", ranges.len());
    for (first, last, port) in ranges {
        let id = bulk(&format!("server-{port}"));
        all += &format!("*3\r\n:{first}\r\n:{last}\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n{id}");
    }
    Some(all)
}

fn ok() -> Option<String> {
    Some("+OK\r\n".into())
}

fn with(options: &[(&str, &str)]) -> Options {
    let mut all = Options::default();
    options.iter().for_each(|(name, value)| all.set(name, value).unwrap());
    all
}

fn two_puts() -> Batch {
    let mut batch = Batch::new();
    batch.put(b"{a}1", b"1").unwrap();
    batch.put(b"{a}2", b"2").unwrap();
    batch
}

#[test]
fn nothing_of_a_batch_is_written_where_the_server_begins_no_transaction() {
    let written = Arc::new(AtomicU32::new(0));
    let port = fake({
        let written = written.clone();
        move |_, _, command| match command[0].as_str() {
            "SET" => {
                written.fetch_add(1, Ordering::SeqCst);
                ok()
            }
            "EXEC" => Some("-ERR EXEC without MULTI\r\n".into()),
            "MULTI" => Some("-NOPERM User default has no permissions to run the 'multi' command\r\n".into()),
            _ => Some("-ERR unknown command\r\n".into()),
        }
    });
    let db = Db::open(format!("valkey://127.0.0.1:{port}"), &Options::default()).unwrap();
    for _ in 0..2 {
        let error = db.write(&two_puts()).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { message } if message.contains("NOPERM")), "{error}");
    }
    assert_eq!(written.load(Ordering::SeqCst), 0);
    db.put(b"key", b"value").unwrap();
}

#[test]
fn a_batch_that_was_written_in_parts_is_not_called_refused() {
    let transactions = AtomicU32::new(0);
    let port = fake(move |_, connection, command| match command[0].as_str() {
        "MULTI" if transactions.fetch_add(1, Ordering::SeqCst) > 0 => Some("-NOPERM not any more\r\n".into()),
        "MULTI" => {
            connection.queued = Some(Vec::new());
            ok()
        }
        "SET" if connection.queued.is_some() => Some("+QUEUED\r\n".into()),
        "SET" => ok(),
        "EXEC" if connection.queued.take().is_some() => Some("*2\r\n+OK\r\n+OK\r\n".into()),
        "EXEC" => Some("-ERR EXEC without MULTI\r\n".into()),
        _ => Some("-ERR unknown command\r\n".into()),
    });
    let db = Db::open(format!("valkey://127.0.0.1:{port}"), &Options::default()).unwrap();
    db.write(&two_puts()).unwrap();
    let error = db.write(&two_puts()).unwrap_err();
    assert!(
        matches!(&error, Error::Connection { message } if message.contains("parts of the batch")),
        "{error}"
    );
}

#[test]
fn a_batch_follows_its_keys_while_their_slot_moves() {
    let done = Arc::new(Mutex::new(Vec::new()));
    let new = fake({
        let done = done.clone();
        move |port, connection, command| {
            let has_asked = connection.has_asked;
            let reply = match command[0].as_str() {
                "MULTI" => {
                    (connection.queued, connection.is_spoilt) = (Some(Vec::new()), false);
                    ok()
                }
                "EXEC" => match connection.queued.take() {
                    Some(_) if connection.is_spoilt => Some("-EXECABORT discarded\r\n".into()),
                    Some(queued) => {
                        let replies = "+OK\r\n".repeat(queued.len());
                        let all = format!("*{}\r\n{replies}", queued.len());
                        done.lock().unwrap().extend(queued);
                        Some(all)
                    }
                    None => Some("-ERR EXEC without MULTI\r\n".into()),
                },
                "CLUSTER" => slots(&[(0, 16383, port)]),
                "SET" if !has_asked => {
                    connection.is_spoilt = true;
                    Some("-MOVED 15495 127.0.0.1:1\r\n".into())
                }
                name => match &mut connection.queued {
                    Some(queued) => {
                        queued.push(name.into());
                        Some("+QUEUED\r\n".into())
                    }
                    None => ok(),
                },
            };
            // As a server does: a transaction that was begun so is asked for as a whole.
            connection.has_asked = command[0] == "ASKING" || has_asked && connection.queued.is_some();
            reply
        }
    });
    let old = fake(move |port, _, command| match command[0].as_str() {
        "CLUSTER" => slots(&[(0, 16383, port)]),
        "MULTI" => ok(),
        "SET" => Some(format!("-ASK 15495 127.0.0.1:{new}\r\n")),
        "EXEC" => Some("-EXECABORT discarded\r\n".into()),
        _ => Some("-ERR unknown command\r\n".into()),
    });
    let db = Db::open(format!("valkey-cluster://127.0.0.1:{old}"), &with(&[("timeout_ms", "2s")])).unwrap();
    db.write(&two_puts()).unwrap();
    assert_eq!(*done.lock().unwrap(), ["SET", "SET"]);
}

#[test]
fn a_walk_that_may_have_left_out_keys_is_an_error() {
    for moves in [false, true] {
        let ports = Arc::new(Mutex::new([0; 2]));
        let has_moved = Arc::new(AtomicBool::new(false));
        let server = || {
            let (ports, has_moved) = (ports.clone(), has_moved.clone());
            fake(move |_, _, command| match command[0].as_str() {
                "CLUSTER" => {
                    let [first, second] = *ports.lock().unwrap();
                    match has_moved.load(Ordering::SeqCst) {
                        false => slots(&[(0, 8191, first), (8192, 16383, second)]),
                        true => slots(&[(0, 8000, first), (8001, 16383, second)]),
                    }
                }
                "INFO" => Some(bulk("run_id:1\r\n")),
                "SCAN" => {
                    // The one that is asked first gets keys of the other when it was asked.
                    has_moved.store(moves, Ordering::SeqCst);
                    Some("*2\r\n$1\r\n0\r\n*0\r\n".into())
                }
                _ => Some("-ERR unknown command\r\n".into()),
            })
        };
        *ports.lock().unwrap() = [server(), server()];
        let url = format!("valkey-cluster://127.0.0.1:{}", ports.lock().unwrap()[0]);
        let db = Db::open(url, &with(&[("timeout_ms", "2s")])).unwrap();
        match (moves, db.list(b"")) {
            (false, Ok(keys)) => assert_eq!(keys.len(), 0),
            (true, Err(Error::Connection { message })) => {
                assert!(message.contains("begin again"), "{message}")
            }
            (_, other) => panic!("{moves}: {:?}", other.map(|keys| keys.len())),
        }
    }
}

#[test]
fn a_server_that_hangs_is_left_for_the_one_that_took_over() {
    let hangs = Arc::new(AtomicBool::new(false));
    let first = fake({
        let hangs = hangs.clone();
        move |port, _, command| match command[0].as_str() {
            _ if hangs.load(Ordering::SeqCst) => None,
            "CLUSTER" => slots(&[(0, 16383, port)]),
            _ => Some("-ERR unknown command\r\n".into()),
        }
    });
    let second = fake({
        let hangs = hangs.clone();
        move |port, _, command| match command[0].as_str() {
            "CLUSTER" if hangs.load(Ordering::SeqCst) => slots(&[(0, 16383, port)]),
            "CLUSTER" => slots(&[(0, 16383, first)]),
            "SET" => ok(),
            "GET" => Some("$-1\r\n".into()),
            _ => Some("-ERR unknown command\r\n".into()),
        }
    });
    for reads in [false, true] {
        hangs.store(false, Ordering::SeqCst);
        let url = format!("valkey-cluster://127.0.0.1:{first},127.0.0.1:{second}");
        let db = Db::open(url, &with(&[("timeout_ms", "300ms"), ("connect_timeout_ms", "300ms")])).unwrap();
        hangs.store(true, Ordering::SeqCst);
        let attempt = || if reads { db.get(b"key").map(drop) } else { db.put(b"key", b"value") };
        attempt().expect_err("it hangs");
        assert!((0..4).any(|_| attempt().is_ok()), "the server that hangs is asked for ever");
    }
}

#[test]
fn a_sync_goes_on_where_slots_are_given_away() {
    let moving = Mutex::new(None::<String>);
    let port = fake(move |port, connection, command| match command[0].as_str() {
        "CLUSTER" => slots(&[(0, 16383, port)]),
        "WAITAOF" => Some("*2\r\n:1\r\n:0\r\n".into()),
        "MULTI" => {
            connection.is_spoilt = false;
            ok()
        }
        "EXEC" if connection.is_spoilt => Some("-EXECABORT discarded\r\n".into()),
        "EXEC" => Some("*2\r\n+OK\r\n:1\r\n".into()),
        _ => {
            // The slot that is asked about first is on its way to another server.
            let tag = command[1].split('{').nth(1).unwrap().to_owned();
            if *moving.lock().unwrap().get_or_insert_with(|| tag.clone()) == tag {
                connection.is_spoilt = true;
                Some("-ASK 1 127.0.0.1:1\r\n".into())
            } else {
                Some("+QUEUED\r\n".into())
            }
        }
    });
    let db = Db::open(format!("valkey-cluster://127.0.0.1:{port}"), &with(&[("timeout_ms", "3s")])).unwrap();
    db.sync().unwrap();
}

#[test]
fn a_server_with_too_many_clients_is_tried_again_and_has_no_wrong_password() {
    let refusals = AtomicU32::new(0);
    let port = fake(move |_, _, command| match command[0].as_str() {
        "AUTH" if refusals.fetch_add(1, Ordering::SeqCst) < 2 => {
            Some("-ERR max number of clients reached\r\n".into())
        }
        "AUTH" | "SET" => ok(),
        _ => Some("-ERR unknown command\r\n".into()),
    });
    let url = format!("valkey://:secret@127.0.0.1:{port}");
    let refused = Db::open(url.as_str(), &Options::default()).err().unwrap();
    assert!(matches!(&refused, Error::Connection { message } if message.contains("clients")), "{refused}");
    let refused = Db::open(url.as_str(), &Options::default()).err().unwrap();
    assert!(matches!(&refused, Error::Connection { .. }), "{refused}");
    Db::open(url.as_str(), &Options::default()).unwrap().put(b"key", b"value").unwrap();
}

#[test]
fn what_would_send_a_password_in_the_clear_or_no_password_at_all_is_refused() {
    let port = fake(|_, _, _| ok());
    let refused = |url: String, options: &[(&str, &str)]| {
        let error = Db::open(url, &with(options)).err().unwrap();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        error.to_string()
    };
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/tls/ca.pem");
    let said = refused(format!("valkey://:secret@127.0.0.1:{port}"), &[("tls_ca", ca)]);
    assert!(said.contains("valkeys://"), "{said}");
    let said = refused(format!("valkey://me@127.0.0.1:{port}"), &[]);
    assert!(said.contains("no password"), "{said}");
    refused(format!("valkey://127.0.0.1:{port}"), &[("user", "me")]);
}

#[test]
fn replies_are_read_while_a_large_batch_is_sent() {
    // A server that reads on only where its replies have room.
    let port = fake(|_, _, command| match command[0].as_str() {
        "MULTI" => ok(),
        "SET" => Some(format!("+QUEUED{}\r\n", " ".repeat(100))),
        "EXEC" => Some(format!("*100000\r\n{}", "+OK\r\n".repeat(100_000))),
        _ => Some("-ERR unknown command\r\n".into()),
    });
    let db = Db::open(format!("valkey://127.0.0.1:{port}"), &with(&[("timeout_ms", "60s")])).unwrap();
    let mut batch = Batch::new();
    (0..100_000u32).for_each(|n| batch.put(n.to_le_bytes(), [0; 200]).unwrap());
    let begun = std::time::Instant::now();
    db.write(&batch).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
}
