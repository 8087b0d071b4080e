//! The gate and the table, with threads of the machine that the test runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::gate::Gated;
use super::table::Table;

#[test]
fn a_value_is_not_freed_under_a_reader_and_is_gone_afterwards() {
    struct Canary(Arc<AtomicBool>);
    impl Drop for Canary {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    for _ in 0..200 {
        let freed = Arc::new(AtomicBool::new(false));
        let gated = Arc::new(Gated::new(Box::new(Canary(freed.clone()))));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let gated = gated.clone();
                std::thread::spawn(move || {
                    let mut entries = 0u64;
                    while let Some(inside) = gated.enter() {
                        assert!(!inside.0.load(Ordering::SeqCst));
                        entries += 1;
                    }
                    entries
                })
            })
            .collect();
        let grace = gated.begin_grace();
        while !gated.is_over(grace) {
            std::thread::yield_now();
        }
        assert!(gated.take().is_some() && gated.take().is_none());
        assert!(freed.load(Ordering::SeqCst));
        let entries: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        let _ = entries;
    }
}

#[test]
fn a_retired_place_is_free_when_all_who_were_inside_have_left_and_nobody_waits_for_that() {
    let (gated, table) = (Gated::new(Box::new(())), Table::new(8));
    let insert = |value| table.insert(|place| Ok::<_, ()>(Arc::new((place, value)))).unwrap().unwrap();
    let (first, second) = (insert("first").0, insert("second").0);
    let early = gated.enter().unwrap();
    table.retire(first, &gated);
    assert!(table.take_unused(&gated).is_empty() && table.retired() == (1, 0));
    // Whoever knew of the place before still finds the value.
    assert_eq!(table.get(first, &early).unwrap().1, "first");
    let late = gated.enter().unwrap();
    let found = table.get(first, &late).unwrap();
    drop(early);
    // Another place that goes out of use meanwhile waits for its own readers.
    table.retire(second, &gated);
    assert!(table.take_unused(&gated).is_empty());
    assert_eq!(found.1, "first");
    drop(late);
    let unused: Vec<_> = table.take_unused(&gated).iter().map(|value| value.1).collect();
    assert_eq!(unused, ["first", "second"]);
    assert!(table.retired() == (2, 2) && table.get(first, &gated.enter().unwrap()).is_none());
    assert_eq!(insert("third").0, first);
}
