"""How far clusters and classes are the same grouping: the adjusted Rand index and purity."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from seewhy.values import EmbeddingError


def contingency(one: Int64[Tensor, " n"], other: Int64[Tensor, " n"]) -> Int64[Tensor, "a b"]:
    """How many records are in each group of the one and each of the other; those without a group (-1) are left out.

    Raises:
        EmbeddingError: ``SW-E02``, not one group each for the same records.
    """
    if one.shape != other.shape or one.ndim != 1:
        raise EmbeddingError(
            "SW-E02", f"expected two groupings of the same records, got {tuple(one.shape)} and {tuple(other.shape)}",
            fix="one whole number for each record in both",
        )  # fmt: skip
    both = (one >= 0) & (other >= 0)
    rows, columns = (torch.unique(groups[both], return_inverse=True) for groups in (one, other))
    table = torch.zeros(len(rows[0]), len(columns[0]), dtype=torch.int64)
    return table.index_put_((rows[1], columns[1]), torch.ones_like(rows[1]), accumulate=True)


def adjusted_rand(one: Int64[Tensor, " n"], other: Int64[Tensor, " n"]) -> float:
    """The adjusted Rand index: 1 for the same grouping, 0 as expected by chance. NaN with fewer than 2 records.

    Hubert and Arabie 1985 (doi:10.1007/BF01908075), eq. 5.

    Example:
        >>> adjusted_rand(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 5, 2, 2]))
        1.0
    """
    table = contingency(one, other)
    records = int(table.sum())
    if records < 2:
        return float("nan")
    together = _pairs(table)
    rows, columns = _pairs(table.sum(dim=1)), _pairs(table.sum(dim=0))
    expected = rows * columns / (records * (records - 1) / 2)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def purity(clusters: Int64[Tensor, " n"], labels: Int64[Tensor, " n"]) -> float:
    """The share of records that have the commonest label of their cluster; NaN without records.

    Example:
        >>> purity(torch.tensor([0, 0, 0, 1]), torch.tensor([7, 7, 8, 8]))
        0.75
    """
    table = contingency(clusters, labels)
    return float(table.amax(dim=1).sum()) / float(table.sum()) if table.numel() else float("nan")


def _pairs(counts: Int64[Tensor, "..."]) -> float:
    return float((counts * (counts - 1)).sum()) / 2
