"""The changes of a store are followed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import filedb


def test_changes_are_followed(tmp_path: Path) -> None:
    with filedb.open(tmp_path / "store") as db:
        assert db.last_seq() == 0
        changes = db.changes(0)
        assert changes.next(0) is None
        db[b"planet"] = b"earth"
        db.put(b"moon", b"", ttl=1000)
        first, second = changes.next(1), changes.next(1)
        assert first is not None and second is not None
        assert first[:2] == (1, filedb.ChangeKind.PUT) and first[3:] == (None, b"planet", b"earth")
        assert second.expiry_ms is not None and second.expiry_ms > second.time_ms and second.value == b""
        threading.Timer(0.01, lambda: db.delete(b"planet")).start()
        assert next(iter(changes)).kind is filedb.ChangeKind.DELETE
        with pytest.raises(filedb.Gap):
            db.changes(db.last_seq() + 1).next()
        changes.close()
        changes.close()
        with pytest.raises(filedb.ClosedError):
            changes.next(0)
        left = db.changes(db.last_seq())
    with pytest.raises(filedb.ClosedError):
        left.next()
