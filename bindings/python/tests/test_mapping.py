"""A store is a mapping."""

from __future__ import annotations

from pathlib import Path

import pytest

import filedb


def test_it_behaves_as_a_dict_does(db: filedb.Store) -> None:
    model: dict[bytes, bytes] = {}
    for i in range(300):
        key, value = b"key%d" % (i * 7 % 100), b"value" * (i % 5)
        db[key] = model[key] = value
        if i % 3 == 0:
            del db[key], model[key]
    assert dict(db.items()) == model
    assert sorted(db) == sorted(db.key_list()) == sorted(model)
    assert sorted(db.values()) == sorted(model.values())
    assert len(db) == len(model) and bool(db)
    assert (b"key1" in db) == (b"key1" in model)
    assert b"absent" not in db and 7 not in db  # type: ignore[comparison-overlap]
    assert db.pop(b"absent", None) is None


def test_absent_keys_are_key_errors(db: filedb.Store) -> None:
    with pytest.raises(KeyError, match="absent"):
        db[b"absent"]
    with pytest.raises(KeyError):
        del db[b"absent"]
    assert db.get(b"absent") is None and db.get(b"absent", 7) == 7
    assert not db.delete(b"absent")


def test_an_empty_value_is_a_value(db: filedb.Store) -> None:
    db[b"empty"] = b""
    assert db[b"empty"] == b"" and b"empty" in db and len(db) == 1
    pinned = db.get_pinned(b"empty")
    assert pinned is not None and bytes(pinned) == b""
    assert db.get_many([b"empty"]) == [b""]
    assert list(db.items()) == [(b"empty", b"")]


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 3_000_000])
def test_values_of_any_size_come_back(db: filedb.Store, size: int) -> None:
    value = bytes(i * 31 % 251 for i in range(min(size, 1000))) * (size // 1000 or 1)
    db[b"key"] = value
    assert db[b"key"] == value and db.get_many([b"key"]) == [value] and dict(db.scan()) == {b"key": value}


def test_text_and_other_buffers_mean_their_bytes(db: filedb.Store) -> None:
    db["schlüssel"] = "wert"
    db[bytearray(b"a")] = memoryview(b"b")
    assert db["schlüssel".encode()] == b"wert" and db["a"] == b"b"
    for wrong in (7, None, 1.5):
        with pytest.raises(TypeError):
            db[b"key"] = wrong  # type: ignore[assignment]
        with pytest.raises(TypeError):
            db[wrong]  # type: ignore[call-overload]


def test_binary_keys_keep_their_zeroes(db: filedb.Store) -> None:
    db[b"a\0b"] = b"\0\xff\0"
    assert db[b"a\0b"] == b"\0\xff\0" and b"a" not in db and db.key_list(b"a\0") == [b"a\0b"]


def test_setdefault_update_and_clear(db: filedb.Store) -> None:
    assert db.setdefault(b"a", b"1") == b"1"
    assert db.setdefault(b"a", b"2") == b"1"
    db.update({b"b": b"3"})
    assert db.popitem() in {(b"a", b"1"), (b"b", b"3")}
    db.clear()
    assert len(db) == 0 and list(db.scan()) == []


def test_two_stores_are_not_equal_because_they_hold_the_same(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "a") as a, filedb.open(tmp_path / "b") as b:
        assert a == a and a != b and len({a, b}) == 2
