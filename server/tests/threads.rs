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
