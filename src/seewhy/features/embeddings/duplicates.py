"""Vectors that are almost the same, within a table and so also across the splits of its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import CLOSE, Distance
from seewhy.features.embeddings.neighbours import BLOCK_ROWS, CHUNK_ROWS, prepared_blocks, squared_distances
from seewhy.features.embeddings.usable import prepared_rows, require_distance, require_table, usable_rows
from seewhy.values import EmbeddingError

MOST: Final = 100_000
"""Pairs that are kept; of more, those across splits first, each nearest first."""
TOO_MANY: Final = 10_000_000


@dataclass(frozen=True)
class Duplicates:
    """``pairs`` ``(P, 2)``, the earlier row first, and ``distances`` ``(P,)``: across splits first, each nearest first.

    ``found`` counts all pairs and ``across`` those of rows in different splits, also beyond the 100 000 that are kept;
    ``groups`` are the rows that all pairs connect.
    """

    pairs: Int64[Tensor, "p 2"]
    distances: Float64[Tensor, " p"]
    found: int
    across: int
    threshold: float
    metric: Distance
    groups: tuple[tuple[int, ...], ...]


def near_duplicates(
    vectors: Num[Tensor, "n d"],
    threshold: float = CLOSE,
    metric: str = "cosine",
    splits: Sequence[str] | None = None,
) -> Duplicates:
    """All pairs of rows no further apart than ``threshold``; exact, over all pairs, in chunks.

    Args:
        vectors: ``(N, D)``.
        threshold: the largest distance.
        metric: ``cosine`` or ``l2``.
        splits: the split of each row; None: all are of one.

    Raises:
        EmbeddingError: ``SW-E01`` no such distance, ``SW-E02`` no table or not a split for each row, ``SW-E10`` a
            threshold that is no number from 0 on, or that ten million pairs are within.

    Example:
        >>> found = near_duplicates(torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]))
        >>> found.pairs.tolist(), found.distances.tolist(), found.groups
        ([[0, 2]], [0.0], ((0, 2),))
    """
    rows, distance = require_table(vectors), require_distance(metric)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < float("inf"):
        raise EmbeddingError(
            "SW-E10", f"threshold must be a number from 0 on, got {threshold!r}", fix=f"take {CLOSE:g}"
        )
    known = usable_rows(rows, distance)
    limit = 2 * threshold if distance == "cosine" else threshold**2
    parts = _parts(splits, len(rows))
    kept, found, across = _Kept(), 0, 0
    joined = _Joined(len(rows))
    names = known.nonzero()[:, 0]
    for chunk in torch.split(names, CHUNK_ROWS) if len(names) else ():
        asked = prepared_rows(rows[chunk], distance)
        for others, block in prepared_blocks(rows, known & _from(chunk, len(rows)), distance, BLOCK_ROWS):
            near, apart = _close(asked, block, chunk, others, limit)
            leaking = parts[near[:, 0]] != parts[near[:, 1]]
            found, across = found + len(near), across + int(leaking.sum())
            if found > TOO_MANY:
                raise EmbeddingError(
                    "SW-E10", f"more than {TOO_MANY} pairs are no further apart than {threshold:g}",
                    fix="a smaller threshold; or the embeddings have collapsed into one point",
                )  # fmt: skip
            joined.join(near)
            kept.add(near, apart, leaking)
    distances = kept.measured / 2 if distance == "cosine" else kept.measured.sqrt()
    return Duplicates(kept.pairs, distances, found, across, float(threshold), distance, joined.groups())


def _parts(splits: Sequence[str] | None, count: int) -> Int64[Tensor, " n"]:
    """A number for each row's split."""
    if splits is None:
        return torch.zeros(count, dtype=torch.int64)
    if len(splits) != count:
        raise EmbeddingError("SW-E02", f"{len(splits)} splits for {count} vectors", fix="one for each, in their order")
    number = {name: place for place, name in enumerate(dict.fromkeys(splits))}
    return torch.tensor([number[name] for name in splits])


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


class _Kept:
    """The pairs that matter most: those across splits, then the nearest, then by rows."""

    def __init__(self) -> None:
        self.pairs = torch.zeros(0, 2, dtype=torch.int64)
        self.measured = torch.zeros(0, dtype=torch.float64)
        self._leaking = torch.zeros(0, dtype=torch.bool)

    def add(self, pairs: Int64[Tensor, "p 2"], measured: Float64[Tensor, " p"], leaking: Bool[Tensor, " p"]) -> None:
        """Take some more, and let the last ones go where there are too many."""
        pairs, measured = torch.cat([self.pairs, pairs]), torch.cat([self.measured, measured])
        leaking = torch.cat([self._leaking, leaking])
        order = torch.arange(len(pairs))
        for key in (pairs[:, 1], pairs[:, 0], measured, ~leaking):
            order = order[key[order].sort(stable=True).indices]
        order = order[:MOST]
        self.pairs, self.measured, self._leaking = pairs[order], measured[order], leaking[order]


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
