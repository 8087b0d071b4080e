"""Looking for damage in a store, and saving what is intact."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, Union

from . import _abi, _native
from ._native import bytes_at, give_back, lib, take


class Severity(IntEnum):
    """How bad a finding is; the larger, the worse."""

    NOTE = _abi.FILEDB_FINDING_NOTE
    """No damage: what a crash may leave, or something worth knowing."""
    SPACE_LOST = _abi.FILEDB_FINDING_SPACE_LOST
    """Bytes are not what was written, and no key is lost with them."""
    DATA_LOST = _abi.FILEDB_FINDING_DATA_LOST
    """What a key held is lost, or the store does not open because of it."""


class Finding(NamedTuple):
    """One damaged or suspicious place: the file's name in the store's directory, and a sentence that says what it means."""

    severity: int
    file: str
    offset: int
    length: int
    message: str
    key: bytes | None


class CheckReport(NamedTuple):
    """What was looked at and what is lost, in numbers; filedb.h says what each is."""

    damaged_files: int
    files: int
    bytes: int
    records: int
    keys: int
    damaged_places: int
    keys_lost: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing but notes was found."""
        return self.damaged_places == 0


Path = Union[str, bytes, "os.PathLike[Any]"]


def check(path: Path, visit: Callable[[Finding], object] | None = None) -> CheckReport:
    """Looks for damage in the store in the directory `path`, which may be open, and calls `visit` for each finding until it
    returns something true. Nothing is changed. Damage is no error: is_sound of the report says whether there is any."""
    return _inspect(lib.filedb_check, (path,), visit, {_abi.FILEDB_ERR_CORRUPT})


def salvage(path: Path, to: Path, visit: Callable[[Finding], object] | None = None) -> CheckReport:
    """Copies what is intact in the store at `path` to a new store at `to`, which must not exist. Where `visit` returns
    something true the salvage ends with CorruptError and there is no new store."""
    return _inspect(lib.filedb_salvage, (path, to), visit, set())


def _inspect(
    function: Callable[..., int],
    paths: tuple[Path, ...],
    visit: Callable[[Finding], object] | None,
    outcomes: set[int],
) -> CheckReport:
    names = [os.fsencode(path) for path in paths]
    if any(b"\0" in name for name in names):
        raise ValueError("embedded null byte")
    raised: list[BaseException] = []

    def call(_: object, pointer: int) -> int:
        if visit is None:
            return 0
        try:
            found = _abi.filedb_finding_t.from_address(pointer)
            key = bytes_at(found.key, found.key_len) if found.key else None
            file, message = os.fsdecode(found.file), found.message.decode()
            return bool(visit(Finding(found.severity, file, found.offset, found.length, message, key)))
        except BaseException as why:
            raised.append(why)
            return 1

    report = _abi.filedb_check_report_t(struct_size=ctypes.sizeof(_abi.filedb_check_report_t))
    scratch = take()
    status = function(*names, _abi.filedb_finding_fn(call), None, ctypes.byref(report), scratch.error_ref)
    if raised:
        raise raised[0]
    if status and status not in outcomes:
        _native.fail(status, scratch)
    give_back(scratch)
    return CheckReport(*(getattr(report, name) for name in CheckReport._fields))
