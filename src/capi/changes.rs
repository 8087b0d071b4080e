//! `filedb_changes_t`: following the changes of a store.

use super::db::filedb_t;
use super::error::filedb_error_t;
use super::guard;
use super::handle::Call;
use super::handle::shell::{self, Quarantine, Shell};
use super::slice::filedb_slice_t;
use super::status::{FILEDB_GAP, FILEDB_OK, FILEDB_TIMEOUT, filedb_status_t};
use crate::ChangeKind;
use crate::Changes;
use crate::Db;
use crate::Error;
use crate::Followed;
use crate::sync::lock::{Mutex, MutexGuard};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// filedb_change_t::kind: the key has a value now, whatever it had. Since 0.2.0.
pub const FILEDB_CHANGE_PUT: u32 = 1u32;
/// filedb_change_t::kind: the key is gone, if it was there. Since 0.2.0.
pub const FILEDB_CHANGE_DELETE: u32 = 2u32;
/// filedb_change_t::kind: as filedb_push_back(). Since 0.2.0.
pub const FILEDB_CHANGE_PUSH_BACK: u32 = 3u32;
/// filedb_change_t::kind: as filedb_push_front(). Since 0.2.0.
pub const FILEDB_CHANGE_PUSH_FRONT: u32 = 4u32;
/// filedb_change_t::kind: as filedb_pop_back(). Since 0.2.0.
pub const FILEDB_CHANGE_POP_BACK: u32 = 5u32;
/// filedb_change_t::kind: as filedb_pop_front(). Since 0.2.0.
pub const FILEDB_CHANGE_POP_FRONT: u32 = 6u32;
/// filedb_change_t::kind: the list of the key expires at filedb_change_t::expiry_ms, or, where that is 0,
/// no more. Since 0.2.0.
pub const FILEDB_CHANGE_EXPIRY: u32 = 7u32;

/// One change. Begin with `filedb_change_t change = FILEDB_CHANGE_INIT;` or `= {0}`. Later versions may add
/// members at the end. Since 0.2.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_change {
    /// sizeof(filedb_change_t), set by the caller; 0 is the size that it has in version 0.2.0.
    pub struct_size: u32,
    /// What was done: FILEDB_CHANGE_...
    pub kind: u32,
    /// The number of the change: who has applied it, and those before it, goes on behind it. Never smaller than that of
    /// the change before; changes that belong together may have the same.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970 by the store's clock.
    pub time_ms: u64,
    /// Of FILEDB_CHANGE_PUT and FILEDB_CHANGE_EXPIRY: when the key expires, in milliseconds since 1970;
    /// 0 for never.
    pub expiry_ms: u64,
    /// The key.
    pub key: filedb_slice_t,
    /// The value of a put or a push; empty for others.
    pub value: filedb_slice_t,
}

/// One change. Since 0.2.0.
pub type filedb_change_t = filedb_change;

/// Somebody's way through the changes of a store, in the order in which they happened and without an end.
///
/// Who applies all that is shown has what the store has. Versions that were replaced before they were
/// shown may be left out; where what is left out would be missed the answer is FILEDB_GAP. A batch is
/// shown when all of it is written, and what is shown can be read. Keys that expire are told when they are
/// put: that their time has come is no change.
///
/// A list is told as a whole (a delete, and a push for each element) when it changes for the first time
/// since the feed began, and when an element of it was set. Else pushes and pops are told as such.
///
/// With sync=always only what is durable is shown. In the other modes a power cut may take back what was
/// shown and not synced, and gives its numbers to other changes: call filedb_sync() before you keep a number that is
/// to outlive the machine.
///
/// It costs writers nothing while it is behind; who has read all and waits is woken by the next write, which
/// costs that a call of the system. Between two calls it keeps the data files that come next. For one thread at
/// a time. Since 0.2.0.
pub struct filedb_changes {
    tag: AtomicU64,
    db: Db,
    /// `None` once the handle was given up.
    changes: Mutex<Option<Changes>>,
}

/// A way through the changes of a store. Since 0.2.0.
pub type filedb_changes_t = filedb_changes;

impl Shell for filedb_changes {
    const WHAT: &'static str = "handle of changes";
    const IN_USE: u64 = 0x2b9f_6d01_c8e4_73a7;

    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn quarantine() -> &'static Quarantine<Self> {
        static GIVEN_UP: Quarantine<filedb_changes> = Quarantine::new();
        &GIVEN_UP
    }
}

/// The number of a kind of change.
fn number_of(kind: ChangeKind) -> u32 {
    match kind {
        ChangeKind::Put => FILEDB_CHANGE_PUT,
        ChangeKind::Delete => FILEDB_CHANGE_DELETE,
        ChangeKind::PushBack => FILEDB_CHANGE_PUSH_BACK,
        ChangeKind::PushFront => FILEDB_CHANGE_PUSH_FRONT,
        ChangeKind::PopBack => FILEDB_CHANGE_POP_BACK,
        ChangeKind::PopFront => FILEDB_CHANGE_POP_FRONT,
        ChangeKind::Expiry => FILEDB_CHANGE_EXPIRY,
    }
}

impl filedb_changes {
    fn step(&self, call: &Call) -> MutexGuard<'_, Option<Changes>> {
        call.blame(&self.db);
        self.changes.lock()
    }
}

/// Stores in `*out` the number of the last change: all up to it can be read, and filedb_changes_new() goes on
/// behind it. 0 for a store that was never written to. Of a backup it is the number that it was made at.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_UNSUPPORTED: the store is on a server;
/// - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_last_seq(
    db: *mut filedb_t,
    out: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        out.set(call.store(db)?.last_seq()?);
        Ok(FILEDB_OK)
    })
}

/// Begins to follow the changes behind the number `after_seq`: 0 for all since the store is there, the
/// filedb_change_t::seq that was applied last to go on where another feed was left, also in another process,
/// or the filedb_last_seq() of a copy. On success `*out` belongs to the caller, who gives it to
/// filedb_changes_free(), before or after the store is closed.
///
/// Returns FILEDB_OK, also where the number is not one of the store, which filedb_changes_next() tells, or
/// - FILEDB_ERR_UNSUPPORTED: the store is on a server, or is read with the option live;
/// - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_changes_new(
    db: *mut filedb_t,
    after_seq: u64,
    out: *mut *mut filedb_changes_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let changes = db.changes(after_seq)?;
        let tag = AtomicU64::new(filedb_changes::IN_USE);
        out.set(shell::make(filedb_changes { tag, db: db.clone(), changes: Mutex::new(Some(changes)) })?);
        Ok(FILEDB_OK)
    })
}

/// Stores the next change in `*out`. Waits for one for up to `timeout_ms`: 0 not at all, a negative number
/// for ever. The slices stay as they are until the next call for this feed.
///
/// Returns FILEDB_OK, or
/// - FILEDB_TIMEOUT: nothing changed in that time;
/// - FILEDB_GAP: what comes next is not in the store any more (merges drop deletes, see keep_tombstones_ms,
///   and with engine=lsm there is only what is in the log), or the number is not one of the store. Nothing more
///   comes: begin with a copy of the store, and its number;
/// - FILEDB_ERR_CORRUPT: the log is damaged there; the next call comes to the same place;
/// - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY: the next call tries again;
/// - FILEDB_ERR_POISONED: with sync=always, what comes next could not be made durable;
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is wrong;
/// - FILEDB_ERR_CLOSED: the store was closed, also while this call waited, or the feed was freed;
/// - FILEDB_ERR_FORKED.
///
/// Threads: any, one at a time for each feed. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_changes_next(
    changes: *mut filedb_changes_t,
    timeout_ms: i64,
    out: *mut filedb_change_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.sized_out("out", out)?;
        let mut step = call.shell(changes)?.step(call);
        let changes = step.as_mut().ok_or(Error::Closed)?;
        let change = match changes.next(u64::try_from(timeout_ms).ok().map(Duration::from_millis))? {
            Followed::Change(change) => change,
            Followed::Gap => return Ok(FILEDB_GAP),
            Followed::Timeout => return Ok(FILEDB_TIMEOUT),
        };
        out.set(filedb_change {
            struct_size: 0,
            kind: number_of(change.kind),
            seq: change.seq,
            time_ms: change.time_ms,
            // The first millisecond of all is long past too.
            expiry_ms: change.expiry_ms.map_or(0, |expiry_ms| expiry_ms.max(1)),
            key: filedb_slice_t::of(change.key),
            value: filedb_slice_t::of(change.value),
        });
        Ok(FILEDB_OK)
    })
}

/// Ends following. NULL is fine, and so is a feed whose store was closed.
///
/// Threads: any, one at a time for each feed: none may be waiting in filedb_changes_next(). Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_changes_free(changes: *mut filedb_changes_t) {
    // The shell stays for a while; what it holds does not.
    guard::enter_plain((), |call| call.retire(changes, |shell| drop(shell.changes.lock().take())));
}
