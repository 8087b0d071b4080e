"""filedb: an embedded key-value store. Keys and values are bytes; a store is a directory.

    import filedb

    with filedb.open("greetings") as db:
        db[b"hello"] = b"world"
        print(db[b"hello"])

A store is a mapping from bytes to bytes, and more: put() with conditions and expiry, batch() for writes that happen all
or not at all, scan() for walks. Where bytes are taken, text is taken too and means its UTF-8 bytes; what comes out is
always bytes. All of it may be used from any thread; while the library works, other Python threads run.

What the library promises (durability, expiry, limits) is said in filedb.h, its manual.
"""

from ._native import LIBRARY_PATH, library_version
from .batch import Batch
from .changes import Change, ChangeKind, Changes, Gap
from .damage import CheckReport, Finding, Severity, check, salvage
from .errors import (
    BufferTooSmallError,
    ClosedError,
    CorruptError,
    DiskError,
    Error,
    ExistsError,
    ForkedError,
    InvalidArgumentError,
    LockedError,
    MissingError,
    NoMemoryError,
    NoSpaceError,
    PanicError,
    PoisonedError,
    ReadOnlyError,
    ServerError,
    TooLargeError,
    UnsupportedError,
    WrongTypeError,
)
from .lists import List
from .options import OptionInfo, describe_options
from .pinned import Pinned
from .scan import Scan
from .store import Stats, Store, open

__version__ = "0.2.0"

__all__ = [
    "LIBRARY_PATH",
    "Batch",
    "BufferTooSmallError",
    "Change",
    "ChangeKind",
    "Changes",
    "CheckReport",
    "ClosedError",
    "CorruptError",
    "DiskError",
    "Error",
    "ExistsError",
    "Finding",
    "ForkedError",
    "Gap",
    "InvalidArgumentError",
    "List",
    "LockedError",
    "MissingError",
    "NoMemoryError",
    "NoSpaceError",
    "OptionInfo",
    "PanicError",
    "Pinned",
    "PoisonedError",
    "ReadOnlyError",
    "Scan",
    "ServerError",
    "Severity",
    "Stats",
    "Store",
    "TooLargeError",
    "UnsupportedError",
    "WrongTypeError",
    "check",
    "describe_options",
    "library_version",
    "open",
    "salvage",
]
