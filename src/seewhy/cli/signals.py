"""Ctrl-C and termination, asked politely: what is at hand is finished first, a second signal ends at once."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any


class Stop:
    """Collects SIGINT and SIGTERM inside its ``with`` block; the handlers found there are put back afterwards.

    ``at_hand`` is what is finished first.
    """

    def __init__(self, at_hand: str = "the shard at hand") -> None:
        self._at_hand = at_hand
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether someone asked to stop."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process ended by that signal."""
        return 128 + (self.signal or signal.SIGINT)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
        self.signal = number
        print(f"\nfinishing {self._at_hand}, then stopping; once more stops at once", file=sys.stderr, flush=True)
