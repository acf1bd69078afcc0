"""Grades on a terminal: a row for each method and control, a column for each metric, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from seewhy.cli.layers import aligned

if TYPE_CHECKING:
    from seewhy.metrics.gradebook import Gradebook
    from seewhy.pipeline.grade_table import GradedInput

ARROWS: Final[Mapping[str, str]] = {"higher": "↑", "lower": "↓", "neither": ""}
NOTHING: Final = "–"


def grade_lines(graded: Sequence[GradedInput]) -> Iterator[str]:
    """Everything that is printed of a run's grades."""
    from seewhy.pipeline.grade_exports import title

    for one in graded:
        yield ""
        yield f"{title(one, graded)}: {len(one.lines)} records, mean [95 % interval], ↑ more and ↓ less is better"
        if one.book is not None:
            yield from table(one.book)
        for metric, whys in one.missing.items():
            yield from (
                f"{metric}: no value for {count} of {len(one.lines)} records: {why}" for why, count in whys.items()
            )
        if one.verdict is not None:
            yield ""
            yield one.verdict.text()


def table(book: Gradebook) -> list[str]:
    """Methods, then controls, by metrics. A metric that no control has a value of is left out: alone it says nothing.

    Example:
        >>> from seewhy.metrics.gradebook import Gradebook
        >>> values = {"gradcam": {"gini": [0.5, 0.5], "deletion": [0.1, 0.1]}, "random": {"gini": [0.25, 0.25]}}
        >>> print("\\n".join(table(Gradebook(("a", "b"), values))))
                           gini
        gradcam            0.50 [0.50, 0.50]
        random (control)   0.25 [0.25, 0.25]
        not shown without a control beside it: deletion
    """
    shown = [metric for metric in book.metrics if any(_has(book, who, metric) for who in book.present_controls)]
    rows = [["", *(f"{metric} {ARROWS[book.better(metric)]}".rstrip() for metric in shown)]]
    rows += [[who, *(_cell(book, who, metric) for metric in shown)] for who in book.methods]
    rows += [[f"{who} (control)", *(_cell(book, who, metric) for metric in shown)] for who in book.present_controls]
    hidden = [metric for metric in book.metrics if metric not in shown]
    lines = aligned(rows) if shown else []
    return [*lines, f"not shown without a control beside it: {', '.join(hidden)}"] if hidden else lines


def _has(book: Gradebook, who: str, metric: str) -> bool:
    return book.interval(who, metric).n > 0


def _cell(book: Gradebook, who: str, metric: str) -> str:
    found = book.interval(who, metric)
    if not found.n:
        return NOTHING
    return str(found) if found.n == found.of else f"{found} ({found.n} of {found.of})"
