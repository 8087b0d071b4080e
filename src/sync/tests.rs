//! The gate, with threads of the machine that the test runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::gate::Gated;

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
        gated.wait_for_readers();
        assert!(gated.take().is_some() && gated.take().is_none());
        assert!(freed.load(Ordering::SeqCst));
        let entries: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        let _ = entries;
    }
}
