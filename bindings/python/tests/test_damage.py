"""Damage is found, and what is intact is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

import filedb


def test_damage_is_found_and_the_rest_is_saved(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with filedb.open(store) as db:
        db[b"kept"] = b"value"
        db[b"lost"] = b"a value that is damaged"
        assert filedb.check(store).is_sound
    for file in store.glob("*.data"):
        content = file.read_bytes()
        file.write_bytes(content.replace(b"a value that", b"b value that"))
    found: list[filedb.Finding] = []
    report = filedb.check(store, found.append)
    assert not report.is_sound and report.keys_lost == 1
    (finding,) = found
    assert finding.severity == filedb.Severity.DATA_LOST and finding.key == b"lost" and finding.file.endswith(".data")
    with pytest.raises(filedb.CorruptError):
        filedb.salvage(store, tmp_path / "saved", lambda _: True)
    assert not (tmp_path / "saved").exists()
    assert filedb.salvage(store, tmp_path / "saved").keys == 1
    with filedb.open(tmp_path / "saved") as saved:
        assert dict(saved) == {b"kept": b"value"}
    with pytest.raises(FileExistsError):
        filedb.salvage(store, tmp_path / "saved")
    with pytest.raises(FileNotFoundError):
        filedb.check(tmp_path / "absent")


def test_what_is_raised_comes_out_of_a_check(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store") as db:
        db[b"key"] = b"value"
    (tmp_path / "store" / "MANIFEST").write_bytes(b"damaged")

    def refuse(_: filedb.Finding) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        filedb.check(tmp_path / "store", refuse)
    with pytest.raises(ValueError, match="null"):
        filedb.check("a\0b")
