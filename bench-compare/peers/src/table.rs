//! The tables of C functions: the other side of `peer_abi.h`, and the only file with raw pointers.
//!
//! A panic in a store becomes an error, like any other failure: it never passes through C++.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;

use crate::engines::{Candy, Fjall, Redb, Sled};
use crate::{Config, Result, Store, Walk};

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const FAILED: i32 = -1;

/// `race_peer_config`.
#[repr(C)]
pub struct PeerConfig {
    directory: *const c_char,
    cache_bytes: u64,
    threads: u32,
    durable: u32,
    value_size: u64,
}

/// `race_peer_pair`.
#[repr(C)]
pub struct PeerPair {
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
}

type PeerVisit = extern "C" fn(*mut c_void, *const c_void, usize, *const c_void, usize);

/// `race_peer`.
#[repr(C)]
pub struct Peer {
    open: unsafe extern "C" fn(*const PeerConfig) -> *mut c_void,
    close: unsafe extern "C" fn(*mut c_void),
    put: unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const c_void, usize) -> i32,
    put_many: unsafe extern "C" fn(*mut c_void, *const PeerPair, usize) -> i32,
    get: unsafe extern "C" fn(*mut c_void, *const c_void, usize, *mut c_void, usize, *mut usize) -> i32,
    erase: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> i32,
    scan: unsafe extern "C" fn(*mut c_void, PeerVisit, *mut c_void) -> i32,
    walk: unsafe extern "C" fn(*mut c_void, *const c_void, usize, i32, u64, PeerVisit, *mut c_void) -> i32,
    settings: unsafe extern "C" fn(*const PeerConfig) -> *const c_char,
}

const fn of<S: Store>() -> Peer {
    Peer {
        open: open::<S>,
        close: close::<S>,
        put: put::<S>,
        put_many: put_many::<S>,
        get: get::<S>,
        erase: erase::<S>,
        scan: scan::<S>,
        walk: walk::<S>,
        settings: settings::<S>,
    }
}

static REDB: Peer = of::<Redb>();
static FJALL: Peer = of::<Fjall>();
static SLED: Peer = of::<Sled>();
static CANDYSTORE: Peer = of::<Candy>();

/// The functions of redb.
#[unsafe(no_mangle)]
pub extern "C" fn race_peer_redb() -> *const Peer {
    &raw const REDB
}

/// The functions of fjall.
#[unsafe(no_mangle)]
pub extern "C" fn race_peer_fjall() -> *const Peer {
    &raw const FJALL
}

/// The functions of sled.
#[unsafe(no_mangle)]
pub extern "C" fn race_peer_sled() -> *const Peer {
    &raw const SLED
}

/// The functions of candystore.
#[unsafe(no_mangle)]
pub extern "C" fn race_peer_candystore() -> *const Peer {
    &raw const CANDYSTORE
}

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
    static SETTINGS: RefCell<CString> = RefCell::default();
}

/// What the last failure in this thread was.
#[unsafe(no_mangle)]
pub extern "C" fn race_peer_error() -> *const c_char {
    ERROR.with_borrow(|error| error.as_ptr())
}

fn remember(text: &str) {
    ERROR.set(CString::new(text.replace('\0', " ")).unwrap_or_default());
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "panicked",
    }
}

/// The result of `call`, or nothing and the reason in [`race_peer_error`].
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Some(result),
        Ok(Err(failure)) => {
            remember(&failure.to_string());
            None
        }
        Err(panic) => {
            remember(panic_text(&*panic));
            None
        }
    }
}

/// # Safety
/// `data` points to `len` bytes that nobody changes while the slice lives.
unsafe fn slice<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data.cast(), len) }
}

/// # Safety
/// `config` and the text in it live as long as the result.
unsafe fn config<'a>(config: *const PeerConfig) -> Config<'a> {
    // SAFETY: the caller's promise.
    let (config, directory) = unsafe { (&*config, CStr::from_ptr((*config).directory)) };
    Config {
        directory: Path::new(OsStr::from_bytes(directory.to_bytes())),
        cache_bytes: config.cache_bytes,
        threads: config.threads.max(1) as usize,
        durable: config.durable != 0,
        value_size: config.value_size,
    }
}

unsafe extern "C" fn open<S: Store>(peer_config: *const PeerConfig) -> *mut c_void {
    // SAFETY: the driver passes a configuration that outlives the call.
    let config = unsafe { config(peer_config) };
    match guarded(|| S::open(&config)) {
        Some(store) => Box::into_raw(Box::new(store)).cast(),
        None => ptr::null_mut(),
    }
}

unsafe extern "C" fn close<S: Store>(store: *mut c_void) {
    // SAFETY: `store` came from `open` of the same table, and this is its last use.
    let store = unsafe { Box::from_raw(store.cast::<S>()) };
    if guarded(|| store.close()).is_none() {
        ERROR.with_borrow(|error| eprintln!("close: {}", error.to_string_lossy()));
    }
}

/// # Safety
/// `store` came from [`open`] with the same type, and is not closed while the reference lives.
unsafe fn store<'a, S: Store>(store: *mut c_void) -> &'a S {
    // SAFETY: the caller's promise.
    unsafe { &*store.cast::<S>() }
}

unsafe extern "C" fn put<S: Store>(
    handle: *mut c_void,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> i32 {
    // SAFETY: the driver passes an open store and true lengths.
    let (store, key, value) = unsafe { (store::<S>(handle), slice(key, key_len), slice(value, value_len)) };
    guarded(|| store.put(key, value)).map_or(FAILED, |()| OK)
}

unsafe extern "C" fn put_many<S: Store>(handle: *mut c_void, pairs: *const PeerPair, count: usize) -> i32 {
    // SAFETY: the driver passes an open store and `count` pairs, at least one.
    let (store, pairs) = unsafe { (store::<S>(handle), std::slice::from_raw_parts(pairs, count)) };
    // SAFETY: the lengths in the pairs are true.
    let pairs = pairs
        .iter()
        .map(|pair| unsafe { (slice(pair.key, pair.key_len), slice(pair.value, pair.value_len)) });
    guarded(|| store.put_many(pairs)).map_or(FAILED, |()| OK)
}

unsafe extern "C" fn get<S: Store>(
    handle: *mut c_void,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
) -> i32 {
    // SAFETY: the driver passes an open store and true lengths.
    let (store, key) = unsafe { (store::<S>(handle), slice(key, key_len)) };
    let copy = |value: &[u8]| {
        if value.len() > capacity {
            return Err("a value is longer than any that was stored".into());
        }
        // SAFETY: `buffer` has room for `capacity` bytes and is the driver's own; `value_len` points to a number.
        unsafe {
            ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast(), value.len());
            *value_len = value.len();
        }
        Ok(())
    };
    match guarded(|| store.get(key, copy)) {
        Some(true) => OK,
        Some(false) => NOT_FOUND,
        None => FAILED,
    }
}

unsafe extern "C" fn erase<S: Store>(handle: *mut c_void, key: *const c_void, key_len: usize) -> i32 {
    // SAFETY: the driver passes an open store and a true length.
    let (store, key) = unsafe { (store::<S>(handle), slice(key, key_len)) };
    guarded(|| store.erase(key)).map_or(FAILED, |()| OK)
}

unsafe extern "C" fn scan<S: Store>(handle: *mut c_void, visit: PeerVisit, context: *mut c_void) -> i32 {
    // SAFETY: the driver passes an open store.
    let store = unsafe { store::<S>(handle) };
    let show = |key: &[u8], value: &[u8]| {
        visit(context, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len());
    };
    guarded(|| store.scan(show)).map_or(FAILED, |()| OK)
}

unsafe extern "C" fn walk<S: Store>(
    handle: *mut c_void,
    from: *const c_void,
    from_len: usize,
    backwards: i32,
    most: u64,
    visit: PeerVisit,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the driver passes an open store and a true length.
    let (store, from) = unsafe { (store::<S>(handle), slice(from, from_len)) };
    let show = |key: &[u8], value: &[u8]| {
        visit(context, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len());
    };
    let walk = Walk { from, backwards: backwards != 0, most };
    guarded(|| store.walk(&walk, show)).map_or(FAILED, |()| OK)
}

unsafe extern "C" fn settings<S: Store>(peer_config: *const PeerConfig) -> *const c_char {
    // SAFETY: the driver passes a configuration that outlives the call.
    let config = unsafe { config(peer_config) };
    let lines: Vec<_> =
        S::settings(&config).into_iter().map(|(name, value)| format!("{name}\t{value}")).collect();
    SETTINGS.set(CString::new(lines.join("\n")).unwrap_or_default());
    SETTINGS.with_borrow(|settings| settings.as_ptr())
}
