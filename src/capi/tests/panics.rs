//! The misuse matrix's column of panics (the others are in c_tests/test_matrix.c): every function, made to panic at every
//! place that can be made to: where the border looks at arguments, and at each call of the engine to the disk.

#![allow(clippy::undocumented_unsafe_blocks, reason = "each of them is a call as the header asks for it")]

use super::super::backup::*;
use super::super::batch::*;
use super::super::change::*;
use super::super::changes::*;
use super::super::check::*;
use super::super::db::*;
use super::super::failpoint::{arm, disarm, failpoint, without, without_panic_so_far};
use super::super::iter::*;
use super::super::list::*;
use super::super::memory::filedb_free;
use super::super::options::*;
use super::super::pinned::*;
use super::super::put_options::*;
use super::super::range::*;
use super::super::slice::*;
use super::super::stats::*;
use super::super::status::*;
use super::{exists, put};
use crate::Db;
use crate::Options;
use crate::disk::fs::{FsDisk, Io};
use crate::disk::{Access, Disk, DiskFile, LockKind, Room};
use std::ffi::{CString, c_int, c_void};
use std::io;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// A disk that has a failpoint in front of every call.
struct Fragile(FsDisk);
struct FragileFile(Arc<dyn DiskFile>);

impl Fragile {
    fn file(file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FragileFile(file?)))
    }
}

impl Disk for Fragile {
    fn is_mapped(&self) -> bool {
        false
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
    fn lock(&self, kind: LockKind) -> io::Result<Box<dyn Send + Sync>> {
        failpoint();
        self.0.lock(kind)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        failpoint();
        self.0.list()
    }
    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
        failpoint();
        Fragile::file(self.0.create(name, capacity))
    }
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        failpoint();
        Fragile::file(self.0.open(name, access))
    }
    fn create_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        failpoint();
        Fragile::file(self.0.create_plain(name))
    }
    fn open_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        failpoint();
        Fragile::file(self.0.open_plain(name))
    }
    fn set_aside(&self, name: &str, bytes: u64) -> io::Result<()> {
        failpoint();
        self.0.set_aside(name, bytes)
    }
    fn aside(&self, name: &str) -> io::Result<u64> {
        failpoint();
        self.0.aside(name)
    }
    fn sync_name(&self) -> io::Result<()> {
        failpoint();
        self.0.sync_name()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        failpoint();
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        failpoint();
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        failpoint();
        self.0.sync_dir()
    }
    fn now_ms(&self, precise: bool) -> u64 {
        failpoint();
        self.0.now_ms(precise)
    }
    fn monotonic_ms(&self) -> u64 {
        failpoint();
        self.0.monotonic_ms()
    }
}

impl DiskFile for FragileFile {
    fn size(&self) -> io::Result<u64> {
        failpoint();
        self.0.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        failpoint();
        self.0.read_at(buffer, offset)
    }
    fn reserve(&self, end: u64) -> io::Result<()> {
        failpoint();
        self.0.reserve(end)
    }
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        failpoint();
        self.0.write_at(parts, offset)
    }
    fn sync(&self) -> io::Result<()> {
        failpoint();
        self.0.sync()
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        failpoint();
        self.0.truncate(size)
    }
    fn prepare(&self, tail: u64, room: Room) -> io::Result<()> {
        failpoint();
        self.0.prepare(tail, room)
    }
    fn seal(&self) -> io::Result<()> {
        failpoint();
        self.0.seal()
    }
}

/// What the functions are called with.
struct World {
    db: *mut filedb_t,
    iter: *mut filedb_iter_t,
    changes: *mut filedb_changes_t,
    batch: *mut filedb_batch_t,
    options: *mut filedb_options_t,
    pinned: filedb_pinned_t,
    value: *mut c_void,
    is_closed: bool,
    path: CString,
}

const KEY: *const c_void = c"k".as_ptr().cast();
const VALUE: *const c_void = c"value".as_ptr().cast();

impl World {
    /// A store of several small files, most of it dead, so that a merge has work, with the handles that come with it.
    fn new(directory: &Path) -> World {
        let mut options = Options::default();
        for (name, value) in [("max_file_size", "400"), ("io", "pread"), ("merge", "manual")] {
            options.set(name, value).unwrap();
        }
        let disk = Fragile(FsDisk::open(directory, true, Io::Plain).unwrap());
        let db = filedb::handle_of(Db::open_on(Arc::new(disk), &options).unwrap()).ok().unwrap();
        let mut err = super::empty_error();
        for _ in 0..30 {
            assert_eq!(put(db, b"k", &mut err), FILEDB_OK);
            assert_eq!(put(db, b"l", &mut err), FILEDB_OK);
        }
        let mut world = World {
            db,
            iter: null_mut(),
            changes: null_mut(),
            batch: filedb_batch_new(),
            options: filedb_options_new(),
            pinned: filedb_pinned { data: null(), len: 0, pin: null_mut() },
            value: null_mut(),
            is_closed: false,
            path: CString::new(directory.join("other").to_str().unwrap()).unwrap(),
        };
        // SAFETY: as the header asks.
        unsafe {
            assert_eq!(filedb_iter_new(db, null(), 0, &mut world.iter, null_mut()), FILEDB_OK);
            assert_eq!(filedb_changes_new(db, 0, &mut world.changes, null_mut()), FILEDB_OK);
            assert_eq!(filedb_batch_put(world.batch, KEY, 1, VALUE, 5, null_mut()), FILEDB_OK);
            assert_eq!(filedb_get_pinned(db, KEY, 1, &mut world.pinned, null_mut()), FILEDB_OK);
            let mut len = 0;
            assert_eq!(filedb_get(db, KEY, 1, &mut world.value, &mut len, null_mut()), FILEDB_OK);
        }
        world
    }

    /// The directory of the store.
    fn store(&self) -> CString {
        let path = Path::new(self.path.to_str().unwrap()).parent().unwrap();
        CString::new(path.to_str().unwrap()).unwrap()
    }

    /// Whatever happened before: calls come back, readers read, and the store closes and opens again with what it had.
    fn end(&mut self, directory: &Path, name: &str) {
        let mut err = super::empty_error();
        if !self.is_closed {
            let status = put(self.db, b"after", &mut err);
            assert!([FILEDB_OK, FILEDB_ERR_POISONED].contains(&status), "{name}: put answers {status}");
            assert_eq!(exists(self.db, b"l"), FILEDB_OK, "{name}");
            let status = super::close(self.db, &mut err);
            assert!([FILEDB_OK, FILEDB_ERR_POISONED].contains(&status), "{name}: close answers {status}");
        }
        assert_eq!(super::close(self.db, &mut err), FILEDB_ERR_CLOSED, "{name}");
        // SAFETY: as the header asks; twice is fine.
        unsafe {
            filedb_unpin(&mut self.pinned);
            filedb_iter_free(self.iter);
            filedb_changes_free(self.changes);
            filedb_batch_free(self.batch);
            filedb_options_free(self.options);
            filedb_free(self.value);
        }
        let db = super::open(directory);
        assert_eq!(exists(db, b"l"), FILEDB_OK, "{name}: a key is lost");
        assert_eq!(super::close(db, &mut err), FILEDB_OK);
    }
}

unsafe extern "C" fn go_on(_: *mut c_void, _: *const c_void, _: usize, _: *const c_void, _: usize) -> c_int {
    0
}

unsafe extern "C" fn see(_: *mut c_void, _: *const filedb_finding_t) -> c_int {
    0
}

fn no_report() -> filedb_check_report_t {
    filedb_check_report_t {
        struct_size: 0,
        damaged_files: 0,
        files: 0,
        bytes: 0,
        records: 0,
        keys: 0,
        damaged_places: 0,
        keys_lost: 0,
    }
}

/// A call of one function; its status, where it has one.
type Case = (&'static str, unsafe fn(&mut World) -> Option<i32>);

/// Outputs of a call that failed are zeroes.
fn empty(status: i32, outputs_are_zero: bool) -> Option<i32> {
    assert!(
        status == FILEDB_OK || outputs_are_zero,
        "a call that answers {status} left something in its outputs"
    );
    Some(status)
}

const CASES: &[Case] = &[
    ("filedb_options_new", |_| {
        let made = filedb_options_new();
        // SAFETY: as the header asks.
        without(|| unsafe { filedb_options_free(made) });
        None
    }),
    ("filedb_options_set", |w| unsafe {
        Some(filedb_options_set(w.options, c"sync".as_ptr(), c"none".as_ptr(), null_mut()))
    }),
    ("filedb_options_get", |w| unsafe {
        let (mut len, mut text) = (9, [0; 20]);
        let name = c"sync".as_ptr();
        empty(filedb_options_get(w.options, name, text.as_mut_ptr(), 20, &mut len, null_mut()), len == 0)
    }),
    ("filedb_options_describe", |_| unsafe {
        let (mut name, mut values, mut help) = (null(), null(), null());
        empty(filedb_options_describe(0, &mut name, &mut values, &mut help), name.is_null())
    }),
    ("filedb_options_set_log", |w| unsafe {
        Some(super::super::log::filedb_options_set_log(w.options, None, null_mut(), null_mut()))
    }),
    ("filedb_options_free", |w| unsafe {
        filedb_options_free(w.options);
        None
    }),
    ("filedb_open", |w| unsafe {
        let mut out = null_mut();
        let status = filedb_open(w.path.as_ptr(), w.options, &mut out, null_mut());
        let is_null = out.is_null();
        if status == FILEDB_OK {
            assert_eq!(without(|| filedb_close(out, null_mut())), FILEDB_OK);
        }
        empty(status, is_null)
    }),
    ("filedb_check", |w| unsafe {
        let mut report = no_report();
        let status = filedb_check(w.store().as_ptr(), Some(see), null_mut(), &mut report, null_mut());
        empty(status, report.files == 0)
    }),
    ("filedb_salvage", |w| unsafe {
        let mut report = no_report();
        let to = CString::new([w.store().as_bytes(), b"-saved"].concat()).unwrap();
        let status =
            filedb_salvage(w.store().as_ptr(), to.as_ptr(), Some(see), null_mut(), &mut report, null_mut());
        // The store is open.
        assert!(status == FILEDB_ERR_LOCKED || status == FILEDB_ERR_PANIC);
        empty(status, report.files == 0)
    }),
    ("filedb_close", |w| unsafe {
        // Replaced files that the iterator kept are left for the close to remove.
        without(|| {
            assert_eq!(filedb_merge(w.db, null_mut()), FILEDB_OK);
            filedb_iter_free(w.iter);
        });
        let status = filedb_close(w.db, null_mut());
        w.is_closed = without(|| exists(w.db, b"k")) == FILEDB_ERR_CLOSED;
        Some(status)
    }),
    ("filedb_put", |w| unsafe { Some(filedb_put(w.db, KEY, 1, VALUE, 5, null_mut())) }),
    ("filedb_put_with", |w| unsafe {
        let more =
            filedb_put_options { struct_size: 16, flags: FILEDB_PUT_IF_PRESENT | FILEDB_PUT_SYNC, ttl_ms: 0 };
        Some(filedb_put_with(w.db, KEY, 1, VALUE, 5, &more, null_mut()))
    }),
    ("filedb_delete", |w| unsafe { Some(filedb_delete(w.db, KEY, 1, null_mut())) }),
    ("filedb_get", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let status = filedb_get(w.db, KEY, 1, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_get_into", |w| unsafe {
        let (mut buffer, mut len) = ([0_u8; 8], 9);
        let to = buffer.as_mut_ptr().cast();
        empty(filedb_get_into(w.db, KEY, 1, to, 8, &mut len, null_mut()), len == 0 && buffer == [0; 8])
    }),
    ("filedb_get_pinned", |w| unsafe {
        let mut out = filedb_pinned { data: KEY, len: 9, pin: null_mut() };
        let status = filedb_get_pinned(w.db, KEY, 1, &mut out, null_mut());
        let is_empty = out.data.is_null() && out.len == 0 && out.pin.is_null();
        without(|| filedb_unpin(&mut out));
        empty(status, is_empty)
    }),
    ("filedb_get_many", |w| unsafe {
        let keys = [filedb_slice { data: KEY, len: 1 }; 2];
        let mut outs = [filedb_pinned { data: null(), len: 0, pin: null_mut() }; 2];
        let mut statuses = [FILEDB_OK; 2];
        let all =
            filedb_get_many(w.db, keys.as_ptr(), 2, outs.as_mut_ptr(), statuses.as_mut_ptr(), null_mut());
        for (out, status) in outs.iter_mut().zip(statuses) {
            assert!((status == FILEDB_OK) != out.pin.is_null(), "{status} and a value");
            without(|| filedb_unpin(out));
        }
        Some(all)
    }),
    ("filedb_unpin", |w| unsafe {
        filedb_unpin(&mut w.pinned);
        None
    }),
    ("filedb_exists", |w| unsafe { Some(filedb_exists(w.db, KEY, 1, null_mut())) }),
    ("filedb_list", |w| unsafe {
        let (mut keys, mut count) = (null_mut(), 9);
        let status = filedb_list(w.db, null(), 0, &mut keys, &mut count, null_mut());
        let is_empty = keys.is_null() && count == 0;
        without(|| filedb_free(keys.cast()));
        empty(status, is_empty)
    }),
    ("filedb_type", |w| unsafe {
        let mut out = 9;
        empty(filedb_type(w.db, KEY, 1, &mut out, null_mut()), out == 0)
    }),
    ("filedb_capabilities", |w| unsafe {
        let mut out = 9;
        empty(filedb_capabilities(w.db, &mut out, null_mut()), out == 0)
    }),
    ("filedb_push_back", |w| unsafe {
        let mut out = 9;
        empty(filedb_push_back(w.db, b"list".as_ptr().cast(), 4, VALUE, 5, &mut out, null_mut()), out == 0)
    }),
    ("filedb_pop_back", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let status = filedb_pop_back(w.db, b"list".as_ptr().cast(), 4, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_batch_push_back", |w| unsafe {
        Some(filedb_batch_push_back(w.batch, b"list".as_ptr().cast(), 4, VALUE, 5, null_mut()))
    }),
    ("filedb_push_front", |w| unsafe {
        let mut out = 9;
        empty(filedb_push_front(w.db, b"list".as_ptr().cast(), 4, VALUE, 5, &mut out, null_mut()), out == 0)
    }),
    ("filedb_pop_front", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let status = filedb_pop_front(w.db, b"list".as_ptr().cast(), 4, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_batch_push_front", |w| unsafe {
        Some(filedb_batch_push_front(w.batch, b"list".as_ptr().cast(), 4, VALUE, 5, null_mut()))
    }),
    ("filedb_list_length", |w| unsafe {
        let mut out = 9;
        empty(filedb_list_length(w.db, b"list".as_ptr().cast(), 4, &mut out, null_mut()), out == 0)
    }),
    ("filedb_list_get", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let status = filedb_list_get(w.db, b"list".as_ptr().cast(), 4, 0, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_list_move", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let list = b"list".as_ptr().cast();
        let status = filedb_list_move(w.db, list, 4, list, 4, 0, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_list_set", |w| unsafe {
        Some(filedb_list_set(w.db, b"list".as_ptr().cast(), 4, 0, VALUE, 5, null_mut()))
    }),
    ("filedb_list_range", |w| unsafe {
        let (mut values, mut count) = (null_mut(), 9);
        let status =
            filedb_list_range(w.db, b"list".as_ptr().cast(), 4, 0, -1, &mut values, &mut count, null_mut());
        let is_empty = values.is_null() && count == 0;
        without(|| filedb_free(values.cast()));
        empty(status, is_empty)
    }),
    ("filedb_get_delete", |w| unsafe {
        let (mut value, mut len) = (null_mut(), 9);
        let status = filedb_get_delete(w.db, KEY, 1, &mut value, &mut len, null_mut());
        let is_empty = value.is_null() && len == 0;
        without(|| filedb_free(value));
        empty(status, is_empty)
    }),
    ("filedb_compare_and_swap", |w| unsafe {
        Some(filedb_compare_and_swap(w.db, KEY, 1, null(), null(), null_mut()))
    }),
    ("filedb_increment", |w| unsafe {
        let mut out = 9;
        empty(filedb_increment(w.db, b"n".as_ptr().cast(), 1, 1, &mut out, null_mut()), out == 0)
    }),
    ("filedb_iter_type", |w| unsafe {
        let mut out = 9;
        empty(filedb_iter_type(w.iter, &mut out, null_mut()), out == 0)
    }),
    ("filedb_iter_seek", |w| unsafe { Some(filedb_iter_seek(w.iter, KEY, 1, null_mut())) }),
    ("filedb_range_new", |w| unsafe {
        let (mut iter, range) = (null_mut(), std::mem::zeroed());
        empty(filedb_range_new(w.db, &range, &mut iter, null_mut()), iter.is_null())
    }),
    ("filedb_delete_range", |w| unsafe {
        let range = std::mem::zeroed();
        Some(filedb_delete_range(w.db, &range, null_mut()))
    }),
    ("filedb_list_sorted", |w| unsafe {
        let (mut keys, mut count) = (null_mut(), 9);
        let status = filedb_list_sorted(w.db, null(), 0, &mut keys, &mut count, null_mut());
        let is_empty = keys.is_null() && count == 0;
        without(|| filedb_free(keys.cast()));
        empty(status, is_empty)
    }),
    ("filedb_count", |w| unsafe {
        let mut count = 9;
        empty(filedb_count(w.db, &mut count, null_mut()), count == 0)
    }),
    ("filedb_sync", |w| unsafe { Some(filedb_sync(w.db, null_mut())) }),
    ("filedb_backup", |w| unsafe {
        let to = CString::new([w.store().as_bytes(), b"-backup"].concat()).unwrap();
        Some(filedb_backup(w.db, to.as_ptr(), FILEDB_BACKUP_COPY, null_mut()))
    }),
    ("filedb_merge", |w| unsafe { Some(filedb_merge(w.db, null_mut())) }),
    ("filedb_stats", |w| unsafe {
        let mut stats: filedb_store_stats = std::mem::zeroed();
        stats.struct_size = size_of::<filedb_store_stats>() as u32;
        empty(filedb_stats(w.db, &mut stats, null_mut()), stats.keys == 0)
    }),
    ("filedb_ttl", |w| unsafe {
        let mut ms = 9;
        empty(filedb_ttl(w.db, KEY, 1, &mut ms, null_mut()), ms == 0)
    }),
    ("filedb_expire", |w| unsafe { Some(filedb_expire(w.db, KEY, 1, 1_000_000, null_mut())) }),
    ("filedb_persist", |w| unsafe { Some(filedb_persist(w.db, KEY, 1, null_mut())) }),
    ("filedb_batch_new", |_| {
        let made = filedb_batch_new();
        // SAFETY: as the header asks.
        without(|| unsafe { filedb_batch_free(made) });
        None
    }),
    ("filedb_batch_put", |w| unsafe { Some(filedb_batch_put(w.batch, KEY, 1, VALUE, 5, null_mut())) }),
    ("filedb_batch_put_with", |w| unsafe {
        Some(filedb_batch_put_with(w.batch, KEY, 1, VALUE, 5, null(), null_mut()))
    }),
    ("filedb_batch_delete", |w| unsafe { Some(filedb_batch_delete(w.batch, KEY, 1, null_mut())) }),
    ("filedb_batch_clear", |w| unsafe {
        filedb_batch_clear(w.batch);
        None
    }),
    ("filedb_batch_free", |w| unsafe {
        filedb_batch_free(w.batch);
        None
    }),
    ("filedb_write", |w| unsafe { Some(filedb_write(w.db, w.batch, null_mut())) }),
    ("filedb_iter_new", |w| unsafe {
        let mut iter = null_mut();
        let status = filedb_iter_new(w.db, null(), 0, &mut iter, null_mut());
        let is_null = iter.is_null();
        without(|| filedb_iter_free(iter));
        empty(status, is_null)
    }),
    ("filedb_iter_next", |w| unsafe {
        let (mut key, mut value) = (filedb_slice { data: KEY, len: 9 }, filedb_slice { data: KEY, len: 9 });
        let status = filedb_iter_next(w.iter, &mut key, &mut value, null_mut());
        empty(status, key.data.is_null() && value.data.is_null())
    }),
    ("filedb_iter_next_batch", |w| unsafe {
        let mut rows = [[filedb_slice { data: KEY, len: 9 }; 4]; 2];
        let mut status = FILEDB_OK;
        let [keys, values] = &mut rows;
        let (keys, values) = (keys.as_mut_ptr(), values.as_mut_ptr());
        let count = filedb_iter_next_batch(w.iter, keys, values, 4, &mut status, null_mut());
        assert!(
            rows.iter()
                .all(|slices| slices.iter().skip(count).all(|slice| slice.data.is_null() || slice.len == 9))
        );
        Some(status)
    }),
    ("filedb_iter_free", |w| unsafe {
        filedb_iter_free(w.iter);
        None
    }),
    ("filedb_last_seq", |w| unsafe {
        let mut seq = 9;
        let status = filedb_last_seq(w.db, &mut seq, null_mut());
        empty(status, seq == 0)
    }),
    ("filedb_changes_new", |w| unsafe {
        let mut changes = null_mut();
        let status = filedb_changes_new(w.db, 0, &mut changes, null_mut());
        let is_null = changes.is_null();
        without(|| filedb_changes_free(changes));
        empty(status, is_null)
    }),
    ("filedb_changes_next", |w| unsafe {
        let mut change: filedb_change_t = std::mem::zeroed();
        (change.seq, change.key.data) = (9, KEY);
        let status = filedb_changes_next(w.changes, 0, &mut change, null_mut());
        empty(status, change.seq == 0 && change.key.data.is_null())
    }),
    ("filedb_changes_free", |w| unsafe {
        filedb_changes_free(w.changes);
        None
    }),
    ("filedb_fold", |w| unsafe { Some(filedb_fold(w.db, Some(go_on), null_mut(), null_mut())) }),
    ("filedb_free", |w| unsafe {
        filedb_free(w.value);
        if without_panic_so_far() {
            w.value = null_mut();
        }
        None
    }),
];

/// The functions that contain nothing that could panic: a constant, and a choice among constants.
const CANNOT: &[&str] = &["filedb_version_number", "filedb_version_string", "filedb_strerror"];

#[test]
fn a_panic_anywhere_in_any_function_is_a_status_and_no_lock_stays_locked() {
    let mut all = 0;
    for (name, case) in CASES {
        let mut places = 0;
        loop {
            let directory = tempfile::tempdir().unwrap();
            let directory = directory.path().join("store");
            let mut world = World::new(&directory);
            arm(places);
            // SAFETY: as the header asks.
            let status = unsafe { case(&mut world) };
            let panicked = disarm();
            let is_told = status.is_none_or(|status| (status == FILEDB_ERR_PANIC) == panicked);
            // What follows from a write that was made may fail without a word: the write is told as made.
            assert!(
                is_told || status == Some(FILEDB_OK),
                "{name}, place {places}: {status:?}, panicked: {panicked}"
            );
            world.end(&directory, &format!("{name}, place {places}"));
            if !panicked {
                break;
            }
            places += 1;
        }
        assert!(places > 0, "{name} has no place where it can be made to panic");
        all += places;
    }
    println!("{} functions panicked at {all} places", CASES.len());
}

#[test]
fn every_function_of_the_header_is_made_to_panic() {
    let header = include_str!("../../../include/filedb.h");
    let is_declaration = |line: &&str| !line.starts_with([' ', '#', '/']) && !line.starts_with("typedef");
    let declared: Vec<_> = header
        .lines()
        .filter(is_declaration)
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .collect();
    assert!(declared.len() >= 40, "{declared:?}");
    for name in declared {
        let is_tried = CASES.iter().any(|case| case.0 == name) || CANNOT.contains(&name);
        assert!(is_tried, "{name} is declared in filedb.h, and no test makes it panic");
    }
}
