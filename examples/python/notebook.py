"""A look at a week of measurements, cell by cell, as in a notebook: python notebook.py DIR

What was measured is in a store that outlives the notebook; run it again and it goes on with what is there.
"""

# %% Open the store
import json
import math
import sys
from collections import defaultdict

import filedb

db = filedb.open(sys.argv[1] if len(sys.argv) > 1 else "measurements")
print(f"{len(db)} entries so far, filedb {filedb.library_version()}")

# %% Measure: three stations, one value an hour. A batch is written whole, or not at all.
if "week" not in db:
    with db.batch() as batch:
        for hour in range(7 * 24):
            for station, base in (("lake", 12), ("peak", -3), ("town", 18)):
                celsius = base + 5 * math.sin((hour - 8) / 24 * 2 * math.pi) + hour / 100
                batch[f"{station}/{hour:03}"] = json.dumps({"celsius": round(celsius, 2)})
        batch["week"] = "47"
print(f"{len(db)} entries in week {db['week'].decode()}")

# %% One station: keys have no order, so sort them
first_day = sorted(key for key in db.key_list("peak/") if key < b"peak/024")
for key, value in list(zip(first_day, db.get_many(first_day)))[::6]:
    print(key.decode(), value.decode())

# %% All stations in one walk, many rows for one call of the library
by_station = defaultdict(list)
for key, value in db.scan():
    station, _, hour = key.decode().partition("/")
    if hour:
        by_station[station].append(json.loads(value)["celsius"])
for station, values in sorted(by_station.items()):
    print(f"{station}: {min(values):6.2f} to {max(values):6.2f}, mean {sum(values) / len(values):6.2f}")

# %% An expensive result is kept for an hour
if (summary := db.get("summary")) is None:
    summary = json.dumps({station: len(values) for station, values in sorted(by_station.items())}).encode()
    db.put("summary", summary, ttl=3600)
    print("computed", summary.decode())
else:
    print("remembered", summary.decode(), f"for {db.ttl('summary'):.0f} s more")

# %% What goes wrong says what it is about
try:
    filedb.open(db.path)
except filedb.LockedError as why:
    print("of course:", why)

# %% Done: everything is on the disk when this returns
db.close()
