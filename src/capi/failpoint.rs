//! Where the tests make a call panic: each place that has a [`failpoint`], one after the other. In a library it is nothing.

#[cfg(not(test))]
#[inline(always)]
pub(super) fn failpoint() {}

#[cfg(test)]
pub(super) use armed::{arm, disarm, failpoint, without, without_panic_so_far};

#[cfg(test)]
mod armed {
    use std::cell::Cell;

    thread_local! {
        /// How many failpoints this thread passes before the one that panics.
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Has this thread panic at the failpoint that comes after `passed` others.
    pub(in crate::capi) fn arm(passed: usize) {
        LEFT.set(Some(passed));
    }

    /// Has it panic no more; whether it did.
    pub(in crate::capi) fn disarm() -> bool {
        LEFT.take().is_none()
    }

    /// Whether the failpoint that was armed has not been reached.
    pub(in crate::capi) fn without_panic_so_far() -> bool {
        LEFT.get().is_some()
    }

    /// Calls `body` with no failpoint armed.
    pub(in crate::capi) fn without<R>(body: impl FnOnce() -> R) -> R {
        let left = LEFT.take();
        let result = body();
        LEFT.set(left);
        result
    }

    pub(in crate::capi) fn failpoint() {
        match LEFT.get() {
            None => {}
            Some(0) => {
                LEFT.set(None);
                panic!("a failpoint was armed");
            }
            Some(left) => LEFT.set(Some(left - 1)),
        }
    }
}
