"""Files made from the grades of a run: a table of every grade, means with their intervals, and the verdict."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from seewhy.metrics.controls import CONTROLS
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.intervals import Interval
from seewhy.pipeline.grade_table import GradedInput
from seewhy.registry import METRICS
from seewhy.store.names import safe_name
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Artifact, Json

HEAD: Final = (
    "record_id", "label", "predicted", "class", "input", "method", "control", "metric", "better", "value", "reason",
)  # fmt: skip
KIND: Final = "metrics"


def export_grades(directory: RunDirectory, graded: Sequence[GradedInput]) -> Iterator[Artifact]:
    """Write ``metrics/<split>_metrics.csv``, ``summary.json``, ``verdict.json`` and ``verdict.md``.

    Nothing is written without grades. Everything the directory holds is written, asked for in this run or before.
    """
    if not graded:
        return
    for split in dict.fromkeys(one.split for one in graded):
        text = "".join([_row(HEAD), *(row for one in graded if one.split == split for row in rows_of(one))])
        yield directory.write_file(f"metrics/{safe_name(split)}_metrics.csv", text.encode(), kind=KIND)
    yield directory.write_file("metrics/summary.json", _json(summary_of(graded)), kind=KIND)
    verdicts = [(one, found) for one in graded if (found := one.verdict) is not None]
    if verdicts:
        told: dict[str, dict[str, Json]] = {}
        for one, found in verdicts:
            told.setdefault(one.split, {})[one.input_name] = found.to_json()
        yield directory.write_file("metrics/verdict.json", _json(told), kind=KIND)
        pages = [f"# {title(one, graded)}\n\n{found.markdown().strip()}\n" for one, found in verdicts]
        yield directory.write_file("metrics/verdict.md", "\n".join(pages).encode(), kind=KIND)


def title(one: GradedInput, graded: Sequence[GradedInput]) -> str:
    """What a part of a report is about: the split, and the input where there are several."""
    several = len({other.input_name for other in graded}) > 1
    return f"{one.split}, {one.input_name}" if several else one.split


def rows_of(one: GradedInput) -> Iterator[str]:
    """A line of CSV for each grade of each record; a value that does not exist is empty, and the reason is told."""
    for number, line in enumerate(one.lines):
        for place, column in enumerate(one.columns):
            value = one.values[number, place]
            reason = one.reasons.get((number, place), "")
            if np.isfinite(value) or reason:
                yield _row((
                    line.record_id, _cell(line.label), _cell(line.predicted), _cell(line.asked), one.input_name,
                    column.who, "yes" if column.control else "no", column.metric, METRICS[column.metric].better,
                    str(value) if np.isfinite(value) else "", reason,
                ))  # fmt: skip


def summary_of(graded: Sequence[GradedInput]) -> dict[str, Json]:
    """Means with 95 % intervals by split, input and metric, of all records and of those of each class.

    Each holds the methods and, beside them, the controls. Values that do not exist are left out and counted: ``n`` of
    ``of`` records have one.
    """
    splits: dict[str, dict[str, Json]] = {}
    for one in graded:
        splits.setdefault(one.split, {})[one.input_name] = _of_input(one)
    return {"controls": list(CONTROLS), "level": 0.95, "splits": splits}


def _of_input(one: GradedInput) -> dict[str, Json]:
    book = one.book
    metrics = {}
    if book is not None:
        classes = sorted({label for label in book.labels if label})
        books = {label: book.of_class(label) for label in classes}
        metrics = {
            metric: {
                "family": book.family(metric),
                "better": book.better(metric),
                "range": [_number(end) for end in METRICS[metric].range],
                "all": _means(book, metric),
                "by_class": {label: _means(each, metric) for label, each in books.items()},
            }
            for metric in book.metrics
        }
    return {"records": len(one.lines), "passes": dict(one.costs), "metrics": metrics, "missing": one.missing}


def _means(book: Gradebook, metric: str) -> dict[str, Json]:
    who = [name for name, row in book.values.items() if metric in row]
    return {name: interval_json(book.interval(name, metric)) for name in who}


def interval_json(found: Interval) -> dict[str, Json]:
    """An interval as plain values, None for what cannot be told."""
    return {
        "mean": _number(found.mean), "low": _number(found.low), "high": _number(found.high), "n": found.n,
        "of": found.of,
    }  # fmt: skip


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(value)


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)


def _row(cells: Sequence[str]) -> str:
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\n").writerow(cells)
    return sheet.getvalue()


def _json(value: Json) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
