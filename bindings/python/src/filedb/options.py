"""The options to open a store with: keyword arguments here, text in the library, which knows what each takes."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, Union

from . import _abi, _native
from ._handle import Handle
from ._native import lib

#: `True`, `64 << 20`, `"64MiB"`, `"always"`, `timedelta(seconds=1)`.
OptionValue = Union[str, int, float, bool, timedelta]


class OptionInfo(NamedTuple):
    name: str
    #: What it takes, for people: "none | interval | always".
    values: str
    help: str
    default: str


def as_text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return f"{value // timedelta(milliseconds=1)}ms"
    return str(value)


#: Called with a level of logging's and a sentence; a logger takes them too.
Log = Union[logging.Logger, Callable[[int, str], object]]

LEVELS = {
    _abi.FILEDB_LOG_ERROR: logging.ERROR,
    _abi.FILEDB_LOG_WARN: logging.WARNING,
    _abi.FILEDB_LOG_INFO: logging.INFO,
    _abi.FILEDB_LOG_DEBUG: logging.DEBUG,
}


def c_log(log: Log) -> Any:
    """What C can call. It has to be kept until the store is closed."""
    tell = log.log if isinstance(log, logging.Logger) else log

    def call(_: object, level: int, message: int, size: int) -> None:
        tell(LEVELS.get(level, logging.INFO), ctypes.string_at(message, size).decode(errors="replace"))

    return _abi.filedb_log_fn(call)


class Options(Handle):
    """A filedb_options_t, for the length of a with statement."""

    _in_place_of_a_copy = "pass the settings that it is made from"

    def __init__(self, settings: dict[str, OptionValue], log: Any = None) -> None:
        self._settings = settings
        self._log = log

    def __enter__(self) -> Options:
        self.handle: int | None = lib.filedb_options_new()
        if self.handle is None:
            raise MemoryError
        try:
            for name, value in self._settings.items():
                self._set(name, as_text(value))
            if self._log is not None:
                scratch = _native.take()
                if status := lib.filedb_options_set_log(self.handle, self._log, None, scratch.error_ref):
                    _native.fail(status, scratch)
                _native.give_back(scratch)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        lib.filedb_options_free(self.handle)
        self.handle = None

    def _set(self, name: str, value: str) -> None:
        if "\0" in name + value:
            raise ValueError("embedded null byte")
        scratch = _native.take()
        status = lib.filedb_options_set(self.handle, name.encode(), value.encode(), scratch.error_ref)
        if status:
            _native.fail(status, scratch)
        _native.give_back(scratch)

    def get(self, name: str) -> str:
        scratch = _native.take()
        status = lib.filedb_options_get(
            self.handle, name.encode(), scratch.buffer, _native.SCRATCH_BYTES, scratch.length_ref, scratch.error_ref
        )
        if status:
            _native.fail(status, scratch)
        value: str = scratch.buffer[: scratch.length.value].decode()
        _native.give_back(scratch)
        return value


def describe_options() -> list[OptionInfo]:
    """Every option that open() takes, with its default."""
    found: list[OptionInfo] = []
    texts = [ctypes.c_char_p() for _ in range(3)]
    with Options({}) as options:
        while lib.filedb_options_describe(len(found), *map(ctypes.byref, texts)) == _abi.FILEDB_OK:
            name, values, help_text = ((text.value or b"").decode() for text in texts)
            found.append(OptionInfo(name, values, help_text, options.get(name)))
    return found
