"""Errors say what, where and why, and can be caught as what they are."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

import filedb


def test_a_store_is_open_once(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store"):
        with pytest.raises(filedb.LockedError, match="store") as caught:
            filedb.open(tmp_path / "store")
    assert isinstance(caught.value, (BlockingIOError, filedb.Error)) and caught.value.status == -4


def test_options_say_what_they_take(tmp_path: Path) -> None:
    with pytest.raises(filedb.InvalidArgumentError, match="sink"):
        filedb.open(tmp_path / "store", sink="always")
    with pytest.raises(ValueError, match="sometimes"):
        filedb.open(tmp_path / "store", sync="sometimes")
    assert not (tmp_path / "store").exists()


def test_what_the_system_refuses_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught:
        filedb.open(tmp_path / "file")
    assert isinstance(caught.value, filedb.DiskError) and caught.value.errno in (errno.ENOTDIR, errno.EEXIST)
    with pytest.raises(ValueError, match="null"):
        filedb.open("a\0b")
    with pytest.raises(ValueError, match="null"):
        filedb.open(tmp_path / "absent", sync="none\0x")
    with pytest.raises(filedb.InvalidArgumentError):
        filedb.open("")


def test_a_store_that_is_there_is_refused_when_asked_for(tmp_path: Path) -> None:
    filedb.open(tmp_path / "store").close()
    with pytest.raises(FileExistsError):
        filedb.open(tmp_path / "store", error_if_exists=True)


@pytest.mark.parametrize("options", [{"create_if_missing": False}, {"read_only": True}])
def test_a_missing_store_is_a_file_that_is_not_found(tmp_path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(FileNotFoundError, match="absent") as caught:
        filedb.open(tmp_path / "absent", log=None, **options)
    assert isinstance(caught.value, filedb.MissingError) and caught.value.errno == errno.ENOENT
    assert not (tmp_path / "absent").exists()


def test_a_wrong_type_is_told_what_is_wanted(db: filedb.Store) -> None:
    calls: list[tuple[str, Callable[[], object]]] = [
        ("bytes, bytearray, memoryview or str .*, not int", lambda: db.get(7)),  # type: ignore[call-overload]
        ("bytes, bytearray, memoryview or str .*, not NoneType", lambda: db.put(b"key", None)),  # type: ignore[arg-type]
        ("bytes, bytearray, memoryview or str .*, not dict", lambda: filedb.Batch().put(b"key", {})),  # type: ignore[arg-type]
        ("bytes, bytearray, memoryview or str .*, not list", lambda: db.scan([])),  # type: ignore[arg-type]
        ("several keys, .*, not one str", lambda: db.get_many("abc")),
        ("several keys, .*, not one bytes", lambda: db.get_many(b"abc")),  # type: ignore[arg-type]
        ("filedb.Batch, not dict", lambda: db.write({})),  # type: ignore[arg-type]
        ("seconds or a timedelta, not str", lambda: db.put(b"key", b"", ttl="1h")),  # type: ignore[arg-type]
        ("seconds or a timedelta, not bytes", lambda: db.expire(b"key", b"1")),  # type: ignore[arg-type]
        ("os.PathLike", lambda: filedb.open(7)),  # type: ignore[arg-type]
    ]
    for wanted, call in calls:
        with pytest.raises(TypeError, match=wanted):
            call()
    for wrong in (float("nan"), -0.1):
        with pytest.raises(ValueError, match="time to live"):
            db.put(b"key", b"", ttl=wrong)
    assert db.put(b"key", b"", ttl=float("inf")) and len(db) == 1


def test_a_store_that_is_only_read_takes_no_writes(tmp_path: Path) -> None:
    filedb.open(tmp_path / "store").close()
    with filedb.open(tmp_path / "store", read_only=True) as db:
        with pytest.raises(PermissionError):
            db[b"key"] = b"value"


def test_limits(db: filedb.Store) -> None:
    db[b"k" * 65536] = b""
    with pytest.raises(filedb.TooLargeError, match="65537"):
        db[b"k" * 65537] = b""
    with pytest.raises(filedb.InvalidArgumentError, match="empty"):
        db[b""] = b""
    with pytest.raises(filedb.InvalidArgumentError):
        db.get(b"")
    with pytest.raises(filedb.TooLargeError):
        db.key_list(b"k" * 65537)


def test_damage_is_named(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store") as db:
        for i in range(100):
            db[b"key%d" % i] = b"value%d" % i
    (file,) = (tmp_path / "store").glob("*.data")
    content = bytearray(file.read_bytes())
    at = content.index(b"value50")
    content[at] ^= 1
    file.write_bytes(content)
    with filedb.open(tmp_path / "store") as db:
        with pytest.raises(filedb.CorruptError) as caught:
            db[b"key50"]
        assert caught.value.file_id == int(file.stem) and caught.value.offset is not None
        assert 0 < caught.value.offset <= at
        # A walk says so too, and goes on behind it.
        rows, failures, walk = [], 0, db.scan()
        while True:
            try:
                rows.append(next(walk))
            except filedb.CorruptError:
                failures += 1
            except StopIteration:
                break
        assert (len(rows), failures) == (99, 1)
        with pytest.raises(filedb.CorruptError):
            db.get_many([b"key1", b"key50"])
        with pytest.raises(filedb.CorruptError):
            db.fold(lambda *_: False)
        assert db[b"key51"] == b"value51"


def test_a_status_that_is_not_known_yet_is_an_error_all_the_same() -> None:
    error = filedb.errors.make(-99, "something new")
    assert type(error) is filedb.Error and error.status == -99 and str(error) == "something new"
