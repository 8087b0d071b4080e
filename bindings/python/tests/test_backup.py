"""A store that is in use is copied."""

from __future__ import annotations

from pathlib import Path

import pytest

import filedb


def test_a_store_in_use_is_copied(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store") as db:
        db[b"planet"] = b"earth"
        db.backup(tmp_path / "backup")
        db[b"planet"] = b"mars"
        db.backup(tmp_path / "backup", copy=True)
        with filedb.open(tmp_path / "backup", read_only=True) as copy:
            assert copy[b"planet"] == b"mars"
        with pytest.raises(filedb.InvalidArgumentError):
            db.backup(tmp_path / "store")
        with pytest.raises(ValueError):
            db.backup("null\0byte")
