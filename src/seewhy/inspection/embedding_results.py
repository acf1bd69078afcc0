"""Results beside the embeddings of a run: tables in Parquet and JSON, listed in the run's manifest.

Those of some splits only have their names in that of the file: ``projection_umap_of_train.parquet``.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from seewhy.features.embeddings.clustering import Clusters
from seewhy.features.embeddings.duplicates import Duplicates
from seewhy.features.embeddings.neighbours import Neighbours
from seewhy.features.embeddings.outliers import Outliers
from seewhy.features.embeddings.probes import Probed
from seewhy.features.embeddings.separation import silhouettes
from seewhy.inspection.embedding_files import FOLDER
from seewhy.inspection.embeddings import Embeddings, Projection
from seewhy.pipeline.projection_export import projection_table
from seewhy.store.additions import adding_to
from seewhy.store.files import replacing, write_atomic
from seewhy.store.names import safe_name
from seewhy.values import EmbeddingError, Json

LARGEST: Final = 20_000
"""Records whose distances are all compared for a silhouette."""


def save_projection(found: Embeddings, projection: Projection, path: Path | None = None) -> Path:
    """``embeddings/projection_<method>.parquet``: ``record_id``, ``split``, ``x``, ``y``; the facts in its metadata."""
    facts = {**_facts(found), "method": projection.method, "axes": list(projection.axes), **projection.settings}
    ids, splits = pa.array(found.record_ids, pa.string()), pa.array(found.splits, pa.string())
    table = projection_table(ids, splits, projection.places.float().numpy(), facts)
    return _save_table(found, table, f"projection_{projection.method}", path)


def save_clusters(found: Embeddings, clusters: Clusters, path: Path | None = None) -> Path:
    """``embeddings/clusters_<method>.parquet``: each record's ``cluster`` (-1 for none) and ``silhouette``.

    The silhouette compares all pairs: it is left empty beyond 20 000 records, and where there is one cluster.
    """
    several = len(clusters.sizes) > 1 and len(found) <= LARGEST
    each = silhouettes(found.vectors, clusters.labels, clusters.metric).tolist() if several else [None] * len(found)
    facts = {**_facts(found), "method": clusters.method, "metric": clusters.metric, "sizes": clusters.sizes}
    table = _by_record(found, {"cluster": clusters.labels.tolist(), "silhouette": [_cell(one) for one in each]}, facts)
    return _save_table(found, table, f"clusters_{clusters.method}", path)


def save_neighbours(found: Embeddings, near: Neighbours, index: str, path: Path | None = None) -> Path:
    """``embeddings/neighbours.parquet``: of each record the nearest others, their splits and distances, nearest first.

    Lists are empty for a record that has no distance.
    """
    lists: dict[str, list[list[Any]]] = {"neighbours": [], "neighbour_splits": [], "distances": []}
    for rows, distances in zip(near.indices.tolist(), near.distances.tolist(), strict=True):
        kept = [(row, distance) for row, distance in zip(rows, distances, strict=True) if row >= 0]
        lists["neighbours"].append([found.record_ids[row] for row, _ in kept])
        lists["neighbour_splits"].append([found.splits[row] for row, _ in kept])
        lists["distances"].append([distance for _, distance in kept])
    facts = {**_facts(found), "metric": near.metric, "k": near.indices.shape[1], "index": index}
    return _save_table(found, _by_record(found, lists, facts), "neighbours", path)


def save_outliers(found: Embeddings, told: Outliers, path: Path | None = None) -> Path:
    """``embeddings/outliers.parquet``: ``distance``, ``score``, ``alone``, ``agreement``, ``contested`` by record."""
    columns = {
        "distance": _cells(told.distances), "score": _cells(told.scores), "alone": told.alone.tolist(),
        "agreement": _cells(told.agreement), "contested": told.contested.tolist(),
    }  # fmt: skip
    facts = {**_facts(found), "metric": told.metric, "k": told.k}
    return _save_table(found, _by_record(found, columns, facts), "outliers", path)


def save_duplicates(found: Embeddings, told: Duplicates, path: Path | None = None) -> Path:
    """``embeddings/duplicates.json``: see :func:`duplicates_json`."""
    return _save_json(found, {**_facts(found), **duplicates_json(found, told)}, "duplicates", path)


def save_probes(found: Embeddings, probes: Mapping[str, Mapping[str, Probed]], path: Path | None = None) -> Path:
    """``embeddings/probe.json``: by probe and held-out split, its score and those of the controls."""
    told = {kind: {split: probed_json(found, one) for split, one in each.items()} for kind, each in probes.items()}
    return _save_json(found, {**_facts(found), "probes": told}, "probe", path)


def duplicates_json(found: Embeddings, told: Duplicates) -> dict[str, Json]:
    """Pairs with their distances, groups that pairs connect, and how many pairs lie in different splits."""

    def named(row: int) -> list[str]:
        return [found.splits[row], found.record_ids[row]]

    pairs = told.pairs.tolist()
    return {
        "threshold": told.threshold,
        "metric": told.metric,
        "found": told.found,
        "across_splits": told.across,
        "groups": [[named(row) for row in group] for group in told.groups],
        "pairs": [
            {"one": named(one), "other": named(other), "distance": distance}
            for (one, other), distance in zip(pairs, told.distances.tolist(), strict=True)
        ],
    }


def probed_json(found: Embeddings, told: Probed) -> dict[str, Json]:
    """A probe's scores as plain values; classes by number, with their names where known."""
    said = dataclasses.asdict(told)
    for who in ("score", "majority", "shuffled"):
        by_class = said[who].pop("by_class")
        if who == "score":
            said["by_class"] = [
                {"class": number, "name": found.label_name(number), "right": right, "records": records}
                for number, (right, records) in by_class.items()
            ]
    return {**said, "classes": list(told.classes)}


def _by_record(found: Embeddings, columns: Mapping[str, list[Any]], facts: Mapping[str, Json]) -> pa.Table:
    table = pa.table({"record_id": list(found.record_ids), "split": list(found.splits), **columns})
    return table.replace_schema_metadata({"seewhy": json.dumps(facts, sort_keys=True, allow_nan=False)})


def _facts(found: Embeddings) -> dict[str, Json]:
    return {
        "layer": found.layer,
        "records": len(found),
        "splits": sorted(set(found.splits)),
        "whole": found.whole,
        "made_from": dict(found.made_from),
    }


def _save_table(found: Embeddings, table: pa.Table, name: str, path: Path | None) -> Path:
    write = partial(pq.write_table, table)
    if path is not None:
        with replacing(path, durable=False) as draft:
            write(draft)
        return path
    with adding_to(_run_of(found)) as run:
        told = run.write_with(f"{_place(found, name)}.parquet", write, kind=name.partition("_")[0])
        return run.root / told.path


def _save_json(found: Embeddings, value: Json, name: str, path: Path | None) -> Path:
    data = (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
    if path is not None:
        write_atomic(path, data, durable=False)
        return path
    with adding_to(_run_of(found)) as run:
        return run.root / run.write_file(f"{_place(found, name)}.json", data, kind=name).path


def _place(found: Embeddings, name: str) -> str:
    """Where a result lies in the run; its name says of which splits and layer, if not of all and the usual one."""
    splits = "" if found.whole else "_of_" + safe_name("/".join(sorted(set(found.splits))))
    return f"{FOLDER}/{name}{splits}{found.suffix}"


def _run_of(found: Embeddings) -> Path:
    if found.run is None:
        raise EmbeddingError("SW-E30", "these embeddings are of no run directory to write into", fix="give a path")
    return found.run


def _cells(values: Tensor) -> list[float | None]:
    return [_cell(value) for value in values.tolist()]


def _cell(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
