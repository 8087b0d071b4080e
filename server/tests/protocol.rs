//! What clients see: commands, transactions, messages, waits, passwords, and clients that behave badly.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::{Client, Process, encode};

fn server(options: &[&str]) -> (tempfile::TempDir, Process) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), options);
    (directory, process)
}

#[test]
fn strings_lists_and_expiry_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let process = Process::filedb(&store, &[]);
    let mut client = process.connect();
    assert_eq!(client.ask("SET a 1"), "+OK\r\n");
    assert_eq!(client.ask("RPUSH l x y z"), ":3\r\n");
    assert_eq!(client.ask("SET t v EX 1000"), "+OK\r\n");
    assert_eq!(client.ask("SELECT 3"), "+OK\r\n");
    assert_eq!(client.ask("SET a other"), "+OK\r\n");
    assert_eq!(client.ask("SWAPDB 3 4"), "+OK\r\n");
    assert!(process.terminate(), "SIGTERM ends the server well");

    let process = Process::filedb(&store, &[]);
    let mut client = process.connect();
    assert_eq!(client.ask("GET a"), "$1\r\n1\r\n");
    assert_eq!(client.ask("LRANGE l 0 -1"), "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
    assert_eq!(client.ask("TTL t"), ":1000\r\n");
    assert_eq!(client.ask("DBSIZE"), ":3\r\n");
    client.ask("SELECT 4");
    assert_eq!(client.ask("GET a"), "$5\r\nother\r\n");
    assert_eq!(client.ask("DBSIZE"), ":1\r\n");
    client.ask("SELECT 0");
    assert_eq!(client.ask("FLUSHALL"), "+OK\r\n");
    assert_eq!(client.ask("DBSIZE"), ":0\r\n");
}

#[test]
fn bgsave_copies_the_store_and_lastsave_tells_when() {
    let home = tempfile::tempdir().unwrap();
    let (store, backup) = (home.path().join("store"), home.path().join("backup"));
    let process = Process::filedb(&store, &["--backup-dir", backup.to_str().unwrap()]);
    let mut client = process.connect();
    assert_eq!(client.ask("LASTSAVE"), ":0\r\n");
    for value in ["1", "2"] {
        assert_eq!(client.ask(&format!("SET a {value}")), "+OK\r\n");
        assert_eq!(client.ask("BGSAVE"), "+Background saving started\r\n");
        while client.ask("INFO persistence").contains("rdb_bgsave_in_progress:1") {
            std::thread::yield_now();
        }
        assert!(client.ask("INFO persistence").contains("rdb_last_bgsave_status:ok"));
        assert_ne!(client.ask("LASTSAVE"), ":0\r\n");
    }
    assert_eq!(client.ask("SET a 3"), "+OK\r\n");
    // It is a store of its own, and the server's goes on.
    let copy = Process::filedb(&backup, &[]);
    assert_eq!(copy.connect().ask("GET a"), "$1\r\n2\r\n");
    assert_eq!(client.ask("BGSAVE"), "+Background saving started\r\n");
    while client.ask("INFO persistence").contains("rdb_bgsave_in_progress:1") {
        std::thread::yield_now();
    }
    // That one is in use by another.
    assert!(client.ask("INFO persistence").contains("rdb_last_bgsave_status:err"));
    assert_eq!(client.ask("GET a"), "$1\r\n3\r\n");
}

#[test]
fn a_store_that_is_open_elsewhere_is_an_error_that_says_so() {
    let (directory, _process) = server(&[]);
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_filedb-server"))
        .args(["--dir", directory.path().join("store").to_str().unwrap(), "--port", "0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("is open in another process"), "{said}");
}

#[test]
fn a_client_that_waits_is_served_in_turn_and_before_the_next_command_looks() {
    let (_directory, process) = server(&["--threads", "2"]);
    let mut waiting: Vec<Client> = (0..3).map(|_| process.connect()).collect();
    let mut pusher = process.connect();
    for (n, client) in waiting.iter_mut().enumerate() {
        client.send(&encode(&["BLPOP", "queue", "0"]));
        let until = Instant::now() + Duration::from_secs(20);
        while !pusher.ask("INFO clients").contains(&format!("blocked_clients:{}", n + 1)) {
            assert!(Instant::now() < until);
        }
    }
    pusher.send(&[encode(&["RPUSH", "queue", "a", "b"]), encode(&["LLEN", "queue"])].concat());
    assert_eq!(pusher.reply(), b":2\r\n");
    assert_eq!(pusher.reply(), b":0\r\n");
    assert_eq!(waiting[0].reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\na\r\n");
    assert_eq!(waiting[1].reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nb\r\n");
    pusher.ask("MULTI");
    pusher.ask("RPUSH queue c");
    pusher.ask("LLEN queue");
    assert_eq!(pusher.ask("EXEC"), "*2\r\n:1\r\n:1\r\n");
    assert_eq!(waiting[2].reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nc\r\n");
    assert_eq!(waiting[0].ask("BRPOP nothing 0.05"), "*-1\r\n");
    assert_eq!(waiting[0].ask("BLMOVE nothing to LEFT RIGHT 0.05"), "*-1\r\n");
}

#[test]
fn a_transaction_is_one_step_and_a_watch_that_was_broken_ends_it() {
    let (_directory, process) = server(&[]);
    let (mut one, mut other) = (process.connect(), process.connect());
    one.ask("SET k 1");
    one.ask("WATCH k");
    other.ask("SET k 2");
    one.ask("MULTI");
    assert_eq!(one.ask("SET k 3"), "+QUEUED\r\n");
    assert_eq!(one.ask("EXEC"), "*-1\r\n");
    assert_eq!(one.ask("GET k"), "$1\r\n2\r\n");
    one.ask("WATCH k");
    one.ask("MULTI");
    one.ask("INCR k");
    one.ask("LPUSH k x");
    one.ask("RPUSH l a b");
    assert_eq!(
        one.ask("EXEC"),
        "*3\r\n:3\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n:2\r\n"
    );
    one.ask("MULTI");
    assert!(one.ask("NOSUCH").starts_with("-ERR unknown command 'NOSUCH'"));
    assert_eq!(one.ask("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

/// What was collected for the empty value was looked for behind the end of what was collected, and the server ended.
#[test]
fn an_empty_value_is_set_before_another_value_becomes_shorter() {
    let (_directory, process) = server(&["--threads", "1"]);
    let mut client = process.connect();
    for before in ["DEL a", "SET a x"] {
        assert!(client.ask(before).starts_with([':', '+']));
        let commands: [&[&str]; 6] = [
            &["MULTI"],
            &["DEL", "a"],
            &["SET", "b", "a long value"],
            &["SET", "a", ""],
            &["SET", "b", "z"],
            &["EXEC"],
        ];
        for command in commands {
            std::io::Write::write_all(&mut client.stream, &encode(command)).unwrap();
            client.reply();
        }
        assert_eq!(client.ask("GET a"), "$0\r\n\r\n");
        assert_eq!(client.ask("GET b"), "$1\r\nz\r\n");
    }
}

#[test]
fn messages_reach_who_listens_and_so_do_events_of_keys() {
    let (_directory, process) = server(&["--threads", "2", "--set", "notify-keyspace-events=KEA"]);
    let (mut listener, mut other) = (process.connect(), process.connect());
    listener.ask("SUBSCRIBE news");
    listener.ask("PSUBSCRIBE __key*__:*");
    assert!(listener.ask("GET k").starts_with("-ERR Can't execute 'get'"));
    assert_eq!(other.ask("PUBLISH news hello"), ":1\r\n");
    assert_eq!(listener.reply(), b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    other.ask("SET k v");
    let event = String::from_utf8(listener.reply()).unwrap();
    assert!(event.contains("__keyspace@0__:k") && event.ends_with("$3\r\nset\r\n"), "{event}");
    let event = String::from_utf8(listener.reply()).unwrap();
    assert!(event.contains("__keyevent@0__:set") && event.ends_with("$1\r\nk\r\n"), "{event}");
}

#[test]
fn without_the_password_nothing_answers_but_what_may() {
    let (_directory, process) = server(&["--requirepass", "secret"]);
    let mut client = process.connect();
    let mut may = Vec::new();
    for command in filedb_server::commands::table::all() {
        let commands = [command].into_iter().chain(command.subcommands);
        for command in commands.filter(|command| command.subcommands.is_empty()) {
            // As many arguments as it takes, of which the first two name it where it is a part of another.
            let mut words: Vec<&str> = command.name.split('|').collect();
            words.resize(words.len().max(command.arity.unsigned_abs() as usize), "1");
            if ["auth", "hello", "quit", "reset"].contains(&command.name) {
                may.push(command.name);
            } else {
                let why = if command.name == "exec" {
                    "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n"
                } else {
                    "-NOAUTH Authentication required.\r\n"
                };
                assert_eq!(client.command(&words), why, "{words:?}");
            }
        }
    }
    may.sort_unstable();
    assert_eq!(may, ["auth", "hello", "quit", "reset"]);
    // Nor does it tell what there is.
    assert!(client.ask("NOSUCH").starts_with("-ERR unknown command"));
    assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS"));
    assert!(client.ask("HELLO 3").starts_with("-NOAUTH"));
    assert_eq!(client.ask("RESET"), "+RESET\r\n");
    assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS"));
    assert!(client.ask("AUTH secretsecret").starts_with("-WRONGPASS"));
    assert!(client.ask("HELLO 3 AUTH default secret").starts_with("%7\r\n"));
    assert_eq!(client.ask("GET k"), "_\r\n");
    let mut large = process.connect();
    large.send(b"*2\r\n$4\r\nAUTH\r\n$100000\r\n");
    assert_eq!(large.reply(), b"-ERR Protocol error: unauthenticated bulk length\r\n");
    assert_eq!(large.try_reply(), None);
    let mut client = process.connect();
    assert_eq!(client.ask("QUIT"), "+OK\r\n");
    assert_eq!(client.try_reply(), None);
}

#[test]
fn hostile_input_ends_its_connection_and_no_other() {
    let (_directory, process) = server(&[]);
    let mut witness = process.connect();
    for input in [
        &b"*2147483648\r\n"[..],
        b"*99999999999999999999\r\n",
        b"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
        b"*1\r\n$-5\r\n",
        b"*1\r\n!3\r\n",
        b"GET \"unbalanced\r\n",
    ] {
        let mut client = process.connect();
        client.send(input);
        let mut all = Vec::new();
        client.stream.read_to_end(&mut all).unwrap();
        assert!(
            all.is_empty() || all.starts_with(b"-ERR Protocol error"),
            "{}",
            String::from_utf8_lossy(&all)
        );
        assert_eq!(witness.ask("PING"), "+PONG\r\n");
    }
    let mut client = process.connect();
    client.send(&vec![b'x'; 100 << 10]);
    assert_eq!(client.reply(), b"-ERR Protocol error: too big inline request\r\n");
}

/// A web page can send a request of HTTP to the server of who looks at it; what it wrote into the body is no command.
#[test]
fn a_request_of_http_ends_its_connection_and_no_line_of_it_is_a_command() {
    let (_directory, process) = server(&[]);
    let mut witness = process.connect();
    for request in [
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nSET written 1\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET written 1\r\n",
        "PUT / HTTP/1.1\r\nhost: localhost\r\n\r\nSET written 1\r\n",
    ] {
        let mut client = process.connect();
        client.send(request.as_bytes());
        let mut all = Vec::new();
        // It may be reset, where lines of it were not read.
        let _ = client.stream.read_to_end(&mut all);
        assert!(!String::from_utf8_lossy(&all).contains("+OK"), "{request}");
        assert_eq!(witness.ask("GET written"), "$-1\r\n", "{request}");
    }
}

#[test]
fn a_client_that_never_reads_takes_a_bounded_memory_and_disturbs_nobody() {
    let (_directory, process) = server(&["--threads", "1"]);
    let mut witness = process.connect();
    witness.command(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 100_000]]);
    let before = process.resident();
    let mut deaf = process.connect();
    deaf.stream.set_nonblocking(true).unwrap();
    let gets = encode(&["GET", "big"]).repeat(1000);
    let mut sent = 0;
    // Half a gigabyte of replies is asked for, as far as the server takes the requests.
    for _ in 0..50 {
        match std::io::Write::write(&mut deaf.stream, &gets) {
            Ok(count) => sent += count,
            Err(_) => std::thread::yield_now(),
        }
        assert_eq!(witness.ask("PING"), "+PONG\r\n");
    }
    assert!(sent > 0);
    assert!(process.resident() < before + (64 << 20), "{} bytes", process.resident() - before);
}

#[test]
fn replies_of_version_3_have_their_types() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    assert!(client.ask("HELLO 3").starts_with("%7\r\n"));
    assert_eq!(client.ask("GET nothing"), "_\r\n");
    assert_eq!(client.ask("BLPOP nothing 0.01"), "_\r\n");
    assert!(client.ask("CONFIG GET maxclients").starts_with("%1\r\n"));
    assert!(client.ask("SUBSCRIBE c").starts_with(">3\r\n"));
    assert_eq!(client.ask("PING"), "+PONG\r\n");
    client.send(&encode(&["PUBLISH", "c", "m"]));
    assert_eq!(client.reply(), b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
    assert_eq!(client.reply(), b":1\r\n");
}

#[test]
fn a_life_is_made_longer_or_shorter_as_asked() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    client.ask("SET a 1");
    // A key that does not expire lives for ever.
    for (how, changes) in [("GT", 0), ("XX", 0), ("LT", 1), ("NX", 0), ("XX", 1)] {
        assert_eq!(client.ask(&format!("EXPIRE a 1000 {how}")), format!(":{changes}\r\n"), "{how}");
    }
    for (life, how, changes) in [(900, "GT", 0), (2000, "GT", 1), (3000, "LT", 0), (1500, "LT", 1)] {
        assert_eq!(client.ask(&format!("EXPIRE a {life} {how}")), format!(":{changes}\r\n"), "{life} {how}");
    }
    assert_eq!(client.ask("PERSIST a"), ":1\r\n");
    assert_eq!(client.ask("EXPIRE a 1000 NX"), ":1\r\n");
}

#[test]
fn who_watches_a_key_watches_it_in_its_database_also_after_swapdb() {
    let (_directory, process) = server(&[]);
    let (mut client, mut other) = (process.connect(), process.connect());
    for (changed_in, reply) in [("0", "*-1\r\n"), ("2", "*1\r\n+PONG\r\n")] {
        assert_eq!(client.ask("WATCH k"), "+OK\r\n");
        assert_eq!(other.ask("SWAPDB 0 2"), "+OK\r\n");
        other.ask(&format!("SELECT {changed_in}"));
        assert_eq!(other.ask("SET k 1"), "+OK\r\n");
        client.ask("MULTI");
        client.ask("PING");
        assert_eq!(client.ask("EXEC"), reply, "the key was changed in database {changed_in}");
        other.ask("FLUSHALL");
    }
}

#[test]
fn slow_gets_are_in_the_slow_log_also_where_they_were_looked_up_together() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    client.ask("CONFIG SET slowlog-log-slower-than 0");
    client.ask("SLOWLOG RESET");
    let gets: Vec<u8> = (0..20).flat_map(|n| encode(&["GET", &format!("key{n}")])).collect();
    client.send(&gets);
    (0..20).for_each(|_| assert_eq!(client.reply(), b"$-1\r\n"));
    let log = client.ask("SLOWLOG GET 100");
    for n in 0..20 {
        let entry = format!("$3\r\nGET\r\n${}\r\nkey{n}\r\n", format!("key{n}").len());
        assert!(log.contains(&entry), "key{n}: {log}");
    }
}

/// A reply of this length was made, and held in memory, for whoever asked for it.
#[test]
fn one_command_does_not_take_more_memory_for_its_reply_than_the_limit() {
    let (_directory, process) = server(&["--set", "client-output-buffer-limit=normal 20mb 0 0"]);
    let mut client = process.connect();
    client.command(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 4 << 20]]);
    (1..101).for_each(|n| assert_eq!(client.ask("RPUSH many g"), format!(":{n}\r\n")));
    let before = process.anonymous();
    let mget = ["MGET"].into_iter().chain(["big"; 200]).collect::<Vec<_>>();
    let too_large = "-OOM the reply takes more than 20971520 bytes, see client-output-buffer-limit\r\n";
    assert_eq!(client.command(&mget), too_large);
    assert_eq!(client.ask("SORT many BY nosort GET bi*"), too_large);
    assert_eq!(client.command(&mget[..5]).len(), 4 * ((4 << 20) + "$4194304\r\n\r\n".len()) + "*4\r\n".len());
    // What it did is done; the client cannot be told what it read.
    let mut other = process.connect();
    other.ask("MULTI");
    (0..200).for_each(|_| assert_eq!(other.ask("GET big"), "+QUEUED\r\n"));
    assert_eq!(other.ask("SET done 1"), "+QUEUED\r\n");
    other.send(&encode(&["EXEC"]));
    assert_eq!(other.try_reply(), None);
    assert_eq!(client.ask("GET done"), "$1\r\n1\r\n");
    // GETs one behind the other are replied to as the client reads.
    let mut deaf = process.connect();
    deaf.send(&encode(&["GET", "big"]).repeat(100));
    assert_eq!(client.ask("GET done"), "$1\r\n1\r\n");
    let taken = process.anonymous().saturating_sub(before);
    assert!(taken < 100 << 20, "{taken} bytes");
    (0..100).for_each(|n| assert_eq!(deaf.reply().len(), (4 << 20) + "$4194304\r\n\r\n".len(), "{n}"));
    assert!(client.ask("CONFIG GET client-output-buffer-limit").contains("normal 20971520 0 0 "));
}
