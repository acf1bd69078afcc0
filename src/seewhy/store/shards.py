"""A shard: the rows of one commit as the bytes of one Parquet file, the same bytes for the same rows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seewhy.store.columns import list_cells, list_column, parquet_bytes
from seewhy.store.keys import canonical_json
from seewhy.store.names import require_unicode
from seewhy.store.picture_tables import FILE_TYPE, LaterPictures, over_previews, read_group, read_groups, with_later
from seewhy.values import Answer, Artifact, Geometry, Json, Preview, RecordRow, StoreError

SCHEMA_VERSION = 1
GROUP_ROWS = 64
"""Rows that are decoded together: what bounds a reader's memory."""

_METADATA = b"seewhy"
_FOR_CALLERS = "correct the rows handed to RunDirectory.commit"
_PARTS = ("values", "shape", "classes")
_PLAIN = {
    "record_id": pa.string(),
    "split": pa.string(),
    "position": pa.int64(),
    "status": pa.string(),
    "stage": pa.string(),
    "error": pa.string(),
    "revision": pa.string(),
    "label": pa.int64(),
    "predicted": pa.int64(),
    "confidence": pa.float64(),
}
_GEOMETRY = pa.struct(
    {
        "original": pa.list_(pa.int64()),
        "input": pa.list_(pa.int64()),
        "scale": pa.list_(pa.float64()),
        "offset": pa.list_(pa.float64()),
    }.items()
)
_PREVIEWS = pa.list_(
    pa.struct(
        {
            "input_name": pa.string(),
            "kind": pa.string(),
            "data": pa.binary(),
            "shown": pa.list_(pa.int64()),
            "of": pa.int64(),
        }.items()
    )
)


@dataclass(frozen=True)
class ShardHeader:
    """What a shard says of itself, so that a run can be rebuilt from its shards alone."""

    split: str
    questions: Mapping[str, Json]
    fingerprint: Mapping[str, Json]
    made_with: Mapping[str, str]
    schema: int = SCHEMA_VERSION


class FilesOf(NamedTuple):
    """The files that one row lists; ``over_previews`` are those drawn over small copies of the inputs."""

    record_id: str
    revision: str
    files: list[Mapping[str, Any]]
    over_previews: frozenset[str] = frozenset()


def encode_shard(rows: Sequence[RecordRow], header: ShardHeader) -> bytes:
    """The bytes of a shard; a row without an answer to a question holds null there.

    Raises:
        StoreError: ``SW-S13`` facts are not JSON, ``SW-S14`` an id is not valid Unicode, ``SW-S15`` the rows do not
            belong together.
    """
    _require_coherent(rows, header)
    columns = _plain_columns(rows)
    for question in sorted(header.questions):
        columns |= _answer_columns(question, [row.answers.get(question) for row in rows])
    table = pa.table(columns).replace_schema_metadata({_METADATA: canonical_json(asdict(header)).encode()})
    return parquet_bytes(table, GROUP_ROWS)


class Shard:
    """A committed shard, read by columns and by groups of :data:`GROUP_ROWS` rows.

    Raises:
        StoreError: ``SW-S06`` where the file is damaged or no shard, ``SW-S07`` where a newer seewhy wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            self.rows: int = file.metadata.num_rows
            self.groups: int = file.metadata.num_row_groups
            self.has_previews: bool = "previews" in file.schema_arrow.names
            said = json.loads((file.schema_arrow.metadata or {})[_METADATA])
            if said["schema"] > SCHEMA_VERSION:
                raise newer_schema(path, said["schema"], said["made_with"])
            self.header = ShardHeader(**said)

    def read(self, columns: Collection[str]) -> pa.Table:
        """Some columns of all rows."""
        with _reading(self.path), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            return file.read(columns=list(columns))

    def group(
        self, number: int, questions: Collection[str] | None = None, *, previews: bool = False, later: bool = True
    ) -> list[RecordRow]:
        """One group of rows, with the answers to some questions (default: all), with or without previews and the files
        that were made ``later``."""
        asked = [q for q in self.header.questions if questions is None or q in questions]
        columns = [*_PLAIN, "probabilities", "geometry", "notes", "facts", "files"]
        columns += ["previews"] if previews and self.has_previews else []
        columns += [f"{question}.{part}" for question in asked for part in _PARTS]
        with _reading(self.path), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            table = file.read_row_group(number, columns=columns)
            return _rows(table, asked, read_group(self.path, number) if later else ())

    def files(self, *, later: bool = True) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
        """Of each row the record's id, its revision and its files, those that were made ``later`` among them."""
        for row in self.listed(later=later):
            yield row.record_id, row.revision, row.files

    def listed(self, *, later: bool = True) -> Iterator[FilesOf]:
        """The files of each row, those that were made ``later`` among them."""
        table = self.read(["record_id", "revision", "files"])
        cells = [table[name].to_pylist() for name in ("record_id", "revision", "files")]
        groups = read_groups(self.path) if later else iter(())
        for start in range(0, self.rows, GROUP_ROWS):
            made = next(groups, ())
            rows = zip(*(column[start : start + GROUP_ROWS] for column in cells), strict=True)
            for place, (record_id, revision, files) in enumerate(rows):
                own = _own(made, place, record_id, revision)
                yield FilesOf(record_id, revision, with_later(files, own), over_previews(own))

    def pictures(self, number: int) -> pa.Table:
        """The revisions and previews of one group of rows, for :func:`picture_at`; nothing else is read."""
        columns = ["revision", *(["previews"] if self.has_previews else [])]
        with _reading(self.path), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            return file.read_row_group(number, columns=columns, use_threads=False)


def picture_at(pictures: pa.Table, row: int) -> tuple[str, tuple[Preview, ...]]:
    """The revision and the previews of one row of :meth:`Shard.pictures`."""
    one = pictures.slice(row, 1)
    return one["revision"][0].as_py(), _previews(one)[0]


def newer_schema(path: Path, schema: int, made_with: Mapping[str, str]) -> StoreError:
    """The refusal of a file of the future."""
    return StoreError(
        "SW-S07",
        f"{path} was written by seewhy {made_with.get('seewhy', '(unknown)')} in schema {schema}; "
        f"this version reads schemas up to {SCHEMA_VERSION}",
        fix="pip install --upgrade seewhy",
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_shard(path, error) from error


def damaged_shard(path: Path, reason: object) -> StoreError:
    """``SW-S06``, a shard that is not to be believed."""
    return StoreError(
        "SW-S06",
        f"the shard {path} cannot be read: {reason}",
        fix="run `seewhy verify` on the directory; delete the shard and run the same command again: only its "
        "records are computed again",
    )


def _require_coherent(rows: Sequence[RecordRow], header: ShardHeader) -> None:
    ids = [row.record_id for row in rows]
    for identifier in (header.split, *ids):
        require_unicode(identifier)
    if not rows or len(set(ids)) < len(ids):
        raise StoreError(
            "SW-S15", f"a shard holds each record once and at least one, came {ids[:20]}", fix=_FOR_CALLERS
        )
    for row in rows:
        surplus = row.answers.keys() - header.questions.keys()
        ragged = any(a.classes and np.shape(a.values)[:1] != (len(a.classes),) for a in row.answers.values())
        if row.split != header.split or surplus or ragged or (row.status == "failed" and row.answers):
            raise StoreError(
                "SW-S15",
                f"the row of {row.record_id!r} does not fit its shard: split {row.split!r} in {header.split!r}, "
                f"status {row.status}, shapes and classes {_outline(row)}, questions {sorted(header.questions)}",
                fix=_FOR_CALLERS,
            )


def _outline(row: RecordRow) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    return {question: (np.shape(answer.values), answer.classes) for question, answer in row.answers.items()}


def _plain_columns(rows: Sequence[RecordRow]) -> dict[str, pa.Array]:
    columns = {name: pa.array([_cell(row, name) for row in rows], kind) for name, kind in _PLAIN.items()}
    geometries = [None if row.geometry is None else row.geometry.to_json() for row in rows]
    return columns | {
        "probabilities": list_column([row.probabilities for row in rows], np.float32),
        "geometry": pa.array(geometries, _GEOMETRY),
        "notes": pa.array([[_printable(note) for note in row.notes] for row in rows], pa.list_(pa.string())),
        "facts": pa.array([canonical_json(row.facts) for row in rows], pa.string()),
        "files": pa.array([[asdict(file) for file in row.files] for row in rows], FILE_TYPE),
        "previews": pa.array([[asdict(preview) for preview in row.previews] for row in rows], _PREVIEWS),
    }


def _answer_columns(question: str, answers: Sequence[Answer | None]) -> dict[str, pa.Array]:
    def cells(part: str) -> list[Any]:
        return [None if answer is None else _part(answer, part) for answer in answers]

    return {
        f"{question}.values": list_column(cells("values"), np.float32),
        f"{question}.shape": list_column(cells("shape"), np.int32),
        f"{question}.classes": list_column(cells("classes"), np.int32),
    }


def _part(answer: Answer, part: str) -> np.ndarray[Any, Any]:
    if part == "values":
        return np.asarray(answer.values)
    return np.asarray(np.shape(answer.values) if part == "shape" else answer.classes, np.int32)


def _rows(table: pa.Table, questions: Sequence[str], later: Sequence[LaterPictures]) -> list[RecordRow]:
    cells = {name: table[name].to_pylist() for name in (*_PLAIN, "geometry", "notes", "facts", "files")}
    if later:
        named = zip(cells["record_id"], cells["revision"], cells["files"], strict=True)
        cells["files"] = [with_later(files, _own(later, i, *which)) for i, (*which, files) in enumerate(named)]
    probabilities = list_cells(table["probabilities"])
    answers = {question: _answers(table, question) for question in questions}
    previews = _previews(table)
    return [
        RecordRow(
            **{name: cells[name][i] for name in _PLAIN},
            probabilities=probabilities[i],
            geometry=None if cells["geometry"][i] is None else Geometry.from_json(cells["geometry"][i]),
            notes=tuple(cells["notes"][i]),
            facts=json.loads(cells["facts"][i]),
            answers={question: found for question in questions if (found := answers[question][i]) is not None},
            files=tuple(Artifact(record_id=cells["record_id"][i], **file) for file in cells["files"][i]),
            previews=previews[i],
        )
        for i in range(table.num_rows)
    ]


def _own(later: Sequence[LaterPictures], place: int, *which: str) -> LaterPictures | None:
    """What was made later for a row; nothing where the table is that of an earlier shard of this name."""
    return later[place] if place < len(later) and later[place].of(*which) else None


def _previews(table: pa.Table) -> list[tuple[Preview, ...]]:
    if "previews" not in table.column_names:
        return [()] * table.num_rows
    return [
        tuple(Preview(**{**one, "shown": tuple(one["shown"])}) for one in cell)
        for cell in table["previews"].to_pylist()
    ]


def _answers(table: pa.Table, question: str) -> list[Answer | None]:
    values, shapes, classes = (list_cells(table[f"{question}.{part}"]) for part in _PARTS)
    return [
        None if v is None or s is None or c is None else Answer(v.reshape(s), tuple(c.tolist()))
        for v, s, c in zip(values, shapes, classes, strict=True)
    ]


def _cell(row: RecordRow, name: str) -> Json:
    value = getattr(row, name)
    return _printable(value) if name in ("stage", "error") else value


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
