"""How many records' pictures have been drawn, said now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console

SECONDS: Final = 10.0
"""Between one line and the next."""


class DrawnRecords:
    """Is called with each further number of records, and says their sum on ``console``.

    Example:
        >>> import sys
        >>> seconds = iter([0.0, 4.0, 11.0])
        >>> drawn = DrawnRecords(Console(file=sys.stdout), clock=lambda: next(seconds))
        >>> drawn(1)
        >>> drawn(2)
        pictures of 3 records drawn so far
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._records, self._said_at = 0, clock()

    def __call__(self, records: int) -> None:
        self._records += records
        if (now := self._clock()) - self._said_at >= SECONDS:
            self._console.print(f"pictures of {self._records} records drawn so far", markup=False, highlight=False)
            self._said_at = now
