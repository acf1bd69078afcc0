"""What is said at the end of a run: a table per split, failures, and where to look. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seewhy.values import Json

MOST_FAILURES = 10


@dataclass(frozen=True)
class SplitLine:
    """A split's row of the table; ``accuracy`` is None where no record has a label that counts."""

    split: str
    explained: int
    failed: int
    accuracy: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The end of a run as it is shown, in plain values.

    ``failed`` records were asked for and failed, the first of them are told in ``failures`` as
    ``split/id: stage: error``. ``notes`` are lines about what was chosen or does not apply, ``graded`` those of grades.
    ``address`` is where a run in a store lies, of which this machine has a copy.
    """

    reused: int
    computed: int = 0
    seconds: float = 0.0
    splits: Sequence[SplitLine] = ()
    failed: int = 0
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()
    graded: Sequence[str] = ()
    interrupted: bool = False
    report: str | None = None
    address: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Plain values, of which :meth:`from_json` makes the same again."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Outcome:
        """The inverse of :meth:`to_json`. Raises ``TypeError`` or ``KeyError`` for another mapping.

        Example:
            >>> outcome = Outcome(3, splits=[SplitLine("test", 3, 0, 1.0)])
            >>> Outcome.from_json(outcome.to_json()) == outcome
            True
        """
        return cls(**{**said, "splits": [SplitLine(**line) for line in said["splits"]]})


def show_outcome(console: Console, outcome: Outcome, output_dir: Path) -> None:
    """Print it; ``output_dir`` is the run directory that it is about."""
    table = Table("split", "explained", "failed", "accuracy", title="in the run directory", title_justify="left")
    for line in outcome.splits:
        accuracy = "–" if line.accuracy is None else f"{line.accuracy:.1%}"
        table.add_row(line.split, str(line.explained), str(line.failed), accuracy)
    console.print(table)
    for text in _lines(outcome, output_dir):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _lines(outcome: Outcome, output_dir: Path) -> list[str]:
    speed = f" ({outcome.computed / outcome.seconds:.1f} records/s)" if outcome.computed else ""
    lines = [f"{outcome.computed} computed{speed}, {outcome.reused} reused, in {outcome.seconds:.1f} s", *outcome.notes]
    if outcome.failed:
        lines.append(f"{outcome.failed} records failed (all in {output_dir / 'failures.json'}):")
        lines += [f"  {failure}" for failure in outcome.failures]
    if outcome.interrupted:
        lines.append("interrupted; the same command goes on from here")
    if outcome.address is None:
        lines.append(f"artifacts: {output_dir.resolve()}")
    else:
        lines += [f"artifacts: {outcome.address}", f"copy on this machine: {output_dir.resolve()}"]
    if outcome.report is not None:
        lines.append(f"report: {(output_dir / outcome.report).resolve()} (open it in a browser)")
    return [*lines, *outcome.graded]
