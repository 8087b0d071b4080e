from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import filedb


@pytest.fixture(params=["mmap", "pread"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[filedb.Store]:
    with filedb.open(tmp_path / "store", io=request.param) as store:
        yield store
