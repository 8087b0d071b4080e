"""Values that are read where they lie."""

from __future__ import annotations

import ctypes

from . import _abi
from ._handle import Handle
from ._native import lib


class _Pin(Handle):
    """Holds a value in its place until the last view of it is gone."""

    __slots__ = ("_struct",)

    _in_place_of_a_copy = "it holds one value in its place"

    def __init__(self, struct: _abi.filedb_pinned_t) -> None:
        self._struct = struct

    def __del__(self, _unpin: object = lib.filedb_unpin, _byref: object = ctypes.byref) -> None:
        _unpin(_byref(self._struct))  # type: ignore[operator]


class Pinned(Handle):
    """A value of a store that was not copied. `view` is a read-only memoryview of it:

        with db.get_pinned(b"movie") as movie:
            send(movie.view[:4096])

    The data file that holds it keeps its room on the disk meanwhile: a form for short use. The value stays readable for
    as long as there is a view of it, also after release() and after the store was closed.
    """

    _in_place_of_a_copy = "bytes(pinned) is a copy of the value, and can be passed on"

    def __init__(self, struct: _abi.filedb_pinned_t) -> None:
        self._view: memoryview | None = None
        if not struct.len:
            self._view = memoryview(b"")
            lib.filedb_unpin(ctypes.byref(struct))
            return
        pin = _Pin(struct)
        # A memoryview keeps the array, and the array the pin: views can never point to what is no more.
        array = (ctypes.c_ubyte * struct.len).from_address(struct.data)
        array._pin = pin
        self._view = memoryview(array).toreadonly().cast("B")

    @property
    def view(self) -> memoryview:
        if self._view is None:
            raise ValueError("the value was released")
        return self._view

    def release(self) -> None:
        """Lets go of the value. It is unpinned when no view of it is left."""
        self._view = None

    def __bytes__(self) -> bytes:
        return bytes(self.view)

    def __len__(self) -> int:
        return len(self.view)

    def __enter__(self) -> Pinned:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
