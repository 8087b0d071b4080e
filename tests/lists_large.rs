//! A list of ten million elements, in figures: `cargo test --release --test lists_large -- --ignored --nocapture`.
//!
//! `FILEDB_LIST_ELEMENTS` is their number. What is right is checked too; how long it takes is only said.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use filedb::{Db, Options};

/// The nanoseconds that this thread had a processor.
fn processor_nanos() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// What is done with the list, how often, and how long one of these took: processor time, and by the clock.
fn time(what: &str, count: u64, mut work: impl FnMut(u64)) {
    let (began, nanos) = (Instant::now(), processor_nanos());
    (0..count).for_each(&mut work);
    let nanos = (processor_nanos() - nanos) as f64;
    let of_clock = began.elapsed().as_secs_f64() * 1e6 / count as f64;
    println!("  {what}: {:.3} us, {of_clock:.3} us by the clock", nanos / 1e3 / count as f64);
}

fn measure(engine: &str, elements: u64) {
    println!("engine={engine}, {elements} elements of 16 bytes");
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.set("engine", engine).unwrap();
    options.set("sync", "none").unwrap();
    let db = Db::open(directory.path().join("store"), &options).unwrap();
    let element = |n: u64| u128::from(n).to_le_bytes();
    time("push", elements, |n| assert_eq!(db.push_back("list", element(n)).unwrap(), n + 1));
    println!("  memory for finding them: {} bytes each", db.stats().unwrap().index_bytes / elements);
    time("get anywhere", 200_000.min(elements), |n| {
        let at = n * 7_654_321 % elements;
        assert_eq!(db.list_get("list", at as i64).unwrap().unwrap(), element(at));
    });
    time("range of 1,000 anywhere", 1000, |n| {
        let at = n * 7_654_321 % (elements - 1000);
        let found = db.list_range("list", at as i64, at as i64 + 999).unwrap().unwrap();
        assert!(found.len() == 1000 && found.iter().eq((at..at + 1000).map(element)));
    });
    time("pop", elements / 10, |n| assert_eq!(db.pop_front("list").unwrap().unwrap(), element(n)));
    time("close", 1, |_| db.close().unwrap());
    drop(db);
    let began = Instant::now();
    let db = Db::open(directory.path().join("store"), &options).unwrap();
    println!("  open: {:.3} ms", began.elapsed().as_secs_f64() * 1e3);
    let left = elements - elements / 10;
    assert_eq!(db.list_length("list").unwrap(), Some(left));
    assert_eq!(db.list_get("list", -1).unwrap().unwrap(), element(elements - 1));
    for again in ["first", "then"] {
        time(&format!("range of 1,000, {again}"), 1000.min(left / 1000), |n| {
            let at = n * 7_654_321 % (left - 1000);
            assert_eq!(db.list_range("list", at as i64, at as i64 + 999).unwrap().unwrap().len(), 1000);
        });
    }
    time("delete", 1, |_| assert!(db.delete("list").unwrap()));
    assert_eq!(db.list_length("list").unwrap(), None);
    time("put of as many keys", elements, |n| db.put(n.to_le_bytes(), element(n)).unwrap());
    time("get of one", 200_000.min(elements), |n| {
        let at = n * 7_654_321 % elements;
        assert_eq!(db.get(at.to_le_bytes()).unwrap().unwrap(), element(at));
    });
}

#[test]
#[ignore = "takes a minute, and says figures"]
fn ten_million_elements_in_figures() {
    let count = std::env::var("FILEDB_LIST_ELEMENTS").ok().map_or(10_000_000, |text| text.parse().unwrap());
    measure("bitcask", count);
    measure("lsm", count);
}

#[test]
fn a_long_list_is_read_at_every_place_and_after_a_restart() {
    measure("bitcask", 20_000);
    measure("lsm", 20_000);
}
