"""A list of a store, as an object that behaves like a deque, and what stores do in one step."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn, overload

from . import _abi, _native
from ._handle import Handle
from ._native import Bytes, Scratch, lib, to_bytes

if TYPE_CHECKING:
    from .store import Store


def _taken(memory: ctypes.c_void_p, size: int) -> bytes:
    """A copy of memory of the library's, which is freed."""
    try:
        return ctypes.string_at(memory, size) if size else b""
    finally:
        lib.filedb_free(memory)


def _slice(value: Bytes | None) -> tuple[ctypes.Array[ctypes.c_size_t], bytes] | None:
    """A filedb_slice_t, and the bytes that it points to, which must be kept as long."""
    if value is None:
        return None
    held = to_bytes(value)
    address = ctypes.cast(ctypes.c_char_p(held), ctypes.c_void_p).value or 0
    return (ctypes.c_size_t * 2)(address, len(held)), held


class List(Handle):
    """The list under one key: `store.list(b"jobs")`. Every change is one atomic write of the store; nothing is kept here, so
    several may stand for the same list, in several threads. An empty list does not exist: with the first element it is made, and
    with its last it is gone."""

    _in_place_of_a_copy = "call store.list(key) again"

    def __init__(self, store: Store, key: Bytes) -> None:
        self._store, self.key = store, to_bytes(key)

    def __repr__(self) -> str:
        return f"<filedb.List {self.key!r} of {self._store!r}>"

    def _fail(self, status: int, scratch: Scratch) -> NoReturn:
        self._store._fail(status, scratch)

    def _push(self, verb: Callable[..., int], value: Bytes) -> int:
        value, scratch, length = to_bytes(value), _native.take(), ctypes.c_uint64()
        key = self.key
        status = verb(self._store.handle, key, len(key), value, len(value), ctypes.byref(length), scratch.error_ref)
        if status:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return length.value

    def append(self, value: Bytes) -> int:
        """Adds a value behind the last. Returns the new length."""
        return self._push(lib.filedb_push_back, value)

    def appendleft(self, value: Bytes) -> int:
        """Adds a value in front of the first. Returns the new length."""
        return self._push(lib.filedb_push_front, value)

    def extend(self, values: Iterable[Bytes]) -> None:
        """Adds all of the values behind the last, or none of them."""
        with self._store.batch() as batch:
            for value in values:
                batch.push_back(self.key, value)

    def _one(self, verb: Callable[..., int], *more: int | bytes) -> bytes | None:
        scratch, memory, size = _native.take(), ctypes.c_void_p(), ctypes.c_size_t()
        status = verb(
            self._store.handle, self.key, len(self.key), *more, ctypes.byref(memory), ctypes.byref(size), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return None if status else _taken(memory, size.value)

    def pop(self) -> bytes:
        """Takes the last value out; IndexError where the list is empty."""
        value = self._one(lib.filedb_pop_back)
        if value is None:
            raise IndexError("pop from an empty list")
        return value

    def popleft(self) -> bytes:
        """Takes the first value out; IndexError where the list is empty."""
        value = self._one(lib.filedb_pop_front)
        if value is None:
            raise IndexError("pop from an empty list")
        return value

    def move(self, to: List, *, last: bool = False, to_front: bool = False) -> bytes | None:
        """Takes the first value out, or the last, and adds it behind the last of the list `to`, or in front of its first, in one
        step: at every moment, and after a crash, it is in one of the two lists, and in one only. Returns the value, or None where
        this list is empty. So a worker takes a job without losing it when the process dies: into a list of its own."""
        if to._store is not self._store:
            raise ValueError("both lists must be of one store")
        flags = (_abi.FILEDB_MOVE_FROM_BACK if last else 0) | (_abi.FILEDB_MOVE_TO_FRONT if to_front else 0)
        return self._one(lib.filedb_list_move, to.key, len(to.key), flags)

    def __len__(self) -> int:
        scratch, length = _native.take(), ctypes.c_uint64()
        status = lib.filedb_list_length(
            self._store.handle, self.key, len(self.key), ctypes.byref(length), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return length.value

    def _range(self, first: int, last: int) -> list[bytes]:
        scratch, values, count = _native.take(), ctypes.POINTER(ctypes.c_size_t)(), ctypes.c_size_t()
        status = lib.filedb_list_range(
            self._store.handle, self.key, len(self.key), first, last, ctypes.byref(values), ctypes.byref(count), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        if status or not count.value:
            return []
        try:
            flat = values[: 2 * count.value]
            return [ctypes.string_at(data, size) if size else b"" for data, size in zip(flat[::2], flat[1::2])]
        finally:
            lib.filedb_free(ctypes.cast(values, ctypes.c_void_p))

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            first, end, step = index.indices(len(self))
            if step == 1:
                return self._range(first, end - 1) if first < end else []
            return self._range(0, -1)[index]
        value = self._one(lib.filedb_list_get, index)
        if value is None:
            raise IndexError("list index out of range")
        return value

    def __setitem__(self, index: int, value: Bytes) -> None:
        value, scratch = to_bytes(value), _native.take()
        status = lib.filedb_list_set(
            self._store.handle, self.key, len(self.key), index, value, len(value), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        if status:
            raise IndexError("list assignment index out of range")

    def __iter__(self) -> Iterator[bytes]:
        """The values as they are now, a thousand at a time."""
        at = 0
        while some := self._range(at, at + 999):
            yield from some
            at += len(some)

    def clear(self) -> None:
        """Removes all values."""
        if self._store.type_of(self.key) == "list":
            self._store.delete(self.key)


class Changes:
    """What a store does with a key in one step, which no other write comes between."""

    __slots__ = ()

    def list(self: Store, key: Bytes) -> List:  # type: ignore[misc]
        """The list under a key, which need not be there yet."""
        return List(self, key)

    def type_of(self: Store, key: Bytes) -> str | None:  # type: ignore[misc]
        """What a key holds: "value", "list", or None."""
        key, scratch, holds = to_bytes(key), _native.take(), ctypes.c_int32()
        status = lib.filedb_type(self.handle, key, len(key), ctypes.byref(holds), scratch.error_ref)
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return None if status else {_abi.FILEDB_TYPE_VALUE: "value", _abi.FILEDB_TYPE_LIST: "list"}.get(holds.value)

    def capabilities(self: Store) -> frozenset[str]:  # type: ignore[misc]
        """What the store can do: some of "order", "snapshot", "batch", "sync", "merge", "pin". What it cannot do raises
        UnsupportedError."""
        scratch, can = _native.take(), ctypes.c_uint64()
        if status := lib.filedb_capabilities(self.handle, ctypes.byref(can), scratch.error_ref):
            self._fail(status, scratch)
        _native.give_back(scratch)
        names = ("order", "snapshot", "batch", "sync", "merge", "pin")
        return frozenset(name for bit, name in enumerate(names) if can.value >> bit & 1)

    def get_delete(self: Store, key: Bytes) -> bytes | None:  # type: ignore[misc]
        """Removes a key and returns its value, None where there is no such key."""
        key, scratch = to_bytes(key), _native.take()
        memory, size = ctypes.c_void_p(), ctypes.c_size_t()
        status = lib.filedb_get_delete(
            self.handle, key, len(key), ctypes.byref(memory), ctypes.byref(size), scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return None if status else _taken(memory, size.value)

    def compare_and_swap(self: Store, key: Bytes, expected: Bytes | None, desired: Bytes | None) -> bool:  # type: ignore[misc]
        """Gives the key the value `desired`, or removes it where that is None, if it holds `expected`, or nothing where that is
        None. False where it holds something else."""
        key, scratch = to_bytes(key), _native.take()
        before, after = _slice(expected), _slice(desired)
        status = lib.filedb_compare_and_swap(
            self.handle, key, len(key), before and before[0], after and after[0], scratch.error_ref
        )
        if status < 0:
            self._fail(status, scratch)
        _native.give_back(scratch)
        return bool(status == 0)

    def increment(self: Store, key: Bytes, by: int = 1) -> int:  # type: ignore[misc]
        """Adds to the number that the key holds as decimal text, 0 where there is none. Returns the sum."""
        key, scratch, total = to_bytes(key), _native.take(), ctypes.c_int64()
        if status := lib.filedb_increment(self.handle, key, len(key), by, ctypes.byref(total), scratch.error_ref):
            self._fail(status, scratch)
        _native.give_back(scratch)
        return total.value

    def update_with(self: Store, key: Bytes, change: Callable[[bytes | None], bytes | None]) -> bytes | None:  # type: ignore[misc]
        """Replaces the value of a key, None where there is none, by what `change` makes of it, None to remove it, in one step.
        Where another write comes between, `change` is called again. Returns the new value."""
        while True:
            before = self.get(key)
            after = change(before)
            if self.compare_and_swap(key, before, after):
                return after
