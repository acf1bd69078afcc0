"""``embeddings/projection_pca.parquet``: every record's place in the plane along which embeddings vary most."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Num
from torch import Tensor

from seewhy.data.records import RecordRef
from seewhy.features.embeddings.principal import CHUNK, principal_of_chunks
from seewhy.pipeline.applicable import Applicable, layer_suffix
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact, EmbeddingError, Json

KIND: Final = "projection"


def export_projections(
    directory: RunDirectory, reader: RunReader, found: Applicable, index: Sequence[RecordRef]
) -> Iterator[Artifact]:
    """Write ``embeddings/projection_pca.parquet``, and one with the layer in its name for each other layer.

    All splits share the axes. Splits come by name, the records of each in the order of the data set's ``index``,
    whichever was explained first. Only a chunk of vectors is in memory at once. Nothing is written where no vector is
    finite, or where there are too many too long ones (more than 8192 of a length above 8192).
    """
    for key in sorted(key for key, spec in directory.questions.items() if spec["kind"] == EmbeddingQuestion.kind):
        layer = key.partition("@")[2]
        suffix = layer_suffix(layer, found.default_layers.get(EmbeddingQuestion.kind, ""))
        try:
            table = principal_table(reader, key, index)
        except EmbeddingError as error:
            if error.code not in ("SW-E05", "SW-E06"):
                raise
            found.choices[f"projection of {layer}"] = f"none: {error.message}"
            continue
        path = f"embeddings/projection_pca{suffix}.parquet"
        yield directory.write_with(path, partial(pq.write_table, table), kind=KIND)


def principal_table(reader: RunReader, key: str, index: Sequence[RecordRef]) -> pa.Table:
    """The records of a run with their coordinates along the first two principal components of one question's answers.

    Records that the ``index`` does not have come after those of their split that it has.

    Raises:
        EmbeddingError: ``SW-E05`` no finite vector, ``SW-E06`` too many too long ones.
    """
    principal = principal_of_chunks(lambda: (vectors for _, _, vectors in _chunks(reader, key)), 2)
    axes = axis_names(principal.explained)
    place, names = {ref.record_id: at for at, ref in enumerate(index)}, sorted(reader.splits)
    # not as Python's texts, of which many take several times as much
    ids: list[pa.StringArray] = []
    split, rank, found = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for name, record_ids, vectors in _chunks(reader, key):
        ids.append(pa.array(record_ids, pa.string()))
        split.append(np.full(len(record_ids), names.index(name), np.int32))
        rank.append(np.array([place.get(record_id, len(index)) for record_id in record_ids]))
        found.append(principal.project(vectors).float().numpy())
    del place
    order = np.lexsort((np.concatenate(rank), np.concatenate(split)))
    splits = pa.DictionaryArray.from_arrays(np.concatenate(split)[order], pa.array(names, pa.string()))
    return projection_table(
        pa.concat_arrays(ids).take(order),
        splits.cast(pa.string()),
        np.concatenate(found)[order],
        {"method": "pca", "axes": axes, "layer": key.partition("@")[2]},
    )


def projection_table(
    ids: pa.StringArray, splits: pa.StringArray, places: Float[np.ndarray, "n k"], facts: Mapping[str, Json]
) -> pa.Table:
    """Columns ``record_id``, ``split``, ``x``, ``y`` and, as the schema's metadata ``seewhy``, the facts as JSON.

    A second coordinate that does not exist (vectors of length 1) is 0. Rows that are not finite are left out, and
    counted in the fact ``left_out``.
    """
    second = places[:, 1] if places.shape[1] > 1 else np.zeros(len(places), np.float32)
    kept = np.isfinite(places).all(axis=1)
    table = pa.table(
        {
            "record_id": ids.filter(pa.array(kept)),
            "split": splits.filter(pa.array(kept)),
            "x": pa.array(places[kept, 0], pa.float32()),
            "y": pa.array(second[kept], pa.float32()),
        }
    )
    told = json.dumps({**facts, "left_out": int((~kept).sum())}, sort_keys=True, allow_nan=False)
    return table.replace_schema_metadata({"seewhy": told})


def axis_names(explained: Sequence[float]) -> list[str]:
    """``["PC 1 (31 %)", "PC 2 (9 %)"]``; an axis that there is none of, or along which nothing varies, says so.

    Example:
        >>> axis_names((0.314, 0.0)), axis_names((float("nan"),))
        (['PC 1 (31 %)', 'PC 2 (0 %)'], ['PC 1 (nothing varies)', 'none'])
    """
    shares = ["nothing varies" if math.isnan(share) else f"{100 * share:.0f} %" for share in explained]
    return [*(f"PC {number} ({share})" for number, share in enumerate(shares, 1)), *["none"] * (2 - len(shares))]


def _chunks(reader: RunReader, key: str) -> Iterator[tuple[str, list[str], Num[Tensor, "m d"]]]:
    """A split, the ids of some of its records, and their vectors."""
    for split in reader.splits:
        names: list[str] = []
        vectors: list[np.ndarray] = []
        for row in reader.rows(split, questions=(key,)):
            if (answer := row.answers.get(key)) is not None:
                names.append(row.record_id)
                vectors.append(answer.values.reshape(-1))
            if len(names) == CHUNK:
                yield split, names, torch.from_numpy(np.stack(vectors))
                names, vectors = [], []
        if names:
            yield split, names, torch.from_numpy(np.stack(vectors))
