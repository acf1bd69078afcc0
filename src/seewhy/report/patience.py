"""How long a live question may take, and whether anybody still waits for it: looked at between passes of a model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from seewhy.values import SeewhyError


class LiveError(SeewhyError):
    """A question cannot be put to a model that is asked while people look. Codes ``SW-W..``."""


class Patience:
    """A number of seconds from when a question's turn comes, and a flag that ends it sooner, from any thread.

    Nothing can stop a pass through a model; :meth:`check` is called before each.

    Example:
        >>> patience = Patience(seconds=60)
        >>> patience.check()
        >>> patience.end("nobody waits for the answer any more")
        >>> patience.check()
        Traceback (most recent call last):
            ...
        seewhy.report.patience.LiveError: [SW-W45] nobody waits for the answer any more
          fix: ask again
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = math.inf
        self._ended = ""

    def begin(self) -> None:
        """The question's turn has come."""
        self._until = self._clock() + self.seconds

    def end(self, why: str) -> None:
        """The answer is not wanted any more."""
        self._ended = why

    def check(self) -> None:
        """Raises ``LiveError`` SW-W45 where the answer is not wanted any more, SW-W56 where it took too long."""
        if self._ended:
            raise LiveError("SW-W45", self._ended, fix="ask again")
        if self._clock() > self._until:
            raise LiveError(
                "SW-W56", f"the question took longer than {self.seconds:g} seconds, and was left",
                fix="ask for less (fewer samples, one metric), or start with --question-seconds N",
            )  # fmt: skip
