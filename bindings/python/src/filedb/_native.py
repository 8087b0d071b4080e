"""Finds and loads libfiledb, and passes between Python and C: bytes in, errors out, memory for answers."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Union

from . import _abi, errors

#: What is taken where bytes are wanted.
Bytes = Union[bytes, bytearray, memoryview, str]


def _candidates() -> Sequence[str]:
    if chosen := os.environ.get("FILEDB_LIBRARY"):
        return [chosen]
    carried = Path(__file__).with_name("libfiledb.so")
    if carried.exists():
        return [str(carried)]
    soname = f"libfiledb.so.{_abi.FILEDB_VERSION_MAJOR}"
    return [soname, ctypes.util.find_library("filedb") or "libfiledb.so"]


def _load() -> tuple[ctypes.CDLL, str]:
    problems = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            _abi.declare(library)
        except (OSError, AttributeError) as why:
            problems.append(f"{path}: {why}")
            continue
        major = library.filedb_version_number() >> 16
        if major != _abi.FILEDB_VERSION_MAJOR:
            problems.append(f"{path}: its major version is {major}, this module is for {_abi.VERSION}")
            continue
        return library, path
    raise ImportError("libfiledb cannot be loaded; set FILEDB_LIBRARY to its path. " + "; ".join(problems))


lib, LIBRARY_PATH = _load()

#: So many bytes from an address, copied. (ctypes.string_at() takes an int for the size, and values may be larger.)
bytes_at: Callable[..., bytes] = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)

SCRATCH_BYTES = 8192


class Scratch:
    """Memory for the answers of one call. Making such objects costs more than a call, so they are used again; taken
    from a list rather than kept per thread, because a signal handler or a finalizer may call the library in between."""

    __slots__ = ("buffer", "length", "length_ref", "number", "number_ref", "error", "error_ref", "out", "out_ref")

    def __init__(self) -> None:
        self.buffer: Any = (ctypes.c_char * SCRATCH_BYTES)()
        self.length = ctypes.c_size_t()
        self.length_ref = ctypes.byref(self.length)
        self.number = ctypes.c_int64()
        self.number_ref = ctypes.byref(self.number)
        self.out = ctypes.c_void_p()
        self.out_ref = ctypes.byref(self.out)
        self.error = _abi.filedb_error_t(struct_size=ctypes.sizeof(_abi.filedb_error_t))
        self.error_ref = ctypes.byref(self.error)


_free_scratches: list[Scratch] = []
give_back = _free_scratches.append
_take = _free_scratches.pop


def take() -> Scratch:
    try:
        return _take()
    except IndexError:
        return Scratch()


def to_bytes(what: Bytes) -> bytes:
    """The bytes of whatever holds bytes, and those of text in UTF-8. Not of numbers, of which bytes() makes zeroes."""
    if isinstance(what, bytes):
        return what
    if isinstance(what, str):
        return what.encode()
    try:
        return memoryview(what).tobytes()
    except TypeError:
        kind = type(what).__name__
        raise TypeError(f"keys and values are bytes, bytearray, memoryview or str (its UTF-8 bytes), not {kind}") from None


def fail(status: int, scratch: Scratch) -> NoReturn:
    """Raises what the library answered. `scratch` is the one that the call was given."""
    error = scratch.error
    message = error.message.decode(errors="replace") or describe_status(status)
    exception = errors.make(status, message, error.os_errno, error.file_id, error.offset)
    if isinstance(exception, errors.BufferTooSmallError):
        exception.needed = scratch.length.value
    give_back(scratch)
    raise exception


def describe_status(status: int) -> str:
    text: bytes = lib.filedb_strerror(status)
    return text.decode()


def library_version() -> str:
    """The version of the library that runs, which may be newer than this module."""
    text: bytes = lib.filedb_version_string()
    return text.decode()
