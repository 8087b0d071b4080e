"""A handle has one owner, in one process. A copy of it, which would free it twice or carry its address elsewhere, is refused."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import filedb

WAYS: dict[str, Callable[[object], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda what, protocol=protocol: pickle.dumps(what, protocol)  # type: ignore[misc]
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}

ADVICE = {"Store": r"filedb\.open\(path\)", "Batch": r"filedb\.Batch\(\)", "Scan": r"Store\.scan\(\)", "Pinned": r"bytes\(pinned\)"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inside", [False, True])
def test_a_copy_is_refused_with_what_to_do_instead(db: filedb.Store, way: str, inside: bool) -> None:
    db[b"key"] = b"value"
    pinned = db.get_pinned(b"key")
    for original in (db, filedb.Batch(), db.scan(), pinned):
        name = type(original).__name__
        if inside and way == "copy":
            continue  # a shallow copy of a list has no copy of what is in it
        with pytest.raises(TypeError, match=rf"a filedb\.{name} cannot be copied or pickled: .*{ADVICE[name]}"):
            WAYS[way]([original] if inside else original)
    # What was refused is what it was before.
    assert db[b"key"] == b"value" and pinned is not None and bytes(pinned) == b"value"


def test_a_closed_handle_is_refused_as_well(tmp_path: Path) -> None:
    db = filedb.open(tmp_path / "store")
    batch, walk = filedb.Batch(), db.scan()
    for handle in (walk, batch, db):
        handle.close()
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            pickle.dumps(handle)


def test_views_of_the_mapping_do_not_take_the_store_along(db: filedb.Store) -> None:
    db[b"key"] = b"value"
    for view in (db.items(), db.keys(), db.values()):
        for way in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                way(view)


def test_a_subclass_may_say_how_it_is_opened_again(tmp_path: Path) -> None:
    with Reopening(tmp_path / "store") as db:
        db[b"key"] = b"value"
        pickled = pickle.dumps(db)
    with pickle.loads(pickled) as again:
        assert again[b"key"] == b"value"


class Reopening(filedb.Store):
    def __reduce__(self) -> tuple[object, ...]:  # type: ignore[override]
        return Reopening, (self.path,)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_process_is_given_the_path(tmp_path: Path, method: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, "-X", "dev", script, method, tmp_path / "store"], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stderr) == (0, "")
    handle, path = run.stdout.splitlines()
    if method == "fork":
        # The child has the object itself, and the library knows that it is a child.
        assert handle == "ForkedError"
    else:
        assert handle.startswith("TypeError: a filedb.Store cannot be copied or pickled")
    assert path == "b'value'"


SCRIPT = """
import multiprocessing, sys
import filedb

def use(store, answers):
    try:
        answers.put(store[b"key"])
    except filedb.Error as why:
        answers.put(type(why).__name__)

def reopen(path, answers):
    with filedb.open(path) as store:
        answers.put(store[b"key"])

def answer(context, function, argument):
    answers = context.SimpleQueue()
    worker = context.Process(target=function, args=(argument, answers))
    try:
        worker.start()
    except TypeError as why:
        return f"TypeError: {why}"
    found = answers.get()
    worker.join()
    return found

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with filedb.open(sys.argv[2]) as store:
        store[b"key"] = b"value"
        print(answer(context, use, store))
    print(answer(context, reopen, sys.argv[2]))
"""


@pytest.mark.parametrize("kind", filedb.errors.BY_STATUS.values())
def test_an_error_comes_back_from_another_process_whole(kind: type[filedb.Error]) -> None:
    status = next(status for status, one in filedb.errors.BY_STATUS.items() if one is kind)
    error = filedb.errors.make(status, "a sentence", os_errno=5, file_id=7, offset=11)
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(back) is kind and str(back) == "a sentence"
        for fact in ("status", "errno", "file_id", "offset"):
            assert getattr(back, fact) == getattr(error, fact)
