"""UMAP of embeddings, by umap-learn."""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
from jaxtyping import Float64, Num
from torch import Tensor

from seewhy.features.embeddings.settings import require_seed
from seewhy.features.embeddings.usable import prepared_rows, require_distance, require_table, usable_rows
from seewhy.features.requirements import require_count
from seewhy.values import EmbeddingError, MissingExtraError

FEWEST: Final = 4


def run_umap(
    embeddings: Num[Tensor, "n d"],
    metric: str = "cosine",
    min_dist: float = 0.1,
    random_state: int = 42,
    n_neighbors: int = 15,
    n_components: int = 2,
) -> Float64[Tensor, "n k"]:
    """Places of vectors in few dimensions such that neighbours stay neighbours; how far groups are apart means little.

    McInnes et al. 2018 (arXiv:1802.03426). One seed gives one picture on one machine (it runs in one thread); others
    may differ. Rows without a distance are NaN.

    Args:
        embeddings: ``(N, D)``.
        metric: ``cosine`` or ``l2`` (``euclidean`` is the same).
        min_dist: how close points may lie, from 0 to 1.
        random_state: the seed.
        n_neighbors: how many others a record is held to; with fewer records, all others.
        n_components: dimensions.

    Raises:
        MissingExtraError: umap-learn is not installed. EmbeddingError: ``SW-E01``, ``SW-E02``, ``SW-E13`` fewer than 4
            vectors or as many dimensions as vectors, ``SW-E12`` ``min_dist`` or the seed out of range.
        ConfigError: ``SW-F201``.
    """
    rows = require_table(embeddings)
    distance = require_distance("l2" if metric == "euclidean" else metric)
    neighbours, components = require_count("n_neighbors", n_neighbors), require_count("n_components", n_components)
    if isinstance(min_dist, bool) or not isinstance(min_dist, int | float) or not 0 <= min_dist <= 1:
        raise EmbeddingError("SW-E12", f"min_dist must be a number from 0 to 1, got {min_dist!r}", fix="take 0.1")
    seed = require_seed(random_state)
    kept = usable_rows(rows, distance)
    count = int(kept.sum())
    if count < max(FEWEST, components + 2):
        raise EmbeddingError(
            "SW-E13", f"UMAP in {components} dimensions needs {max(FEWEST, components + 2)} vectors, {count} have a "
            "distance", fix="take more records, or pca",
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensorflow, of numba, and of a graph in several pieces, which is no fault
        reducer = _umap()(
            n_neighbors=min(max(neighbours, 2), count - 1), n_components=components, min_dist=float(min_dist),
            metric="euclidean", random_state=seed, n_jobs=1,
            init="spectral" if count > 3 * components + 10 else "random",
        )  # fmt: skip
        placed = reducer.fit_transform(prepared_rows(rows[kept], distance).float().numpy())
    found = torch.full((len(rows), components), float("nan"), dtype=torch.float64)
    found[kept] = torch.from_numpy(placed).double()
    return found


def _umap() -> Any:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("umap-learn", "umap") from error
    return UMAP
