"""Nearest neighbours through faiss, for tables too large to compare with every time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import INDEX_KINDS, Distance
from seewhy.features.embeddings.neighbours import Neighbours, nearest_neighbours, require_enough
from seewhy.features.embeddings.usable import prepared_rows, require_distance, require_table, usable_rows
from seewhy.features.requirements import require_count
from seewhy.values import EmbeddingError, MissingExtraError, nearest

LINKS: Final = 32
BUILD_WIDTH: Final = 200
SEARCH_WIDTH: Final = 128
"""HNSW looks at no fewer candidates than this."""


@dataclass(frozen=True)
class Recall:
    """Of the exact neighbours of some queries, the share that an index found; ``queries`` were compared."""

    share: float
    queries: int
    k: int


class FaissIndex:
    """A table of vectors to be searched often. ``flat`` compares with all, ``hnsw`` with few and may miss some.

    Numbers are in single precision. ``seconds`` is how long it took to build.

    Args:
        references: ``(N, D)``.
        metric: ``cosine`` or ``l2``.
        kind: ``flat`` or ``hnsw`` (Malkov and Yashunin 2018, arXiv:1603.09320).

    Raises:
        MissingExtraError: faiss-cpu is not installed. EmbeddingError: ``SW-E01``, ``SW-E02``, ``SW-E14`` no such kind.

    Example:
        >>> table = torch.eye(4)
        >>> FaissIndex(table).search(table[:1], 1).indices.tolist()
        [[0]]
    """

    def __init__(self, references: Num[Tensor, "n d"], metric: str = "cosine", kind: str = "flat") -> None:
        if kind not in INDEX_KINDS:
            raise EmbeddingError(
                "SW-E14", f"an index is one of {', '.join(INDEX_KINDS)}, got {kind!r}",
                near=nearest(str(kind), INDEX_KINDS), fix="use one of these",
            )  # fmt: skip
        self.references, self.kind = require_table(references, "references"), kind
        self.metric: Distance = require_distance(metric)
        self._known = usable_rows(self.references, self.metric)
        self._names = self._known.nonzero()[:, 0]
        begun = time.monotonic()
        self._index = _built(_faiss(), self.references.shape[1], kind)
        for part in torch.split(self._names, 1 << 16):
            self._index.add(prepared_rows(self.references[part], self.metric).float().numpy())
        self.seconds = time.monotonic() - begun

    def search(self, queries: Num[Tensor, "q d"], k: int = 10) -> Neighbours:
        """As :func:`~seewhy.features.embeddings.neighbours.nearest_neighbours`; -1 and NaN also where HNSW found none.

        Raises:
            EmbeddingError: ``SW-E02`` no table, ``SW-E03`` more neighbours than vectors, ``SW-E04`` other lengths.
        """
        asked = require_table(queries, "queries")
        if asked.shape[1] != self.references.shape[1]:
            raise EmbeddingError(
                "SW-E04", f"queries of length {asked.shape[1]}, the index holds vectors of length "
                f"{self.references.shape[1]}", fix="take embeddings of the same layer of the same model",
            )  # fmt: skip
        require_enough(require_count("k", k), self._known, 0)
        answered = usable_rows(asked, self.metric).nonzero()[:, 0]
        indices = torch.full((len(asked), k), -1)
        distances = torch.full((len(asked), k), float("nan"), dtype=torch.float64)
        if len(answered):
            if self.kind == "hnsw":
                self._index.hnsw.efSearch = max(SEARCH_WIDTH, 2 * k)
            squared, places = self._index.search(prepared_rows(asked[answered], self.metric).float().numpy(), k)
            apart = torch.from_numpy(squared).double().clamp(min=0)
            found = torch.from_numpy(places).masked_fill(~apart.isfinite(), -1)  # beyond what single precision holds
            apart = apart / 2 if self.metric == "cosine" else apart.sqrt()
            indices[answered] = self._names[found.clamp(min=0)].masked_fill(found < 0, -1)
            distances[answered] = apart.masked_fill(found < 0, float("nan"))
        return Neighbours(indices, distances, self.metric, len(self.references) - len(self._names))

    def within(self, k: int = 10) -> Neighbours:
        """The nearest others of every row; raises as :meth:`search`."""
        require_enough(require_count("k", k), self._known, 1)
        found = self.search(self.references, k + 1)
        own = found.indices == torch.arange(len(self.references))[:, None]
        own[:, -1] |= ~own.any(dim=1)  # where equals crowd a row out of its own list, the last one goes
        shape = len(self.references), k
        return Neighbours(
            found.indices[~own].reshape(shape), found.distances[~own].reshape(shape), found.metric, found.left_out
        )

    def recall(self, queries: Num[Tensor, "q d"], k: int = 10) -> Recall:
        """The share of exact neighbours that the index finds; one at the same distance as the last counts."""
        exact = nearest_neighbours(queries, self.references, k, self.metric)
        found = self.search(queries, k)
        answered = exact.indices[:, 0] >= 0
        share = float(_as_near(exact, found.indices, queries, self.references)[answered].double().mean())
        return Recall(share if bool(answered.any()) else float("nan"), int(answered.sum()), k)


def _as_near(exact: Neighbours, found: Int64[Tensor, "q k"], queries: Tensor, references: Tensor) -> Tensor:
    """Which of those found are no further away than the last exact neighbour, up to single precision."""
    near = torch.zeros_like(found, dtype=torch.bool)
    for row, names in enumerate(found.clamp(min=0)):
        if exact.indices[row, 0] < 0:
            continue
        pair = prepared_rows(queries[row : row + 1], exact.metric), prepared_rows(references[names], exact.metric)
        squared = (pair[0] - pair[1]).square().sum(dim=1)
        apart = squared / 2 if exact.metric == "cosine" else squared.sqrt()
        limit = exact.distances[row, -1]
        near[row] = apart <= limit + 1e-6 * (limit + 1e-6)
    return near & (found >= 0)


def _built(faiss: Any, length: int, kind: str) -> Any:
    if kind == "flat":
        return faiss.IndexFlatL2(length)
    index = faiss.IndexHNSWFlat(length, LINKS)
    index.hnsw.efConstruction = BUILD_WIDTH
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "faiss") from error
    return faiss
