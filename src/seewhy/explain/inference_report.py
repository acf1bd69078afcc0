"""What each way of running a model faster gave on an example, and whether it was kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """One way that was tried.

    ``ratio`` is its seconds over those without it, the median of runs in turns; ``difference`` the largest change of an
    output, relative to the range of the outputs. Both are None where it could not be tried.
    """

    name: str
    kept: bool
    reason: str
    ratio: float | None = None
    difference: float | None = None

    def __str__(self) -> str:
        numbers = (
            "" if self.ratio is None else f"{self.ratio:.2f} × the time, outputs differ by {self.difference:.1e}; "
        )
        return f"{self.name}: {'kept' if self.kept else 'dropped'}: {numbers}{self.reason}"


@dataclass(frozen=True)
class OptimizationReport:
    """All candidates in the order in which they were tried, each on top of those kept before it."""

    candidates: tuple[Candidate, ...]
    example: str

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of what is kept."""
        return tuple(one.name for one in self.candidates if one.kept)

    @property
    def speedup(self) -> float:
        """How many times as fast a plain call is with all that was kept, from the measured ratios.

        Example:
            >>> both = (Candidate("a", True, "", ratio=0.5), Candidate("b", False, "", ratio=0.1))
            >>> OptimizationReport(both, "").speedup
            2.0
        """
        found = 1.0
        for one in self.candidates:
            if one.kept and one.ratio is not None:
                found /= one.ratio
        return found

    def __str__(self) -> str:
        lines = [f"measured on {self.example}", *(f"  {one}" for one in self.candidates)]
        return "\n".join(lines)
