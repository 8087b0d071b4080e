"""Lists, and what a store does in one step."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import filedb


@pytest.fixture(params=["directory", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> filedb.Store:
    return filedb.open(tmp_path / "store" if request.param == "directory" else "memory://")


def test_a_list_behaves_like_a_deque(db: filedb.Store) -> None:
    with db:
        jobs = db.list("jobs")
        assert len(jobs) == 0 and list(jobs) == []
        with pytest.raises(IndexError):
            jobs.pop()
        assert jobs.append(b"b") == 1
        assert jobs.appendleft("a") == 2
        jobs.extend([b"c", b""])
        assert list(jobs) == [b"a", b"b", b"c", b""]
        assert jobs[1:3] == [b"b", b"c"] and jobs[::-1][0] == b"" and jobs[-2] == b"c"
        jobs[0] = b"first"
        with pytest.raises(IndexError):
            jobs[9] = b"x"
        assert db.type_of("jobs") == "list" and db.type_of("none") is None
        with pytest.raises(filedb.WrongTypeError):
            db["jobs"]
        scan = db.scan()
        assert scan.one() == (b"jobs", b"") and scan.type_of_last() == "list"
        running = db.list("running")
        assert jobs.move(running) == b"first" and list(running) == [b"first"]
        assert running.move(jobs, last=True, to_front=True) == b"first" and len(running) == 0
        assert running.move(jobs) is None
        assert jobs.popleft() == b"first" and jobs.pop() == b""
        jobs.clear()
        assert b"jobs" not in db and len(jobs) == 0


def test_a_change_in_one_step_loses_nothing(db: filedb.Store) -> None:
    with db:
        assert {"snapshot", "batch", "merge"} <= db.capabilities()
        assert db.compare_and_swap("key", None, b"1") and not db.compare_and_swap("key", None, b"2")
        assert db.compare_and_swap("key", b"1", b"\0two") and db["key"] == b"\0two"
        assert db.get_delete("key") == b"\0two" and db.get_delete("key") is None
        assert db.increment("hits", 5) == 5

        def count() -> None:
            for _ in range(100):
                db.increment("hits")
                db.update_with("updates", lambda value: str(int(value or b"0") + 1).encode())

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db["hits"] == b"405" and db["updates"] == b"400"


def test_an_update_begins_with_nothing_removes_and_is_tried_again(db: filedb.Store) -> None:
    with db:
        assert db.update_with("key", lambda value: b"1" if value is None else b"no") == b"1"
        seen: list[bytes | None] = []

        def late(value: bytes | None) -> bytes:
            # Somebody else writes the first time; the second time sees what that wrote.
            if not seen:
                db["key"] = b""
            seen.append(value)
            return b"late"

        assert db.update_with("key", late) == b"late"
        assert seen == [b"1", b""] and db["key"] == b"late"
        with pytest.raises(ZeroDivisionError):
            db.update_with("key", lambda value: b"%d" % (1 // 0))
        assert db["key"] == b"late"
        assert db.update_with("key", lambda value: None) is None and b"key" not in db
        db.list("jobs").append(b"first")
        with pytest.raises(filedb.WrongTypeError):
            db.update_with("jobs", lambda value: value)


def test_a_store_without_key_order_refuses_ranges_and_changes_nothing(db: filedb.Store) -> None:
    with db:
        db[b"k"] = b"v"
        for ask in (
            lambda: db[b"a":b"m"],
            lambda: db[::-1],
            lambda: db.range("a", b"", stop_included=True),
            lambda: db.delete_range(),
            lambda: db.scan().seek(b"k"),
        ):
            with pytest.raises(filedb.UnsupportedError):
                ask()
        with pytest.raises(ValueError, match="step"):
            db[b"a":b"m":2]
        assert dict(db.scan()) == {b"k": b"v"}
