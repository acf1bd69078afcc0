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
_ANNOTATIONS: Final = ("gaze.csv", "gaze.parquet")
"""What ``annotations: auto`` takes, where it is beside the clips."""


def data_state(data: Mapping[str, Any]) -> FileState | None:
    """How every file lies that a data group reads; None where that cannot be told from its settings.

    It notes more than is read rather than less: all that is below a root, whatever it is called. Raises ``OSError``
    where a folder or table is not there or cannot be listed, ``ValueError`` where a table cannot be read or names an
    address.

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
        try:
            for row in csv.DictReader(file, strict=True):
                yield from (cell for column, cell in row.items() if columns is None or column in columns)
        except csv.Error as error:
            raise ValueError(f"{table} is no table") from error


def _cells_of_parquet(table: Path, columns: Collection[str] | None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(table).iter_batches():
            for column in batch.schema.names:
                if columns is None or column in columns:
                    yield from batch[column].to_pylist()
    except pa.ArrowException as error:
        raise ValueError(f"{table} is no table") from error


def _note_annotations(state: FileState, annotations: str, beside: Path) -> None:
    if annotations != "auto":
        state.file(_local(annotations), "annotations")
        return
    for name in _ANNOTATIONS:
        state.place(beside.expanduser() / name, name)
