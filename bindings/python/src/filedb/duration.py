"""How long a key has to live, as Python and as C say it."""

from __future__ import annotations

from datetime import timedelta
from typing import Union

#: Seconds, or a timedelta.
Duration = Union[int, float, timedelta]


def milliseconds(duration: Duration) -> int:
    if isinstance(duration, timedelta):
        count: int | float = duration // timedelta(milliseconds=1)
    elif isinstance(duration, (int, float)):
        count = duration * 1000
    else:
        raise TypeError(f"a time to live is a number of seconds or a timedelta, not {type(duration).__name__}")
    if not count >= 0:
        raise ValueError("a time to live cannot be negative, or no number")
    # What is longer than C can count is the longest that it can, infinity too.
    return round(min(count, 2**64 - 1))
