//! Commands that take values as a whole: DUMP and RESTORE between this server and Redis, and lists that are long.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Process, encode};

/// The bytes of a reply that is one string.
fn bulk(reply: &[u8]) -> &[u8] {
    let begin = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(reply[0], b'$', "{}", reply.escape_ascii());
    &reply[begin..reply.len() - 2]
}

fn ask(client: &mut Client, words: &[&[u8]]) -> Vec<u8> {
    client.send(&encode(words));
    client.reply()
}

fn contents(client: &mut Client, key: &[u8]) -> Vec<u8> {
    match ask(client, &[b"TYPE", key]).as_slice() {
        b"+list\r\n" => ask(client, &[b"LRANGE", key, b"0", b"-1"]),
        _ => ask(client, &[b"GET", key]),
    }
}

/// Strings and lists of all forms that Redis has for them.
fn fill(client: &mut Client) -> Vec<String> {
    let numbers = ["0", "-1", "127", "128", "-129", "32767", "32768", "2147483647", "-2147483649", "01", ""];
    let mut strings: Vec<Vec<u8>> = numbers.map(|text| text.as_bytes().to_vec()).to_vec();
    strings.extend([b"9223372036854775807".to_vec(), b"hello".to_vec(), vec![b'a'; 100], vec![0; 70_000]]);
    strings.push((0..5000u32).flat_map(|n| (n % 97).to_le_bytes()).collect());
    strings.push((0..2000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect());
    let mut keys = Vec::new();
    for (n, string) in strings.iter().enumerate() {
        keys.push(format!("s{n}"));
        assert_eq!(ask(client, &[b"SET", keys[n].as_bytes(), string]), b"+OK\r\n");
    }
    // Few elements, many, large ones, and all of those above.
    let lists: [Vec<Vec<u8>>; 5] = [
        vec![b"a".to_vec()],
        (0..20_000).map(|n: i32| (n * 7919 - 9999).to_string().into_bytes()).collect(),
        (0..20).map(|n| vec![n; 6000]).collect(),
        vec![vec![7; 200_000], b"x".to_vec(), vec![8; 200_000]],
        strings,
    ];
    for (n, list) in lists.iter().enumerate() {
        let key = format!("l{n}");
        for some in list.chunks(1000) {
            let mut words = vec![&b"RPUSH"[..], key.as_bytes()];
            words.extend(some.iter().map(Vec::as_slice));
            assert_eq!(ask(client, &words)[0], b':');
        }
        keys.push(key);
    }
    keys
}

#[test]
fn what_redis_dumps_is_restored_here_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    let Some(redis) = Process::redis(directory.path()) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let filedb = Process::filedb(&directory.path().join("store"), &[]);
    let (mut ours, mut theirs) = (filedb.connect(), redis.connect());
    // With lists whose middle is compressed.
    assert_eq!(theirs.ask("CONFIG SET list-compress-depth 1"), "+OK\r\n");
    for forth in [true, false] {
        let (from, to) = if forth { (&mut theirs, &mut ours) } else { (&mut ours, &mut theirs) };
        for client in [&mut *from, &mut *to] {
            client.ask("FLUSHALL");
        }
        for key in fill(from) {
            let payload = ask(from, &[b"DUMP", key.as_bytes()]);
            let restored = ask(to, &[b"RESTORE", key.as_bytes(), b"0", bulk(&payload)]);
            assert_eq!(restored, b"+OK\r\n", "{key}, to filedb: {forth}");
            let (expected, found) = (contents(from, key.as_bytes()), contents(to, key.as_bytes()));
            assert!(expected == found, "{key}, to filedb: {forth}");
        }
    }
    // The life, and whether something is replaced.
    let payload = ask(&mut theirs, &[b"DUMP", b"l0"]);
    let payload = bulk(&payload);
    for client in [&mut ours, &mut theirs] {
        client.ask("SET t 1");
        assert_eq!(
            ask(client, &[b"RESTORE", b"t", b"0", payload]),
            b"-BUSYKEY Target key name already exists.\r\n"
        );
        assert_eq!(ask(client, &[b"RESTORE", b"t", b"100000000", payload, b"REPLACE"]), b"+OK\r\n");
        assert_ne!(client.ask("TTL t"), ":-1\r\n");
        assert_eq!(client.ask("TYPE t"), "+list\r\n");
        assert_eq!(
            ask(client, &[b"RESTORE", b"t", b"99999999999999", payload, b"REPLACE", b"ABSTTL"]),
            b"+OK\r\n"
        );
        assert_eq!(client.ask("PEXPIRETIME t"), ":99999999999999\r\n");
        assert_eq!(ask(client, &[b"RESTORE", b"t", b"1", payload, b"REPLACE", b"ABSTTL"]), b"+OK\r\n");
        assert_eq!(client.ask("EXISTS t"), ":0\r\n");
    }
    // What this server has no place for is said.
    theirs.ask("SADD set a");
    let payload = ask(&mut theirs, &[b"DUMP", b"set"]);
    let refused = ask(&mut ours, &[b"RESTORE", b"set", b"0", bulk(&payload)]);
    assert!(refused.starts_with(b"-ERR Bad data format: this server has strings and lists"));
}

fn push_many(client: &mut Client, key: &str, count: u64) {
    for from in (0..count).step_by(1000) {
        let elements: Vec<String> = (from..count.min(from + 1000)).map(|n| n.to_string()).collect();
        client.command(&[&["RPUSH".to_owned(), key.to_owned()], &elements[..]].concat());
    }
    assert_eq!(client.ask(&format!("LLEN {key}")), format!(":{count}\r\n"));
}

#[test]
fn a_long_list_is_trimmed_some_elements_at_a_time() {
    for engine in ["bitcask", "lsm"] {
        let directory = tempfile::tempdir().unwrap();
        let process = Process::filedb(&directory.path().join("store"), &["--engine", engine]);
        let mut client = process.connect();
        push_many(&mut client, "l", 300_000);
        client.ask("EXPIRE l 100000");
        let before = process.resident();
        assert_eq!(client.ask("LTRIM l 80000 -60001"), "+OK\r\n");
        let more = process.resident().saturating_sub(before);
        assert_eq!(client.ask("LLEN l"), ":160000\r\n", "{engine}");
        assert_eq!(client.ask("LINDEX l 0"), "$5\r\n80000\r\n", "{engine}");
        assert_eq!(client.ask("LINDEX l -1"), "$6\r\n239999\r\n", "{engine}");
        assert_ne!(client.ask("TTL l"), ":-1\r\n", "{engine}");
        println!("{engine}: {} KiB more", more >> 10);
        // In a transaction as one step, and so that little is left.
        for (first, last, left) in [(70_000, -1, 90_000), (100, 200, 101)] {
            client.ask("MULTI");
            client.ask(&format!("LTRIM l {first} {last}"));
            client.ask("LLEN l");
            assert_eq!(client.ask("EXEC"), format!("*2\r\n+OK\r\n:{left}\r\n"), "{engine}");
        }
        assert_eq!(client.ask("LINDEX l 0"), "$6\r\n150100\r\n", "{engine}");
        assert_eq!(client.ask("LTRIM l 5 1"), "+OK\r\n");
        assert_eq!(client.ask("EXISTS l"), ":0\r\n", "{engine}");
    }
}

#[test]
fn a_long_list_is_shown_renamed_and_popped() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &[]);
    let mut client = process.connect();
    push_many(&mut client, "l", 5000);
    assert_eq!(client.ask("RENAME l m"), "+OK\r\n");
    assert_eq!(client.ask("COPY m c"), ":1\r\n");
    let all = client.ask("LRANGE m 0 -1");
    assert!(all.starts_with("*5000\r\n$1\r\n0\r\n") && all.ends_with("$4\r\n4999\r\n"));
    assert_eq!(all, client.ask("LRANGE c 0 -1"));
    let popped = client.ask("RPOP m 4000");
    assert!(popped.starts_with("*4000\r\n$4\r\n4999\r\n") && popped.ends_with("$4\r\n1000\r\n"));
    assert!(client.ask("LPOP m 5000").starts_with("*1000\r\n$1\r\n0\r\n$1\r\n1\r\n"));
    assert_eq!(client.ask("EXISTS m"), ":0\r\n");
    // Five elements are looked at, or as many as one says.
    assert_eq!(client.ask("MEMORY USAGE c SAMPLES 0"), client.ask("MEMORY USAGE c SAMPLES 5000"));
    assert!(client.ask("MEMORY USAGE c").starts_with(":20"));
}
