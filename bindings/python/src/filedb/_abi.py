"""The C API of filedb 0.2.0. Generated from include/filedb.h by bindings/api.py; do not edit it."""

from ctypes import (
    CDLL,
    CFUNCTYPE,
    Structure,
    c_char,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)

VERSION = "0.2.0"

FILEDB_VERSION_MAJOR = 0
FILEDB_VERSION_MINOR = 2
FILEDB_VERSION_PATCH = 0
FILEDB_LOG_ERROR = 1
FILEDB_LOG_WARN = 2
FILEDB_LOG_INFO = 3
FILEDB_LOG_DEBUG = 4
FILEDB_PUT_IF_ABSENT = 1
FILEDB_PUT_IF_PRESENT = 2
FILEDB_PUT_SYNC = 4
FILEDB_PUT_KEEP_TTL = 8
FILEDB_MOVE_FROM_BACK = 1
FILEDB_MOVE_TO_FRONT = 2
FILEDB_CAN_ORDER = 1
FILEDB_CAN_SNAPSHOT = 2
FILEDB_CAN_BATCH = 4
FILEDB_CAN_SYNC = 8
FILEDB_CAN_MERGE = 16
FILEDB_CAN_PIN = 32
FILEDB_RANGE_REVERSE = 1
FILEDB_RANGE_FROM_EXCLUDED = 2
FILEDB_RANGE_TO_INCLUDED = 4
FILEDB_CHANGE_PUT = 1
FILEDB_CHANGE_DELETE = 2
FILEDB_CHANGE_PUSH_BACK = 3
FILEDB_CHANGE_PUSH_FRONT = 4
FILEDB_CHANGE_POP_BACK = 5
FILEDB_CHANGE_POP_FRONT = 6
FILEDB_CHANGE_EXPIRY = 7
FILEDB_BACKUP_COPY = 1
FILEDB_FINDING_NOTE = 1
FILEDB_FINDING_SPACE_LOST = 2
FILEDB_FINDING_DATA_LOST = 3
FILEDB_OK = 0
FILEDB_NOT_FOUND = 1
FILEDB_CONFLICT = 2
FILEDB_DONE = 3
FILEDB_GAP = 4
FILEDB_TIMEOUT = 5
FILEDB_ERR_INVALID_ARGUMENT = -1
FILEDB_ERR_IO = -2
FILEDB_ERR_CORRUPT = -3
FILEDB_ERR_LOCKED = -4
FILEDB_ERR_NO_SPACE = -5
FILEDB_ERR_READ_ONLY = -6
FILEDB_ERR_TOO_LARGE = -7
FILEDB_ERR_BUFFER_TOO_SMALL = -8
FILEDB_ERR_UNSUPPORTED = -9
FILEDB_ERR_POISONED = -10
FILEDB_ERR_FORKED = -11
FILEDB_ERR_PANIC = -12
FILEDB_ERR_NO_MEMORY = -13
FILEDB_ERR_EXISTS = -14
FILEDB_ERR_CLOSED = -15
FILEDB_ERR_WRONG_TYPE = -16
FILEDB_ERR_CONNECTION = -17
FILEDB_ERR_MISSING = -18
FILEDB_TYPE_VALUE = 1
FILEDB_TYPE_LIST = 2


class filedb_error_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("code", c_int32),
        ("os_errno", c_int32),
        ("reserved", c_uint32),
        ("file_id", c_uint64),
        ("offset", c_uint64),
        ("message", c_char * 256),
    ]


class filedb_put_options_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("ttl_ms", c_uint64),
    ]


class filedb_slice_t(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class filedb_pinned_t(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("len", c_size_t),
        ("pin", c_void_p),
    ]


class filedb_range_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("from", filedb_slice_t),
        ("to", filedb_slice_t),
    ]


class filedb_stats_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("merging", c_uint32),
        ("keys", c_uint64),
        ("files", c_uint64),
        ("data_bytes", c_uint64),
        ("live_bytes", c_uint64),
        ("index_bytes", c_uint64),
        ("iterators", c_uint64),
        ("appended_bytes", c_uint64),
        ("merges", c_uint64),
        ("merged_bytes", c_uint64),
        ("syncs", c_uint64),
        ("sync_nanos", c_uint64),
        ("expired_keys", c_uint64),
        ("clock_ahead_ms", c_uint64),
    ]


class filedb_change_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_uint32),
        ("seq", c_uint64),
        ("time_ms", c_uint64),
        ("expiry_ms", c_uint64),
        ("key", filedb_slice_t),
        ("value", filedb_slice_t),
    ]


class filedb_finding_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("severity", c_int32),
        ("file", c_char_p),
        ("offset", c_uint64),
        ("length", c_uint64),
        ("message", c_char_p),
        ("key", c_void_p),
        ("key_len", c_size_t),
    ]


class filedb_check_report_t(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("damaged_files", c_uint32),
        ("files", c_uint64),
        ("bytes", c_uint64),
        ("records", c_uint64),
        ("keys", c_uint64),
        ("damaged_places", c_uint64),
        ("keys_lost", c_uint64),
    ]


filedb_log_fn = CFUNCTYPE(None, c_void_p, c_int32, c_void_p, c_size_t)
filedb_fold_fn = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)
filedb_finding_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)

# Each function: what it returns and what it takes.
FUNCTIONS = {
    "filedb_version_number": (c_uint32, []),
    "filedb_version_string": (c_char_p, []),
    "filedb_strerror": (c_char_p, [c_int32]),
    "filedb_options_new": (c_void_p, []),
    "filedb_options_set": (c_int32, [c_void_p, c_char_p, c_char_p, c_void_p]),
    "filedb_options_get": (c_int32, [c_void_p, c_char_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_options_describe": (c_int32, [c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_options_free": (None, [c_void_p]),
    "filedb_options_set_log": (c_int32, [c_void_p, filedb_log_fn, c_void_p, c_void_p]),
    "filedb_open": (c_int32, [c_char_p, c_void_p, c_void_p, c_void_p]),
    "filedb_close": (c_int32, [c_void_p, c_void_p]),
    "filedb_put": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "filedb_delete": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "filedb_get": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_get_into": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_exists": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "filedb_count": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_sync": (c_int32, [c_void_p, c_void_p]),
    "filedb_merge": (c_int32, [c_void_p, c_void_p]),
    "filedb_put_with": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_batch_put_with": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_ttl": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_expire": (c_int32, [c_void_p, c_void_p, c_size_t, c_uint64, c_void_p]),
    "filedb_persist": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "filedb_list": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_list_sorted": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_get_pinned": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_unpin": (None, [c_void_p]),
    "filedb_get_many": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_type": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_push_back": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_push_front": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_pop_back": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_pop_front": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_list_move": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_uint32, c_void_p, c_void_p, c_void_p]),
    "filedb_list_length": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_list_get": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, c_void_p, c_void_p, c_void_p]),
    "filedb_list_set": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, c_void_p, c_size_t, c_void_p]),
    "filedb_list_range": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, c_int64, c_void_p, c_void_p, c_void_p]),
    "filedb_capabilities": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_get_delete": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_compare_and_swap": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "filedb_increment": (c_int32, [c_void_p, c_void_p, c_size_t, c_int64, c_void_p, c_void_p]),
    "filedb_batch_new": (c_void_p, []),
    "filedb_batch_put": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "filedb_batch_delete": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "filedb_batch_push_back": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "filedb_batch_push_front": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]),
    "filedb_batch_clear": (None, [c_void_p]),
    "filedb_batch_free": (None, [c_void_p]),
    "filedb_write": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_iter_new": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_iter_next": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "filedb_iter_next_batch": (c_size_t, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "filedb_iter_seek": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "filedb_iter_type": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_iter_free": (None, [c_void_p]),
    "filedb_fold": (c_int32, [c_void_p, filedb_fold_fn, c_void_p, c_void_p]),
    "filedb_range_new": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "filedb_delete_range": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_stats": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_last_seq": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "filedb_changes_new": (c_int32, [c_void_p, c_uint64, c_void_p, c_void_p]),
    "filedb_changes_next": (c_int32, [c_void_p, c_int64, c_void_p, c_void_p]),
    "filedb_changes_free": (None, [c_void_p]),
    "filedb_backup": (c_int32, [c_void_p, c_char_p, c_uint32, c_void_p]),
    "filedb_check": (c_int32, [c_char_p, filedb_finding_fn, c_void_p, c_void_p, c_void_p]),
    "filedb_salvage": (c_int32, [c_char_p, c_char_p, filedb_finding_fn, c_void_p, c_void_p, c_void_p]),
    "filedb_free": (None, [c_void_p]),
}


def declare(library: CDLL) -> None:
    """Tells ctypes the types of every function."""
    for name, (returns, takes) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = returns
        function.argtypes = takes
