"""Which files make up each record of several pictures: from one folder per input, or from a manifest's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from seewhy.data.decoding import SUFFIXES
from seewhy.data.image_folder import SPLIT_FOLDERS, Entry, class_order, find_pictures, index_of, printable
from seewhy.data.manifest import class_names_of, class_number
from seewhy.data.manifest_table import (
    Cells,
    Row,
    cell_label,
    cell_split,
    cell_text,
    check_unique,
    read_cells,
)
from seewhy.data.places import Place, Root, places_below
from seewhy.data.records import RecordRef
from seewhy.remote.address import without_secrets
from seewhy.values import DataError, different_names, nearest

SHOWN: Final = 10
OWN_COLUMNS: Final = ("id", "label", "split")


@dataclass(frozen=True)
class Listing:
    """The records of a data set and, for each, the file of every input; all files exist."""

    input_names: tuple[str, ...]
    class_names: Sequence[str] | None
    index: list[RecordRef]
    paths: list[dict[str, Place]]


@dataclass(frozen=True)
class Table:
    """A manifest's file name, its columns, and every row's cells by column."""

    name: str
    columns: Sequence[str]
    cells: Sequence[Cells]


def read_table(manifest: Path) -> Table:
    """A table as it stands. Raises what :func:`seewhy.data.manifest_table.read_cells` raises."""
    return Table(manifest.name, *read_cells(manifest))


def check_names_of_inputs(names: Any) -> tuple[str, ...]:
    """Input names as a tuple of different texts; DataError SW-D81 otherwise."""
    listed = different_names(names)
    if listed is None:
        raise DataError(
            "SW-D81",
            f"inputs must be a list of different names, got {names!r}",
            fix="name every input once, such as [mnv,fluid,ga,drusen]",
        )
    return listed


def list_folders(
    root: Place,
    names: Sequence[str] | None,
    class_names: Sequence[str] | None,
    ratio: Sequence[float],
    seed: int,
) -> Listing:
    """Records from ``root/INPUT/…``, every input's folder laid out alike, in the order of the paths.

    A record's id is its files' path below the input's folder, without suffix and without a last ``_INPUT``. Without
    ``names`` the inputs are the folders below ``root``, sorted.

    Raises ``DataError``: SW-D81 an input without a folder, SW-D82 files that are missing, SW-D83 two files for one
    input of a record, and those of :func:`seewhy.data.image_folder.find_pictures`.
    """
    inputs = _folders(root, names)
    found = {name: _by_key(root / name, name) for name in inputs}
    keys = sorted({key for files in found.values() for key in files})
    _check_none_missing([f"{key} has no {name}" for key in keys for name in inputs if key not in found[name]], root)
    entries = [found[inputs[0]][key] for key in keys]
    classes = class_order(sorted({entry.class_name for entry in entries if entry.class_name is not None}), class_names)
    paths: list[dict[str, Place]] = [{name: root / name / found[name][key].relative for name in inputs} for key in keys]
    return Listing(inputs, classes, index_of(keys, entries, classes or (), ratio, seed), paths)


def list_manifest(
    manifest: Table, root: Root, names: Sequence[str] | None, class_names: Sequence[str] | None
) -> Listing:
    """Records from a CSV, TSV or Parquet table: id, label and split as everywhere, and of each input a column of paths.

    Without ``names`` the inputs are the columns, in their order, whose cells all end like a picture's file.

    Raises ``DataError``: SW-D82 files that are missing, SW-D84 a column that is missing, and those of
    :class:`seewhy.data.manifest.Manifest` for ids, labels and splits.
    """
    columns, cells = manifest.columns, manifest.cells
    inputs = tuple(names) if names is not None else _columns_of_paths(columns, cells)
    for column in ("id", *inputs):
        if column not in columns:
            raise _no_column(manifest, column, columns)
    rows = [_row(line, cell) for line, cell in enumerate(cells, start=2)]
    check_unique(rows)
    classes = class_names_of(rows, class_names)
    index = [RecordRef(row.record_id, row.split, class_number(row, classes)) for row in rows]
    texts = [{name: cell_text(cell.get(name)) for name in inputs} for cell in cells]
    places = places_below(root, [text for told in texts for text in told.values() if text])
    _check_none_missing(
        [
            f"row {row.line} (id {row.record_id!r}) has no {name}" + (f": {without_secrets(text)}" if text else "")
            for row, told in zip(rows, texts, strict=True)
            for name, text in told.items()
            if text not in places
        ],
        root,
    )
    return Listing(inputs, classes, index, [{name: places[str(text)] for name, text in told.items()} for told in texts])


def _folders(root: Place, names: Sequence[str] | None) -> tuple[str, ...]:
    there = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    inputs = tuple(there) if names is None else tuple(names)
    strangers = [name for name in inputs if name not in there or name.casefold() in SPLIT_FOLDERS]
    if strangers or not inputs:
        found = f"the folders there are {', '.join(there[:10]) or 'none'}"
        raise DataError(
            "SW-D81",
            f"{strangers[0]!r} is no input's folder below {root}; {found}"
            if strangers
            else f"no input's folder below {root}",
            near=nearest(strangers[0], there) if strangers else (),
            fix="lay pictures out as root/INPUT/SPLIT/CLASS/id.png, and name the inputs",
        )
    return inputs


def _by_key(folder: Place, name: str) -> dict[str, Entry]:
    """The pictures of one input by what they share with the record's others."""
    by_key: dict[str, Entry] = {}
    for entry in find_pictures(folder):
        key = _key(entry.relative, name)
        earlier = by_key.setdefault(key, entry)
        if earlier is not entry:
            raise DataError(
                "SW-D83",
                f"input {name!r} has two files for the record {key!r}: {earlier.relative} and {entry.relative}",
                fix="keep one picture for each input of a record",
            )
    return by_key


def _key(relative: PurePosixPath, name: str) -> str:
    stem = relative.stem
    shared = stem.removesuffix(f"_{name}") or stem
    return printable(relative.with_name(shared))


def _columns_of_paths(columns: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    others = [column for column in columns if column not in OWN_COLUMNS]
    texts = {column: [text for cell in cells if (text := cell_text(cell.get(column)))] for column in others}
    named = [
        column
        for column, paths in texts.items()
        if paths and all(Path(path).suffix.casefold() in SUFFIXES for path in paths)
    ]
    if not named:
        raise DataError(
            "SW-D84",
            f"no column holds paths of pictures; the columns are {', '.join(columns)}",
            fix="give every input a column of paths, or name the columns in inputs",
        )
    return tuple(named)


def _no_column(manifest: Table, column: str, columns: Sequence[str]) -> DataError:
    return DataError(
        "SW-D84",
        f"{manifest.name} has no column {column!r}; its columns are {', '.join(columns)}",
        near=nearest(column, columns),
        fix="the columns are id, label, split and one of paths for each input, named as the input",
    )


def _row(line: int, cells: Mapping[str, Any]) -> Row:
    record_id = cell_text(cells.get("id"))
    where = f"row {line} (id {record_id!r})"
    if record_id is None:
        raise DataError("SW-D16", f"{where}: the id must not be empty", fix="fill the cell")
    label, split = cell_label(cells.get("label"), where), cell_split(cell_text(cells.get("split")), where)
    return Row(line, record_id, "", label, split, None, None)


def _check_none_missing(missing: Sequence[str], root: Place | Root) -> None:
    """One error for all that is missing, before a run starts."""
    if not missing:
        return
    more = f" … and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise DataError(
        "SW-D82",
        f"{len(missing)} pictures are missing below {root}: {'; '.join(missing[:SHOWN])}{more}",
        fix="add the files, or leave these records out of every input",
    )
