"""Which files a data group reads, told from its settings alone: without the data set's class, and without torch."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from seewhy.cli.file_state import FileState

_PICTURES: Final = {"size", "mean", "std", "crop", "crop_ratio", "class_names"}
_DIVIDED: Final = {"split_ratio", "seed"}
_LIMITS: Final = {"background", "max_pixels"}
_CLIPS: Final = {
    *_PICTURES, *_DIVIDED, "frames", "max_frames", "max_bytes", "coordinates", "dense_gaze", "fps",
}  # fmt: skip

PLAIN: Final[Mapping[str, frozenset[str]]] = {
    "image_folder": frozenset(_PICTURES | _DIVIDED | _LIMITS),
    "manifest": frozenset(_PICTURES | _LIMITS),
    "multi_input": frozenset(_PICTURES | _DIVIDED | _LIMITS | {"inputs", "channels"}),
    "volumes": frozenset(
        _DIVIDED
        | {"size", "scaling", "window", "percentiles", "per_channel", "axes", "volume", "fill", "class_names"}
        | {"max_bytes"}
    ),
    "clips": frozenset(_CLIPS),
    "video": frozenset(_CLIPS),
    "cmr_acdc": frozenset(_PICTURES | _DIVIDED),
    "cluttered_digits": frozenset({"size", "counts", "seed", "mean", "std", "class_names"}),
}
"""Settings of each kind that name no file; a kind or setting that is not known here cannot be told."""
PLACES: Final[Mapping[str, frozenset[str]]] = {
    "image_folder": frozenset({"root"}),
    "manifest": frozenset({"path", "root"}),
    "multi_input": frozenset({"root", "manifest"}),
    "volumes": frozenset({"root", "manifest"}),
    "clips": frozenset({"root", "manifest", "annotations"}),
    "video": frozenset({"root", "manifest", "annotations"}),
    "cmr_acdc": frozenset({"root"}),
    "cluttered_digits": frozenset(),
}
"""Settings of each kind that name a folder or a table."""
_THE_RUNS: Final = frozenset({"kind", "batch_size", "num_workers", "architecture"})
_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "manifest": frozenset({"path", "mask"}),
    **dict.fromkeys(("volumes", "clips", "video"), frozenset({"path"})),
}
"""Columns of a kind's table that name files; those of several inputs are called as the inputs are."""
_MAY_LACK: Final = frozenset({"mask"})
_ANNOTATIONS: Final = ("gaze.csv", "gaze.parquet")
"""What ``annotations: auto`` takes, where it is beside the clips."""


def data_state(data: Mapping[str, Any]) -> FileState | None:
    """How every file lies that a data group reads; None where that cannot be told from its settings.

    It notes more than is read rather than less: all that is below a root, whatever it is called. Raises ``OSError``
    where a folder or table is not there or cannot be listed, ``ValueError`` where a table cannot be read, lacks a
    column that names files, or names an address.

    Example:
        >>> data_state({"kind": "cluttered_digits", "size": 32, "counts": {"test": 3}}).count
        0
        >>> data_state({"kind": "custom", "_target_": "my.Data"}) is None
        True
    """
    given = {key: value for key, value in data.items() if value is not None and key not in _THE_RUNS}
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in PLAIN or not given.keys() <= PLAIN[kind] | PLACES[kind]:
        return None
    places = {key: given[key] for key in PLACES[kind] if key in given}
    if not all(isinstance(place, str) and "://" not in place for place in places.values()):
        return None
    state = FileState()
    table, root = places.get("path", places.get("manifest")), places.get("root")
    if table is not None:
        columns = _COLUMNS.get(kind) or given.get("inputs")
        _note_table(state, _local(table), None if root is None else _local(root), columns)
    elif root is not None:
        state.tree(_local(root))
    elif PLACES[kind]:
        return None
    if "annotations" in places:
        _note_annotations(state, places["annotations"], Path(root) if root is not None else Path(table or ".").parent)
    return state


def _local(place: str) -> Path:
    return Path(place).expanduser()


def _note_table(state: FileState, table: Path, root: Path | None, columns: Collection[str] | None) -> None:
    """The table, and what the cells of these columns (None: all) name, each text once; or that it is not there."""
    state.file(table, "table")
    below = table.parent if root is None else root
    seen: set[str] = set()
    for cell in _cells(table, columns):
        text = "" if cell is None else str(cell).strip()
        if "://" in text:
            raise ValueError(f"{text} is on another machine")
        if text and text not in seen:
            seen.add(text)
            state.place(below / text, text)


def _cells(table: Path, columns: Collection[str] | None) -> Iterator[Any]:
    if table.suffix.casefold() == ".parquet":
        yield from _cells_of_parquet(table, columns)
        return
    with table.open(encoding="utf-8-sig", newline="") as file:
        try:  # the separator is chosen as seewhy.data.manifest_table chooses it, which loads torch
            rows = csv.reader(file, strict=True, delimiter="\t" if table.suffix.casefold() == ".tsv" else ",")
            header = next(rows, [])
            wanted = [header.index(column) for column in _wanted(table, header, columns)]
            for row in rows:
                if row and len(row) != len(header):
                    raise ValueError(f"{table} has a line of other columns than its header's")
                yield from (row[place] for place in wanted if row)
        except csv.Error as error:
            raise ValueError(f"{table} is no table") from error


def _cells_of_parquet(table: Path, columns: Collection[str] | None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(table)
        wanted = _wanted(table, file.schema_arrow.names, columns)
        for batch in file.iter_batches(columns=wanted):
            for column in wanted:
                yield from batch[column].to_pylist()
    except pa.ArrowException as error:
        raise ValueError(f"{table} is no table") from error


def _wanted(table: Path, header: Collection[str], columns: Collection[str] | None) -> list[str]:
    """Those of a table's columns that name files. ``ValueError`` where one is missing or there twice."""
    if columns is None:
        return list(header)
    lacking = [column for column in columns if column not in header and column not in _MAY_LACK]
    if lacking or len(set(header)) < len(header):
        raise ValueError(f"{table} lacks the columns {lacking}, or has one twice")
    return [column for column in header if column in columns]


def _note_annotations(state: FileState, annotations: str, beside: Path) -> None:
    if annotations != "auto":
        state.file(_local(annotations), "annotations")
        return
    for name in _ANNOTATIONS:
        state.place(beside.expanduser() / name, name)
