"""Where records lie in the map of embeddings, read from the projections beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from seewhy.report.errors import ReportError
from seewhy.report.map_codes import number
from seewhy.values import Json

AT_ONCE: Final = 8192
"""Points that are Python's objects at a time: a page shows some thousand of a run's millions."""


def projections(root: Path) -> list[Path]:
    """The projections of a run, by their names."""
    return sorted((root / "embeddings").glob("projection_*.parquet"))


def points_json(path: Path, places: Mapping[tuple[str, str], int]) -> dict[str, Json]:
    """One projection's points of some records; ``places`` maps ``(split, id)`` to the record's index.

    A point that is not finite has no place in a map and is left out. A projection of some splits, or of another layer
    than the model's own, carries them in its name: ``PCA of train+val at layer3``.

    Raises:
        ReportError: ``SW-P02``, the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            said: Mapping[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"seewhy"])
            layer, axes = said.get("layer"), [str(axis) for axis in said["axes"]]
            name = str(said["method"]).upper() + _of_what(path.stem)
            found = _found(file, places)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(
            "SW-P02",
            f"{path.parent.name}/{path.name} of the run is damaged: {error}",
            fix="delete it and run the same command again: it is made again from the shards",
        ) from error
    return {"name": name, "axes": axes, "layer": layer, **found}


def _found(file: pq.ParquetFile, places: Mapping[tuple[str, str], int]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {"x": [], "y": [], "record": []}
    names = ["split", "record_id", "x", "y"]
    for some in file.iter_batches(AT_ONCE, columns=names):
        columns = [some[column].to_pylist() for column in names]
        for split, record_id, x, y in zip(*columns, strict=True):
            place = places.get((split, record_id))
            if place is not None and number(x) is not None and number(y) is not None:
                found["x"].append(_rough(x))
                found["y"].append(_rough(y))
                found["record"].append(place)
    return found


def _of_what(stem: str) -> str:
    """``" of train at layer3"`` of ``projection_pca_of_train@layer3``; the dashboard's script says the same."""
    head, _, layer = stem.partition("@")
    splits = head.partition("_of_")[2]
    return (f" of {splits}" if splits else "") + (f" at {layer}" if layer else "")


def _rough(value: float) -> float:
    """Four digits: less than a pixel."""
    return float(f"{value:.4g}")
