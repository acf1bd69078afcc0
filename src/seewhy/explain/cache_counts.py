"""How often a cache had what it was asked for, kept something, or was passed by and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

from seewhy.explain.cache_forks import lock_over_forks


class Counts:
    """Counters that several threads may add to.

    >>> counts = Counts()
    >>> counts.looked(hits=1, misses=3)
    >>> counts.told()["hit_rate"]
    0.25
    """

    def __init__(self) -> None:
        self._lock = lock_over_forks()
        self._numbers: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def looked(self, *, hits: int = 0, misses: int = 0) -> None:
        """Images that were there and were not."""
        with self._lock:
            self._numbers["hits"] += hits
            self._numbers["misses"] += misses

    def kept(self, stored: int) -> None:
        """Explanations written."""
        with self._lock:
            self._numbers["stored"] += stored

    def passed_by(self, reason: str, images: int) -> None:
        """Images explained without the cache."""
        with self._lock:
            self._reasons[reason] += images

    def told(self) -> dict[str, Any]:
        """``hits``, ``misses``, ``hit_rate`` (None before the first look), ``stored``, ``passed_by``, ``reasons``."""
        with self._lock:
            hits, misses = self._numbers["hits"], self._numbers["misses"]
            return {
                "hits": hits,
                "misses": misses,
                "hit_rate": hits / (hits + misses) if hits + misses else None,
                "stored": self._numbers["stored"],
                "passed_by": self._reasons.total(),
                "reasons": dict(self._reasons),
            }
