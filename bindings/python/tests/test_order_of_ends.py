"""Garbage collectors end things in any order. Nothing of it may crash."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import filedb


def fresh(path: Path, io: str) -> filedb.Store:
    db = filedb.open(path, io=io)
    for i in range(2000):
        db[b"key%d" % i] = b"value" * 20
    return db


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("order", list(itertools.permutations(["store", "walk", "pin", "batch"])))
def test_any_order_is_safe(tmp_path: Path, io: str, order: tuple[str, ...]) -> None:
    db = fresh(tmp_path / "store", io)
    walk, pin, batch = db.scan(), db.get_pinned(b"key7"), db.batch()
    assert pin is not None
    next(walk)
    view = pin.view
    ends = {"store": db.close, "walk": walk.close, "pin": pin.release, "batch": batch.close}
    for name in order:
        ends[name]()
        assert bytes(view) == b"value" * 20
    del db, walk, pin, batch
    gc.collect()
    assert bytes(view) == b"value" * 20


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    db = fresh(tmp_path / "store", "mmap")
    walk, batch = db.scan(), filedb.Batch()
    next(walk), next(walk)
    db.close()
    db.close()
    verbs: list[Callable[[], object]] = [
        lambda: db[b"a"], lambda: db.get(b"a"), lambda: db.__setitem__(b"a", b""), lambda: db.delete(b"a"),
        lambda: db.put(b"a", b""), lambda: b"a" in db, lambda: len(db), lambda: db.key_list(), lambda: db.scan(),
        lambda: list(db), lambda: db.ttl(b"a"), lambda: db.expire(b"a", 1), lambda: db.persist(b"a"), lambda: db.sync(),
        lambda: db.merge(), lambda: db.stats(), lambda: db.write(batch), lambda: db.batch(), lambda: db.get_many([b"a"]),
        lambda: db.get_pinned(b"a"), lambda: db.get_into(b"a", bytearray(1)), lambda: db.fold(lambda *_: 0),
        lambda: db.handle,
    ]  # fmt: skip
    for verb in verbs:
        with pytest.raises(filedb.ClosedError):
            verb()
    # What was fetched before may still come; then the walk says that it is over, once, and ends.
    with pytest.raises(filedb.ClosedError):
        list(walk)
    assert list(walk) == []


def test_a_walk_keeps_its_store_open(tmp_path: Path) -> None:
    walk = fresh(tmp_path / "store", "mmap").scan()
    gc.collect()
    assert len(list(walk)) == 2000
    del walk
    gc.collect()
    filedb.open(tmp_path / "store").close()


def test_a_view_outlives_everything(tmp_path: Path) -> None:
    def view_of_nothing_else() -> memoryview:
        with fresh(tmp_path / "store", "mmap") as db, db.get_pinned(b"key7") as pin:  # type: ignore[union-attr]
            return pin.view[5:10]

    view = view_of_nothing_else()
    gc.collect()
    filedb.open(tmp_path / "store").close()
    assert bytes(view) == b"value"
    with pytest.raises(TypeError):
        view[0] = 0


def test_a_released_value_is_no_longer_shown(db: filedb.Store) -> None:
    db[b"key"] = b"value"
    pin = db.get_pinned(b"key")
    assert pin is not None and len(pin) == 5
    assert db.get_pinned(b"absent") is None
    pin.release()
    pin.release()
    with pytest.raises(ValueError, match="released"):
        pin.view


def test_what_python_ends_with_is_closed_and_durable(tmp_path: Path) -> None:
    script = """
import sys, filedb
db = filedb.open(sys.argv[1], sync="none")
db[b"key"] = b"value"
walk, pin, batch = db.scan(), db.get_pinned(b"key"), filedb.Batch()
next(walk)
cycle = [db, walk, pin, batch]
cycle.append(cycle)
"""
    run = subprocess.run([sys.executable, "-X", "dev", "-c", script, tmp_path / "store"], capture_output=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, b"")
    with filedb.open(tmp_path / "store") as db:
        assert db[b"key"] == b"value"
