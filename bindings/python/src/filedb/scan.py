"""Walks through a store: many rows for one call of the library."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import _abi, _native, errors
from ._handle import Handle
from ._native import Bytes, bytes_at, lib, to_bytes

if TYPE_CHECKING:
    from .store import Store

#: The most rows that one call fetches, and about how many bytes: a batch of large values is a small one.
MOST_ROWS = 1024
ENOUGH_BYTES = 256 << 10


class Scan(Handle, Iterator[tuple[bytes, bytes]]):
    """A walk through keys and values as they were when it began; in key order where the store keeps one, else in none.

        for key, value in db.scan(b"user/"):
            ...

    It blocks neither writers nor merges, but holds on to what they replace: close it, or let go of it, soon. A damaged
    record raises a CorruptError; the next step goes on behind it. It is for one thread at a time.
    """

    _in_place_of_a_copy = "begin another walk with Store.scan(), or pass the rows, list(scan)"

    def __init__(self, store: Store, prefix: bytes = b"", span: _abi.filedb_range_t | None = None) -> None:
        # The finalizer of a store that nobody else refers to would end the walk.
        self._store = store
        self._handle: int | None = None
        self._capacity = 1
        self._rows: Iterator[tuple[bytes, bytes]] = iter(())
        self._failure: errors.Error | None = None
        self._done = False
        self._keys = (ctypes.c_size_t * (2 * MOST_ROWS))()
        self._values = (ctypes.c_size_t * (2 * MOST_ROWS))()
        scratch = _native.take()
        if span is None:
            status = lib.filedb_iter_new(store.handle, prefix, len(prefix), scratch.out_ref, scratch.error_ref)
        else:
            status = lib.filedb_range_new(store.handle, ctypes.byref(span), scratch.out_ref, scratch.error_ref)
        if status:
            _native.fail(status, scratch)
        self._handle = scratch.out.value
        _native.give_back(scratch)

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        for row in self._rows:
            return row
        while True:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self._done:
                raise StopIteration
            self._rows = iter(self._fetch())
            for row in self._rows:
                return row

    def one(self) -> tuple[bytes, bytes] | None:
        """The next row by a call of its own, None at the end. For a few rows; iteration is much faster for many."""
        for row in self._rows:
            return row
        if self._failure is not None or self._done:
            return next(self, None)
        scratch = _native.take()
        key, value = self._keys, self._values
        status = lib.filedb_iter_next(self._need(), key, value, scratch.error_ref)
        if status < 0:
            _native.fail(status, scratch)
        _native.give_back(scratch)
        if status == _abi.FILEDB_DONE:
            self._done = True
            return None
        return bytes_at(key[0], key[1]), bytes_at(value[0], value[1])

    def seek(self, key: Bytes) -> None:
        """The next row becomes that of the first key of the walk that is not before `key`; in a walk that runs backwards,
        of the last that is not behind it. A store without key order raises an UnsupportedError."""
        key = to_bytes(key)
        scratch = _native.take()
        status = lib.filedb_iter_seek(self._need(), key, len(key), scratch.error_ref)
        if status:
            _native.fail(status, scratch)
        _native.give_back(scratch)
        self._rows, self._failure, self._done = iter(()), None, False

    def type_of_last(self) -> str | None:
        """What the key of the last row holds, "value" or "list"; after one() only, which reads no row ahead."""
        scratch, holds = _native.take(), ctypes.c_int32()
        status = lib.filedb_iter_type(self._need(), ctypes.byref(holds), scratch.error_ref)
        if status < 0:
            _native.fail(status, scratch)
        _native.give_back(scratch)
        return None if status else {_abi.FILEDB_TYPE_VALUE: "value", _abi.FILEDB_TYPE_LIST: "list"}.get(holds.value)

    def _fetch(self) -> list[tuple[bytes, bytes]]:
        """The next batch of rows, copied: the library's memory is good until the next call only."""
        keys, values = self._keys, self._values
        scratch = _native.take()
        status = ctypes.c_int32()
        count = lib.filedb_iter_next_batch(
            self._need(), keys, values, self._capacity, ctypes.byref(status), scratch.error_ref
        )
        k, v = keys[: 2 * count], values[: 2 * count]
        lengths = k[1::2], v[1::2]
        rows = list(zip(map(bytes_at, k[::2], lengths[0]), map(bytes_at, v[::2], lengths[1])))
        if status.value < 0:
            try:
                _native.fail(status.value, scratch)
            except errors.Error as failure:
                # The rows before it count all the same.
                self._failure = failure
            self._done = isinstance(self._failure, (errors.ClosedError, errors.ForkedError))
            return rows
        self._done = status.value == _abi.FILEDB_DONE
        size = sum(lengths[0]) + sum(lengths[1])
        if size > ENOUGH_BYTES:
            self._capacity = max(1, self._capacity // 2)
        elif self._capacity < MOST_ROWS:
            self._capacity *= 2
        _native.give_back(scratch)
        return rows

    def _need(self) -> int:
        if self._handle is None:
            raise errors.ClosedError("the walk was closed")
        return self._handle

    def close(self) -> None:
        """Ends the walk; nothing more comes."""
        self._done, self._failure, self._rows = True, None, iter(())
        handle, self._handle = self._handle, None
        lib.filedb_iter_free(handle)

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self, _free: object = lib.filedb_iter_free) -> None:
        if handle := getattr(self, "_handle", None):
            self._handle = None
            _free(handle)  # type: ignore[operator]
