"""Named places where a kill test ends the process, to prove that a run survives it.

With ``SEEWHY_FAILPOINT=name:count`` in the environment the process sends itself SIGKILL at the count-th reach of that
point; ``*:count`` counts every point. Without it a point does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter

VARIABLE = "SEEWHY_FAILPOINT"

_reached: Counter[str] = Counter()
_counting = threading.Lock()


def reach(name: str) -> None:
    """Say that the process is at the place ``name``."""
    if VARIABLE in os.environ:
        _kill_when_due(name)


def _kill_when_due(name: str) -> None:
    point, _, count = os.environ[VARIABLE].rpartition(":")
    if point in ("*", name):
        with _counting:
            _reached[point] += 1
            if _reached[point] == int(count):
                os.kill(os.getpid(), signal.SIGKILL)
