"""What a store can do that a dict cannot."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import filedb


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store", sync="always", max_file_size="1MiB") as db:
        db[b"key"] = b"value"
        assert "store" in repr(db) and "closed" not in repr(db)
    assert db.closed and "closed" in repr(db)
    with filedb.open(os.fsencode(tmp_path / "store")) as again:
        assert again[b"key"] == b"value"


def test_conditions(db: filedb.Store) -> None:
    assert not db.put(b"key", b"1", if_present=True)
    assert db.put(b"key", b"2", if_absent=True, sync=True)
    assert not db.put(b"key", b"3", if_absent=True)
    assert db.put(b"key", b"4", if_present=True)
    assert db[b"key"] == b"4"
    with pytest.raises(filedb.InvalidArgumentError):
        db.put(b"key", b"5", if_absent=True, if_present=True)


def test_expiry(db: filedb.Store) -> None:
    db.put(b"key", b"1", ttl=timedelta(hours=1))
    left = db.ttl(b"key")
    assert left is not None and 3590 < left <= 3600
    db.put(b"key", b"2", keep_ttl=True)
    assert db.ttl(b"key") is not None
    assert db.persist(b"key") and db.ttl(b"key") is None
    assert db.expire(b"key", 0.5)
    assert db.expire(b"key", 0) and b"key" not in db
    assert not db.expire(b"key", 1) and not db.persist(b"key")
    with pytest.raises(KeyError):
        db.ttl(b"key")
    with pytest.raises(ValueError, match="negative"):
        db.put(b"key", b"value", ttl=-1)
    db.put(b"soon", b"value", ttl=0)
    begun = time.monotonic()
    while b"soon" in db:
        assert time.monotonic() - begun < 60


def test_a_batch_is_written_when_its_block_ends_well(db: filedb.Store) -> None:
    db[b"debt"] = b"1"
    with db.batch() as batch:
        batch[b"alice"] = b"90"
        batch.put(b"bob", "110")
        del batch[b"debt"]
        assert b"alice" not in db
    assert dict(db.items()) == {b"alice": b"90", b"bob": b"110"}
    with pytest.raises(ZeroDivisionError), db.batch() as batch:
        batch[b"alice"] = b"0"
        1 / 0
    assert db[b"alice"] == b"90"
    with pytest.raises(filedb.ClosedError):
        batch.put(b"late", b"")


def test_a_batch_can_be_written_again_and_emptied(db: filedb.Store) -> None:
    batch = filedb.Batch()
    batch.put(b"a", b"1")
    db.write(batch)
    db.delete(b"a")
    db.write(batch)
    assert db[b"a"] == b"1"
    batch.clear()
    batch.put(b"b", b"2")
    db.write(batch)
    assert len(db) == 2
    with pytest.raises(filedb.InvalidArgumentError):
        batch.put(b"", b"")


def test_a_batch_is_filled_as_a_dict_is(db: filedb.Store) -> None:
    with db.batch() as batch:
        batch.update({b"a": b"1", "b": "2"})
        batch.update([(b"c", b"3"), (bytearray(b"d"), memoryview(b"4"))], e="5")
        batch.update()
        with pytest.raises(TypeError):
            batch.update({b"f": 6})
    assert dict(db.items()) == {b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4", b"e": b"5"}


def test_a_put_in_a_batch_may_expire(db: filedb.Store) -> None:
    with db.batch() as batch:
        batch.put(b"hour", b"1", ttl=timedelta(hours=1))
        batch.put(b"soon", b"2", ttl=0)
        batch.put(b"always", b"3", ttl=None)
        with pytest.raises(ValueError, match="negative"):
            batch.put(b"before", b"4", ttl=-1)
    left = db.ttl(b"hour")
    assert left is not None and 3500 < left <= 3600 and db.ttl(b"always") is None and b"before" not in db


def test_a_list_may_be_sorted(db: filedb.Store) -> None:
    db.update({b"key%d" % i: b"" for i in range(1000)})
    db[b"other\xff"] = b""
    assert db.key_list(sort=True) == sorted(db.key_list())
    assert db.key_list(b"key", sort=True) == sorted(b"key%d" % i for i in range(1000))


def test_get_many_answers_in_order(db: filedb.Store) -> None:
    for i in range(1000):
        db[b"%d" % i] = b"x" * i
    values = db.get_many(str(i) for i in range(0, 2000, 3))
    assert [value is not None for value in values] == [i < 1000 for i in range(0, 2000, 3)]
    assert [len(value) for value in values if value is not None] == list(range(0, 1000, 3))
    assert db.get_many([]) == []
    with pytest.raises(filedb.InvalidArgumentError):
        db.get_many([b"1", b""])


def test_get_into(db: filedb.Store) -> None:
    db[b"key"] = b"value"
    buffer = bytearray(b".......")
    assert db.get_into(b"key", buffer) == 5 and buffer == b"value.."
    assert db.get_into(b"key", memoryview(buffer)[2:]) == 5 and buffer == b"vavalue"
    assert db.get_into(b"absent", buffer) is None
    with pytest.raises(filedb.BufferTooSmallError) as caught:
        db.get_into(b"key", bytearray(4))
    assert caught.value.needed == 5


def test_a_walk_sees_one_moment(db: filedb.Store) -> None:
    for i in range(3000):
        db[b"key%d" % i] = b"old"
    with db.scan(b"key") as walk:
        first = next(walk)
        db.clear()
        db[b"key0"] = b"new"
        rows = [first, *walk]
    assert sorted(rows) == sorted((b"key%d" % i, b"old") for i in range(3000))
    assert dict(db.scan()) == {b"key0": b"new"}
    assert list(db.scan(b"other")) == []


def test_a_walk_can_go_row_by_row(db: filedb.Store) -> None:
    db.update({b"a": b"1", b"b": b"", b"c": b"3"})
    walk = db.scan()
    rows = [walk.one(), next(walk), walk.one(), walk.one(), walk.one()]
    assert rows[3:] == [None, None]
    assert sorted(row for row in rows if row is not None) == [(b"a", b"1"), (b"b", b""), (b"c", b"3")]


def test_a_closed_walk_ends_and_stays_ended(db: filedb.Store) -> None:
    db[b"key"] = b"value"
    walk = db.scan()
    walk.close()
    walk.close()
    assert list(walk) == [] and walk.one() is None


def test_fold_visits_until_it_is_told_to_stop(db: filedb.Store) -> None:
    db.update({b"%d" % i: b"v" for i in range(10)})
    seen: list[bytes] = []
    db.fold(lambda key, _: seen.append(key))
    assert sorted(seen) == sorted(db)
    seen.clear()
    db.fold(lambda key, _: seen.append(key) or len(seen) == 3)  # type: ignore[func-returns-value]
    assert len(seen) == 3
    with pytest.raises(ZeroDivisionError):
        db.fold(lambda *_: 1 / 0)
    db.fold(lambda key, _: db.delete(key) and False)
    assert len(db) == 0


def test_a_time_to_live_may_be_as_long_as_can_be_said(db: filedb.Store) -> None:
    db.put(b"a", b"1", ttl=2**63)
    db.put(b"b", b"2")
    assert db.expire(b"b", float(2**63))
    db.put(b"c", b"3")
    assert db.expire(b"c", 18446744073709552)
    for key in (b"a", b"b", b"c"):
        left = db.ttl(key)
        assert key in db and left is not None and left > 1e15


def test_sync_and_merge(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store", max_file_size="64KiB", merge="manual") as db:
        for _ in range(50):
            for i in range(20):
                db[b"%d" % i] = b"x" * 1000
        db.sync()
        # Not by looking at the files: the store removes some by itself meanwhile.
        before = db.stats().data_bytes
        db.merge()
        assert db.stats().data_bytes < before
        assert len(db) == 20


def test_stats_are_those_of_the_store(db: filedb.Store) -> None:
    db[b"key"] = b"value"
    with db.scan():
        stats = db.stats()
    assert (stats.keys, stats.iterators, stats.merging) == (1, 1, False)
    assert stats.files >= 1 and stats.data_bytes > 0


def test_a_log_hears_what_the_store_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[int, str]] = []
    with filedb.open(tmp_path / "store", log_level="debug", log=lambda level, text: heard.append((level, text))) as db:
        db[b"key"] = b"value"
        db.merge()
    assert heard and all(level in (10, 20, 30, 40) and text for level, text in heard)
    with caplog.at_level(logging.DEBUG), filedb.open(
        tmp_path / "store", log_level="debug", log=logging.getLogger("filedb")
    ) as db:
        db[b"key"] = b"other"
        db.merge()
    assert caplog.records and caplog.records[0].name == "filedb"


def test_threads_share_a_store(db: filedb.Store) -> None:
    def work(n: int) -> None:
        for i in range(500):
            db[b"%d/%d" % (n, i)] = b"%d" % i
            assert db[b"%d/%d" % (n, i)] == b"%d" % i

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(db) == 2000


def test_other_threads_run_while_the_library_works(db: filedb.Store) -> None:
    """A fold in the library and a Python thread take turns only if the library's calls let go of the interpreter."""
    for i in range(100):
        db[b"%d" % i] = b""
    met = threading.Barrier(2, timeout=30)
    thread = threading.Thread(target=met.wait)
    thread.start()
    db.fold(lambda *_: met.wait() >= 0)
    thread.join()


def test_a_child_of_fork_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    script = """
import os, sys, filedb
db = filedb.open(sys.argv[1])
db[b"key"] = b"value"
walk = db.scan()
child = os.fork()
if child == 0:
    try:
        db.get(b"key")
    except filedb.ForkedError:
        del walk
        sys.exit(0)  # with all finalizers
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert db[b"key"] == b"value"
db.close()
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "store"], check=True, timeout=60)
