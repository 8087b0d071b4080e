//! Panics, each of which is a bug in filedb: caught, put into words, and not printed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch`] this thread is inside of: what one calls may call the library again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the panic that is being caught happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`. A panic in it becomes its own words and, after [`keep_quiet`], the place where it happened.
#[inline]
pub fn catch<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    quietly(body).map_err(describe)
}

#[inline]
fn quietly<R>(body: impl FnOnce() -> R) -> std::thread::Result<R> {
    // In one access, around the body: finding a thread's own memory costs a call in a shared library.
    DEPTH.with(|depth| {
        depth.set(depth.get() + 1);
        // What a panic leaves half done is for the caller to stop using.
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        depth.set(depth.get() - 1);
        outcome
    })
}

/// Panics with the words of a panic that was caught, which is not printed again.
pub fn go_on(words: String) -> ! {
    panic::resume_unwind(Box::new(words))
}

/// Keeps panics that will be caught from being printed: a library does not write to its host's stderr.
///
/// The hook belongs to the Rust runtime inside this library. Where that is the host's own (a Rust program), the hook
/// that was there before still gets every panic that is not caught here.
pub fn keep_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                return before(panic);
            }
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
            // A thread that is being torn down may have no place for it any more.
            let _ = PLACE.try_with(|known| known.replace(place));
        }));
    });
}

/// The panic's own words and where it happened.
#[cold]
fn describe(payload: Box<dyn Any + Send>) -> String {
    let place = take_place();
    let words = match payload.downcast::<String>() {
        Ok(words) => *words,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(words) => (*words).to_owned(),
            Err(payload) => {
                discard(payload);
                "no message".to_owned()
            }
        },
    };
    match place {
        Some(place) => format!("{words}, at {place}"),
        None => words,
    }
}

/// Drops what a panic carried, which may be anything, and may panic again; then it is left where it is.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = quietly(|| drop(payload)) {
        std::mem::forget(another);
        take_place();
    }
}

fn take_place() -> Option<String> {
    PLACE.try_with(RefCell::take).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_words_and_its_place_also_when_it_goes_on() {
        keep_quiet();
        assert_eq!(catch(|| 7), Ok(7));
        let words = catch(|| panic!("{} went wrong", "it")).map(|()| "").unwrap_err();
        assert!(words.starts_with("it went wrong, at src/sync/panics.rs:"), "{words}");
        let again = catch(|| go_on(words.clone())).map(|()| "").unwrap_err();
        assert_eq!(again, words);
    }

    #[test]
    fn what_a_panic_carries_may_be_anything() {
        struct PanicsToo;
        impl Drop for PanicsToo {
            fn drop(&mut self) {
                // Nothing that takes memory: what a second panic carries is never freed.
                panic::panic_any(());
            }
        }
        keep_quiet();
        let words = catch(|| panic::panic_any(PanicsToo)).map(|()| "").unwrap_err();
        let line = line!() - 1;
        assert_eq!(words, format!("no message, at src/sync/panics.rs:{line}"));
        let words = catch(|| go_on("as it was".to_owned())).map(|()| "").unwrap_err();
        assert_eq!(words, "as it was");
    }
}
