"""How high memory went while each of several overlapping stages was open, from looks at one gauge."""

from __future__ import annotations

from dataclasses import dataclass

from seewhy.profiling.gauges import Gauge
from seewhy.profiling.tally import MEGABYTE


@dataclass(eq=False)
class Climb:
    """Bytes of one open stage: at its ``start``, the ``peak`` certainly reached since, and the ``limit`` not passed."""

    start: int
    peak: int
    limit: int


class Climbs:
    """The climbs of all open stages over one gauge; its owner sees to it that one thread looks at a time.

    A gauge tells one peak for the whole process. Where it rose since the last look, every open stage saw it rise; where
    it did not, a stage's own peak lies between what was held at the looks and that peak. With ``resets`` each look
    begins a new peak, so that the next tells of its own interval alone.

    Example:
        >>> class Scripted:
        ...     name, looks = "memory", iter([(10, 90), (20, 90), (5, 95)])
        ...     read, reset = lambda self: next(self.looks), lambda self: False
        >>> climbs = Climbs(Scripted(), resets=False)
        >>> outer = climbs.begin()
        >>> climbs.begin()
        Climb(start=20, peak=20, limit=20)
        >>> climbs.end(outer), outer
        (None, Climb(start=10, peak=95, limit=95))
    """

    def __init__(self, gauge: Gauge, resets: bool) -> None:
        self.gauge = gauge
        self._resets = resets
        self._open: list[Climb] = []
        self._last: int | None = None

    def begin(self) -> Climb:
        """A stage begins; where the gauge sees nothing yet, as before CUDA is used, nothing is held."""
        seen = self._look()
        held = 0 if seen is None else seen[0]
        climb = Climb(held, held, held)
        self._open.append(climb)
        return climb

    def end(self, climb: Climb) -> None:
        """A stage ends: its climb holds its peak."""
        self._look()
        self._open.remove(climb)

    def facts(self, climb: Climb) -> dict[str, float]:
        """Megabytes by name: the peak, the most it can have been, and how far both are above the start.

        None of them where the gauge has seen nothing so far.
        """
        if self._last is None:
            return {}
        name = self.gauge.name
        return {
            f"peak_{name}_mb": climb.peak / MEGABYTE,
            f"peak_{name}_at_most_mb": climb.limit / MEGABYTE,
            f"added_{name}_mb": (climb.peak - climb.start) / MEGABYTE,
            f"added_{name}_at_most_mb": (climb.limit - climb.start) / MEGABYTE,
        }

    def _look(self) -> tuple[int, int] | None:
        seen = self.gauge.read()
        if seen is None:
            return None
        held, peak = seen
        rose = self._last is not None and peak > self._last
        for climb in self._open:
            climb.peak = max(climb.peak, held, peak if rose else held)
            climb.limit = max(climb.limit, peak)
        # After a reset the next peak is that of its interval, whatever it is.
        self._last = -1 if self._resets and self.gauge.reset() else peak
        return seen
