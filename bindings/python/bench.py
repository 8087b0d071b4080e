"""What a get costs in Python: `python bench.py [--check]`. With --check it fails where Python adds more than 2 us.

An empty call of ctypes is taken off, because that is what any library costs; the rest holds the C call itself too, so
what this binding adds is less than what is printed. The fastest of many rounds counts, for other programs run here too.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from time import perf_counter_ns

import filedb
from filedb._native import lib

KEYS, ROUNDS, CALLS, MOST_NS = 100_000, 200, 1000, 2000


def fastest_ns(call: Callable[[], object]) -> float:
    """Nanoseconds of one call, and of the loop around it."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = perf_counter_ns()
        for _ in range(CALLS):
            call()
        best = min(best, perf_counter_ns() - began)
    return best / CALLS


def main() -> int:
    with tempfile.TemporaryDirectory() as directory, filedb.open(directory + "/store", sync="none") as db:
        value = b"v" * 100
        for i in range(KEYS):
            db[b"key%013d" % i] = value
        key = b"key%013d" % 77
        loop = fastest_ns(lambda: None)
        empty = fastest_ns(lambda: lib.filedb_version_number()) - loop
        get = fastest_ns(lambda: db.get(key)) - loop
        getitem = fastest_ns(lambda: db[key]) - loop
        put = fastest_ns(lambda: db.__setitem__(key, value)) - loop
        began = perf_counter_ns()
        rows = sum(1 for _ in db.scan())
        scan = (perf_counter_ns() - began) / rows
        began = perf_counter_ns()
        walk, rows = db.scan(), 0
        while walk.one() is not None:
            rows += 1
        one = (perf_counter_ns() - began) / rows
        keys = [b"key%013d" % (i * 7919 % KEYS) for i in range(10_000)]
        began = perf_counter_ns()
        db.get_many(keys)
        many = (perf_counter_ns() - began) / len(keys)
    print(f"empty call {empty:.0f} ns, get {get:.0f}, db[key] {getitem:.0f}, db[key] = value {put:.0f} (one key, cached)")
    print(f"per row: scan {scan:.0f} ns, row by row {one:.0f}, get_many {many:.0f}")
    print(f"a get costs {get - empty:.0f} ns more than an empty call, the work of the library included")
    return 1 if "--check" in sys.argv and get - empty > MOST_NS else 0


if __name__ == "__main__":
    sys.exit(main())
