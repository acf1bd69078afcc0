"""Embeddings as a tool: what is alike, what belongs together, what they know, and how they lie."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float64, Num
from torch import Tensor

from seewhy.features.embeddings.agreement import adjusted_rand, purity
from seewhy.features.embeddings.choices import CLOSE, INDEXES, PROBES, PROJECTIONS
from seewhy.features.embeddings.clustering import Clusters, cluster
from seewhy.features.embeddings.duplicates import Duplicates, near_duplicates
from seewhy.features.embeddings.faiss_search import FaissIndex
from seewhy.features.embeddings.neighbours import Neighbours, nearest_neighbours, neighbours_within
from seewhy.features.embeddings.outliers import Outliers, outliers
from seewhy.features.embeddings.principal import principal_components
from seewhy.features.embeddings.probes import Probed, knn_probe, linear_probe
from seewhy.features.embeddings.separation import Separation, separation
from seewhy.features.embeddings.settings import require_settings
from seewhy.features.embeddings.umap_projection import run_umap
from seewhy.features.embeddings.usable import require_vector
from seewhy.features.requirements import require_choice
from seewhy.inspection.embedding_files import read_embeddings
from seewhy.inspection.embedding_table import EmbeddingTable, table_of
from seewhy.inspection.probe_parts import probe_parts
from seewhy.pipeline.projection_export import axis_names
from seewhy.values import EmbeddingError, Json

_PROBE_SETTINGS: Final = {"linear": ("strength",), "knn": ("k", "metric")}
_UMAP_SETTINGS: Final = {
    name: parameter.default for name, parameter in inspect.signature(run_umap).parameters.items()
    if parameter.default is not parameter.empty
}  # fmt: skip


@dataclass(frozen=True)
class Similar:
    """A record that is like another: ``distance`` is 1 - cosine, or Euclidean."""

    record_id: str
    split: str
    distance: float
    label: int | None
    predicted: int | None


@dataclass(frozen=True)
class Projection:
    """Where records lie in few dimensions: ``places`` ``(N, K)``, NaN for vectors that have no place.

    ``axes`` name the first two; ``settings`` are what decided the picture.
    """

    method: str
    places: Float64[Tensor, "n k"]
    axes: tuple[str, ...]
    settings: dict[str, Json]


class Embeddings(EmbeddingTable):
    """Vectors of records, and the questions one puts to them; nothing here needs the model.

    Example:
        >>> table = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> found = Embeddings.of(table, ["cat", "lynx", "car"])
        >>> [one.record_id for one in found.similar("cat", k=2)]
        ['lynx', 'car']
    """

    @classmethod
    def load(cls, path: str | Path, splits: Collection[str] | None = None, layer: str | None = None) -> Embeddings:
        """The embeddings of a run directory, or of a file.

        Args:
            path: a run directory; or a ``.pt``, ``.safetensors`` or ``.npy`` file that holds a tensor ``(N, D)``, or a
                dict of vectors by record or of tables by split. Beside ``test_embeddings.pt`` its
                ``test_records.parquet`` is read. Nothing in a file is ever run.
            splits: only these of a run.
            layer: of a run with several; default: the model's own, before its head.

        Raises:
            EmbeddingError: ``SW-E22`` no such split, ``SW-E23`` vectors and records differ in number, ``SW-E25``
                nothing there, ``SW-E26`` a run without embeddings, ``SW-E27`` no such layer, ``SW-E28`` not readable.
            StoreError, CheckpointError: a damaged run or file.
        """
        return cls(**read_embeddings(path, splits, layer))

    @classmethod
    def of(cls, vectors: Num[Tensor, "n d"] | dict[str, Tensor], *known: Any, **named: Any) -> Embeddings:
        """Embeddings from memory: a table ``(N, D)``, ``{record: (D,)}`` or ``{split: (N, D)}``.

        Then, each optional and one for each vector: ``record_ids`` (default: row numbers), ``splits``, ``labels``,
        ``predicted``, ``confidence``; and ``class_names``.

        Raises:
            EmbeddingError: ``SW-E02``, ``SW-E04``, ``SW-E23``, ``SW-E24`` as the message says.
        """
        return cls(**table_of(vectors, *known, **named))

    def similar(
        self,
        record: str | Num[Tensor, " d"] | np.ndarray,
        k: int = 10,
        metric: str = "cosine",
        *,
        split: str | None = None,
        among: Collection[str] | None = None,
        index: str = "exact",
    ) -> list[Similar]:
        """The records nearest to a record of the table (itself left out) or to a vector ``(D,)``, nearest first.

        Args:
            record: an id, or a vector such as :func:`~seewhy.inspection.embed_image.embed_image` makes.
            k: how many.
            metric: ``cosine`` or ``l2``.
            split: where the record is, if several splits have one of that id.
            among: only records of these splits.
            index: ``exact``, or through faiss ``flat`` or ``hnsw``.

        Raises:
            EmbeddingError: ``SW-E20`` to ``SW-E22`` the record or split, ``SW-E29`` it has no distance to others,
                ``SW-E01`` to ``SW-E04`` as the message says.
        """
        own = None if isinstance(record, Tensor | np.ndarray) else self.row(record, split)
        query = require_vector(record) if own is None else self.vectors[own][None]
        rows = torch.arange(len(self)) if among is None else self.rows_of(*self.require_splits(among))
        rows = rows if own is None else rows[rows != own]
        if not len(rows):
            raise EmbeddingError("SW-E03", "there is no other record to compare with", fix="name more splits")
        found = self._search(query, self.vectors[rows], k, metric, index)
        if bool((found.indices < 0).all()):
            raise EmbeddingError(
                "SW-E29",
                f"{record if own is not None else 'the vector'} has no {metric} distance to others: it holds numbers "
                "that are not finite, or only zeros",
                fix="take the distance l2 if it is zero; check the model otherwise",
            )
        near = zip(found.indices[0].tolist(), found.distances[0].tolist(), strict=True)
        return [self._similar(int(rows[place]), distance) for place, distance in near if place >= 0]

    def neighbours(self, k: int = 10, metric: str = "cosine", *, index: str = "exact") -> Neighbours:
        """The nearest others of every record; see :mod:`seewhy.features.embeddings.neighbours`."""
        if index == "exact":
            return neighbours_within(self.vectors, k, metric)
        require_choice("index", index, INDEXES)
        return FaissIndex(self.vectors, metric, index).within(k)

    def index(self, kind: str = "hnsw", metric: str = "cosine") -> FaissIndex:
        """A faiss index of all vectors, to be searched often; its ``recall`` compares it with the exact answer."""
        return FaissIndex(self.vectors, metric, kind)

    def cluster(
        self, method: str = "kmeans", count: int | None = None, metric: str = "cosine", *, seed: int = 0
    ) -> Clusters:
        """Groups of records that lie together; see :func:`seewhy.features.embeddings.clustering.cluster`."""
        return cluster(self.vectors, method, count, metric, seed=seed)

    def separation(self, groups: Tensor | None = None, metric: str = "cosine") -> Separation:
        """How well groups are apart, by default the labels; silhouette, Davies-Bouldin, ratio of centroid distances."""
        return separation(self.vectors, self.labels if groups is None else groups, metric)

    def agreement(self, clusters: Clusters) -> dict[str, float]:
        """How far clusters are the labels: the adjusted Rand index and purity; NaN without labels."""
        return {
            "adjusted_rand": adjusted_rand(clusters.labels, self.labels),
            "purity": purity(clusters.labels, self.labels),
        }

    def duplicates(self, threshold: float = CLOSE, metric: str = "cosine") -> Duplicates:
        """Pairs of records that are almost the same, also across splits."""
        return near_duplicates(self.vectors, threshold, metric, self.splits)

    def outliers(self, k: int = 10, metric: str = "cosine") -> Outliers:
        """Records that lie alone, and those whose neighbours have other labels."""
        return outliers(self.vectors, self.labels, k, metric)

    def probe(
        self,
        kind: str = "linear",
        train: str | None = None,
        test: Collection[str] | None = None,
        *,
        seed: int = 0,
        **settings: Any,
    ) -> dict[str, Probed]:
        """What the embeddings know of the labels: a probe trained on one split and scored on each of the others.

        Without a split ``train``, and with no other named, half of each class is held out at random by ``seed``.

        Args:
            kind: ``linear`` or ``knn``.
            train, test: splits; by default ``train`` and all others.
            seed: of the held-out half and of the shuffled control.
            settings: ``strength`` of the linear probe; ``k`` and ``metric`` of the k-NN probe.

        Returns:
            By held-out split, the scores of the probe and of two controls.

        Raises:
            EmbeddingError: ``SW-E07`` fewer than two classes, ``SW-E11`` nothing to test on, ``SW-E12`` the seed,
                ``SW-E15`` no such setting, ``SW-E22`` no such split.
        """
        require_choice("kind", kind, PROBES)
        require_settings(f"a {kind} probe", settings, _PROBE_SETTINGS[kind])
        ask: Any = linear_probe if kind == "linear" else knn_probe
        return {
            name: ask(
                self.vectors[known], self.labels[known], self.vectors[asked], self.labels[asked], seed=seed, **settings
            )
            for name, (known, asked) in probe_parts(self, train, test, seed).items()
        }

    def project(self, method: str = "pca", **settings: Any) -> Projection:
        """Places in the plane: ``pca`` (exact; ``count`` components) or ``umap`` (settings of :func:`run_umap`).

        Raises:
            EmbeddingError: ``SW-E15`` no such setting, and as the two.
        """
        require_choice("method", method, PROJECTIONS)
        if method == "umap":
            require_settings(method, settings, list(_UMAP_SETTINGS))
            used = {**_UMAP_SETTINGS, **settings}
            return Projection(method, run_umap(self.vectors, **used), ("UMAP 1", "UMAP 2"), used)
        require_settings(method, settings, ["count"])
        found = principal_components(self.vectors, **settings)
        return Projection(method, found.project(self.vectors), tuple(axis_names(found.explained)), dict(settings))

    def _similar(self, row: int, distance: float) -> Similar:
        label, predicted = int(self.labels[row]), int(self.predicted[row])
        return Similar(
            self.record_ids[row], self.splits[row], distance, None if label < 0 else label,
            None if predicted < 0 else predicted,
        )  # fmt: skip

    def _search(self, queries: Tensor, references: Tensor, k: int, metric: str, index: str) -> Neighbours:
        require_choice("index", index, INDEXES)
        if index == "exact":
            return nearest_neighbours(queries, references, k, metric)
        return FaissIndex(references, metric, index).search(queries, k)
