"""Writes that happen together."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from . import _abi, _native, errors
from ._handle import Handle
from ._native import Bytes, lib, to_bytes
from .duration import Duration, milliseconds

if TYPE_CHECKING:
    from .store import Store


class Batch(Handle):
    """Writes that are collected in memory, to happen all or not at all, also across a crash.

        with db.batch() as batch:
            batch[b"alice"] = b"90"
            batch[b"bob"] = b"110"
            del batch[b"debt"]

    The end of the with block writes it, unless an exception ends it. A Batch() of its own belongs to no store, and may
    be given to Store.write() any number of times. It is for one thread at a time.
    """

    _in_place_of_a_copy = "pass its keys and values, and fill another filedb.Batch() from them"

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._handle: int | None = lib.filedb_batch_new()
        if self._handle is None:
            raise MemoryError

    def put(self, key: Bytes, value: Bytes, *, ttl: Duration | None = None) -> None:
        """Adds a put; the key expires `ttl` after the batch is written."""
        key, value = to_bytes(key), to_bytes(value)
        if ttl is not None:
            return self._put_with(key, value, ttl)
        scratch = _native.take()
        status = lib.filedb_batch_put(self._handle, key, len(key), value, len(value), scratch.error_ref)
        if status:
            self._fail(status, scratch)
        _native.give_back(scratch)

    def _put_with(self, key: bytes, value: bytes, ttl: Duration) -> None:
        more = _abi.filedb_put_options_t(ctypes.sizeof(_abi.filedb_put_options_t), 0, max(1, milliseconds(ttl)))
        scratch = _native.take()
        status = lib.filedb_batch_put_with(
            self._handle, key, len(key), value, len(value), ctypes.byref(more), scratch.error_ref
        )
        if status:
            self._fail(status, scratch)
        _native.give_back(scratch)

    def delete(self, key: Bytes) -> None:
        """The key need not exist when the batch is written."""
        key = to_bytes(key)
        scratch = _native.take()
        status = lib.filedb_batch_delete(self._handle, key, len(key), scratch.error_ref)
        if status:
            self._fail(status, scratch)
        _native.give_back(scratch)

    def update(self, rows: Mapping[Any, Any] | Iterable[tuple[Bytes, Bytes]] = (), /, **more: Bytes) -> None:
        """Adds a put for each row, as dict.update() does. Where one is refused, those before it were added."""
        pairs = rows.items() if isinstance(rows, Mapping) else rows
        for key, value in itertools.chain(pairs, more.items()):
            self.put(key, value)

    def push_back(self, key: Bytes, value: Bytes) -> None:
        """Adds the value behind the last of the list under the key."""
        self._push(lib.filedb_batch_push_back, key, value)

    def push_front(self, key: Bytes, value: Bytes) -> None:
        """Adds the value in front of the first of the list under the key."""
        self._push(lib.filedb_batch_push_front, key, value)

    def _push(self, verb: Callable[..., int], key: Bytes, value: Bytes) -> None:
        key, value = to_bytes(key), to_bytes(value)
        scratch = _native.take()
        if status := verb(self._handle, key, len(key), value, len(value), scratch.error_ref):
            self._fail(status, scratch)
        _native.give_back(scratch)

    __setitem__ = put
    __delitem__ = delete

    def clear(self) -> None:
        """Empties the batch, and keeps its memory for what is added next."""
        lib.filedb_batch_clear(self._handle)

    def close(self) -> None:
        """Frees the memory at once, which otherwise happens when the batch is no longer referred to."""
        handle, self._handle = self._handle, None
        lib.filedb_batch_free(handle)

    @property
    def handle(self) -> int:
        if self._handle is None:
            raise errors.ClosedError("the batch was closed")
        return self._handle

    def _fail(self, status: int, scratch: _native.Scratch) -> NoReturn:
        self.handle  # a closed batch is the better explanation
        _native.fail(status, scratch)

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._store is not None:
                self._store.write(self)
        finally:
            self.close()

    def __del__(self, _free: object = lib.filedb_batch_free) -> None:
        if handle := getattr(self, "_handle", None):
            self._handle = None
            _free(handle)  # type: ignore[operator]
