"""What a part leaves beside its rows, so that parts can be merged without the model and the data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from seewhy.data.records import RecordRef
from seewhy.pipeline.job import Job
from seewhy.store.part import Part
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Artifact, Json, StoreError

KIND: Final = "part"
FACTS: Final = "part.json"
RECORDS: Final = "part_records.parquet"


@dataclass(frozen=True)
class PartFacts:
    """What all parts of one run say alike.

    ``asked`` are the settings that select records and classes, ``records`` and ``index`` the number and a digest of all
    records of the data set in their order, ``target_layers`` the model's own by input.
    """

    asked: Mapping[str, Json]
    records: int
    index: str
    target_layers: Mapping[str, str]
    report: bool


def export_part(directory: RunDirectory, job: Job, part: Part) -> list[Artifact]:
    """Write ``part.json`` and ``part_records.parquet``, the records of the whole data set that fall to this part."""
    facts = PartFacts(
        asked={name: _plain(getattr(job.settings, name)) for name in _ASKED},
        records=len(job.index),
        index=index_digest(job.index),
        target_layers=dict(job.found.target_layers),
        report=job.settings.generate_report,
    )
    page = json.dumps({"part": str(part), **asdict(facts)}, indent=2, ensure_ascii=False) + "\n"
    mine = [(position, ref) for position, ref in enumerate(job.index) if part.holds(ref.record_id)]
    table = pa.table(
        {
            "position": pa.array([position for position, _ in mine], pa.int64()),
            "record_id": pa.array([ref.record_id for _, ref in mine], pa.string()),
            "split": pa.array([ref.split for _, ref in mine], pa.string()),
        }
    )
    return [
        directory.write_file(FACTS, page.encode("utf-8", "backslashreplace"), kind=KIND),
        directory.write_with(RECORDS, partial(pq.write_table, table), kind=KIND),
    ]


_ASKED: Final = ("splits", "record_id", "max_records", "target_classes", "generate_metrics")


def index_digest(index: Sequence[RecordRef]) -> str:
    """SHA-256 over the ids and splits of a data set, in its order."""
    found = hashlib.sha256()
    for ref in index:
        found.update(f"{ref.split}\0{ref.record_id}\n".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def read_facts(place: Path) -> PartFacts:
    """What a complete part says. Raises ``StoreError`` SW-S49 where that cannot be read."""
    try:
        said = json.loads((place / FACTS).read_bytes())
        del said["part"]
        return PartFacts(**said)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(place / FACTS, error) from error


def read_records(place: Path) -> list[tuple[int, RecordRef]]:
    """The records that fall to a part, with their places in the data set. Raises ``StoreError`` SW-S49."""
    try:
        columns: dict[str, list[Any]] = pq.read_table(place / RECORDS).to_pydict()
        rows = zip(columns["position"], columns["record_id"], columns["split"], strict=True)
        return [(position, RecordRef(record_id, split)) for position, record_id, split in rows]
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise unreadable(place / RECORDS, error) from error


def _plain(value: Any) -> Json:
    return list(value) if isinstance(value, tuple) else value


def unreadable(path: Path, reason: object) -> StoreError:
    """``SW-S49``, a file of a part that is not to be believed."""
    return StoreError(
        "SW-S49",
        f"{path} cannot be read: {reason}",
        fix="run the command of that part again: it writes the file anew and computes nothing twice",
    )
