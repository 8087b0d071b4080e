"""The module uses all of the C API, as it is declared today."""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path
from typing import Any

import pytest

import filedb
from filedb import _abi

BINDINGS = Path(__file__).resolve().parents[2]
API = json.loads((BINDINGS / "api.json").read_text())


def test_no_function_of_the_c_api_is_missing() -> None:
    package = Path(filedb.__file__).parent
    sources = "\n".join(path.read_text() for path in package.glob("*.py") if path.name != "_abi.py")
    used = set(re.findall(r"\b(?:lib|library)\.(filedb_\w+)", sources))
    missing = [one["name"] for one in API["functions"] if one["name"] not in used]
    assert not missing, f"the Python binding does not use {', '.join(missing)}"


def test_declarations_agree_with_the_description() -> None:
    functions: dict[str, tuple[object, list[object]]] = _abi.FUNCTIONS  # type: ignore[assignment]
    assert list(functions) == [one["name"] for one in API["functions"]]
    for one in API["functions"]:
        assert len(functions[one["name"]][1]) == len(one["parameters"]), one["name"]
    for one in API["constants"]:
        assert getattr(_abi, one["name"]) == one["value"]


def test_every_error_status_has_an_exception_of_its_own() -> None:
    statuses = [one["value"] for one in API["constants"] if "_ERR_" in one["name"]]
    assert sorted(filedb.errors.BY_STATUS) == sorted(statuses)
    assert len(set(filedb.errors.BY_STATUS.values())) == len(statuses)
    for kind in filedb.errors.BY_STATUS.values():
        assert getattr(filedb, kind.__name__) is kind and kind.__name__ in filedb.__all__


def test_structs_have_the_sizes_of_c() -> None:
    assert ctypes.sizeof(_abi.filedb_error_t) == 288
    assert ctypes.sizeof(_abi.filedb_put_options_t) == 16
    assert ctypes.sizeof(_abi.filedb_pinned_t) == 24
    assert ctypes.sizeof(_abi.filedb_slice_t) == 16


def test_versions_agree() -> None:
    assert filedb.__version__ == _abi.VERSION == API["version"]
    assert filedb.library_version().split(".")[0] == _abi.VERSION.split(".")[0]


def test_options_are_those_of_the_library(tmp_path: Path) -> None:
    options = {option.name: option for option in filedb.describe_options()}
    assert options["sync"].values == "none | interval | always" and options["sync"].default == "interval"
    assert options["max_file_size"].help
    # Each default is something that open() takes.
    defaults: dict[str, Any] = {option.name: option.default for option in options.values()}
    with filedb.open(tmp_path / "store", **defaults) as db:
        db[b"key"] = b"value"


@pytest.mark.parametrize("name", filedb.__all__)
def test_everything_exported_is_there_and_documented(name: str) -> None:
    thing = getattr(filedb, name)
    assert isinstance(thing, str) or thing.__doc__
