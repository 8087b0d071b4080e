//! The C API of filedb 0.2.0. Generated from include/filedb.h by bindings/api.py; do not edit it.
//! What the functions do is said there.

pub const filedb_status_t = i32;
pub const filedb_type_t = i32;

pub const FILEDB_VERSION_MAJOR = 0;
pub const FILEDB_VERSION_MINOR = 2;
pub const FILEDB_VERSION_PATCH = 0;
pub const FILEDB_LOG_ERROR = 1;
pub const FILEDB_LOG_WARN = 2;
pub const FILEDB_LOG_INFO = 3;
pub const FILEDB_LOG_DEBUG = 4;
pub const FILEDB_PUT_IF_ABSENT = 1;
pub const FILEDB_PUT_IF_PRESENT = 2;
pub const FILEDB_PUT_SYNC = 4;
pub const FILEDB_PUT_KEEP_TTL = 8;
pub const FILEDB_MOVE_FROM_BACK = 1;
pub const FILEDB_MOVE_TO_FRONT = 2;
pub const FILEDB_CAN_ORDER = 1;
pub const FILEDB_CAN_SNAPSHOT = 2;
pub const FILEDB_CAN_BATCH = 4;
pub const FILEDB_CAN_SYNC = 8;
pub const FILEDB_CAN_MERGE = 16;
pub const FILEDB_CAN_PIN = 32;
pub const FILEDB_RANGE_REVERSE = 1;
pub const FILEDB_RANGE_FROM_EXCLUDED = 2;
pub const FILEDB_RANGE_TO_INCLUDED = 4;
pub const FILEDB_CHANGE_PUT = 1;
pub const FILEDB_CHANGE_DELETE = 2;
pub const FILEDB_CHANGE_PUSH_BACK = 3;
pub const FILEDB_CHANGE_PUSH_FRONT = 4;
pub const FILEDB_CHANGE_POP_BACK = 5;
pub const FILEDB_CHANGE_POP_FRONT = 6;
pub const FILEDB_CHANGE_EXPIRY = 7;
pub const FILEDB_BACKUP_COPY = 1;
pub const FILEDB_FINDING_NOTE = 1;
pub const FILEDB_FINDING_SPACE_LOST = 2;
pub const FILEDB_FINDING_DATA_LOST = 3;
pub const FILEDB_OK = 0;
pub const FILEDB_NOT_FOUND = 1;
pub const FILEDB_CONFLICT = 2;
pub const FILEDB_DONE = 3;
pub const FILEDB_GAP = 4;
pub const FILEDB_TIMEOUT = 5;
pub const FILEDB_ERR_INVALID_ARGUMENT = -1;
pub const FILEDB_ERR_IO = -2;
pub const FILEDB_ERR_CORRUPT = -3;
pub const FILEDB_ERR_LOCKED = -4;
pub const FILEDB_ERR_NO_SPACE = -5;
pub const FILEDB_ERR_READ_ONLY = -6;
pub const FILEDB_ERR_TOO_LARGE = -7;
pub const FILEDB_ERR_BUFFER_TOO_SMALL = -8;
pub const FILEDB_ERR_UNSUPPORTED = -9;
pub const FILEDB_ERR_POISONED = -10;
pub const FILEDB_ERR_FORKED = -11;
pub const FILEDB_ERR_PANIC = -12;
pub const FILEDB_ERR_NO_MEMORY = -13;
pub const FILEDB_ERR_EXISTS = -14;
pub const FILEDB_ERR_CLOSED = -15;
pub const FILEDB_ERR_WRONG_TYPE = -16;
pub const FILEDB_ERR_CONNECTION = -17;
pub const FILEDB_ERR_MISSING = -18;
pub const FILEDB_TYPE_VALUE = 1;
pub const FILEDB_TYPE_LIST = 2;

pub const filedb_t = opaque {};
pub const filedb_batch_t = opaque {};
pub const filedb_changes_t = opaque {};
pub const filedb_iter_t = opaque {};
pub const filedb_options_t = opaque {};

pub const filedb_error_t = extern struct {
    struct_size: u32,
    code: i32,
    os_errno: i32,
    reserved: u32,
    file_id: u64,
    offset: u64,
    message: [256]u8,
};

pub const filedb_put_options_t = extern struct {
    struct_size: u32,
    flags: u32,
    ttl_ms: u64,
};

pub const filedb_slice_t = extern struct {
    data: ?*const anyopaque,
    len: usize,
};

pub const filedb_pinned_t = extern struct {
    data: ?*const anyopaque,
    len: usize,
    pin: ?*anyopaque,
};

pub const filedb_range_t = extern struct {
    struct_size: u32,
    flags: u32,
    from: filedb_slice_t,
    to: filedb_slice_t,
};

pub const filedb_stats_t = extern struct {
    struct_size: u32,
    merging: u32,
    keys: u64,
    files: u64,
    data_bytes: u64,
    live_bytes: u64,
    index_bytes: u64,
    iterators: u64,
    appended_bytes: u64,
    merges: u64,
    merged_bytes: u64,
    syncs: u64,
    sync_nanos: u64,
    expired_keys: u64,
    clock_ahead_ms: u64,
};

pub const filedb_change_t = extern struct {
    struct_size: u32,
    kind: u32,
    seq: u64,
    time_ms: u64,
    expiry_ms: u64,
    key: filedb_slice_t,
    value: filedb_slice_t,
};

pub const filedb_finding_t = extern struct {
    struct_size: u32,
    severity: i32,
    file: [*c]const u8,
    offset: u64,
    length: u64,
    message: [*c]const u8,
    key: ?*const anyopaque,
    key_len: usize,
};

pub const filedb_check_report_t = extern struct {
    struct_size: u32,
    damaged_files: u32,
    files: u64,
    bytes: u64,
    records: u64,
    keys: u64,
    damaged_places: u64,
    keys_lost: u64,
};

pub const filedb_log_fn = ?*const fn (ctx: ?*anyopaque, level: i32, message: [*c]const u8, len: usize) callconv(.c) void;
pub const filedb_fold_fn = ?*const fn (ctx: ?*anyopaque, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize) callconv(.c) c_int;
pub const filedb_finding_fn = ?*const fn (ctx: ?*anyopaque, finding: [*c]const filedb_finding_t) callconv(.c) c_int;

pub extern fn filedb_version_number() u32;
pub extern fn filedb_version_string() [*c]const u8;
pub extern fn filedb_strerror(status: filedb_status_t) [*c]const u8;
pub extern fn filedb_options_new() ?*filedb_options_t;
pub extern fn filedb_options_set(options: ?*filedb_options_t, name: [*c]const u8, value: [*c]const u8, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_options_get(options: ?*const filedb_options_t, name: [*c]const u8, buffer: [*c]u8, capacity: usize, len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_options_describe(i: usize, name: [*c][*c]const u8, values: [*c][*c]const u8, help: [*c][*c]const u8) filedb_status_t;
pub extern fn filedb_options_free(options: ?*filedb_options_t) void;
pub extern fn filedb_options_set_log(options: ?*filedb_options_t, function: filedb_log_fn, ctx: ?*anyopaque, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_open(path: [*c]const u8, options: ?*const filedb_options_t, out: [*c]?*filedb_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_close(db: ?*filedb_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_put(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_delete(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_get(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_get_into(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, buffer: ?*anyopaque, capacity: usize, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_exists(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_count(db: ?*filedb_t, out: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_sync(db: ?*filedb_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_merge(db: ?*filedb_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_put_with(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, options: [*c]const filedb_put_options_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_put_with(batch: ?*filedb_batch_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, options: [*c]const filedb_put_options_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_ttl(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, ms: [*c]i64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_expire(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, ttl_ms: u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_persist(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list(db: ?*filedb_t, prefix: ?*const anyopaque, prefix_len: usize, keys: [*c][*c]filedb_slice_t, count: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_sorted(db: ?*filedb_t, prefix: ?*const anyopaque, prefix_len: usize, keys: [*c][*c]filedb_slice_t, count: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_get_pinned(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, out: [*c]filedb_pinned_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_unpin(pinned: [*c]filedb_pinned_t) void;
pub extern fn filedb_get_many(db: ?*filedb_t, keys: [*c]const filedb_slice_t, count: usize, values: [*c]filedb_pinned_t, statuses: [*c]filedb_status_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_type(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, out: [*c]filedb_type_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_push_back(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, length: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_push_front(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, length: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_pop_back(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_pop_front(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_move(db: ?*filedb_t, from: ?*const anyopaque, from_len: usize, to: ?*const anyopaque, to_len: usize, flags: u32, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_length(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, out: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_get(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, index: i64, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_set(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, index: i64, value: ?*const anyopaque, value_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_list_range(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, first: i64, last: i64, values: [*c][*c]filedb_slice_t, count: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_capabilities(db: ?*filedb_t, out: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_get_delete(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, value: [*c]?*anyopaque, value_len: [*c]usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_compare_and_swap(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, expected: [*c]const filedb_slice_t, desired: [*c]const filedb_slice_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_increment(db: ?*filedb_t, key: ?*const anyopaque, key_len: usize, by: i64, out: [*c]i64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_new() ?*filedb_batch_t;
pub extern fn filedb_batch_put(batch: ?*filedb_batch_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_delete(batch: ?*filedb_batch_t, key: ?*const anyopaque, key_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_push_back(batch: ?*filedb_batch_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_push_front(batch: ?*filedb_batch_t, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_batch_clear(batch: ?*filedb_batch_t) void;
pub extern fn filedb_batch_free(batch: ?*filedb_batch_t) void;
pub extern fn filedb_write(db: ?*filedb_t, batch: ?*const filedb_batch_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_iter_new(db: ?*filedb_t, prefix: ?*const anyopaque, prefix_len: usize, out: [*c]?*filedb_iter_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_iter_next(iter: ?*filedb_iter_t, key: [*c]filedb_slice_t, value: [*c]filedb_slice_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_iter_next_batch(iter: ?*filedb_iter_t, keys: [*c]filedb_slice_t, values: [*c]filedb_slice_t, capacity: usize, status: [*c]filedb_status_t, err: [*c]filedb_error_t) usize;
pub extern fn filedb_iter_seek(iter: ?*filedb_iter_t, key: ?*const anyopaque, key_len: usize, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_iter_type(iter: ?*filedb_iter_t, out: [*c]filedb_type_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_iter_free(iter: ?*filedb_iter_t) void;
pub extern fn filedb_fold(db: ?*filedb_t, function: filedb_fold_fn, ctx: ?*anyopaque, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_range_new(db: ?*filedb_t, range: [*c]const filedb_range_t, out: [*c]?*filedb_iter_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_delete_range(db: ?*filedb_t, range: [*c]const filedb_range_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_stats(db: ?*filedb_t, out: [*c]filedb_stats_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_last_seq(db: ?*filedb_t, out: [*c]u64, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_changes_new(db: ?*filedb_t, after_seq: u64, out: [*c]?*filedb_changes_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_changes_next(changes: ?*filedb_changes_t, timeout_ms: i64, out: [*c]filedb_change_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_changes_free(changes: ?*filedb_changes_t) void;
pub extern fn filedb_backup(db: ?*filedb_t, directory: [*c]const u8, flags: u32, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_check(path: [*c]const u8, function: filedb_finding_fn, ctx: ?*anyopaque, out: [*c]filedb_check_report_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_salvage(path: [*c]const u8, to: [*c]const u8, function: filedb_finding_fn, ctx: ?*anyopaque, out: [*c]filedb_check_report_t, err: [*c]filedb_error_t) filedb_status_t;
pub extern fn filedb_free(memory: ?*anyopaque) void;
