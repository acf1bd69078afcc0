"""Vectors with the group that each belongs to: a class or a cluster."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import Distance
from seewhy.features.embeddings.usable import prepared_rows, require_table, usable_rows
from seewhy.values import EmbeddingError

NO_GROUP: Final = -1
"""The group of a record without a label, or in no cluster."""


def require_groups(vectors: object, groups: object, fewest: int = 2) -> None:
    """Raise ``EmbeddingError`` SW-E02 or SW-E07 unless there is a group for each row, and ``fewest`` of them."""
    rows = require_table(vectors)
    if not isinstance(groups, Tensor) or groups.shape != (len(rows),) or groups.is_floating_point():
        came = tuple(groups.shape) if isinstance(groups, Tensor) else type(groups).__name__
        raise EmbeddingError(
            "SW-E02", f"expected a whole number for each of {len(rows)} vectors, got {came}",
            fix="labels as a tensor (N,) of integers, -1 where there is none",
        )  # fmt: skip
    found = torch.unique(groups[groups >= 0]).tolist()
    if len(found) < fewest:
        raise EmbeddingError(
            "SW-E07", f"this needs {fewest} groups or more, there are {len(found)}",
            fix="take records of several classes, or several clusters",
        )  # fmt: skip


def grouped_rows(
    vectors: Num[Tensor, "n d"], groups: Int64[Tensor, " n"], metric: Distance
) -> tuple[Int64[Tensor, " m"], Float64[Tensor, "m d"], Int64[Tensor, " m"], list[int]]:
    """The rows that have a group and a distance: their numbers, themselves prepared, the place of their group, groups.

    Raises:
        EmbeddingError: ``SW-E07``, fewer than two groups are left.
    """
    vectors = require_table(vectors)
    kept = (usable_rows(vectors, metric) & (groups >= 0)).nonzero()[:, 0]
    require_groups(vectors, groups)
    names, places = torch.unique(groups[kept], return_inverse=True)
    if len(names) < 2:
        raise EmbeddingError(
            "SW-E07", f"of the vectors that have a distance, {len(names)} groups are left, this needs 2",
            fix="check the embeddings: some are not finite, or all zero",
        )  # fmt: skip
    return kept, prepared_rows(vectors[kept], metric), places, names.tolist()


def centroids(rows: Float64[Tensor, "m d"], places: Int64[Tensor, " m"], count: int) -> Float64[Tensor, "c d"]:
    """The mean of each group; groups are ``0 … count - 1``."""
    sums = rows.new_zeros(count, rows.shape[1]).index_add_(0, places, rows)
    return sums / torch.bincount(places, minlength=count)[:, None]
