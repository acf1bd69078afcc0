"""Records that lie alone, and records whose neighbours have other labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import FAR, Distance
from seewhy.features.embeddings.neighbours import neighbours_within
from seewhy.features.embeddings.usable import require_table
from seewhy.values import EmbeddingError

NORMAL: Final = 0.6744897501960817
"""The upper quartile of the standard normal distribution: what the median deviation of normal numbers is."""


@dataclass(frozen=True)
class Outliers:
    """``distances`` ``(N,)``: the mean distance to the ``k`` nearest others; ``scores`` the robust z-score of its
    logarithm, since distances to neighbours are skewed (one of 0 counts as the smallest other).

    ``alone`` where the score is above 3.5. ``agreement`` ``(N,)`` is the share of those neighbours that have the
    record's label, NaN without a label; ``contested`` where none has. NaN for rows without a distance, and scores
    where half of the distances are the same or more.
    """

    distances: Float64[Tensor, " n"]
    scores: Float64[Tensor, " n"]
    agreement: Float64[Tensor, " n"]
    k: int
    metric: Distance

    @property
    def alone(self) -> Bool[Tensor, " n"]:
        """Records far from all others."""
        return self.scores > FAR

    @property
    def contested(self) -> Bool[Tensor, " n"]:
        """Records none of whose neighbours have their label."""
        return self.agreement == 0


def outliers(
    vectors: Num[Tensor, "n d"], labels: Int64[Tensor, " n"] | None = None, k: int = 10, metric: str = "cosine"
) -> Outliers:
    """How far each record is from its nearest others, and how many of these share its label.

    Distance to neighbours as a score: Ramaswamy et al. 2000 (doi:10.1145/342009.335437). Neighbours without a label
    count neither for nor against one.

    Raises:
        EmbeddingError: ``SW-E01``, ``SW-E02``, or ``SW-E03`` with fewer than ``k`` others.

    Example:
        >>> table = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [90.0]])
        >>> found = outliers(table, torch.tensor([0, 0, 1, 0, 0, 1]), k=2, metric="l2")
        >>> found.alone.tolist(), found.agreement.tolist()[2]
        ([False, False, False, False, False, True], 0.0)
    """
    rows = require_table(vectors)
    if labels is not None and (labels.shape != (len(rows),) or labels.is_floating_point()):
        raise EmbeddingError(
            "SW-E02", f"expected a label for each of {len(rows)} vectors, got {tuple(labels.shape)}",
            fix="labels as a tensor (N,) of integers, -1 where there is none",
        )  # fmt: skip
    found = neighbours_within(rows, k, metric)
    far = found.distances.mean(dim=1)
    agreement = torch.full_like(far, float("nan"))
    if labels is not None:
        agreement = _agreement(found.indices, labels)
    return Outliers(far, _robust(far), agreement, k, found.metric)


def _robust(distances: Float64[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """How many standard deviations each logarithm is above the median, both told by ranks."""
    positive = distances[distances > 0]
    if not len(positive):
        return torch.full_like(distances, float("nan"))
    values = distances.clamp(min=float(positive.min())).log()
    fine = values[~values.isnan()]
    middle = fine.quantile(0.5) if len(fine) < 1 << 24 else fine.median()
    away = (fine - middle).abs()
    spread = away.quantile(0.5) if len(fine) < 1 << 24 else away.median()
    return NORMAL * (values - middle) / spread.masked_fill(spread == 0, float("nan"))


def _agreement(neighbours: Int64[Tensor, "n k"], labels: Int64[Tensor, " n"]) -> Float64[Tensor, " n"]:
    theirs = labels[neighbours.clamp(min=0)]
    known = (theirs >= 0) & (neighbours >= 0)
    same = (theirs == labels[:, None]) & known
    share = same.sum(dim=1) / known.sum(dim=1).double()
    return share.masked_fill(labels < 0, float("nan"))
