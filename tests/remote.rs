//! Remote stores when something goes wrong: servers that are killed, stand still, fail over, move their keys, want a password, or lie.
//!
//! Those on real servers run where `FILEDB_VALKEY_SERVER` names the program of one, as `cargo xtask test conformance` does.

#![cfg(feature = "valkey")]
#![allow(clippy::unwrap_used)]

mod servers;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use filedb::{Batch, Capabilities, Db, Error, LogSink, Options};

use servers::{Cluster, Server, wait_for};

macro_rules! need_servers {
    () => {
        if servers::program().is_none() {
            return println!("not run: FILEDB_VALKEY_SERVER names no server");
        }
    };
}

fn with(options: &[(&str, &str)]) -> Options {
    let mut all = Options::default();
    options.iter().for_each(|(name, value)| all.set(name, value).unwrap());
    all
}

/// What became of pushes, by the value that was pushed.
#[derive(Default)]
struct Outcomes {
    done: Vec<String>,
    in_doubt: Vec<String>,
    not_done: Vec<String>,
}

/// Pushes values of its own, one after the other, to lists whose names `key` gives, until it is told to stop.
fn load(
    db: &Db,
    thread: u32,
    key: &(dyn Fn(u64) -> String + Sync),
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for n in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let value = format!("{}|{thread}|{n}", key(n));
        match db.push_back(key(n).as_bytes(), value.as_bytes()) {
            Ok(_) => {
                outcomes.done.push(value);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Connection { message }) if message.contains("may have happened") => {
                outcomes.in_doubt.push(value)
            }
            Err(Error::Connection { message }) => {
                assert!(message.contains("did not happen"), "{message}");
                outcomes.not_done.push(value);
            }
            Err(other) => panic!("{other}"),
        }
        // Reads go on whatever happens, or say that the server is away.
        match db.list_length(key(n).as_bytes()) {
            Ok(_) | Err(Error::Connection { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    outcomes
}

/// Runs a load in four threads; what `meanwhile` does happens in the middle of it. Then everything is in the lists that has to be, and
/// nothing twice. Gives the values that were acknowledged and are not there.
fn under_load(db: &Db, lists: u64, meanwhile: impl FnOnce(&AtomicU64)) -> Vec<String> {
    let key = move |n: u64| format!("load/{}", n % lists);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let all: Vec<Outcomes> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn({
                    let (stop, done) = (&stop, &done);
                    move || load(db, thread, &key, stop, done)
                })
            })
            .collect();
        wait_for("a load", || done.load(Ordering::Relaxed) > 400);
        meanwhile(&done);
        let before = done.load(Ordering::Relaxed);
        wait_for("a load that goes on by itself", || done.load(Ordering::Relaxed) > before + 400);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for list in 0..lists {
        for value in db.list_range(key(list).as_bytes(), 0, -1).unwrap().unwrap().iter() {
            *found.entry(String::from_utf8(value.to_vec()).unwrap()).or_default() += 1;
        }
    }
    let times = |value: &String| found.get(value).copied().unwrap_or(0);
    let mut lost = Vec::new();
    for outcomes in &all {
        for value in &outcomes.done {
            assert!(times(value) <= 1, "{value} is there {} times", times(value));
            if times(value) == 0 {
                lost.push(value.clone());
            }
        }
        outcomes.in_doubt.iter().for_each(|value| assert!(times(value) <= 1, "{value} was written twice"));
        outcomes.not_done.iter().for_each(|value| assert_eq!(times(value), 0, "{value} was not to be there"));
    }
    let count =
        |part: fn(&Outcomes) -> &Vec<String>| all.iter().map(|outcomes| part(outcomes).len()).sum::<usize>();
    println!(
        "{} writes done, {} in doubt, {} not done, {} lost by the servers",
        count(|all| &all.done),
        count(|all| &all.in_doubt),
        count(|all| &all.not_done),
        lost.len()
    );
    lost
}

#[test]
fn a_server_that_is_killed_under_a_load_and_comes_back_loses_and_doubles_nothing() {
    need_servers!();
    let mut server = Server::start(&["--appendfsync", "always"]);
    let db = Db::open(server.url(), &with(&[("timeout_ms", "3s")])).unwrap();
    let lost = under_load(&db, 8, |done| {
        for _ in 0..3 {
            let before = done.load(Ordering::Relaxed);
            server.kill();
            server.restart();
            wait_for("a load that goes on", || done.load(Ordering::Relaxed) > before + 100);
        }
    });
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn a_server_that_is_away_is_an_error_in_time_and_a_write_did_not_happen() {
    need_servers!();
    let mut server = Server::start(&[]);
    let db = Db::open(server.url(), &with(&[("timeout_ms", "300ms")])).unwrap();
    db.put(b"key", b"1").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    server.kill();
    for _ in 0..3 {
        let begun = Instant::now();
        let error = db.put(b"key", b"2").unwrap_err();
        assert!(
            matches!(&error, Error::Connection { message } if message.contains("did not happen")),
            "{error}"
        );
        assert!(matches!(db.get(b"key"), Err(Error::Connection { .. })));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    server.restart();
    assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"1"[..]));
    // A connection that ended while nobody used it leaves no write in doubt.
    for n in 0..5u8 {
        db.put(b"key", [n]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        server.kill();
        server.restart();
    }
    db.put(b"key", b"3").unwrap();
    assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_server_that_stands_still_holds_nobody_longer_than_the_timeout() {
    need_servers!();
    let server = Server::start(&[]);
    let db = Db::open(server.url(), &with(&[("timeout_ms", "400ms"), ("pool_size", "2")])).unwrap();
    db.put(b"key", b"1").unwrap();
    server.signal("STOP");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let db = &db;
                    move || db.put(b"key", [n])
                })
            })
            .collect();
        for thread in threads {
            assert!(matches!(thread.join().unwrap(), Err(Error::Connection { .. })));
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    server.signal("CONT");
    assert!(db.get(b"key").unwrap().is_some());
    assert!(db.delete(b"key").unwrap());
    assert_eq!(db.get(b"key").unwrap(), None);
    // A close waits for calls under way, and for nothing else.
    db.close().unwrap();
}

#[test]
fn a_cluster_that_fails_over_under_a_load_doubles_nothing_and_is_found_again() {
    need_servers!();
    let mut cluster = Cluster::start(true);
    let db =
        Db::open(cluster.url(), &with(&[("timeout_ms", "10s"), ("connect_timeout_ms", "500ms")])).unwrap();
    // By agreement: the old primary waits until the new one has everything.
    let lost = under_load(&db, 40, |_| {
        assert!(cluster.replicas[1].ask(&["CLUSTER", "FAILOVER"]).starts_with("+OK"));
        wait_for("a failover", || cluster.replicas[1].ask(&["ROLE"]).contains("master"));
    });
    assert_eq!(lost, Vec::<String>::new());
    db.iter(b"").unwrap().visit_rows(|key, _| db.delete(key).unwrap()).unwrap();
    // By death. Replication is not waited for by anybody: what the dead one had alone is lost, and that is the last of it.
    let lost = under_load(&db, 40, |_| {
        cluster.primaries[0].kill();
        wait_for("a failover", || cluster.replicas[0].ask(&["ROLE"]).contains("master"));
    });
    assert!(lost.len() < 100, "{lost:?}");
    assert_eq!(db.list(b"").unwrap().len(), 40);
    assert_eq!(db.count().unwrap(), 40);
    // A new handle finds the others through a dead one.
    assert_eq!(Db::open(cluster.url(), &Options::default()).unwrap().count().unwrap(), 40);
}

#[test]
fn keys_are_followed_while_their_slot_moves() {
    need_servers!();
    let cluster = Cluster::start(false);
    let db = Db::open(cluster.url(), &Options::default()).unwrap();
    let capabilities = db.capabilities().unwrap();
    assert!(!capabilities.contains(Capabilities::BATCH) && capabilities.contains(Capabilities::SYNC));
    // "foo" has slot 12182, which the third has.
    let (from, to) = (&cluster.primaries[2], &cluster.primaries[0]);
    let id = |server: &Server| server.ask(&["CLUSTER", "MYID"]).lines().nth(1).unwrap().to_owned();
    let (from_id, to_id) = (id(from), id(to));
    db.put(b"foo", b"1").unwrap();
    db.push_back(b"{foo}list", b"1").unwrap();
    assert!(to.ask(&["CLUSTER", "SETSLOT", "12182", "IMPORTING", &from_id]).starts_with("+OK"));
    assert!(from.ask(&["CLUSTER", "SETSLOT", "12182", "MIGRATING", &to_id]).starts_with("+OK"));
    let port = to.port.to_string();
    for key in ["foo", "{foo}list"] {
        assert!(from.ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "1000"]).starts_with("+OK"));
    }
    // On the way.
    assert_eq!(db.get(b"foo").unwrap().as_deref(), Some(&b"1"[..]));
    db.put(b"foo", b"2").unwrap();
    assert_eq!(db.push_back(b"{foo}list", b"2").unwrap(), 2);
    assert_eq!(db.list_range(b"{foo}list", 0, -1).unwrap().unwrap().len(), 2);
    assert!(db.persist(b"foo").unwrap());
    assert!(db.compare_and_swap(b"foo", Some(b"2"), Some(b"3")).unwrap());
    let mut out = Vec::new();
    db.get_many(&[b"foo", b"bar"], &mut out).unwrap();
    assert_eq!(out[0].as_ref().unwrap().as_deref(), Some(&b"3"[..]));
    let mut batch = Batch::new();
    // Of one key: of several a server wants that all are where they are asked for.
    batch.put(b"foo", b"4").unwrap();
    batch.put(b"foo", b"5").unwrap();
    db.write(&batch).unwrap();
    assert_eq!(db.get(b"foo").unwrap().as_deref(), Some(&b"5"[..]));
    db.put(b"foo", b"3").unwrap();
    db.sync().unwrap();
    // There.
    for server in &cluster.primaries {
        server.ask(&["CLUSTER", "SETSLOT", "12182", "NODE", &to_id]);
    }
    assert_eq!(db.get(b"foo").unwrap().as_deref(), Some(&b"3"[..]));
    let mut batch = Batch::new();
    batch.put(b"foo", b"4").unwrap();
    batch.push_back(b"{foo}list", b"3").unwrap();
    db.write(&batch).unwrap();
    assert_eq!(db.get(b"foo").unwrap().as_deref(), Some(&b"4"[..]));
    assert_eq!(db.count().unwrap(), 2);
    db.sync().unwrap();
    assert_eq!(db.count().unwrap(), 2);
    // One server of it alone is told from a server.
    let error =
        Db::open(cluster.primaries[0].url(), &Options::default()).unwrap().get(b"foo2").and(Ok(())).and_then(
            |()| {
                let db = Db::open(cluster.primaries[1].url(), &Options::default())?;
                db.get(b"foo").map(drop)
            },
        );
    assert!(
        matches!(&error, Err(Error::InvalidArgument { message }) if message.contains("valkey-cluster://")),
        "{error:?}"
    );
}

#[test]
fn a_server_alone_is_no_cluster() {
    need_servers!();
    let server = Server::start(&[]);
    let url = server.url().replace("valkey://", "valkey-cluster://");
    let error = Db::open(url, &Options::default()).err().unwrap();
    assert!(matches!(&error, Error::InvalidArgument { message } if message.contains("valkey://")), "{error}");
}

#[test]
fn a_password_is_asked_for_and_never_shown() {
    need_servers!();
    let server =
        Server::start(&["--requirepass", "s3cret/@", "--user", "me", "on", ">s3cret2", "~*", "+@all"]);
    let told = Arc::new(Mutex::new(String::new()));
    let log = LogSink::new({
        let told = told.clone();
        move |_, event| told.lock().unwrap().push_str(event)
    });
    let options = || Options { log: log.clone(), ..with(&[("log_level", "debug")]) };
    let place = format!("127.0.0.1:{}", server.port);
    let mut options_with = options();
    options_with.set("password", "s3cret/@").unwrap();
    let mut options_of_me = options();
    options_of_me.set("user", "me").unwrap();
    options_of_me.set("password", "s3cret2").unwrap();
    for (url, options) in [
        (format!("valkey://:s3cret%2F%40@{place}"), options()),
        (format!("valkey://default:s3cret%2f@@{place}/1"), options()),
        (format!("valkey://me:s3cret2@{place}"), options()),
        (format!("valkey://{place}"), options_with.clone()),
        (format!("valkey://{place}"), options_of_me),
        (format!("valkey://me:s3cret2@{place}"), options_with),
    ] {
        let db = Db::open(url, &options).unwrap();
        db.put(b"key", b"value").unwrap();
        assert!(!format!("{options:?}").contains("s3cret"));
    }
    for url in [
        format!("valkey://:s3cret%2Fx@{place}"),
        format!("valkey://nobody:s3cret2@{place}"),
        format!("valkey://{place}"),
        format!("valkey://{place}/1"),
    ] {
        let error = Db::open(url, &options()).err().unwrap();
        assert!(
            matches!(&error, Error::InvalidArgument { message } if message.contains("password")),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("s3cret"), "{error}");
    }
    assert!(!told.lock().unwrap().contains("s3cret"));
}

#[test]
fn a_database_is_apart_from_the_others_and_can_begin_empty() {
    need_servers!();
    let server = Server::start(&[]);
    let at = |database: &str| format!("{}{database}", server.url());
    let (zero, one) =
        (Db::open(at(""), &Options::default()).unwrap(), Db::open(at("/1"), &Options::default()).unwrap());
    zero.put(b"key", b"0").unwrap();
    one.put(b"key", b"1").unwrap();
    assert_eq!(zero.get(b"key").unwrap().as_deref(), Some(&b"0"[..]));
    let truncate = Options { truncate: true, ..Options::default() };
    assert!(matches!(Db::open(at(""), &truncate).map(drop), Err(Error::Unsupported { .. })));
    assert_eq!(Db::open(at("/1"), &truncate).unwrap().count().unwrap(), 0);
    assert_eq!(zero.count().unwrap(), 1);
    assert!(matches!(Db::open(at("/99"), &Options::default()), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_walk_ends_with_an_error_where_the_server_was_started_anew() {
    need_servers!();
    let mut server = Server::start(&["--appendfsync", "always"]);
    let db = Db::open(server.url(), &Options::default()).unwrap();
    let mut batch = Batch::new();
    (0..5_000u32).for_each(|n| batch.put(n.to_le_bytes(), b"").unwrap());
    db.write(&batch).unwrap();
    let mut iter = db.iter(b"").unwrap();
    (0..500).for_each(|_| assert!(iter.next_row().unwrap().is_some()));
    server.kill();
    server.restart();
    let mut outcome = Ok(());
    while outcome.is_ok() {
        outcome = iter.next_row().map(|row| assert!(row.is_some(), "the walk left keys out"));
    }
    assert!(matches!(outcome, Err(Error::Connection { .. })), "{outcome:?}");
    assert_eq!(db.list(b"").unwrap().len(), 5_000);
    // What is neither value nor list is listed, and no row.
    server.ask(&["HSET", "hash", "field", "value"]);
    assert_eq!(db.list(b"hash").unwrap().len(), 1);
    assert!(db.iter(b"hash").unwrap().next_row().unwrap().is_none());
    assert!(matches!(db.type_of(b"hash"), Err(Error::Unsupported { .. })));
    assert!(matches!(db.get(b"hash"), Err(Error::WrongType)));
}

#[test]
fn a_full_server_says_so() {
    need_servers!();
    let server = Server::start(&["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"]);
    let db = Db::open(server.url(), &Options::default()).unwrap();
    let error = (0..20_000u32).find_map(|n| db.put(n.to_le_bytes(), [7; 1000]).err()).unwrap();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    // All or nothing also of a batch that begins with what a full server does.
    db.push_back("list", [7; 1000]).expect_err("it is full");
    let mut batch = Batch::new();
    batch.delete(1u32.to_le_bytes()).unwrap();
    batch.push_back("list", [7; 1000]).unwrap();
    assert!(matches!(db.write(&batch), Err(Error::NoSpace { .. })));
    assert!(db.exists(1u32.to_le_bytes()).unwrap());
    assert!(db.delete(0u32.to_le_bytes()).unwrap());
}

/// A server that answers the first requests as a Valkey without a log of writes would, and then does as `lie` says.
fn liar(lie: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lie = Arc::new(lie);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, lie) = (stream.unwrap(), lie.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(command) = read_command(&mut reader) {
                    match command[0].as_str() {
                        "WAITAOF" => drop(stream.write_all(b"-ERR unknown command\r\n")),
                        "AUTH" => drop(write!(
                            stream,
                            "-ERR unknown command 'AUTH', with args beginning with: '{}'\r\n",
                            command[1]
                        )),
                        _ => lie(&mut stream),
                    }
                }
            });
        }
    });
    port
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

/// The most memory that this process had, in bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_server_that_lies_is_an_error_in_time_and_takes_no_memory() {
    type Lie = fn(&mut TcpStream);
    let lies: &[(&str, Lie)] = &[
        ("rubbish", |stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
        ("nothing", |_| {}),
        ("half a reply", |stream| drop(stream.write_all(b"$10\r\nabc"))),
        ("half a line", |stream| drop(stream.write_all(b"$1"))),
        ("the end", |stream| drop(stream.shutdown(std::net::Shutdown::Both))),
        ("another kind", |stream| drop(stream.write_all(b"*2\r\n:1\r\n:2\r\n"))),
        ("too much", |stream| drop(stream.write_all(b"$1\r\na\r\n$1\r\nb\r\n"))),
        ("a size of a value that is not there", |stream| drop(stream.write_all(b"$536870912\r\nabc"))),
        ("a size that is none", |stream| drop(stream.write_all(b"$99999999999999\r\n"))),
        ("a number of values that are not there", |stream| drop(stream.write_all(b"*4000000000\r\n"))),
        ("arrays in arrays", |stream| drop(stream.write_all(&b"*1\r\n".repeat(10_000)))),
        ("a line without an end", |stream| drop(stream.write_all(&[b'+'; 100_000]))),
        ("a byte now and then", |stream| {
            let _ = stream.write_all(b"$1000\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }),
        ("a place that is none", |stream| drop(stream.write_all(b"-MOVED 1 nowhere\r\n"))),
        ("always later", |stream| drop(stream.write_all(b"-LOADING the data\r\n"))),
    ];
    let before = most_memory();
    for (name, lie) in lies {
        let port = liar(lie);
        let db = Db::open(format!("valkey://127.0.0.1:{port}"), &with(&[("timeout_ms", "250ms")])).unwrap();
        for (what, outcome) in [
            ("get", db.get(b"key").map(drop)),
            ("put", db.put(b"key", b"value")),
            ("pop", db.pop_back(b"key").map(drop)),
            ("list", db.list(b"").map(drop)),
            ("get_many", {
                let mut out = Vec::new();
                db.get_many(&[b"a", b"b"], &mut out).and_then(|()| out.remove(1).map(drop))
            }),
            ("count", db.count().map(drop)),
        ] {
            // Of what comes behind many replies nobody knows that it came too early.
            if (*name, what) == ("too much", "get_many") {
                continue;
            }
            let begun = Instant::now();
            let error = outcome.expect_err(&format!("{name}, {what}"));
            let is_right = matches!(error, Error::Connection { .. })
                || name.contains("place") && matches!(error, Error::InvalidArgument { .. });
            assert!(is_right, "{name}, {what}: {error:?}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{name}, {what}: {:?}", begun.elapsed());
            if what == "put" && !name.contains("later") && !name.contains("place") {
                assert!(error.to_string().contains("may have happened"), "{name}: {error}");
            }
        }
        db.close().unwrap();
    }
    let grown = most_memory() - before;
    assert!(grown < 100 << 20, "{grown} bytes");
}

#[test]
fn a_cluster_that_lies_is_an_error_in_time() {
    for lie in [
        "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "+OK\r\n",
        "",
    ] {
        let port = liar(move |stream| drop(stream.write_all(lie.as_bytes())));
        let begun = Instant::now();
        let url = format!("valkey-cluster://127.0.0.1:{port},127.0.0.1:{port}");
        let error =
            Db::open(url, &with(&[("timeout_ms", "300ms"), ("connect_timeout_ms", "200ms")])).err().unwrap();
        assert!(matches!(error, Error::Connection { .. }), "{lie:?}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{lie:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_repeats_what_it_was_given_shows_no_password() {
    let port = liar(|_| {});
    let error = Db::open(format!("valkey://:s3cret@127.0.0.1:{port}"), &Options::default()).err().unwrap();
    assert!(!format!("{error:?} {error}").contains("s3cret"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_once() {
    let port = servers::free_port();
    for scheme in ["valkey", "valkeys", "valkey-cluster"] {
        let error = Db::open(format!("{scheme}://127.0.0.1:{port}"), &Options::default()).err().unwrap();
        assert!(matches!(&error, Error::Connection { message } if message.contains("127.0.0.1")), "{error}");
    }
    let error = Db::open("valkey://no-such-host.invalid", &Options::default()).err().unwrap();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
}
