"""What is kept of a stage however often it ran: count, mean and spread of its seconds, and the most memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MEGABYTE: Final = 2**20


@dataclass
class Tally:
    """Seconds of one stage's calls, added one by one or whole tallies at once.

    ``own`` are the seconds outside stages nested in it; ``squares`` the sum of squared differences from the mean.
    ``memory`` holds megabytes by name, the highest of all calls.

    Example:
        >>> tally = Tally()
        >>> for seconds in (1.0, 3.0):
        ...     tally.add(seconds, seconds)
        >>> tally.count, tally.mean, tally.std
        (2, 2.0, 1.0)
    """

    count: int = 0
    total: float = 0.0
    own: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    memory: dict[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean of the seconds."""
        return self.total / self.count

    @property
    def std(self) -> float:
        """The standard deviation of these very calls (the population's: divided by their count)."""
        return math.sqrt(self.squares / self.count)

    def add(self, seconds: float, own: float, memory: Mapping[str, float] | None = None) -> None:
        """One more call."""
        self.join(Tally(1, seconds, own, 0.0, seconds, seconds, dict(memory or {})))

    def join(self, other: Tally) -> None:
        """The calls of another tally as well; the pairwise update of Chan, Golub and LeVeque (1983)."""
        if not other.count:
            return
        if self.count:
            weight = self.count * other.count / (self.count + other.count)
            self.squares += (other.mean - self.mean) ** 2 * weight
        self.squares += other.squares
        self.count += other.count
        self.total += other.total
        self.own += other.own
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        for name, megabytes in other.memory.items():
            self.memory[name] = max(megabytes, self.memory.get(name, -math.inf))

    def facts(self) -> dict[str, float]:
        """The numbers by the names that ``get_stats`` gives them."""
        times = {
            "count": self.count,
            "total": self.total,
            "mean": self.mean,
            "std": self.std,
            "min": self.least,
            "max": self.most,
            "own": self.own,
        }
        return {**times, **self.memory}

    @classmethod
    def of(cls, facts: Mapping[str, float]) -> Tally:
        """The tally that :meth:`facts` told of.

        Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else.
        """
        wrong = {
            name: number
            for name, number in facts.items()
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number)
        }
        if wrong or facts["count"] < 1 or facts["std"] < 0:
            raise ValueError(f"no numbers of a stage: {wrong or dict(facts)}")
        times = ("count", "total", "mean", "std", "min", "max", "own")
        memory = {name: number for name, number in facts.items() if name not in times}
        count = int(facts["count"])
        squares = facts["std"] ** 2 * count
        return cls(count, facts["total"], facts["own"], squares, facts["min"], facts["max"], memory)
