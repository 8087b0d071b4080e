//! What stands in the place of std's locks, atomics and threads in a build for `src/schedules`: `--cfg filedb_schedules`, for tests alone.
//!
//! All threads of a test are one thread of the system there, and shuttle says at each lock, and before each access to an atomic, which
//! of them goes on. What the store does between two of these happens at once. So all orders of whole steps can come, and none in which a
//! weak processor reorders two accesses of one thread: `tests/gate_model.rs` and `tests/segment_model.rs` try those.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// Whether threads change at atomics too. While a store is made ready nobody else is there, and its thousands of steps would take
    /// the place of those that matter.
    static AT_ATOMICS: Cell<bool> = const { Cell::new(true) };
}

/// Threads change at atomics too, or at locks only.
pub fn change_at_atomics(is_so: bool) {
    AT_ATOMICS.set(is_so);
}

/// Here another thread may go on.
pub fn point() {
    if AT_ATOMICS.get() {
        // shuttle knows no time: this is a point of its schedules, and nothing else.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

pub mod atomic {
    use super::point;
    use std::sync::atomic as std_atomic;
    use std_atomic::Ordering;

    // As large as std's, and all zeros where they are zero: the index makes them of fresh memory.
    macro_rules! atomic {
        ($name:ident$(<$of:ident>)?, $value:ty) => {
            #[repr(transparent)]
            #[derive(Debug)]
            pub struct $name$(<$of>)?(std_atomic::$name$(<$of>)?);

            #[allow(dead_code, reason = "each has what std's has and one of them needs")]
            impl$(<$of>)? $name$(<$of>)? {
                pub const fn new(value: $value) -> Self {
                    Self(std_atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $value {
                    point();
                    self.0.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    point();
                    self.0.store(value, order);
                }

                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    point();
                    self.0.swap(value, order)
                }

                pub fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    done: Ordering,
                    failed: Ordering,
                ) -> Result<$value, $value> {
                    point();
                    self.0.compare_exchange(old, new, done, failed)
                }

                pub fn compare_exchange_weak(
                    &self,
                    old: $value,
                    new: $value,
                    done: Ordering,
                    failed: Ordering,
                ) -> Result<$value, $value> {
                    self.compare_exchange(old, new, done, failed)
                }

                pub fn get_mut(&mut self) -> &mut $value {
                    self.0.get_mut()
                }

                pub fn into_inner(self) -> $value {
                    self.0.into_inner()
                }
            }

            impl$(<$of>)? From<$value> for $name$(<$of>)? {
                fn from(value: $value) -> Self {
                    Self::new(value)
                }
            }

            impl$(<$of>)? Default for $name$(<$of>)? {
                fn default() -> Self {
                    Self(Default::default())
                }
            }
        };
    }

    macro_rules! arithmetic {
        ($name:ident, $value:ty: $($verb:ident)*) => {
            #[allow(dead_code, reason = "as above")]
            impl $name {
                $(pub fn $verb(&self, by: $value, order: Ordering) -> $value {
                    point();
                    self.0.$verb(by, order)
                })*

                pub fn fetch_update(
                    &self,
                    set: Ordering,
                    get: Ordering,
                    next: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    point();
                    self.0.fetch_update(set, get, next)
                }
            }
        };
    }

    atomic!(AtomicBool, bool);
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
    atomic!(AtomicUsize, usize);
    atomic!(AtomicPtr<T>, *mut T);
    arithmetic!(AtomicBool, bool: fetch_and fetch_or);
    arithmetic!(AtomicU32, u32: fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);
    arithmetic!(AtomicU64, u64: fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);
    arithmetic!(AtomicUsize, usize: fetch_add fetch_sub fetch_max fetch_min fetch_and fetch_or);
}
