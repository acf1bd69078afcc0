"""Clusters of vectors, by scikit-learn; the number of clusters is told, or the one with the best silhouette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import CLUSTER_METHODS, FEWEST_TRIED, MOST_TRIED, Distance
from seewhy.features.embeddings.grouping import NO_GROUP
from seewhy.features.embeddings.separation import silhouettes
from seewhy.features.embeddings.settings import require_seed
from seewhy.features.embeddings.usable import prepared_rows, require_distance, require_table, usable_rows
from seewhy.features.requirements import require_count
from seewhy.values import EmbeddingError, MissingExtraError, nearest

LARGEST_TREE: Final = 20_000
"""Records whose distances all fit into memory."""
SAMPLE: Final = 5_000
"""Records whose silhouettes decide the number of clusters."""


@dataclass(frozen=True)
class Clusters:
    """``labels`` ``(N,)``: clusters by size, 0 the largest; -1 for noise and for rows without a distance.

    ``tried`` are the mean silhouettes of the numbers of clusters that were tried, empty where the number was told.
    """

    labels: Int64[Tensor, " n"]
    method: str
    metric: Distance
    tried: dict[int, float]

    @property
    def sizes(self) -> list[int]:
        """How many records each cluster has."""
        kept = self.labels[self.labels >= 0]
        return torch.bincount(kept).tolist() if len(kept) else []


def cluster(
    vectors: Num[Tensor, "n d"],
    method: str = "kmeans",
    count: int | None = None,
    metric: str = "cosine",
    *,
    seed: int = 0,
    fewest: int = 5,
) -> Clusters:
    """Group vectors that lie together.

    Args:
        vectors: ``(N, D)``.
        method: ``kmeans``; ``agglomerative`` (Ward's linkage); ``hdbscan``, which finds the number itself and leaves
            what lies in no dense place out.
        count: how many clusters; None tries 2 to 10, or as many as vectors differ, and takes the best mean silhouette
            (of 5000 records at most).
        metric: with ``cosine`` vectors are divided by their lengths first; ``l2`` takes them as they are.
        seed: k-means begins at random.
        fewest: records of the smallest cluster of ``hdbscan``.

    Raises:
        MissingExtraError: scikit-learn is not installed. EmbeddingError: ``SW-E01`` no such distance, ``SW-E02`` no
            table, ``SW-E08`` no such method, ``SW-E09`` fewer vectors than clusters, or too many for a method,
            ``SW-E12`` the seed.

    Example:
        >>> table = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [0.0, 1.0], [0.1, 1.0]])
        >>> cluster(table, count=2).labels.tolist()
        [0, 0, 0, 1, 1]
    """
    rows, distance = require_table(vectors), require_distance(metric)
    _require_method(method, count)
    seed = require_seed(seed)
    kept = usable_rows(rows, distance).nonzero()[:, 0]
    prepared = prepared_rows(rows[kept], distance).numpy()
    _require_fitting(method, len(kept), count, fewest)
    tried: dict[int, float] = {}
    if method == "hdbscan":
        found = _hdbscan(prepared, fewest)
    elif count is not None:
        _require_different(prepared, count)
        found = _divided(prepared, method, count, seed)
    else:
        found, tried = _best(prepared, method, distance, seed)
    labels = torch.full((len(rows),), NO_GROUP)
    labels[kept] = _by_size(torch.from_numpy(found.astype(np.int64)))
    return Clusters(labels, method, distance, tried)


def _require_method(method: str, count: int | None) -> None:
    if method not in CLUSTER_METHODS:
        raise EmbeddingError(
            "SW-E08", f"clusters are found by one of {', '.join(CLUSTER_METHODS)}, got {method!r}",
            near=nearest(str(method), CLUSTER_METHODS), fix="use one of these",
        )  # fmt: skip
    if count is not None:
        if method == "hdbscan":
            raise EmbeddingError("SW-E08", "hdbscan finds the number of clusters itself", fix="leave the number out")
        require_count("count", count)


def _require_fitting(method: str, rows: int, count: int | None, fewest: int) -> None:
    needed = require_count("fewest", fewest) if method == "hdbscan" else FEWEST_TRIED + 1 if count is None else count
    if rows < needed:
        raise EmbeddingError(
            "SW-E09",
            f"{rows} vectors have a distance, this needs {needed} or more",
            fix="fewer clusters, or more records",
        )
    if method == "agglomerative" and rows > LARGEST_TREE:
        raise EmbeddingError(
            "SW-E09", f"agglomerative clustering compares all pairs: at most {LARGEST_TREE} vectors, got {rows}",
            fix="use kmeans",
        )  # fmt: skip


def _best(rows: np.ndarray, method: str, metric: Distance, seed: int) -> tuple[np.ndarray, dict[int, float]]:
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:SAMPLE])
    sample = torch.from_numpy(rows[drawn])
    most = min(MOST_TRIED, len(rows) - 1, _require_different(rows, FEWEST_TRIED))
    found = {count: _divided(rows, method, count, seed) for count in range(FEWEST_TRIED, most + 1)}
    tried = {}
    for count, labels in found.items():
        own = torch.from_numpy(labels[drawn].astype(np.int64))
        tried[count] = float(silhouettes(sample, own, metric).mean()) if len(torch.unique(own)) > 1 else -1.0
    best = max(tried, key=lambda count: (tried[count], -count))
    return found[best], tried


def _require_different(rows: np.ndarray, count: int) -> int:
    """How many rows differ; ``EmbeddingError`` SW-E09 for fewer than ``count``."""
    different = len(np.unique(rows, axis=0))
    if different < count:
        raise EmbeddingError(
            "SW-E09", f"there are {different} different vectors for {count} clusters",
            fix="fewer clusters, or more records: many vectors are the same",
        )  # fmt: skip
    return different


def _divided(rows: np.ndarray, method: str, count: int, seed: int) -> np.ndarray:
    made = _sklearn_cluster()
    chosen = (
        made.KMeans(count, n_init=10, random_state=seed)
        if method == "kmeans"
        else made.AgglomerativeClustering(count, linkage="ward")
    )
    return np.asarray(chosen.fit_predict(rows))


def _hdbscan(rows: np.ndarray, fewest: int) -> np.ndarray:
    return np.asarray(_sklearn_cluster().HDBSCAN(min_cluster_size=max(fewest, 2), copy=True).fit_predict(rows))


def _sklearn_cluster() -> Any:
    try:
        import sklearn.cluster
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "analysis") from error
    return sklearn.cluster


def _by_size(labels: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Clusters numbered from the largest; of equal ones, the one with the earlier first record."""
    names = [name for name in torch.unique(labels).tolist() if name >= 0]
    first = {name: int((labels == name).int().argmax()) for name in names}
    ranked = sorted(names, key=lambda name: (-int((labels == name).sum()), first[name]))
    numbered = torch.full_like(labels, NO_GROUP)
    for number, name in enumerate(ranked):
        numbered[labels == name] = number
    return numbered
