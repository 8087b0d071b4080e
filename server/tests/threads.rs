//! Clients of different threads change the same keys: nothing is lost, and nobody sees a transaction half.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Process, encode};

fn number(reply: &[u8]) -> i64 {
    let text = std::str::from_utf8(reply).unwrap();
    text.lines().nth(1).unwrap_or(text.trim_start_matches(':')).trim().parse().unwrap()
}

#[test]
fn no_change_of_a_key_is_lost_between_threads() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    process.connect().ask("RPUSH ring a b c d e");
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut connection = process.connect();
            scope.spawn(move || {
                // In different orders, so that threads want each other's locks.
                let (first, second) = if client % 2 == 0 { ("one", "other") } else { ("other", "one") };
                for _ in 0..ROUNDS {
                    let commands = [
                        encode(&["INCR", first]),
                        encode(&["INCR", second]),
                        encode(&["APPEND", "text", "x"]),
                        encode(&["LPUSH", "list", "x"]),
                        encode(&["RPOPLPUSH", "ring", "ring"]),
                    ];
                    connection.send(&commands.concat());
                    for _ in 0..commands.len() {
                        assert!(!connection.reply().starts_with(b"-"));
                    }
                }
            });
        }
    });
    let mut client = process.connect();
    let all = (CLIENTS * ROUNDS) as i64;
    assert_eq!(number(client.ask("GET one").as_bytes()), all);
    assert_eq!(number(client.ask("GET other").as_bytes()), all);
    assert_eq!(client.ask("STRLEN text"), format!(":{all}\r\n"));
    assert_eq!(client.ask("LLEN list"), format!(":{all}\r\n"));
    assert_eq!(client.ask("LLEN ring"), ":5\r\n");
}

#[test]
fn a_sum_that_transactions_keep_is_the_same_for_everybody_at_all_times() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    process.connect().ask("MSET a 1000 b 1000");
    std::thread::scope(|scope| {
        for client in 0..3 {
            let mut connection = process.connect();
            scope.spawn(move || {
                for n in 0..150 {
                    let by = (n % 7 + client).to_string();
                    let commands = [
                        encode(&["MULTI"]),
                        encode(&["DECRBY", "a", &by]),
                        encode(&["INCRBY", "b", &by]),
                        encode(&["EXEC"]),
                    ];
                    connection.send(&commands.concat());
                    (0..4).for_each(|_| assert!(!connection.reply().starts_with(b"-")));
                }
            });
        }
        let mut reader = process.connect();
        scope.spawn(move || {
            for _ in 0..300 {
                let reply = reader.ask("MGET a b");
                let sum: i64 = reply.lines().filter_map(|line| line.parse::<i64>().ok()).sum();
                assert_eq!(sum, 2000, "{reply}");
            }
        });
    });
}

#[test]
fn no_lock_is_given_up_while_all_keys_are_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    std::thread::scope(|scope| {
        let changers: Vec<_> = (0..3)
            .map(|client| {
                let mut connection = process.connect();
                scope.spawn(move || {
                    let key = format!("list{client}");
                    for _ in 0..1000 {
                        let added = encode(&["RPUSH", &key, "a", "b", "c", "d"]);
                        let changed = [
                            encode(&["LPOP", &key]),
                            encode(&["LSET", &key, "0", "e"]),
                            encode(&["SET", &format!("{key}:x"), "1"]),
                            encode(&["RPUSH", &key, "f"]),
                        ];
                        for (commands, count) in [(added, 1), (changed.concat(), 4)] {
                            connection.send(&commands);
                            for _ in 0..count {
                                let reply = connection.reply();
                                let is_right = !reply.starts_with(b"-") || reply == b"-ERR no such key\r\n";
                                assert!(is_right, "{}", reply.escape_ascii());
                            }
                        }
                    }
                })
            })
            .collect();
        let mut connection = process.connect();
        let mut n = 0;
        while changers.iter().any(|changer| !changer.is_finished()) {
            n += 1;
            // What was collected before is what is to be written first.
            let commands = [encode(&["SET", "mine", "1"]), encode(&[["FLUSHALL", "FLUSHDB"][n % 2]])];
            connection.send(&commands.concat());
            (0..2).for_each(|_| assert_eq!(connection.reply(), b"+OK\r\n"));
        }
    });
}

#[test]
fn databases_are_exchanged_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    let mut client = process.connect();
    for database in 0..4 {
        client.ask(&format!("SELECT {database}"));
        client.ask(&format!("SET name {database}"));
    }
    std::thread::scope(|scope| {
        for client in 0..4u32 {
            let mut connection = process.connect();
            scope.spawn(move || {
                for n in 0..100 {
                    let (one, other) = ((client + n) % 4, (client + n * 3 + 1) % 4);
                    let commands = [
                        encode(&["SET", "other", "1"]),
                        encode(&["SWAPDB", &one.to_string(), &other.to_string()]),
                    ];
                    connection.send(&commands.concat());
                    (0..2).for_each(|_| assert_eq!(connection.reply(), b"+OK\r\n"));
                }
            });
        }
    });
    let mut names: Vec<i64> = (0..4)
        .map(|database| {
            client.ask(&format!("SELECT {database}"));
            number(client.ask("GET name").as_bytes())
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2, 3]);
}

#[test]
fn a_read_of_a_list_sees_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    process.connect().ask("RPUSH q 0 1 2 3 last");
    std::thread::scope(|scope| {
        let mut changer = process.connect();
        // The last element is always the same.
        let changer = scope.spawn(move || {
            for n in 0..4000 {
                let commands = match n % 2 {
                    0 => [encode(&["LPOP", "q"]), encode(&["LPOP", "q"])],
                    _ => [encode(&["LPUSH", "q", "1"]), encode(&["LPUSH", "q", "0"])],
                };
                changer.send(&commands.concat());
                (0..2).for_each(|_| assert!(!changer.reply().starts_with(b"-")));
            }
        });
        let mut readers = [process.connect(), process.connect(), process.connect()];
        while !changer.is_finished() {
            let commands = [
                encode(&["LINDEX", "q", "-1"]),
                encode(&["LRANGE", "q", "-1", "-1"]),
                encode(&["LPOS", "q", "last"]),
                encode(&["MEMORY", "USAGE", "q"]),
            ];
            readers.iter_mut().for_each(|reader| reader.send(&commands.concat().repeat(20)));
            for reader in &mut readers {
                for _ in 0..20 {
                    assert_eq!(reader.reply().escape_ascii().to_string(), r"$4\r\nlast\r\n");
                    assert_eq!(reader.reply().escape_ascii().to_string(), r"*1\r\n$4\r\nlast\r\n");
                    let place = reader.reply().escape_ascii().to_string();
                    assert!([r":2\r\n", r":3\r\n", r":4\r\n"].contains(&place.as_str()), "{place}");
                    assert!(reader.reply().starts_with(b":"));
                }
            }
        }
    });
}
