"""The rows of a manifest file, CSV, TSV or Parquet, with every cell checked before a picture is opened."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seewhy.data.records import Box, duplicate_id
from seewhy.data.settings import SPLITS, canonical_split
from seewhy.values import DataError, nearest

COLUMNS: Final = ("id", "path", "label", "split", "box", "mask")
CORNERS: Final = ("x0", "y0", "x1", "y1")
Cells = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One row: ``line`` counts the header as line 1; ``label`` is still the text or number written there."""

    line: int
    record_id: str
    path: str
    label: str | int | None
    split: str
    box: Box | None
    mask: str | None


def read_rows(manifest: Path) -> list[Row]:
    """Every row of a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Raises ``DataError``: SW-D03 no rows, SW-D04 an id twice, SW-D12 an unknown split, SW-D14 a malformed box, SW-D16 a
    file or columns that cannot be understood.
    """
    columns, cells = read_cells(manifest)
    for column in ("id", "path"):
        if column not in columns:
            raise DataError(
                "SW-D16",
                f"{manifest.name} has no column {column!r}; its columns are {', '.join(columns)}",
                fix=f"name the columns {', '.join(COLUMNS)} (id and path are required)",
                near=nearest(column, columns),
            )
    rows = [_row(line, row) for line, row in enumerate(cells, start=2)]
    check_unique(rows)
    return rows


def read_cells(manifest: Path) -> tuple[list[str], list[Cells]]:
    """The columns, and every row's cells by column. Raises ``DataError`` SW-D03 without rows, SW-D16 no such table."""
    columns, cells = _read_parquet(manifest) if manifest.suffix.casefold() == ".parquet" else _read_csv(manifest)
    if not cells:
        raise DataError("SW-D03", f"{manifest.name} has no rows", fix="write one row per record")
    return columns, cells


def parse_box(cell: Any, where: str) -> Box | None:
    """``"x0 y0 x1 y1"`` or a sequence of four numbers as a box; None for an empty cell. DataError SW-D14 otherwise."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    parts = re.split(r"[\s,;]+", cell.strip().strip("[]()").strip()) if isinstance(cell, str) else list(cell)
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise _bad_box(where, cell, "is not four numbers")
    x0, y0, x1, y1 = numbers
    if x0 >= x1 or y0 >= y1:
        raise _bad_box(where, cell, "is inverted or empty")
    return x0, y0, x1, y1


def _bad_box(where: str, cell: Any, problem: str) -> DataError:
    return DataError(
        "SW-D14",
        f"{where}: the box {cell!r} {problem}",
        fix="write x0 y0 x1 y1 in original pixels, x0 < x1 and y0 < y1",
    )


def _read_csv(manifest: Path) -> tuple[list[str], list[Cells]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, delimiter="\t" if manifest.suffix.casefold() == ".tsv" else ",")
            rows: list[Cells] = list(reader)
            columns = list(reader.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise _not_a_table(manifest, error) from error
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise _not_a_table(manifest, f"line {line} has not {len(columns)} cells as the header has")
    return columns, rows


def _read_parquet(manifest: Path) -> tuple[list[str], list[Cells]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(manifest)
    except (OSError, pa.ArrowException) as error:
        raise _not_a_table(manifest, error) from error
    return list(table.column_names), list(table.to_pylist())


def _not_a_table(manifest: Path, reason: object) -> DataError:
    return DataError(
        "SW-D16",
        f"{manifest.name} cannot be read as a table: {reason}",
        fix="write a UTF-8 CSV with a header line, the same with tabs as .tsv, or a Parquet file as .parquet",
    )


def _row(line: int, cells: Cells) -> Row:
    record_id, path = cell_text(cells.get("id")), cell_text(cells.get("path"))
    where = f"row {line} (id {record_id!r})"
    if record_id is None or path is None:
        raise DataError("SW-D16", f"{where}: id and path must not be empty", fix="fill both cells")
    return Row(
        line=line,
        record_id=record_id,
        path=path,
        label=cell_label(cells.get("label"), where),
        split=cell_split(cell_text(cells.get("split")), where),
        box=parse_box(_box_cell(cells), where),
        mask=cell_text(cells.get("mask")),
    )


def cell_text(cell: Any) -> str | None:
    """A cell's text without spaces around it, None when empty."""
    text = "" if cell is None else str(cell).strip()
    return text or None


def cell_label(cell: Any, where: str) -> str | int | None:
    """A whole number where the cell is one (also ``"3"`` and pandas' ``3.0``), a name otherwise, None when empty."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        if not cell.is_integer():
            raise DataError("SW-D15", f"{where}: the label {cell} is no class", fix="write a class name or number")
        return int(cell)
    text = cell_text(cell)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else text


def cell_split(name: str | None, where: str) -> str:
    """The split that a cell names, test when empty. DataError SW-D12 for another name."""
    split = canonical_split(name) if name else "test"
    if split not in SPLITS:
        raise DataError(
            "SW-D12",
            f"{where}: the split {name!r} is none of {', '.join(SPLITS)}",
            fix="write train, val or test",
            near=nearest(split, SPLITS),
        )
    return split


def _box_cell(cells: Cells) -> Any:
    if cells.get("box") is not None or not all(corner in cells for corner in CORNERS):
        return cells.get("box")
    corners = [cells[corner] for corner in CORNERS]
    return None if all(cell_text(corner) is None for corner in corners) else corners


def check_unique(rows: Sequence[Row]) -> None:
    """DataError SW-D04 for an id that two rows have."""
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.record_id, row)
        if earlier is not row:
            raise duplicate_id(row.record_id, f"row {earlier.line}", f"row {row.line}")
