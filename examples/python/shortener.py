"""Short names for long addresses: shortener.py STORE add NAME URL SECONDS | visit NAME TIMES | list

A name ends by itself. Four threads visit at once; a hit that was printed is never lost, whoever is killed.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import filedb


def add(db: filedb.Store, name: str, url: str, seconds: str) -> None:
    if not db.put(f"url/{name}", url, ttl=float(seconds), if_absent=True):
        sys.exit(f"shortener: {name} is taken")


def visit(db: filedb.Store, name: str, times: str) -> None:
    def visits() -> None:
        for _ in range(int(times)):
            url = db[f"url/{name}"]
            hits = db.increment(f"hits/{name}")
            sys.stdout.write(f"{url.decode()} {hits}\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(4) as threads:
        for ended in [threads.submit(visits) for _ in range(4)]:
            ended.result()


def show(db: filedb.Store) -> None:
    for key in db.key_list("url/", sort=True):
        print(key.decode().removeprefix("url/"))


if __name__ == "__main__":
    _, store, command, *rest = sys.argv
    with filedb.open(store) as db:
        try:
            {"add": add, "visit": visit, "list": show}[command](db, *rest)
        except KeyError as missing:
            sys.exit(f"shortener: there is no {missing}")
