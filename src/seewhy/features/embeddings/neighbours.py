"""Exact nearest neighbours in chunks: every distance is compared, and no table of all of them is ever made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import Distance
from seewhy.features.embeddings.usable import prepared_rows, require_distance, require_table, usable_rows
from seewhy.features.requirements import require_count
from seewhy.values import EmbeddingError

BLOCK_ROWS: Final = 8192
"""References compared at once."""
CHUNK_ROWS: Final = 256
"""Queries compared at once."""
KEPT: Final = 1 << 25
"""References of no more numbers than this are prepared once (256 MB), larger ones for each chunk of queries."""
SPARE: Final = 8
"""Candidates beyond ``k`` that are measured again, so that ties are seldom cut."""
SLACK: Final = 1e-9
"""Products of unit vectors, or of vectors over the longest one's square, are right to far less than this."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest references of each query, nearest first, those at equal distance in their own order.

    ``indices`` ``(Q, K)`` count the references, -1 for a query without distances; ``distances`` ``(Q, K)``: 1 - cosine
    (0 to 2) or Euclidean, NaN there. ``left_out`` references have no distance: a number that is not finite or, for
    the cosine, only zeros.
    """

    indices: Int64[Tensor, "q k"]
    distances: Float64[Tensor, "q k"]
    metric: Distance
    left_out: int


def nearest_neighbours(
    queries: Num[Tensor, "q d"],
    references: Num[Tensor, "n d"],
    k: int = 10,
    metric: str = "cosine",
    *,
    exclude: Int64[Tensor, " q"] | None = None,
    chunk_rows: int = CHUNK_ROWS,
    block_rows: int = BLOCK_ROWS,
) -> Neighbours:
    """The ``k`` references nearest to each query; exact, in double precision, whatever the sizes of chunks.

    Candidates are found by matrix products and measured again by differences, so that a vector's distance to its equal
    is exactly 0 and ties are told from near ties.

    Args:
        queries: ``(Q, D)``.
        references: ``(N, D)``.
        k: how many.
        metric: ``cosine`` (the distance is 1 - cosine) or ``l2``.
        exclude: ``(Q,)``, for each query a reference that is not its neighbour, such as itself; -1 excludes none.
        chunk_rows, block_rows: queries and references compared at once; memory is bounded by them.

    Raises:
        EmbeddingError: ``SW-E01`` no such distance, ``SW-E02`` no table, ``SW-E03`` more neighbours than there are,
            ``SW-E04`` vectors of other lengths. ConfigError: ``SW-F201``, a count is no whole number from 1 on.

    Example:
        >>> table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
        >>> found = nearest_neighbours(table[:1], table, 2)
        >>> found.indices.tolist(), found.distances.tolist()
        ([[0, 2]], [[0.0, 0.0]])
    """
    queries, references = require_table(queries, "queries"), require_table(references, "references")
    distance = _require(queries, references, k, metric, exclude, chunk_rows, block_rows)
    answered = usable_rows(queries, distance)
    known = usable_rows(references, distance)
    excluded = torch.full((len(queries),), -1) if exclude is None else exclude
    named = excluded[answered & (excluded >= 0)]
    require_enough(k, known, 1 if bool(known[named].any()) else 0)
    indices = torch.full((len(queries), k), -1)
    distances = torch.full((len(queries), k), float("nan"), dtype=torch.float64)
    kept = list(prepared_blocks(references, known, distance, block_rows)) if references.numel() <= KEPT else None
    for chunk in torch.split(answered.nonzero()[:, 0], chunk_rows):
        rows = prepared_rows(queries[chunk], distance)
        best = rows.new_zeros(len(chunk), 0), torch.zeros(len(chunk), 0, dtype=torch.int64)
        for names, block in kept or prepared_blocks(references, known, distance, block_rows):
            best = _merged(best, _nearest_in(rows, block, names, excluded[chunk], k), k)
        distances[chunk], indices[chunk] = _shown(best[0], distance), best[1]
    return Neighbours(indices, distances, distance, int((~known).sum()))


def neighbours_within(
    vectors: Num[Tensor, "n d"], k: int = 10, metric: str = "cosine", *, chunk_rows: int = CHUNK_ROWS
) -> Neighbours:
    """:func:`nearest_neighbours` of each row among the other rows of the same table."""
    rows = require_table(vectors)
    return nearest_neighbours(rows, rows, k, metric, exclude=torch.arange(len(rows)), chunk_rows=chunk_rows)


def prepared_blocks(
    references: Num[Tensor, "n d"], known: Bool[Tensor, " n"], metric: Distance, block_rows: int = BLOCK_ROWS
) -> Iterator[tuple[Int64[Tensor, " b"], Float64[Tensor, "b d"]]]:
    """The usable references, some at a time: their row numbers, and themselves in double precision."""
    for names in torch.split(known.nonzero()[:, 0], block_rows):
        yield names, prepared_rows(references[names], metric)


def squared_distances(rows: Float64[Tensor, "q d"], block: Float64[Tensor, "b d"]) -> Float64[Tensor, "q b"]:
    """By products: fast, and right to rounding of the squared lengths."""
    lengths = rows.square().sum(dim=1)[:, None], block.square().sum(dim=1)[None]
    return (lengths[0] + lengths[1]).addmm_(rows, block.T, alpha=-2).clamp_(min=0)


def _shown(squared: Float64[Tensor, "q k"], metric: Distance) -> Float64[Tensor, "q k"]:
    """Of unit vectors, 1 - cosine is half the squared distance."""
    return squared / 2 if metric == "cosine" else squared.sqrt()


def _nearest_in(
    rows: Float64[Tensor, "q d"],
    block: Float64[Tensor, "b d"],
    names: Int64[Tensor, " b"],
    excluded: Int64[Tensor, " q"],
    k: int,
) -> tuple[Float64[Tensor, "q j"], Int64[Tensor, "q j"]]:
    """The nearest of one block: squared distances and references, by distance, then by order."""
    rough = squared_distances(rows, block)
    rough.masked_fill_(names[None] == excluded[:, None], torch.inf)
    taken = min(k + SPARE, len(block))
    found = rough.topk(taken, dim=1, largest=False)
    places = found.indices.sort(dim=1).values
    best = _measured(rows, block, places, rough.gather(1, places), k)
    if taken < len(block):
        slack = SLACK * (rows.square().sum(dim=1) + block.square().sum(dim=1).max())
        cut = found.values[:, -1] <= found.values[:, min(k, taken) - 1] + slack
        for row in cut.nonzero()[:, 0].tolist():
            near = (rough[row] <= found.values[row, k - 1] + slack[row]).nonzero()[:, 0]
            own = _measured(rows[row : row + 1], block, near[None], rough[row, near][None], k)
            best[0][row], best[1][row] = own[0][0], own[1][0]
    return best[0], names[best[1]].masked_fill(best[0].isinf(), -1)


def _measured(
    rows: Float64[Tensor, "q d"],
    block: Float64[Tensor, "b d"],
    places: Int64[Tensor, "q c"],
    rough: Float64[Tensor, "q c"],
    k: int,
) -> tuple[Float64[Tensor, "q j"], Int64[Tensor, "q j"]]:
    """The ``k`` nearest of some places (ascending) of a block, measured by differences."""
    exact = torch.empty_like(rough)
    for place in range(places.shape[1]):
        exact[:, place] = (rows - block[places[:, place]]).square().sum(dim=1)
    exact.masked_fill_(rough.isinf(), torch.inf)
    ranked = exact.sort(dim=1, stable=True)
    return ranked.values[:, :k].clone(), places.gather(1, ranked.indices[:, :k])


def _merged(
    best: tuple[Tensor, Tensor], more: tuple[Tensor, Tensor], k: int
) -> tuple[Float64[Tensor, "q j"], Int64[Tensor, "q j"]]:
    """The nearest of two sorted lists; of equals, those of the earlier block first."""
    values, names = torch.cat([best[0], more[0]], dim=1), torch.cat([best[1], more[1]], dim=1)
    ranked = values.sort(dim=1, stable=True)
    return ranked.values[:, :k], names.gather(1, ranked.indices[:, :k])


def _require(
    asked: Tensor, known: Tensor, k: int, metric: str, exclude: Tensor | None, chunk_rows: int, block_rows: int
) -> Distance:
    if asked.shape[1] != known.shape[1]:
        raise EmbeddingError(
            "SW-E04", f"queries of length {asked.shape[1]} and references of length {known.shape[1]} do not compare",
            fix="take embeddings of the same layer of the same model",
        )  # fmt: skip
    for name, value in (("k", k), ("chunk_rows", chunk_rows), ("block_rows", block_rows)):
        require_count(name, value)
    if exclude is not None and exclude.shape != (len(asked),):
        raise EmbeddingError(
            "SW-E02", f"exclude is {tuple(exclude.shape)}, expected ({len(asked)},)", fix="one reference for each query"
        )
    return require_distance(metric)


def require_enough(k: int, known: Bool[Tensor, " n"], excluded: int) -> None:
    """``EmbeddingError`` SW-E03 where of the references that are ``known`` to have a distance too few are left."""
    count = max(int(known.sum()) - excluded, 0)
    if k > count:
        unusable = int((~known).sum())
        raise EmbeddingError(
            "SW-E03", f"asked for {k} neighbours, there are {count}"
            + (f" ({unusable} vectors have no distance: not finite, or all zero)" if unusable else ""),
            fix=f"ask for {count} or fewer" if count else "check the embeddings",
        )  # fmt: skip
