"""An open store: a mapping from bytes to bytes, with all that filedb can do besides."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, ItemsView, Iterable, Iterator, MutableMapping, ValuesView
from typing import Any, NamedTuple, NoReturn, TypeVar, overload

from . import _abi, _native, errors
from ._handle import Handle
from ._native import SCRATCH_BYTES, Bytes, Scratch, bytes_at, give_back, lib, take, to_bytes
from .batch import Batch
from .changes import Changes as Following
from .duration import Duration, milliseconds
from .lists import Changes
from .options import Log, Options, OptionValue, c_log
from .pinned import Pinned
from .scan import Scan

T = TypeVar("T")

_get_into = lib.filedb_get_into
_put = lib.filedb_put


class Stats(NamedTuple):
    """A store in numbers; filedb.h says what each is."""

    merging: bool
    keys: int
    files: int
    data_bytes: int
    live_bytes: int
    index_bytes: int
    iterators: int
    appended_bytes: int
    merges: int
    merged_bytes: int
    syncs: int
    sync_nanos: int
    expired_keys: int
    clock_ahead_ms: int


def open(path: str | bytes | os.PathLike[Any], *, log: Log | None = None, **options: OptionValue) -> Store:
    """Opens the store in the directory `path`, and creates it if need be: `filedb.open("store", sync="always")`.

    describe_options() lists the options. `log` is a logger, or a function of a level and a sentence, that hears what the
    store does by itself, from any thread; it must not use the store. Raises LockedError where it is open already, CorruptError where what was synced
    once is damaged, and what else Error stands for.
    """
    return Store(path, log=log, **options)


def _range(
    start: Bytes | None, stop: Bytes | None, reverse: bool, start_excluded: bool, stop_included: bool
) -> _abi.filedb_range_t:
    flags = 0
    for is_set, flag in (
        (reverse, _abi.FILEDB_RANGE_REVERSE),
        (start_excluded, _abi.FILEDB_RANGE_FROM_EXCLUDED),
        (stop_included, _abi.FILEDB_RANGE_TO_INCLUDED),
    ):
        flags |= flag if is_set else 0
    return _abi.filedb_range_t(ctypes.sizeof(_abi.filedb_range_t), flags, _bound(start), _bound(stop))


def _bound(key: Bytes | None) -> _abi.filedb_slice_t:
    if key is None:
        return _abi.filedb_slice_t(None, 0)
    # A cast keeps the bytes that it was made from.
    key = to_bytes(key)
    return _abi.filedb_slice_t(ctypes.cast(ctypes.c_char_p(key), ctypes.c_void_p), len(key))


class Store(Handle, Changes, MutableMapping[bytes, bytes]):
    """An open store. Close it, best with a with statement: that makes everything durable."""

    _in_place_of_a_copy = (
        "it is open in this process only. Pass its path, and call filedb.open(path) in the other process after this one has "
        "closed the store, or with read_only=True in both"
    )

    def __init__(self, path: str | bytes | os.PathLike[Any], *, log: Log | None = None, **options: OptionValue) -> None:
        self.path = os.fspath(path)
        self._handle: int | None = None
        encoded = os.fsencode(path)
        if b"\0" in encoded:
            raise ValueError("embedded null byte")
        self._log = None if log is None else c_log(log)
        with Options(options, self._log) as settings:
            scratch = take()
            status = lib.filedb_open(encoded, settings.handle, scratch.out_ref, scratch.error_ref)
        if status:
            _native.fail(status, scratch)
        self._handle = scratch.out.value
        give_back(scratch)
        # Closes a forgotten store, at the latest when Python ends. What may still use it, walks, refer to it.
        self._finalizer = weakref.finalize(self, _close, self._handle, self._log)

    # ---- Its end ----

    def close(self) -> None:
        """Waits for calls under way, makes everything durable, and ends. Doing it again does nothing."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        self._finalizer.detach()
        scratch = take()
        if status := lib.filedb_close(handle, scratch.error_ref):
            _native.fail(status, scratch)
        give_back(scratch)

    @property
    def closed(self) -> bool:
        return self._handle is None

    @property
    def handle(self) -> int:
        """The filedb_t, for calls of the library by hand."""
        if self._handle is None:
            raise errors.ClosedError("the store was closed")
        return self._handle

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Two stores are not compared by what is in them, as Mapping would, and may be keys themselves.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<filedb.Store {os.fsdecode(self.path)!r}{' closed' if self.closed else ''}>"

    def _fail(self, status: int, scratch: Scratch) -> NoReturn:
        self.handle  # a closed store is the better explanation
        _native.fail(status, scratch)

    # ---- Reading ----

    @overload
    def get(self, key: Bytes) -> bytes | None: ...
    @overload
    def get(self, key: Bytes, default: T) -> bytes | T: ...
    def get(self, key: Bytes, default: T | None = None) -> bytes | T | None:
        """The value of the key, or `default` where there is no such key."""
        if type(key) is not bytes:
            key = to_bytes(key)
        scratch = take()
        status = _get_into(
            self._handle, key, len(key), scratch.buffer, SCRATCH_BYTES, scratch.length_ref, scratch.error_ref
        )
        if status == 0:
            value: bytes = scratch.buffer[: scratch.length.value]
            give_back(scratch)
            return value
        if status == 1:  # FILEDB_NOT_FOUND
            give_back(scratch)
            return default
        if status == _abi.FILEDB_ERR_BUFFER_TOO_SMALL:
            return self._get_large(key, default, scratch)
        self._fail(status, scratch)

    def _get_large(self, key: bytes, default: T, scratch: Scratch) -> bytes | T:
        out, length = scratch.out, scratch.length
        status = lib.filedb_get(self._handle, key, len(key), scratch.out_ref, scratch.length_ref, scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        if status == _abi.FILEDB_NOT_FOUND:
            give_back(scratch)
            return default
        try:
            return bytes_at(out.value or 0, length.value)
        finally:
            lib.filedb_free(out)
            give_back(scratch)

    @overload
    def __getitem__(self, key: Bytes) -> bytes: ...
    @overload
    def __getitem__(self, key: slice) -> Scan: ...
    def __getitem__(self, key: Bytes | slice) -> bytes | Scan:
        if isinstance(key, slice):
            if key.step not in (None, 1, -1):
                raise ValueError("the step of a range of keys is 1 or -1")
            return self.range(key.start, key.stop, reverse=key.step == -1)
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get_into(self, key: Bytes, buffer: bytearray | memoryview) -> int | None:
        """Reads the value into `buffer` and returns its size; None where there is no such key. A buffer that is too small
        raises a BufferTooSmallError, whose `needed` says how large it has to be, and stays as it is."""
        key = to_bytes(key)
        view = memoryview(buffer).cast("B")
        target = (ctypes.c_char * len(view)).from_buffer(view)
        scratch = take()
        status = _get_into(self._handle, key, len(key), target, len(view), scratch.length_ref, scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        size = scratch.length.value
        give_back(scratch)
        return size if status == _abi.FILEDB_OK else None

    def get_pinned(self, key: Bytes) -> Pinned | None:
        """The value where it lies, without a copy; None where there is no such key."""
        key = to_bytes(key)
        scratch, struct = take(), _abi.filedb_pinned_t()
        status = lib.filedb_get_pinned(self._handle, key, len(key), ctypes.byref(struct), scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        give_back(scratch)
        return Pinned(struct) if status == _abi.FILEDB_OK else None

    def get_many(self, keys: Iterable[Bytes]) -> list[bytes | None]:
        """The values of all the keys, with None for those that are not there: much faster than one by one."""
        if isinstance(keys, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"get_many() takes several keys, such as a list of them, not one {type(keys).__name__}")
        wanted = [to_bytes(key) for key in keys]
        count = len(wanted)
        slices = (_abi.filedb_slice_t * count)()
        # The array of pointers keeps the bytes alive, and finds where they lie.
        pointers = (ctypes.c_char_p * count)(*wanted)
        addresses = (ctypes.c_size_t * count).from_buffer(pointers)
        flat = (ctypes.c_size_t * (2 * count)).from_buffer(slices)
        for i, key in enumerate(wanted):
            flat[2 * i], flat[2 * i + 1] = addresses[i], len(key)
        pins = (_abi.filedb_pinned_t * count)()
        statuses = (ctypes.c_int32 * count)()
        scratch = take()
        status = lib.filedb_get_many(self._handle, slices, count, pins, statuses, scratch.error_ref)
        try:
            if status < 0:
                self._fail(status, scratch)
            give_back(scratch)
            words = (ctypes.c_size_t * (3 * count)).from_buffer(pins)[:]
            return [
                bytes_at(data, size) if found == 0 else None
                for found, data, size in zip(statuses[:], words[::3], words[1::3])
            ]
        finally:
            size_of_pin, start = ctypes.sizeof(_abi.filedb_pinned_t), ctypes.addressof(pins)
            for i in range(count):
                lib.filedb_unpin(start + i * size_of_pin)

    def __contains__(self, key: object) -> bool:
        try:
            key = to_bytes(key)  # type: ignore[arg-type]
        except TypeError:
            return False
        scratch = take()
        status: int = lib.filedb_exists(self._handle, key, len(key), scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        give_back(scratch)
        return status == _abi.FILEDB_OK

    def __len__(self) -> int:
        scratch = take()
        if status := lib.filedb_count(self._handle, scratch.number_ref, scratch.error_ref):
            self._fail(status, scratch)
        count = scratch.number.value
        give_back(scratch)
        return count

    def __bool__(self) -> bool:
        """A store is true, empty or not: `if db` asks whether there is one."""
        return True

    # ---- Writing ----

    def __setitem__(self, key: Bytes, value: Bytes) -> None:
        if type(key) is not bytes:
            key = to_bytes(key)
        if type(value) is not bytes:
            value = to_bytes(value)
        scratch = take()
        status = _put(self._handle, key, len(key), value, len(value), scratch.error_ref)
        if status:
            self._fail(status, scratch)
        give_back(scratch)

    def put(
        self,
        key: Bytes,
        value: Bytes,
        *,
        ttl: Duration | None = None,
        if_absent: bool = False,
        if_present: bool = False,
        sync: bool = False,
        keep_ttl: bool = False,
    ) -> bool:
        """Stores a value. False where `if_absent` or `if_present` was asked for and is not so; nothing is written then.

        The key expires after `ttl`; `keep_ttl` leaves it the expiry that it has. With `sync` the write is durable when
        this returns, whatever mode the store is in.
        """
        key, value = to_bytes(key), to_bytes(value)
        flags = (
            _abi.FILEDB_PUT_IF_ABSENT * bool(if_absent)
            | _abi.FILEDB_PUT_IF_PRESENT * bool(if_present)
            | _abi.FILEDB_PUT_SYNC * bool(sync)
            | _abi.FILEDB_PUT_KEEP_TTL * bool(keep_ttl)
        )
        more = _abi.filedb_put_options_t(ctypes.sizeof(_abi.filedb_put_options_t), flags, 0)
        if ttl is not None:
            # 0 would mean "for ever" to the library, where here it means "no time at all".
            more.ttl_ms = max(1, milliseconds(ttl))
        scratch = take()
        status: int = lib.filedb_put_with(
            self._handle, key, len(key), value, len(value), ctypes.byref(more), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        give_back(scratch)
        return status == _abi.FILEDB_OK

    def delete(self, key: Bytes) -> bool:
        """Removes a key; False where there was no such key."""
        return self._on_key(lib.filedb_delete, key)

    def __delitem__(self, key: Bytes) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def setdefault(self, key: Bytes, default: Bytes = b"") -> bytes:
        """The value of the key, which is `default` from now on where there was none. Also with other threads about."""
        while not self.put(key, default, if_absent=True):
            if (value := self.get(key)) is not None:
                return value
        return to_bytes(default)

    def batch(self) -> Batch:
        """Writes that happen all or not at all, when the with block of this batch ends."""
        self.handle
        return Batch(self)

    def write(self, batch: Batch) -> None:
        """Writes all of a batch or nothing, also across a crash. The batch stays as it is."""
        if not isinstance(batch, Batch):
            raise TypeError(f"write() takes a filedb.Batch, not {type(batch).__name__}")
        scratch = take()
        if status := lib.filedb_write(self._handle, batch.handle, scratch.error_ref):
            self._fail(status, scratch)
        give_back(scratch)

    def clear(self) -> None:
        """Deletes the keys that are there now."""
        keys = self.key_list()
        for start in range(0, len(keys), 10_000):
            with self.batch() as batch:
                for key in keys[start : start + 10_000]:
                    batch.delete(key)

    # ---- Expiry ----

    def ttl(self, key: Bytes) -> float | None:
        """How many seconds the key has to live; None where it does not expire. KeyError where there is no such key."""
        name = to_bytes(key)
        scratch = take()
        status = lib.filedb_ttl(self._handle, name, len(name), scratch.number_ref, scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        left = scratch.number.value
        give_back(scratch)
        if status == _abi.FILEDB_NOT_FOUND:
            raise KeyError(key)
        return left / 1000 if left >= 0 else None

    def expire(self, key: Bytes, ttl: Duration) -> bool:
        """Lets the key expire after `ttl`; False where there is no such key."""
        return self._on_key(lib.filedb_expire, key, milliseconds(ttl))

    def persist(self, key: Bytes) -> bool:
        """Lets the key live until it is deleted; False where there is no such key."""
        return self._on_key(lib.filedb_persist, key)

    def _on_key(self, function: Callable[..., int], key: Bytes, *more: int) -> bool:
        key = to_bytes(key)
        scratch = take()
        status = function(self._handle, key, len(key), *more, scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        give_back(scratch)
        return status == _abi.FILEDB_OK

    # ---- Walking ----

    def scan(self, prefix: Bytes = b"") -> Scan:
        """A walk through the keys that begin with `prefix`, and their values, as they are now."""
        return Scan(self, to_bytes(prefix))

    def range(
        self,
        start: Bytes | None = None,
        stop: Bytes | None = None,
        *,
        reverse: bool = False,
        start_excluded: bool = False,
        stop_included: bool = False,
    ) -> Scan:
        """A walk through the keys from `start` to `stop`, in their order or, with `reverse`, against it. `db[b"a":b"m"]` is a
        short way to say so, with -1 as the step for `reverse`. A store without key order raises an UnsupportedError."""
        return Scan(self, span=_range(start, stop, reverse, start_excluded, stop_included))

    def delete_range(
        self,
        start: Bytes | None = None,
        stop: Bytes | None = None,
        *,
        start_excluded: bool = False,
        stop_included: bool = False,
    ) -> None:
        """Deletes the keys from `start` to `stop` as one write. A store without key order raises an UnsupportedError."""
        span = _range(start, stop, False, start_excluded, stop_included)
        scratch = take()
        status = lib.filedb_delete_range(self._handle, ctypes.byref(span), scratch.error_ref)
        if status:
            self._fail(status, scratch)
        give_back(scratch)

    def key_list(self, prefix: Bytes = b"", *, sort: bool = False) -> list[bytes]:
        """The keys that begin with `prefix`, as they are at one moment, in no particular order or, with `sort`, in that of
        their bytes."""
        prefix = to_bytes(prefix)
        list_keys = lib.filedb_list_sorted if sort else lib.filedb_list
        scratch = take()
        status = list_keys(self._handle, prefix, len(prefix), scratch.out_ref, scratch.length_ref, scratch.error_ref)
        if status:
            self._fail(status, scratch)
        block, count = scratch.out.value, scratch.length.value
        give_back(scratch)
        if not block:
            return []
        try:
            words = (ctypes.c_size_t * (2 * count)).from_address(block)[:]
            return [*map(bytes_at, words[::2], words[1::2])]
        finally:
            lib.filedb_free(block)

    def fold(self, visit: Callable[[bytes, bytes], object]) -> None:
        """Calls `visit` for every key and its value, as they are at one moment, until it returns something true. The
        library calls back for every row, which scan() does not need: that is faster."""
        raised: list[BaseException] = []

        def call(_: object, key: int, key_len: int, value: int, value_len: int) -> int:
            try:
                row = bytes_at(key, key_len), bytes_at(value or 0, value_len)
                return bool(visit(*row))
            except BaseException as why:
                raised.append(why)
                return 1

        scratch = take()
        status = lib.filedb_fold(self._handle, _abi.filedb_fold_fn(call), None, scratch.error_ref)
        if raised:
            raise raised[0]
        if status:
            self._fail(status, scratch)
        give_back(scratch)

    def __iter__(self) -> Iterator[bytes]:
        for key, _ in self.scan():
            yield key

    def items(self) -> ItemsView[bytes, bytes]:
        return _Items(self)

    def values(self) -> ValuesView[bytes]:
        return _Values(self)

    # ---- Housekeeping ----

    def stats(self) -> Stats:
        """The store in numbers, without reading the disk."""
        scratch, stats = take(), _abi.filedb_stats_t(struct_size=ctypes.sizeof(_abi.filedb_stats_t))
        if status := lib.filedb_stats(self._handle, ctypes.byref(stats), scratch.error_ref):
            self._fail(status, scratch)
        give_back(scratch)
        return Stats(bool(stats.merging), *(getattr(stats, name) for name in Stats._fields[1:]))

    def sync(self) -> None:
        """Makes every write that was complete before this call durable."""
        self._plain(lib.filedb_sync)

    def merge(self) -> None:
        """Takes the space of dead values back, now; with merge="auto" the store does so by itself."""
        self._plain(lib.filedb_merge)

    def last_seq(self) -> int:
        """The number of the last change: changes() goes on behind it."""
        scratch, seq = take(), ctypes.c_uint64()
        if status := lib.filedb_last_seq(self._handle, ctypes.byref(seq), scratch.error_ref):
            self._fail(status, scratch)
        give_back(scratch)
        return seq.value

    def changes(self, after: int) -> Following:
        """Follows the changes behind a number: 0 for all, or that of the last one that was applied."""
        return Following(self, after)

    def backup(self, directory: str | bytes | os.PathLike[Any], *, copy: bool = False) -> None:
        """Copies the store, which may be in use, to a directory that becomes a store itself; into an older backup of the same store
        only what is new is written. With `copy` no file of it is a hard link."""
        path = os.fsencode(directory)
        if b"\0" in path:
            raise ValueError("embedded null byte")
        scratch, flags = take(), _abi.FILEDB_BACKUP_COPY if copy else 0
        if status := lib.filedb_backup(self._handle, path, flags, scratch.error_ref):
            self._fail(status, scratch)
        give_back(scratch)

    def _plain(self, function: Callable[..., int]) -> None:
        scratch = take()
        if status := function(self._handle, scratch.error_ref):
            self._fail(status, scratch)
        give_back(scratch)


class _Items(ItemsView[bytes, bytes]):
    """db.items(): one walk, where Mapping's own would look up every key again."""

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        store: Store = self._mapping  # type: ignore[attr-defined]
        return store.scan()


class _Values(ValuesView[bytes]):
    def __iter__(self) -> Iterator[bytes]:
        store: Store = self._mapping  # type: ignore[attr-defined]
        return (value for _, value in store.scan())


def _close(handle: int | None, log: object) -> None:
    """Ends a store that was forgotten. C may call the log until then."""
    lib.filedb_close(handle, None)
