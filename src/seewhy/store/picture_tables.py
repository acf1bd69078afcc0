"""Pictures made after their shard was committed: a table beside each shard, with a row for each of the shard's rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from seewhy.store.columns import parquet_bytes
from seewhy.store.files import file_digest
from seewhy.store.layout import SHARDS, committed_shards
from seewhy.values import Artifact, StoreError

PICTURES: Final = "pictures"
KIND: Final = "pictures"
Over = Literal["", "data", "preview"]
"""What a record's pictures were drawn over: its own inputs, or the small copies of them in its row."""

FILE_TYPE: Final = pa.list_(
    pa.struct([("kind", pa.string()), ("path", pa.string()), ("sha256", pa.string()), ("size", pa.int64())])
)
_SCHEMA: Final = pa.schema(
    {"record_id": pa.string(), "revision": pa.string(), "over": pa.string(), "files": FILE_TYPE}.items()
)


@dataclass(frozen=True)
class LaterPictures:
    """The pictures of one row of a shard that were made after it: ``revision`` is the content they show."""

    record_id: str
    revision: str
    over: Over = ""
    files: tuple[Artifact, ...] = ()

    def of(self, record_id: object, revision: object) -> bool:
        """Whether they belong to this content of this record."""
        return (self.record_id, self.revision) == (record_id, revision)


def table_of(shard: str) -> str:
    """``shards/train-00003.parquet`` has the table ``pictures/train-00003.parquet``."""
    return f"{PICTURES}/{shard.removeprefix(f'{SHARDS}/')}"


def encode_table(rows: Sequence[LaterPictures], group_rows: int) -> bytes:
    """The bytes of a table, in groups of rows as its shard has them; equal rows have equal bytes."""
    columns: Mapping[str, list[Any]] = {
        "record_id": [row.record_id for row in rows],
        "revision": [row.revision for row in rows],
        "over": [row.over for row in rows],
        "files": [[_cell(file) for file in row.files] for row in rows],
    }
    return parquet_bytes(pa.table(columns, schema=_SCHEMA), group_rows)


def read_group(shard: Path, number: int) -> list[LaterPictures]:
    """What a shard's table says of one group of its rows; empty where it has no table.

    Raises:
        StoreError: ``SW-S20``, the table is damaged.
    """
    path = _table_beside(shard)
    if not path.exists():
        return []
    with _reading(path) as file:
        if number >= file.metadata.num_row_groups:
            return []  # of an earlier shard of this name: its rows are told by their ids
        return [_row(cell) for cell in file.read_row_group(number).to_pylist()]


def read_groups(shard: Path) -> Iterator[list[LaterPictures]]:
    """As :func:`read_group`, one group of rows after the other: the table is opened once."""
    path = _table_beside(shard)
    if path.exists():
        with _reading(path) as file:
            for number in range(file.metadata.num_row_groups):
                yield [_row(cell) for cell in file.read_row_group(number).to_pylist()]


def _table_beside(shard: Path) -> Path:
    return shard.parent.parent / table_of(f"{SHARDS}/{shard.name}")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "SW-S20",
            f"the table of pictures {path} cannot be read: {error}",
            fix="delete it and run `seewhy render` on the directory: it is made again",
        ) from error


def over_previews(later: LaterPictures | None) -> frozenset[str]:
    """The files among those made later that were drawn over small copies of the inputs."""
    return frozenset(file.path for file in later.files) if later and later.over == "preview" else frozenset()


def with_later(files: Iterable[Mapping[str, Any]], later: LaterPictures | None) -> list[Mapping[str, Any]]:
    """The ``files`` cell of a row, and those made later; the later one where both have a path."""
    found = {file["path"]: file for file in files}
    found |= {file.path: _cell(file) for file in (later.files if later else ())}
    return list(found.values())


def present_tables(root: Path) -> list[Artifact]:
    """The tables that lie beside committed shards, as a manifest lists them.

    Raises:
        StoreError: ``SW-S20``, one is damaged.
    """
    found = []
    for name in map(table_of, committed_shards(root)):
        path = root / name
        if path.is_file():
            with _reading(path) as file:
                for number in range(file.metadata.num_row_groups):
                    file.read_row_group(number)
            found.append(Artifact(KIND, name, "", file_digest(path), path.stat().st_size))
    return found


def _row(cell: Mapping[str, Any]) -> LaterPictures:
    files = tuple(Artifact(record_id=cell["record_id"], **file) for file in cell["files"])
    return LaterPictures(cell["record_id"], cell["revision"], cell["over"], files)


def _cell(file: Artifact) -> dict[str, Any]:
    return {name: value for name, value in asdict(file).items() if name != "record_id"}
