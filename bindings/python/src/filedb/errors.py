"""What goes wrong, as exceptions. Each is a filedb.Error and, where there is one, the exception of Python's that says
the same: a full disk is an OSError with errno ENOSPC, a store that exists a FileExistsError."""

from __future__ import annotations

from . import _abi


class Error(Exception):
    """An error of filedb. Its text names the file, the option or the number that it is about."""

    #: The number that filedb.h gives to this error.
    status: int = 0
    #: The operating system's error number, or None.
    errno: int | None = None
    #: The damaged data file and the place in it; None unless this is a CorruptError.
    file_id: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        # OSError would put "[Errno None]" before it.
        return str(self.args[-1]) if self.args else self.__class__.__name__


class InvalidArgumentError(Error, ValueError):
    """An argument breaks the contract of the function; nothing was done."""


class DiskError(Error, OSError):
    """The operating system refused a file operation; errno says why."""


class CorruptError(Error):
    """Bytes on disk are not what was written; file_id and offset say where."""


class LockedError(Error, BlockingIOError):
    """Another process, or another handle of this one, has the store open."""


class NoSpaceError(DiskError):
    """There is no room; nothing was written. Reads go on, and writes as soon as there is room."""


class ReadOnlyError(Error, PermissionError):
    """The store was opened with read_only=True."""


class TooLargeError(Error, ValueError):
    """A key or a value is longer than the store takes; nothing was written."""


class BufferTooSmallError(Error, ValueError):
    """The buffer is too small; needed says how large it has to be."""

    needed: int = 0


class UnsupportedError(Error):
    """The store or the machine cannot do this, or a later version wrote the store."""


class PoisonedError(Error):
    """An earlier sync failed or a bug was caught. Reads go on; to write, close the store and open it again."""


class ForkedError(Error):
    """The store was opened by the parent of this process; open it anew."""


class PanicError(Error):
    """A bug in filedb was caught. The store takes no more writes until it is opened again."""


class NoMemoryError(Error, MemoryError):
    """Memory could not be allocated; nothing was done."""


class ExistsError(Error, FileExistsError):
    """The store exists, and error_if_exists=True was asked for."""


class ClosedError(Error, ValueError):
    """The store, the batch or the walk was closed. Python's closed files answer with a ValueError too."""


class MissingError(Error, FileNotFoundError):
    """There is no store there, and none was to be made: create_if_missing=False, or read_only=True."""


class WrongTypeError(Error, TypeError):
    """The key holds another type: a list where a value was asked for, or the other way round. Nothing was changed."""


class ServerError(Error, ConnectionError):
    """The server of a remote store is not there, or went away; a write may or may not have happened."""


BY_STATUS: dict[int, type[Error]] = {
    _abi.FILEDB_ERR_INVALID_ARGUMENT: InvalidArgumentError,
    _abi.FILEDB_ERR_IO: DiskError,
    _abi.FILEDB_ERR_CORRUPT: CorruptError,
    _abi.FILEDB_ERR_LOCKED: LockedError,
    _abi.FILEDB_ERR_NO_SPACE: NoSpaceError,
    _abi.FILEDB_ERR_READ_ONLY: ReadOnlyError,
    _abi.FILEDB_ERR_TOO_LARGE: TooLargeError,
    _abi.FILEDB_ERR_BUFFER_TOO_SMALL: BufferTooSmallError,
    _abi.FILEDB_ERR_UNSUPPORTED: UnsupportedError,
    _abi.FILEDB_ERR_POISONED: PoisonedError,
    _abi.FILEDB_ERR_FORKED: ForkedError,
    _abi.FILEDB_ERR_PANIC: PanicError,
    _abi.FILEDB_ERR_NO_MEMORY: NoMemoryError,
    _abi.FILEDB_ERR_EXISTS: ExistsError,
    _abi.FILEDB_ERR_CLOSED: ClosedError,
    _abi.FILEDB_ERR_MISSING: MissingError,
    _abi.FILEDB_ERR_WRONG_TYPE: WrongTypeError,
    _abi.FILEDB_ERR_CONNECTION: ServerError,
}


def make(status: int, message: str, os_errno: int = 0, file_id: int = 0, offset: int = 0) -> Error:
    """The exception for an answer of the library. A later version's status is a plain Error."""
    kind = BY_STATUS.get(status, Error)
    # Two arguments are what makes an OSError set its errno.
    error = kind(os_errno or None, message) if issubclass(kind, OSError) else kind(message)
    error.status = status
    error.errno = os_errno or None
    if kind is CorruptError:
        error.file_id, error.offset = file_id, offset
    return error
