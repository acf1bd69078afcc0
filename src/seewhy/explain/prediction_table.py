"""Predictions as a CSV file that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from seewhy.explain.drawing import Destination
from seewhy.explain.result import Result

COLUMNS: Final = (
    "image",
    "predicted_class",
    "label",
    "confidence",
    "target_class",
    "target_label",
    "method",
    "target_layer",
    "score",
    "save_path",
    "error",
)
FORMULA: Final = tuple("=+-@＝＋－＠\t\r\n")


def save_predictions(
    results: Result | Mapping[str, Result] | Iterable[Result], path: Destination = "predictions.csv"
) -> Path:
    """Write one row per result, in their order, as UTF-8; returns where.

    Text that a spreadsheet would read as a formula, also behind spaces, gets a leading apostrophe. Numbers keep all
    their digits.
    """
    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(table_of(results).encode("utf-8"))
    return target


def table_of(results: Result | Mapping[str, Result] | Iterable[Result]) -> str:
    """The same as text.

    >>> row = Result({"label": "=cmd|x", "confidence": 0.5})
    >>> table_of([row]).splitlines()[1]
    ",,'=cmd|x,0.5,,,,,,,"
    """
    if isinstance(results, Result):
        results = [results]
    elif isinstance(results, Mapping):
        results = results.values()
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")  # RFC 4180; a lone carriage return in a text is quoted only so
    writer.writerow(COLUMNS)
    writer.writerows([_cell(result.get(name)) for name in COLUMNS] for result in results)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) or value.lstrip().startswith(FORMULA) else value
    return repr(value)
