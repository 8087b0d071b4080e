//! The gate and the table, with threads of the machine that the test runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::gate::Gated;
use super::table::Table;
use crate::store::memory::Refused;

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
    let (gated, table) = (Gated::new(Box::new(())), Table::new(8).unwrap());
    let insert = |value| table.insert(|place| Ok::<_, Refused>(Arc::new((place, value)))).unwrap().unwrap();
    let (first, second) = (insert("first").0, insert("second").0);
    let early = gated.enter().unwrap();
    table.retire(first, &gated);
    assert!(table.next_unused(&gated).is_none() && table.retired() == (1, 0));
    // Whoever knew of the place before still finds the value.
    assert_eq!(table.get(first, &early).unwrap().1, "first");
    let late = gated.enter().unwrap();
    let found = table.get(first, &late).unwrap();
    drop(early);
    // Another place that goes out of use meanwhile waits for its own readers.
    table.retire(second, &gated);
    assert!(table.next_unused(&gated).is_none());
    assert_eq!(found.1, "first");
    drop(late);
    let unused: Vec<_> = std::iter::from_fn(|| table.next_unused(&gated)).map(|value| value.1).collect();
    assert_eq!(unused, ["first", "second"]);
    assert!(table.retired() == (2, 2) && table.get(first, &gated.enter().unwrap()).is_none());
    assert_eq!(insert("third").0, first);
}

#[test]
fn a_thread_that_visits_more_gates_than_are_remembered_waits_for_none_until_it_has_left_some() {
    let gates: Vec<_> = (0..20).map(|n| Gated::new(Box::new(n))).collect();
    let other = Gated::new(Box::new(0));
    let mut visits = Vec::new();
    for gate in &gates {
        assert!(visits.len() > 16 || !gate.is_visited_by_caller());
        visits.push(gate.visit());
        assert!(gate.is_visited_by_caller() && gates[0].is_visited_by_caller());
    }
    assert!(other.is_visited_by_caller());
    visits.truncate(16);
    assert!(gates[15].is_visited_by_caller() && !gates[16].is_visited_by_caller());
    visits.clear();
    assert!(gates.iter().all(|gate| !gate.is_visited_by_caller()));
}
