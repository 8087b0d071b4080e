"""The changes of a store, one after the other."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from . import _abi, _native, errors
from ._handle import Handle
from ._native import bytes_at, lib

if TYPE_CHECKING:
    from .store import Store

MOST_MS = (1 << 63) - 1


class ChangeKind(IntEnum):
    """What was done to a key; filedb.h says what each means."""

    PUT = _abi.FILEDB_CHANGE_PUT
    DELETE = _abi.FILEDB_CHANGE_DELETE
    PUSH_BACK = _abi.FILEDB_CHANGE_PUSH_BACK
    PUSH_FRONT = _abi.FILEDB_CHANGE_PUSH_FRONT
    POP_BACK = _abi.FILEDB_CHANGE_POP_BACK
    POP_FRONT = _abi.FILEDB_CHANGE_POP_FRONT
    EXPIRY = _abi.FILEDB_CHANGE_EXPIRY


class Change(NamedTuple):
    """One change of a store."""

    #: Who has applied it, and those before it, goes on behind this number.
    seq: int
    kind: ChangeKind
    #: When it was written, in milliseconds since 1970 by the store's clock.
    time_ms: int
    #: Of a put and of EXPIRY: when the key expires; None for never.
    expiry_ms: int | None
    key: bytes
    value: bytes


class Gap(Exception):
    """What comes next is not in the store any more: begin anew with a copy of it, and its number."""


class Changes(Handle):
    """Somebody's way through the changes of a store, in the order in which they happened and without an end.

        for change in db.changes(seq):
            apply(change)

    Such a loop waits for what comes next, for ever, and ends with an exception only: Gap, or a ClosedError. It is for one
    thread at a time.
    """

    _in_place_of_a_copy = "follow with another Store.changes(), behind the number of the last change"

    def __init__(self, store: Store, after: int) -> None:
        # The finalizer of a store that nobody else refers to would end this.
        self._store = store
        self._handle: int | None = None
        self._change = _abi.filedb_change_t(struct_size=ctypes.sizeof(_abi.filedb_change_t))
        scratch = _native.take()
        if status := lib.filedb_changes_new(store.handle, after, scratch.out_ref, scratch.error_ref):
            _native.fail(status, scratch)
        self._handle = scratch.out.value
        _native.give_back(scratch)

    def next(self, timeout: float | None = None) -> Change | None:
        """The next change; None where nothing changed in so many seconds. Waits for ever without a time."""
        ms = -1 if timeout is None else min(max(0, round(timeout * 1000)), MOST_MS)
        if self._handle is None:
            raise errors.ClosedError("the changes were closed")
        scratch, change = _native.take(), self._change
        status = lib.filedb_changes_next(self._handle, ms, ctypes.byref(change), scratch.error_ref)
        if status < 0:
            _native.fail(status, scratch)
        _native.give_back(scratch)
        if status == _abi.FILEDB_GAP:
            raise Gap("what comes next is not in the store any more; begin anew with a copy of it")
        if status == _abi.FILEDB_TIMEOUT:
            return None
        key, value = (bytes_at(part.data or 0, part.len) if part.len else b"" for part in (change.key, change.value))
        return Change(
            change.seq, ChangeKind(change.kind), change.time_ms, change.expiry_ms or None, key, value
        )

    def __iter__(self) -> Changes:
        return self

    def __next__(self) -> Change:
        while True:
            if change := self.next(1):
                return change

    def close(self) -> None:
        """Ends following."""
        handle, self._handle = self._handle, None
        lib.filedb_changes_free(handle)

    def __enter__(self) -> Changes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self, _free: object = lib.filedb_changes_free) -> None:
        if handle := getattr(self, "_handle", None):
            self._handle = None
            _free(handle)  # type: ignore[operator]
