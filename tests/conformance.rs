//! One suite for all stores: what every store does, and that what one cannot do is refused and changes nothing.
//!
//! A store is a line in `main`'s table. Those on servers run where `FILEDB_VALKEY_SERVER` names the program of one, as
//! `cargo xtask test conformance` does. `FILEDB_CONFORMANCE_C` names the same suite in C, and `FILEDB_EXAMPLE` an example; they are run
//! over the same stores.

#![allow(clippy::unwrap_used)]

mod servers;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::process::Command;
use std::time::Duration;

use filedb::{Batch, Capabilities, Change, Db, End, Error, Expiry, KeyRange, Options, PutOptions, Ttl, Type};

use servers::{Cluster, Server, wait_for};

/// A store under test.
struct Under<'a> {
    name: &'a str,
    db: Db,
    url: &'a str,
    options: &'a Options,
    can: Capabilities,
    checks: Cell<u32>,
    refused: RefCell<BTreeSet<&'static str>>,
}

impl Under<'_> {
    /// Something that holds for every store.
    #[track_caller]
    fn is<T: PartialEq + std::fmt::Debug>(&self, found: T, expected: T) {
        self.checks.set(self.checks.get() + 1);
        assert_eq!(found, expected, "store {}", self.name);
    }

    #[track_caller]
    fn fails<T: std::fmt::Debug>(&self, outcome: Result<T, Error>, kind: fn(&Error) -> bool) {
        self.checks.set(self.checks.get() + 1);
        assert!(matches!(&outcome, Err(error) if kind(error)), "store {}: {outcome:?}", self.name);
    }

    /// Something that only some stores can do. Where this one cannot, it says so.
    #[track_caller]
    fn can<T: std::fmt::Debug>(
        &self,
        needs: Capabilities,
        what: &'static str,
        outcome: Result<T, Error>,
    ) -> Option<T> {
        if self.can.contains(needs) {
            self.checks.set(self.checks.get() + 1);
            return Some(outcome.unwrap_or_else(|why| panic!("store {}, {what}: {why}", self.name)));
        }
        self.fails(outcome, |error| matches!(error, Error::Unsupported { .. }));
        self.refused.borrow_mut().insert(what);
        None
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.db.get(key).unwrap()
    }

    fn all(&self, key: &[u8]) -> Option<Vec<Vec<u8>>> {
        self.db.list_range(key, 0, -1).unwrap().map(|list| list.iter().map(<[u8]>::to_vec).collect())
    }

    fn keys(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        self.db.list_sorted(prefix).unwrap().iter().map(<[u8]>::to_vec).collect()
    }
}

fn is_wrong_type(error: &Error) -> bool {
    matches!(error, Error::WrongType)
}

fn is_invalid(error: &Error) -> bool {
    matches!(error, Error::InvalidArgument { .. })
}

fn is_too_large(error: &Error) -> bool {
    matches!(error, Error::TooLarge { .. })
}

fn values_come_back_as_they_were_put(under: &Under<'_>) {
    let db = &under.db;
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    for (key, value) in [
        (&b"value/plain"[..], &b"earth"[..]),
        (b"value/empty", b""),
        (b"value/\0\xff\r\n", b"\r\n$5\r\n\0\xff"),
        (b"value/large", &large),
        (&[b'k'; 65536], b"the longest key"),
    ] {
        db.put(key, value).unwrap();
        under.is(under.get(key).as_deref(), Some(value));
        under.is(db.get_pinned(key).unwrap().as_deref(), Some(value));
        under.is(db.read(key, <[u8]>::len).unwrap(), Some(value.len()));
        under.is(db.exists(key).unwrap(), true);
        under.is(db.type_of(key).unwrap(), Some(Type::Value));
    }
    let pinned = db.get_pinned(b"value/plain").unwrap().unwrap();
    db.put(b"value/plain", b"mars").unwrap();
    under.is(under.get(b"value/plain").as_deref(), Some(&b"mars"[..]));
    under.is(&pinned[..], b"earth");
    under.is(db.delete(b"value/plain").unwrap(), true);
    under.is(db.delete(b"value/plain").unwrap(), false);
    under.is(under.get(b"value/plain"), None);
    under.is(db.get_pinned(b"value/plain").unwrap().is_none(), true);
    under.is(db.read(b"value/plain", |_| ()).unwrap(), None);
    under.is(db.exists(b"value/plain").unwrap(), false);
    under.is(db.type_of(b"value/plain").unwrap(), None);
    under.is(db.ttl(b"value/plain").unwrap(), None);
}

fn keys_have_limits_for_every_verb(under: &Under<'_>) {
    let db = &under.db;
    let long = [b'k'; 65537];
    for (key, kind) in [(&b""[..], is_invalid as fn(&Error) -> bool), (&long, is_too_large)] {
        under.fails(db.put(key, b"value"), kind);
        under.fails(db.put_with(key, b"value", &PutOptions::default()), kind);
        under.fails(db.get(key), kind);
        under.fails(db.get_pinned(key), kind);
        under.fails(db.read(key, |_| ()), kind);
        under.fails(db.delete(key), kind);
        under.fails(db.exists(key), kind);
        under.fails(db.ttl(key), kind);
        under.fails(db.expire(key, Duration::from_millis(1000)), kind);
        under.fails(db.persist(key), kind);
        under.fails(db.type_of(key), kind);
        under.fails(db.push_back(key, b"value"), kind);
        under.fails(db.push_front(key, b"value"), kind);
        under.fails(db.pop_back(key), kind);
        under.fails(db.pop_front(key), kind);
        under.fails(db.list_length(key), kind);
        under.fails(db.list_get(key, 0), kind);
        under.fails(db.list_set(key, 0, b"value"), kind);
        under.fails(db.list_move((key, End::Back), (key, End::Front)), kind);
        under.fails(db.list_range(key, 0, -1), kind);
        under.fails(db.get_delete(key), kind);
        under.fails(db.compare_and_swap(key, None, Some(b"value")), kind);
        under.fails(db.increment(key, 1), kind);
        under.fails(db.update(key, |_| Ok(Change::Keep)), kind);
        under.fails(Batch::new().put(key, b"value"), kind);
        let mut out = Vec::new();
        db.get_many(&[b"limit/absent", key], &mut out).unwrap();
        under.is(matches!(out[0], Ok(None)), true);
        under.fails(out.remove(1), kind);
    }
}

fn writes_have_conditions_and_lives(under: &Under<'_>) {
    let db = &under.db;
    let absent = PutOptions { if_absent: true, ..PutOptions::default() };
    let present = PutOptions { if_present: true, ..PutOptions::default() };
    under.is(db.put_with(b"if/a", b"1", &present).unwrap(), false);
    under.is(db.exists(b"if/a").unwrap(), false);
    under.is(db.put_with(b"if/a", b"1", &absent).unwrap(), true);
    under.is(db.put_with(b"if/a", b"2", &absent).unwrap(), false);
    under.is(under.get(b"if/a").as_deref(), Some(&b"1"[..]));
    under.is(db.put_with(b"if/a", b"3", &present).unwrap(), true);
    under.is(under.get(b"if/a").as_deref(), Some(&b"3"[..]));
    under.fails(db.put_with(b"if/a", b"", &PutOptions { if_present: true, ..absent }), is_invalid);
    under.is(db.ttl(b"if/a").unwrap(), Some(Ttl::Forever));
    let mortal = PutOptions::new().ttl(Duration::from_secs(1_000));
    under.is(db.put_with(b"if/a", b"4", &mortal).unwrap(), true);
    under.is(lives(db, b"if/a", 1_000_000), true);
    under.is(db.put_with(b"if/a", b"5", &PutOptions { keep_ttl: true, ..present }).unwrap(), true);
    under.is(lives(db, b"if/a", 1_000_000), true);
    db.put(b"if/a", b"6").unwrap();
    under.is(db.ttl(b"if/a").unwrap(), Some(Ttl::Forever));
    under.is(db.expire(b"if/a", Duration::from_millis(500_000)).unwrap(), true);
    under.is(lives(db, b"if/a", 500_000), true);
    under.is(db.persist(b"if/a").unwrap(), true);
    under.is(db.ttl(b"if/a").unwrap(), Some(Ttl::Forever));
    under.is(db.persist(b"if/a").unwrap(), true);
    under.is(db.persist(b"if/none").unwrap(), false);
    under.is(db.expire(b"if/none", Duration::from_millis(1)).unwrap(), false);
    under.is(db.expire(b"if/a", Duration::MAX).unwrap(), true);
    under.is(
        matches!(db.ttl(b"if/a").unwrap(), Some(Ttl::Left(left)) if left > Duration::from_millis(1 << 61)),
        true,
    );
    // No life at all.
    under.is(db.put_with(b"if/b", b"1", &absent.ttl(Duration::ZERO)).unwrap(), true);
    under.is(db.exists(b"if/b").unwrap(), false);
    under.is(db.expire(b"if/a", Duration::from_millis(0)).unwrap(), true);
    under.is(under.get(b"if/a"), None);
    // And a short one, of a value and of a list.
    db.put_with(b"if/c", b"1", &absent.ttl(Duration::from_millis(30))).unwrap();
    db.push_back(b"if/d", b"1").unwrap();
    under.is(db.expire(b"if/d", Duration::from_millis(30)).unwrap(), true);
    wait_for("the end of a key's life", || !db.exists(b"if/c").unwrap() && !db.exists(b"if/d").unwrap());
    under.is(under.get(b"if/c"), None);
    under.is(db.list_length(b"if/d").unwrap(), None);
    under.is(db.put_with(b"if/c", b"2", &absent).unwrap(), true);
}

fn many_keys_are_got_at_once_in_their_order(under: &Under<'_>) {
    let db = &under.db;
    let keys: Vec<Vec<u8>> = (0..700).map(|n| format!("many/{n}").into_bytes()).collect();
    keys.iter().step_by(2).for_each(|key| db.put(key, key).unwrap());
    db.push_back(&keys[1], b"element").unwrap();
    let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    db.get_many(&asked, &mut out).unwrap();
    under.is(out.len(), keys.len());
    for (n, found) in out.into_iter().enumerate() {
        match n {
            1 => under.fails(found, is_wrong_type),
            _ if n % 2 == 0 => under.is(found.unwrap().as_deref(), Some(asked[n])),
            _ => under.is(found.unwrap().is_none(), true),
        }
    }
    // What is in the vector stays there.
    let mut out = vec![Ok(None)];
    db.get_many(&[b"many/0"], &mut out).unwrap();
    under.is(out.len(), 2);
    db.get_many(&[], &mut Vec::new()).unwrap();
}

fn walks_see_every_key_once(under: &Under<'_>) {
    let db = &under.db;
    let mut expected = BTreeMap::new();
    for n in 0..1_200u32 {
        let key = format!("walk/{n}").into_bytes();
        db.put(&key, n.to_le_bytes()).unwrap();
        expected.insert(key, (n.to_le_bytes().to_vec(), Type::Value));
    }
    for n in 0..5u32 {
        let key = format!("walk/list{n}").into_bytes();
        db.push_back(&key, b"element").unwrap();
        expected.insert(key, (vec![], Type::List));
    }
    db.put(b"walk*/[a]?\\^", b"special").unwrap();
    db.put(b"walk*", b"special").unwrap();
    let mut rows = BTreeMap::new();
    let mut iter = db.iter(b"walk/").unwrap();
    while let Some(row) = iter.next_row().unwrap() {
        let before = rows.insert(row.key().to_vec(), (row.value().to_vec(), row.type_of()));
        assert!(before.is_none(), "store {}: {:?} came twice", under.name, row.key());
    }
    under.is(&rows, &expected);
    under.is(iter.next_row().unwrap().is_none(), true);
    let (mut iter, mut block, mut count) = (db.iter(b"walk/").unwrap(), filedb::Rows::default(), 0);
    loop {
        let goes_on = iter.next_rows(100, &mut block).unwrap();
        (0..block.len()).for_each(|row| {
            assert_eq!(expected[block.key(row)], (block.value(row).to_vec(), block.type_of(row).unwrap()));
        });
        count += block.len();
        block.clear();
        if !goes_on {
            break;
        }
    }
    under.is(count, expected.len());
    under.is(db.iter(b"walk/").unwrap().visit_rows(|key, _| key.is_empty()).unwrap(), false);
    under.is(under.keys(b"walk/"), expected.keys().cloned().collect::<Vec<_>>());
    under.is(db.list(b"walk/").unwrap().len(), expected.len());
    under.is(under.keys(b"walk*"), vec![b"walk*".to_vec(), b"walk*/[a]?\\^".to_vec()]);
    under.is(under.keys(b"walk*/[a]?\\^"), vec![b"walk*/[a]?\\^".to_vec()]);
    under.is(under.keys(b"no such prefix"), Vec::<Vec<u8>>::new());
    let before = db.count().unwrap();
    under.is(under.keys(b"").len() as u64, before);
    db.put(b"walk/one more", b"").unwrap();
    under.is(db.count().unwrap(), before + 1);
    let keys = db.stats().unwrap().keys;
    // A store that keeps keys in order knows a bound of their number.
    let fits = if under.can.contains(Capabilities::ORDER) { keys > before } else { keys == before + 1 };
    under.is(fits, true);
}

fn lists_grow_and_shrink_at_both_ends(under: &Under<'_>) {
    let db = &under.db;
    let key = &b"list/jobs"[..];
    under.is(db.pop_back(key).unwrap(), None);
    under.is(db.pop_front(key).unwrap(), None);
    under.is(db.list_length(key).unwrap(), None);
    under.is(db.list_range(key, 0, -1).unwrap().is_none(), true);
    under.is(db.list_get(key, 0).unwrap(), None);
    under.is(db.list_set(key, 0, b"x").unwrap(), false);
    under.is(db.push_back(key, b"two").unwrap(), 1);
    under.is(db.push_back(key, b"three").unwrap(), 2);
    under.is(db.push_front(key, b"one").unwrap(), 3);
    under.is(db.push_back(key, b"").unwrap(), 4);
    under.is(under.all(key).unwrap(), vec![b"one".to_vec(), b"two".to_vec(), b"three".to_vec(), vec![]]);
    under.is(db.list_length(key).unwrap(), Some(4));
    under.is(db.type_of(key).unwrap(), Some(Type::List));
    under.is(db.exists(key).unwrap(), true);
    under.is(db.list_get(key, 1).unwrap().as_deref(), Some(&b"two"[..]));
    under.is(db.list_get(key, -1).unwrap().as_deref(), Some(&b""[..]));
    for outside in [4, -5, i64::MAX, i64::MIN] {
        under.is(db.list_get(key, outside).unwrap(), None);
        under.is(db.list_set(key, outside, b"x").unwrap(), false);
    }
    under.is(db.list_set(key, -1, b"four").unwrap(), true);
    under.is(db.list_set(key, 0, b"1").unwrap(), true);
    let range = |first, last| {
        db.list_range(key, first, last)
            .unwrap()
            .map(|list| list.iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
    };
    under.is(range(1, 2).unwrap(), vec![b"two".to_vec(), b"three".to_vec()]);
    under.is(range(-2, 100).unwrap(), vec![b"three".to_vec(), b"four".to_vec()]);
    under.is(range(3, 1).unwrap(), vec![]);
    under.is(range(9, 12).unwrap(), vec![]);
    under.is(range(i64::MIN, i64::MAX).unwrap().len(), 4);
    under.is(db.pop_front(key).unwrap().as_deref(), Some(&b"1"[..]));
    under.is(db.pop_back(key).unwrap().as_deref(), Some(&b"four"[..]));
    under.is(db.expire(key, Duration::from_millis(1_000_000)).unwrap(), true);
    under.is(db.push_back(key, b"last").unwrap(), 3);
    under.is(matches!(db.ttl(key).unwrap(), Some(Ttl::Left(_))), true);
    for expected in [&b"last"[..], b"three", b"two"] {
        under.is(db.pop_back(key).unwrap().as_deref(), Some(expected));
    }
    under.is(db.exists(key).unwrap(), false);
    under.is(db.type_of(key).unwrap(), None);
    let (from, to) = (&b"{list}/waiting"[..], &b"{list}/running"[..]);
    let moved = |from, to| db.list_move(from, to).unwrap();
    under.is(moved((from, End::Front), (to, End::Back)), None);
    for value in [&b"1"[..], b"2", b"", b"4"] {
        db.push_back(from, value).unwrap();
    }
    under.is(moved((from, End::Front), (to, End::Back)).as_deref(), Some(&b"1"[..]));
    under.is(moved((from, End::Front), (to, End::Front)).as_deref(), Some(&b"2"[..]));
    under.is(moved((from, End::Back), (to, End::Back)).as_deref(), Some(&b"4"[..]));
    under.is(under.all(to).unwrap(), vec![b"2".to_vec(), b"1".to_vec(), b"4".to_vec()]);
    under.is(db.expire(from, Duration::from_millis(1_000_000)).unwrap(), true);
    // The only element of a list moves to where it is.
    under.is(moved((from, End::Back), (from, End::Front)).as_deref(), Some(&b""[..]));
    under.is(matches!(db.ttl(from).unwrap(), Some(Ttl::Left(_))), true);
    under.is(moved((to, End::Back), (to, End::Front)).as_deref(), Some(&b"4"[..]));
    under.is(moved((to, End::Front), (to, End::Front)).as_deref(), Some(&b"4"[..]));
    under.is(under.all(to).unwrap(), vec![b"4".to_vec(), b"2".to_vec(), b"1".to_vec()]);
    under.is(moved((from, End::Back), (to, End::Back)).as_deref(), Some(&b""[..]));
    under.is(db.exists(from).unwrap(), false);
    under.is(db.list_length(to).unwrap(), Some(4));
    under.is(db.delete(to).unwrap(), true);
    // A new list has nothing of the old one.
    db.push_front(key, b"new").unwrap();
    under.is(db.ttl(key).unwrap(), Some(Ttl::Forever));
    under.is(db.delete(key).unwrap(), true);
    under.is(db.list_length(key).unwrap(), None);
}

fn the_wrong_type_is_refused(under: &Under<'_>) {
    let db = &under.db;
    let (value, list) = (&b"type/value"[..], &b"type/list"[..]);
    db.put(value, b"1").unwrap();
    db.push_back(list, b"element").unwrap();
    under.fails(db.push_back(value, b"x"), is_wrong_type);
    under.fails(db.push_front(value, b"x"), is_wrong_type);
    under.fails(db.pop_back(value), is_wrong_type);
    under.fails(db.pop_front(value), is_wrong_type);
    under.fails(db.list_length(value), is_wrong_type);
    under.fails(db.list_get(value, 0), is_wrong_type);
    under.fails(db.list_set(value, 0, b"x"), is_wrong_type);
    let (of_value, of_list) = (&b"{type}/value"[..], &b"{type}/list"[..]);
    db.put(of_value, b"1").unwrap();
    db.push_back(of_list, b"element").unwrap();
    under.fails(db.list_move((of_value, End::Back), (of_list, End::Back)), is_wrong_type);
    under.fails(db.list_move((of_list, End::Back), (of_value, End::Back)), is_wrong_type);
    under.is(under.get(of_value).as_deref(), Some(&b"1"[..]));
    under.is(under.all(of_list).unwrap(), vec![b"element".to_vec()]);
    under.fails(db.list_range(value, 0, -1), is_wrong_type);
    under.fails(db.get(list), is_wrong_type);
    under.fails(db.get_pinned(list), is_wrong_type);
    under.fails(db.read(list, |_| ()), is_wrong_type);
    under.fails(db.get_delete(list), is_wrong_type);
    under.fails(db.increment(list, 1), is_wrong_type);
    under.fails(db.compare_and_swap(list, None, Some(b"x")), is_wrong_type);
    under.fails(db.compare_and_swap(list, Some(b"element"), None), is_wrong_type);
    under.fails(db.update(list, |_| Ok(Change::Delete)), is_wrong_type);
    under.is(under.get(value).as_deref(), Some(&b"1"[..]));
    under.is(under.all(list).unwrap(), vec![b"element".to_vec()]);
    let absent = PutOptions { if_absent: true, ..PutOptions::default() };
    under.is(db.put_with(list, b"x", &absent).unwrap(), false);
    db.put(list, b"now a value").unwrap();
    under.is(under.get(list).as_deref(), Some(&b"now a value"[..]));
}

fn a_value_is_read_and_written_in_one_step(under: &Under<'_>) {
    let db = &under.db;
    let key = &b"step/a"[..];
    under.is(db.get_delete(key).unwrap(), None);
    db.put(key, b"1").unwrap();
    under.is(db.get_delete(key).unwrap().as_deref(), Some(&b"1"[..]));
    under.is(db.exists(key).unwrap(), false);
    under.is(db.compare_and_swap(key, Some(b"1"), Some(b"2")).unwrap(), false);
    under.is(db.compare_and_swap(key, Some(b""), None).unwrap(), false);
    under.is(db.compare_and_swap(key, None, None).unwrap(), true);
    under.is(db.compare_and_swap(key, None, Some(b"")).unwrap(), true);
    under.is(db.compare_and_swap(key, None, Some(b"2")).unwrap(), false);
    under.is(db.compare_and_swap(key, Some(b""), Some(b"\0\xff")).unwrap(), true);
    under.is(db.expire(key, Duration::from_millis(1_000_000)).unwrap(), true);
    under.is(db.compare_and_swap(key, Some(b"\0\xff"), Some(b"3")).unwrap(), true);
    under.is(matches!(db.ttl(key).unwrap(), Some(Ttl::Left(_))), true);
    under.is(db.compare_and_swap(key, Some(b"2"), None).unwrap(), false);
    under.is(db.compare_and_swap(key, Some(b"3"), None).unwrap(), true);
    under.is(db.exists(key).unwrap(), false);

    let hits = &b"step/hits"[..];
    under.is(db.increment(hits, 5).unwrap(), 5);
    under.is(db.increment(hits, -7).unwrap(), -2);
    under.is(under.get(hits).as_deref(), Some(&b"-2"[..]));
    db.expire(hits, Duration::from_millis(1_000_000)).unwrap();
    under.is(db.increment(hits, 0).unwrap(), -2);
    under.is(matches!(db.ttl(hits).unwrap(), Some(Ttl::Left(_))), true);
    for (text, by, sum) in
        [("007", 1, 8), ("-0", 1, 1), ("9223372036854775806", 1, i64::MAX), ("-1", i64::MIN + 1, i64::MIN)]
    {
        db.put(hits, text.as_bytes()).unwrap();
        under.is(db.increment(hits, by).unwrap(), sum);
    }
    for (text, by) in [
        ("x", 1),
        ("", 1),
        ("+1", 1),
        (" 1", 1),
        ("1.5", 1),
        ("9223372036854775808", 0),
        ("9223372036854775807", 1),
        ("-2", i64::MIN),
    ] {
        db.put(hits, text.as_bytes()).unwrap();
        under.fails(db.increment(hits, by), is_invalid);
        under.is(under.get(hits).as_deref(), Some(text.as_bytes()));
    }

    db.update(key, |value| Ok(if value.is_none() { Change::Put(b"made".to_vec()) } else { Change::Keep }))
        .unwrap();
    under.is(under.get(key).as_deref(), Some(&b"made"[..]));
    under.fails(db.update(key, |_| Err(Error::ReadOnly)), |error| matches!(error, Error::ReadOnly));
    db.update(key, |value| Ok(if value == Some(b"made") { Change::Delete } else { Change::Keep })).unwrap();
    under.is(db.exists(key).unwrap(), false);
}

fn steps_of_many_threads_are_all_counted(under: &Under<'_>) {
    let db = &under.db;
    for n in 0..400u32 {
        db.push_back(b"threads/jobs", n.to_le_bytes()).unwrap();
    }
    let popped: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let work = || {
            let mut popped = Vec::new();
            for _ in 0..100 {
                db.increment(b"threads/count", 1).unwrap();
                db.update(b"threads/update", |value| {
                    let count: u32 =
                        value.map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap());
                    Ok(Change::Put((count + 1).to_string().into_bytes()))
                })
                .unwrap();
                popped.push(db.pop_front(b"threads/jobs").unwrap().unwrap());
            }
            popped
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    under.is(under.get(b"threads/count").as_deref(), Some(&b"400"[..]));
    under.is(under.get(b"threads/update").as_deref(), Some(&b"400"[..]));
    under.is(popped.into_iter().collect::<BTreeSet<_>>().len(), 400);
    under.is(db.exists(b"threads/jobs").unwrap(), false);
}

/// Whether a key has that long to live, or a little less.
fn lives(db: &Db, key: &[u8], most_ms: u64) -> bool {
    let most = Duration::from_millis(most_ms);
    matches!(db.ttl(key).unwrap(), Some(Ttl::Left(left)) if left <= most && left + Duration::from_secs(60) > most)
}

fn a_batch_is_all_or_nothing(under: &Under<'_>) {
    let db = &under.db;
    // One server of a cluster has all of these.
    let key = |name: &str| format!("{{batch}}/{name}").into_bytes();
    db.push_back(key("list"), b"b").unwrap();
    db.put(key("value"), b"1").unwrap();
    db.put(key("gone"), b"1").unwrap();
    let mut batch = Batch::new();
    batch.put(key("new"), b"\0\r\n").unwrap();
    batch.put(key("new"), b"last").unwrap();
    batch.put_with_ttl(key("mortal"), b"1", Duration::from_millis(1_000_000)).unwrap();
    batch.put_with_ttl(key("stillborn"), b"1", Duration::from_millis(0)).unwrap();
    batch.delete(key("gone")).unwrap();
    batch.delete(key("absent")).unwrap();
    db.write(&batch).unwrap();
    under.is(under.get(&key("new")).as_deref(), Some(&b"last"[..]));
    under.is(lives(db, &key("mortal"), 1_000_000), true);
    under.is(db.exists(key("stillborn")).unwrap(), false);
    under.is(db.exists(key("gone")).unwrap(), false);

    let mut batch = Batch::new();
    batch.push_front(key("list"), b"a").unwrap();
    batch.push_back(key("fresh"), b"1").unwrap();
    batch.push_back(key("list"), b"c").unwrap();
    batch.push_back(key("fresh"), b"2").unwrap();
    batch.put(key("other"), b"value").unwrap();
    batch.put_with_ttl(key("mortal"), b"2", Duration::from_millis(500_000)).unwrap();
    batch.push_back(key("again"), b"lost").unwrap();
    batch.delete(key("again")).unwrap();
    batch.push_back(key("again"), b"kept").unwrap();
    batch.delete(key("new")).unwrap();
    batch.push_back(key("new"), b"a list now").unwrap();
    batch.push_back(key("replaced"), b"lost").unwrap();
    batch.put(key("replaced"), b"value").unwrap();
    db.write(&batch).unwrap();
    let list = |values: &[&[u8]]| Some(values.iter().map(|value| value.to_vec()).collect::<Vec<_>>());
    under.is(under.all(&key("list")), list(&[b"a", b"b", b"c"]));
    under.is(under.all(&key("fresh")), list(&[b"1", b"2"]));
    under.is(under.all(&key("again")), list(&[b"kept"]));
    under.is(under.all(&key("new")), list(&[b"a list now"]));
    under.is(under.get(&key("replaced")).as_deref(), Some(&b"value"[..]));
    under.is(lives(db, &key("mortal"), 500_000), true);

    batch.clear();
    batch.pop_front(key("list")).unwrap();
    batch.list_set(key("list"), -1, b"C").unwrap();
    batch.pop_back(key("fresh")).unwrap();
    batch.pop_back(key("fresh")).unwrap();
    batch.push_back(key("fresh"), b"anew").unwrap();
    batch.list_expire(key("again"), Expiry::After(1_000_000)).unwrap();
    batch.pop_back(key("new")).unwrap();
    db.write(&batch).unwrap();
    under.is(under.all(&key("list")), list(&[b"b", b"C"]));
    under.is(under.all(&key("fresh")), list(&[b"anew"]));
    under.is(lives(db, &key("again"), 1_000_000), true);
    under.is(db.exists(key("new")).unwrap(), false);
    batch.clear();
    batch.list_expire(key("again"), Expiry::Never).unwrap();
    batch.list_expire(key("fresh"), Expiry::At(1)).unwrap();
    batch.push_front(key("fresh"), b"newest").unwrap();
    batch.put_with_expiry(key("old"), b"", Expiry::At(1)).unwrap();
    db.write(&batch).unwrap();
    under.is(db.ttl(key("again")).unwrap(), Some(Ttl::Forever));
    under.is(db.exists(key("old")).unwrap(), false);
    // What is pushed to a list whose life ends ends with it.
    under.is(db.exists(key("fresh")).unwrap(), false);
    batch.clear();
    batch.put_with_ttl(key("old"), b"", Duration::ZERO).unwrap();
    batch.push_back(key("old"), b"").unwrap();
    under.fails(db.write(&batch), is_wrong_type);
    let changes: [fn(&mut Batch, &[u8]); 4] = [
        |batch, key| batch.pop_back(key).unwrap(),
        |batch, key| batch.pop_front(key).unwrap(),
        |batch, key| batch.list_set(key, 0, b"").unwrap(),
        |batch, key| batch.list_expire(key, Expiry::After(1)).unwrap(),
    ];
    for change in changes {
        batch.clear();
        batch.push_back(key("list"), b"not to be").unwrap();
        change(&mut batch, &key("absent"));
        under.fails(db.write(&batch), is_invalid);
    }
    batch.clear();
    batch.push_back(key("list"), b"not to be").unwrap();
    batch.list_set(key("list"), 3, b"").unwrap();
    under.fails(db.write(&batch), is_invalid);

    for wrong in [key("value"), key("put here")] {
        let mut batch = Batch::new();
        batch.put(key("put here"), b"1").unwrap();
        batch.push_back(key("list"), b"d").unwrap();
        batch.push_back(&wrong, b"x").unwrap();
        under.fails(db.write(&batch), is_wrong_type);
        under.is(db.exists(key("put here")).unwrap(), false);
        under.is(db.list_length(key("list")).unwrap(), Some(2));
    }
    db.write(&Batch::new()).unwrap();

    // Keys of any kind.
    let mut batch = Batch::new();
    (0..50).for_each(|n| batch.put(format!("batch/{n}").as_bytes(), b"1").unwrap());
    let written = under.can(Capabilities::BATCH, "a batch of any keys", db.write(&batch));
    under.is(under.keys(b"batch/").len(), if written.is_some() { 50 } else { 0 });
}

fn what_a_store_cannot_do_is_refused_and_changes_nothing(under: &Under<'_>) {
    let db = &under.db;
    let before = db.count().unwrap();
    under.can(Capabilities::SYNC, "sync", db.sync());
    let synced = PutOptions { sync: true, ..PutOptions::default() };
    let put = under.can(Capabilities::SYNC, "a put that is synced", db.put_with(b"can/sync", b"1", &synced));
    under.is(db.exists(b"can/sync").unwrap(), put.is_some());
    db.delete(b"can/sync").unwrap();
    under.can(Capabilities::MERGE, "merge", db.merge());
    under.can(Capabilities::ORDER, "a range of keys", db.range(&KeyRange::ALL).map(drop));
    under.can(Capabilities::ORDER, "seek", db.iter(b"").unwrap().seek(b"key"));
    let none = KeyRange { to: Bound::Excluded(b""), ..KeyRange::ALL };
    under.can(Capabilities::ORDER, "a delete of a range", db.delete_range(&none));
    under.can(Capabilities::MERGE, "hints", db.write_hints());
    under.is(db.count().unwrap(), before);
    db.file_stats().unwrap();
    // A walk sees one moment, or what comes and goes meanwhile too.
    (0..100).for_each(|n| db.put(format!("moment/{n}").as_bytes(), b"1").unwrap());
    let mut iter = db.iter(b"moment/").unwrap();
    (0..100).for_each(|n| assert!(db.delete(format!("moment/{n}").as_bytes()).unwrap()));
    let mut seen = 0;
    iter.visit_rows(|_, _| {
        seen += 1;
        true
    })
    .unwrap();
    if under.can.contains(Capabilities::SNAPSHOT) {
        under.is(seen, 100);
    } else {
        under.is(seen <= 100, true);
        under.refused.borrow_mut().insert("a walk at one moment");
    }
}

/// What changes nothing is done: a sync too.
fn a_reader_may_not_write(under: &Under<'_>, reader: &Db) {
    under.is(reader.get(b"open/key").unwrap().as_deref(), Some(&b"value"[..]));
    under.is(reader.sync().is_ok(), true);
    let refused = |error: &Error| matches!(error, Error::ReadOnly);
    under.fails(reader.put(b"open/key", b"other"), refused);
    under.fails(reader.delete(b"open/key"), refused);
    under.fails(reader.push_back(b"open/list", b"x"), refused);
    under.fails(reader.pop_back(b"open/list"), refused);
    under.fails(reader.list_move((b"open/list", End::Back), (b"open/other", End::Front)), refused);
    under.fails(reader.list_set(b"open/list", 0, b"x"), refused);
    under.fails(reader.get_delete(b"open/key"), refused);
    under.fails(reader.increment(b"open/number", 1), refused);
    under.fails(reader.compare_and_swap(b"open/key", None, None), refused);
    under.fails(reader.update(b"open/key", |_| Ok(Change::Delete)), refused);
    under.fails(reader.expire(b"open/key", Duration::ZERO), refused);
    under.fails(reader.persist(b"open/key"), refused);
    under.fails(reader.write(&Batch::new()), refused);
    if under.can.contains(Capabilities::ORDER) {
        under.fails(reader.delete_range(&KeyRange::ALL), refused);
    }
    under.fails(reader.write_hints(), refused);
    under.fails(reader.merge(), refused);
}

/// With a handle of its own, where the store outlives one.
fn a_store_is_opened_as_its_options_say(under: &Under<'_>) {
    under.db.put(b"open/key", b"value").unwrap();
    let is_in_memory = under.url.starts_with("memory://");
    let is_directory = !under.url.contains("://");
    if !is_in_memory && !is_directory {
        let read_only = Options { read_only: true, ..under.options.clone() };
        let reader = Db::open(under.url, &read_only).unwrap();
        a_reader_may_not_write(under, &reader);
        reader.close().unwrap();
        let truncate = Options { truncate: true, ..under.options.clone() };
        under.fails(Db::open(under.url, &truncate).map(drop), |error| {
            matches!(error, Error::Unsupported { .. })
        });
        under.refused.borrow_mut().insert("truncate of what is not this store's own");
        let exists = Options { error_if_exists: true, ..under.options.clone() };
        under.fails(Db::open(under.url, &exists).map(drop), |error| matches!(error, Error::Exists { .. }));
    }
    if is_directory {
        let live = Options { read_only: true, live: true, ..under.options.clone() };
        let reader = Db::open(under.url, &live).unwrap();
        a_reader_may_not_write(under, &reader);
        under.db.put(b"open/beside", b"value").unwrap();
        under.is(reader.get(b"open/beside").unwrap().as_deref(), Some(&b"value"[..]));
        under.is(under.db.delete(b"open/beside").unwrap(), true);
        under.is(reader.exists(b"open/beside").unwrap(), false);
        under.is(reader.count().unwrap(), under.db.count().unwrap());
        reader.close().unwrap();
    }
    under.is(under.get(b"open/key").as_deref(), Some(&b"value"[..]));
}

/// The last of all.
fn a_closed_store_says_so(under: &Under<'_>) {
    let db = &under.db;
    let pinned = db.get_pinned(b"open/key").unwrap().unwrap();
    let mut iter = db.iter(b"").unwrap();
    db.close().unwrap();
    let is_closed = |error: &Error| matches!(error, Error::Closed);
    under.fails(db.get(b"open/key"), is_closed);
    under.fails(db.put(b"open/key", b""), is_closed);
    under.fails(db.push_back(b"open/list", b""), is_closed);
    under.fails(db.write(&Batch::new()), is_closed);
    under.fails(db.get_many(&[b"open/key"], &mut Vec::new()), is_closed);
    under.fails(db.iter(b"").map(drop), is_closed);
    under.fails(iter.next_row(), is_closed);
    under.fails(db.count(), is_closed);
    under.fails(db.capabilities(), is_closed);
    under.fails(db.close(), is_closed);
    under.is(&pinned[..], b"value");
    if !under.url.contains("://") {
        let reader = Db::open(under.url, &Options { read_only: true, ..under.options.clone() }).unwrap();
        a_reader_may_not_write(under, &reader);
        reader.close().unwrap();
    }
}

/// Every store on this machine can be told from others, followed and copied; one on a server says that it cannot.
fn what_only_stores_on_this_machine_do(under: &Under<'_>) {
    let db = &under.db;
    let is_here = !under.url.starts_with("valkey");
    let answers = [
        db.identity().map(drop),
        db.last_seq().map(drop),
        db.changes(0).map(drop),
        db.now_ms().map(drop),
        db.look(b"here/key", |_| ()).map(drop),
        db.read_many(&[b"here/key"], |_| ()),
        db.scan(0, 1, |_, _| ()).map(drop),
    ];
    for answer in answers {
        under.is(matches!(answer, Ok(())), is_here);
        under.is(matches!(answer, Err(Error::Unsupported { .. })), !is_here);
    }
}

const SUITE: &[fn(&Under<'_>)] = &[
    values_come_back_as_they_were_put,
    keys_have_limits_for_every_verb,
    writes_have_conditions_and_lives,
    many_keys_are_got_at_once_in_their_order,
    walks_see_every_key_once,
    lists_grow_and_shrink_at_both_ends,
    the_wrong_type_is_refused,
    a_value_is_read_and_written_in_one_step,
    steps_of_many_threads_are_all_counted,
    a_batch_is_all_or_nothing,
    what_a_store_cannot_do_is_refused_and_changes_nothing,
    what_only_stores_on_this_machine_do,
    a_store_is_opened_as_its_options_say,
    a_closed_store_says_so,
];

/// Runs the suite over a store that begins empty: at a URL, or in a directory where that is empty, with options as text.
fn run(name: &str, url: &str, options: &[(&str, &str)]) {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("store");
    let path = if url.is_empty() { directory.to_str().unwrap() } else { url };
    let mut all = Options::default();
    options.iter().for_each(|(name, value)| all.set(name, value).unwrap());
    let db = Db::open(path, &all).unwrap_or_else(|why| panic!("store {name}: {why}"));
    let can = db.capabilities().unwrap();
    let under = Under {
        name,
        db,
        url: path,
        options: &all,
        can,
        checks: Cell::default(),
        refused: RefCell::default(),
    };
    SUITE.iter().for_each(|part| part(&under));
    let refused: Vec<_> = under.refused.into_inner().into_iter().collect();
    let refused = if refused.is_empty() { "nothing".to_owned() } else { refused.join(", ") };
    println!("conformance, Rust, {name}: {} checks; refused: {refused}", under.checks.get());
}

/// Runs the suite in C, where there is one, over a store that begins empty.
fn run_c(name: &str, url: &str, options: &[(&str, &str)]) {
    let Some(program) = std::env::var_os("FILEDB_CONFORMANCE_C") else { return };
    let home = tempfile::tempdir().unwrap();
    let path =
        if url.is_empty() { home.path().join("store").to_str().unwrap().to_owned() } else { url.to_owned() };
    let options = options.iter().map(|(name, value)| format!("{name}={value}"));
    let output = Command::new(program).arg(&path).args(options).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "conformance in C, {name}: {}", output.status);
    println!("conformance, C, {name}: passed");
    run_example(name, &path);
}

/// Runs the example that runs on every store, where there is one: it goes on where it was, unless the store is gone with it.
fn run_example(name: &str, path: &str) {
    let Some(program) = std::env::var_os("FILEDB_EXAMPLE") else { return };
    for visit in 1..=5 {
        let output = Command::new(&program).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let (visit, lines) = if path.starts_with("memory://") { (1, 2) } else { (visit, visit.min(3) + 1) };
        assert!(
            output.status.success(),
            "the example on {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(said.starts_with(&format!("visit {visit} at ")), "the example on {name} says {said}");
        assert_eq!(said.lines().count(), lines, "the example on {name} says {said}");
    }
}

#[test]
fn every_store_of_this_process_passes_the_suite() {
    for (name, url, options) in [
        ("bitcask mmap", "", &[("io", "mmap")][..]),
        ("bitcask pread", "", &[("io", "pread")]),
        ("bitcask sync=always", "", &[("sync", "always")]),
        ("memory", "memory://", &[]),
        ("memory by name", "memory://conformance", &[]),
        ("ordered mmap", "", &[("engine", "lsm")]),
        ("ordered pread, small", "", &[("engine", "lsm"), ("io", "pread"), ("lsm_memory", "64KiB")]),
        ("ordered sync=always", "", &[("engine", "lsm"), ("sync", "always")]),
        ("ordered in memory", "memory://", &[("engine", "lsm"), ("memory_limit", "256MiB")]),
        ("ordered in memory by name", "memory://ordered", &[("engine", "lsm")]),
    ] {
        run(name, url, options);
        run_c(name, url, options);
    }
}

#[test]
fn a_valkey_server_passes_the_suite() {
    if servers::program().is_none() {
        return println!("conformance, valkey: not run, FILEDB_VALKEY_SERVER names no server");
    }
    for (name, appendonly, options) in [
        ("valkey", "yes", &[][..]),
        ("valkey sync=always", "yes", &[("sync", "always"), ("pool_size", "1")]),
        ("valkey without a log", "no", &[]),
    ] {
        let start = || Server::start(&["--appendonly", appendonly, "--appendfsync", "always"]);
        run(name, &start().url(), options);
        run_c(name, &start().url(), options);
    }
}

#[test]
fn a_valkey_cluster_passes_the_suite() {
    if servers::program().is_none() {
        return println!("conformance, valkey cluster: not run, FILEDB_VALKEY_SERVER names no server");
    }
    let cluster = Cluster::start(false);
    run("valkey cluster", &cluster.url(), &[]);
    cluster.primaries.iter().for_each(|server| drop(server.ask(&["FLUSHALL"])));
    run_c("valkey cluster", &cluster.url(), &[]);
}
