"""A table of points in films, where somebody looked or touched: read, checked and sorted by record."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from seewhy.data.manifest_table import Cells, cell_text, read_cells
from seewhy.data.settings import check_choice
from seewhy.values import DataError, Json, nearest

COORDINATES: Final = ("pixels", "fraction")
IDENTITIES: Final = ("record_id", "clip")
MOMENTS: Final = ("frame", "time")


@dataclass(frozen=True)
class Points:
    """The points of one record in the order of time.

    ``moments`` ``(n,)`` are frame numbers from 0 or seconds from the first frame, ``places`` ``(n, 2)`` are ``(x, y)``
    as the table has them; rows without a place (the eye was not tracked) are ``missing``. ``facts`` are the table's
    other columns: one value where all rows agree, all texts where they do not.
    """

    moments: Float64[np.ndarray, " n"]
    places: Float64[np.ndarray, "n 2"]
    missing: int = 0
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class GazeTable:
    """The points of every record that has some, by id; ``strangers`` are ids of the table that no record has."""

    name: str
    in_seconds: bool
    fractions: bool
    records: Mapping[str, Points]
    strangers: tuple[str, ...]


def read_gaze_table(table: Path, record_ids: Sequence[str], coordinates: str | None = None) -> GazeTable:
    """A CSV, TSV or Parquet table with one row per point.

    Columns: ``record_id``, or ``clip`` with the last part of the id (the name of the film or folder); ``frame`` (a
    number from 0) or ``time`` (seconds from the first frame), ``frame`` where both are there; ``x`` and ``y`` from the
    upper left corner of the upright frame, in pixels (pixel ``i`` covers ``[i, i + 1]``) or as fractions of its width
    and height. A table without these three tells facts only. All other columns are facts of the record.

    Raises ``DataError``: SW-D03 no rows, SW-D16 no table, SW-D01 unknown ``coordinates``, SW-D113 a column is missing,
    SW-D114 a cell is not what its column says, SW-D115 pixels or fractions cannot be told, SW-D116 no id is a
    record's, SW-D117 a ``clip`` is the name of several records.
    """
    columns, rows = read_cells(table)
    identity = _identity(table, columns)
    moment = _moment(table, columns)
    known = _known(identity, record_ids)
    sorted_rows: dict[str, list[tuple[int, Cells]]] = defaultdict(list)
    for line, row in enumerate(rows, start=2):
        sorted_rows[_id_of(table, identity, line, row, known)].append((line, row))
    strangers = tuple(sorted(set(sorted_rows) - set(known.values())))
    if len(strangers) == len(sorted_rows):
        raise DataError(
            "SW-D116",
            f"{table.name}: none of its {len(strangers)} {identity}s is a record of this data set",
            fix=f"write the record ids, such as {record_ids[0]!r}, or name the column clip and write the film's name",
            near=nearest(strangers[0], list(known)),
        )
    others = [name for name in columns if name not in {identity, *MOMENTS, "x", "y"}]
    records = {
        record_id: _points(table, moment, sorted_rows[record_id], others)
        for record_id in sorted_rows
        if record_id not in strangers
    }
    return GazeTable(table.name, moment == "time", _fractions(table, coordinates, records.values()), records, strangers)


def _identity(table: Path, columns: Sequence[str]) -> str:
    found = [name for name in IDENTITIES if name in columns]
    if not found:
        raise _no_column(table, columns, "record_id (or clip)")
    return found[0]


def _moment(table: Path, columns: Sequence[str]) -> str | None:
    """The column of time; None where the table has no points at all."""
    moments = [name for name in MOMENTS if name in columns]
    places = [name for name in ("x", "y") if name in columns]
    if not moments and not places:
        return None
    if not moments:
        raise _no_column(table, columns, "frame (or time)")
    for name in ("x", "y"):
        if name not in places:
            raise _no_column(table, columns, name)
    return moments[0]


def _no_column(table: Path, columns: Sequence[str], name: str) -> DataError:
    return DataError(
        "SW-D113",
        f"{table.name} has no column {name}; its columns are {', '.join(columns)}",
        fix="name the columns record_id or clip, frame or time, x and y; all others are facts of the record",
        near=nearest(name.partition(" ")[0], columns),
    )


def _known(identity: str, record_ids: Sequence[str]) -> dict[str, str]:
    """The record of each identity that may stand in the table; a name that several records have stays out."""
    if identity == "record_id":
        return {record_id: record_id for record_id in record_ids}
    named: dict[str, list[str]] = defaultdict(list)
    for record_id in record_ids:
        named[record_id.rpartition("/")[2]].append(record_id)
    return {name: ids[0] if len(ids) == 1 else "" for name, ids in named.items()}


def _id_of(table: Path, identity: str, line: int, row: Cells, known: Mapping[str, str]) -> str:
    name = cell_text(row[identity])
    if name is None:
        raise _bad_cell(table, line, identity, row[identity], "is empty")
    record_id = known.get(name, name)
    if not record_id:
        raise DataError(
            "SW-D117",
            f"{table.name}, line {line}: several records are called {name!r}",
            fix="write their whole ids in a column record_id",
        )
    return record_id


def _points(table: Path, moment: str | None, rows: Sequence[tuple[int, Cells]], others: Sequence[str]) -> Points:
    facts = dict(_facts([row for _, row in rows], others))
    if moment is None:
        return Points(np.empty(0), np.empty((0, 2)), 0, facts)
    found, missing = [], 0
    for line, row in rows:
        x, y = _number(table, line, "x", row["x"]), _number(table, line, "y", row["y"])
        if math.isnan(x) or math.isnan(y):
            missing += 1
            continue
        when = _number(table, line, moment, row[moment])
        if not math.isfinite(when) or (moment == "frame" and when % 1):
            raise _bad_cell(table, line, moment, row[moment], "is no number" if moment == "time" else "is no frame")
        found.append((when, x, y))
    values = np.array(found, np.float64).reshape(-1, 3)
    values = values[np.argsort(values[:, 0], kind="stable")]
    return Points(values[:, 0], values[:, 1:], missing, facts)


def _number(table: Path, line: int, column: str, cell: Any) -> float:
    """A cell as a number, NaN where it is empty."""
    if cell_text(cell) is None:
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise _bad_cell(table, line, column, cell, "is no number") from error


def _bad_cell(table: Path, line: int, column: str, cell: Any, problem: str) -> DataError:
    return DataError(
        "SW-D114",
        f"{table.name}, line {line}: {column} {cell!r} {problem}",
        fix="write numbers (frame: whole ones from 0), and leave x and y empty where no place is known",
    )


def _facts(rows: Sequence[Cells], columns: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """Numbers that differ from row to row belong to the points, not to the record, and are left out."""
    for column in columns:
        values = list(dict.fromkeys(_plain(row[column]) for row in rows))
        if len(values) == 1:
            yield column, values[0]
        elif texts := [value for value in values if isinstance(value, str)]:
            yield column, texts


def _plain(cell: Any) -> Json:
    """Numbers and truth values as they are or as text says them; anything else as text, None when empty."""
    if isinstance(cell, bool | int) or (isinstance(cell, float) and math.isfinite(cell)):
        return cell
    text = None if isinstance(cell, float) else cell_text(cell)
    if text is None:
        return None
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text


def _fractions(table: Path, coordinates: str | None, records: Any) -> bool:
    if coordinates is not None:
        return check_choice("coordinates", coordinates, COORDINATES) == "fraction"
    places = np.concatenate([np.empty((0, 2)), *(points.places for points in records)])
    within = bool(len(places)) and bool(((places >= 0) & (places <= 1)).all())
    if within and bool((places % 1).any()):
        raise DataError(
            "SW-D115",
            f"{table.name}: every x and y lies between 0 and 1, so they may be pixels or fractions of the frame",
            fix="set coordinates=fraction, or coordinates=pixels",
        )
    return False
