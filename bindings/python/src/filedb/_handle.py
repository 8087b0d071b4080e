"""What the objects that hold a handle of the library have in common: none of them can be copied or pickled."""

from __future__ import annotations

from typing import NoReturn


class Handle:
    """Refuses copies. A handle is an address in this process: a second owner would free it twice, and in another process
    (which multiprocessing sends its arguments to as pickles) it points to nothing."""

    __slots__ = ()

    #: What to do in place of copying.
    _in_place_of_a_copy = ""

    # copy, deepcopy and pickle all come here, for every protocol.
    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a filedb.{type(self).__name__} cannot be copied or pickled: {self._in_place_of_a_copy}")
