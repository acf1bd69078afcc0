"""Vectors that are almost the same, within a table and so also across the splits of its records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.neighbours import BLOCK_ROWS, CHUNK_ROWS, prepared_blocks, squared_distances
from seewhy.features.embeddings.usable import Distance, prepared_rows, require_distance, require_table, usable_rows
from seewhy.values import EmbeddingError

CLOSE: Final = 1e-3
"""1 - cosine of two vectors at 2.6 degrees."""
MOST: Final = 100_000
"""Pairs that are kept; of more, the nearest."""
TOO_MANY: Final = 10_000_000


@dataclass(frozen=True)
class Duplicates:
    """``pairs`` ``(P, 2)``, the earlier row first, and ``distances`` ``(P,)``, nearest first.

    ``found`` counts all pairs, also those beyond the first 100 000; ``groups`` are the rows that the pairs connect.
    """

    pairs: Int64[Tensor, "p 2"]
    distances: Float64[Tensor, " p"]
    found: int
    threshold: float
    metric: Distance
    groups: tuple[tuple[int, ...], ...]


def near_duplicates(vectors: Num[Tensor, "n d"], threshold: float = CLOSE, metric: str = "cosine") -> Duplicates:
    """All pairs of rows no further apart than ``threshold``; exact, over all pairs, in chunks.

    Raises:
        EmbeddingError: ``SW-E01`` no such distance, ``SW-E02`` no table, ``SW-E10`` a threshold that is no number from
            0 on, or that ten million pairs are within.

    Example:
        >>> found = near_duplicates(torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]))
        >>> found.pairs.tolist(), found.distances.tolist(), found.groups
        ([[0, 2]], [0.0], ((0, 2),))
    """
    rows, distance = require_table(vectors), require_distance(metric)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < float("inf"):
        raise EmbeddingError(
            "SW-E10", f"threshold must be a number from 0 on, got {threshold!r}", fix="threshold=0.001"
        )
    known = usable_rows(rows, distance)
    limit = 2 * threshold if distance == "cosine" else threshold**2
    pairs, measured, found = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, dtype=torch.float64), 0
    joined = _Joined(len(rows))
    for chunk in torch.split(known.nonzero()[:, 0], CHUNK_ROWS):
        asked = prepared_rows(rows[chunk], distance)
        for names, block in prepared_blocks(rows, known & _from(chunk, len(rows)), distance, BLOCK_ROWS):
            near, apart = _close(asked, block, chunk, names, limit)
            found += len(near)
            if found > TOO_MANY:
                raise EmbeddingError(
                    "SW-E10", f"more than {TOO_MANY} pairs are no further apart than {threshold:g}",
                    fix="a smaller threshold; or the embeddings have collapsed into one point",
                )  # fmt: skip
            joined.join(near)
            pairs, measured = _nearest(torch.cat([pairs, near]), torch.cat([measured, apart]))
    distances = measured / 2 if distance == "cosine" else measured.sqrt()
    return Duplicates(pairs, distances, found, float(threshold), distance, joined.groups())


def _from(chunk: Int64[Tensor, " m"], count: int) -> Tensor:
    return torch.arange(count) > chunk[0]


def _close(
    asked: Float64[Tensor, "m d"],
    block: Float64[Tensor, "b d"],
    chunk: Int64[Tensor, " m"],
    names: Int64[Tensor, " b"],
    limit: float,
) -> tuple[Int64[Tensor, "p 2"], Float64[Tensor, " p"]]:
    """Pairs, the earlier row first, measured by differences."""
    lengths = asked.square().sum(dim=1)[:, None] + block.square().sum(dim=1)[None]
    rough = squared_distances(asked, block) <= limit + 1e-9 * lengths
    near = (rough & (names[None] > chunk[:, None])).nonzero()
    exact = torch.cat(
        [(asked[part[:, 0]] - block[part[:, 1]]).square().sum(dim=1) for part in torch.split(near, BLOCK_ROWS)]
    )
    kept = exact <= limit
    near = near[kept]
    return torch.stack([chunk[near[:, 0]], names[near[:, 1]]], dim=1), exact[kept]


def _nearest(
    pairs: Int64[Tensor, "p 2"], measured: Float64[Tensor, " p"]
) -> tuple[Int64[Tensor, "q 2"], Float64[Tensor, " q"]]:
    """Sorted by distance, then by rows; the nearest of too many."""
    for column in (1, 0):
        order = pairs[:, column].sort(stable=True).indices
        pairs, measured = pairs[order], measured[order]
    order = measured.sort(stable=True).indices[:MOST]
    return pairs[order], measured[order]


class _Joined:
    """Rows that pairs connect: each row knows the first row of its group."""

    def __init__(self, count: int) -> None:
        self._first = torch.arange(count)

    def join(self, pairs: Int64[Tensor, "p 2"]) -> None:
        while len(pairs):
            ends = self._first[pairs]
            pairs = pairs[ends[:, 0] != ends[:, 1]]
            ends = self._first[pairs]
            self._first.scatter_reduce_(0, ends.amax(dim=1), ends.amin(dim=1), "amin")
            while not torch.equal(shorter := self._first[self._first], self._first):
                self._first = shorter

    def groups(self) -> tuple[tuple[int, ...], ...]:
        order = self._first.sort(stable=True).indices
        sizes = torch.bincount(self._first, minlength=len(self._first))
        parts = torch.split(order, sizes[sizes > 0].tolist())
        return tuple(tuple(part.tolist()) for part in parts if len(part) > 1)
