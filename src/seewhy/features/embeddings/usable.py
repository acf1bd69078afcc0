"""What a table of vectors must be, and which of its rows a distance is defined for."""

from __future__ import annotations

from typing import Final, Literal

import torch
from jaxtyping import Bool, Float64, Num
from torch import Tensor

from seewhy.values import EmbeddingError, nearest

Distance = Literal["cosine", "l2"]
DISTANCES: Final[tuple[Distance, ...]] = ("cosine", "l2")
SMALL: Final = 1e-100
LARGE: Final = 1e100


def require_distance(metric: str) -> Distance:
    """The distance of that name; raises ``EmbeddingError`` SW-E01."""
    for known in DISTANCES:
        if metric == known:
            return known
    raise EmbeddingError(
        "SW-E01", f"a distance is one of {', '.join(DISTANCES)}, got {metric!r}",
        near=nearest(str(metric), DISTANCES), fix="metric='cosine'",
    )  # fmt: skip


def require_table(vectors: object, what: str = "vectors") -> Num[Tensor, "n d"]:
    """The tensor itself, if it is a table ``(N, D)`` of real numbers with a row or more; ``EmbeddingError`` SW-E02."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or not vectors.numel() or vectors.is_complex():
        came = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise EmbeddingError(
            "SW-E02", f"expected {what} as a tensor (N, D) of real numbers with one row or more, got {came}",
            fix="one vector for each record: torch.stack(vectors)",
        )  # fmt: skip
    return vectors


def usable_rows(vectors: Num[Tensor, "n d"], metric: Distance = "l2") -> Bool[Tensor, " n"]:
    """Which rows have a distance to others: all numbers finite and, for the cosine, not all zero.

    Example:
        >>> table = torch.tensor([[3.0, 4.0], [0.0, 0.0], [float("nan"), 1.0]])
        >>> usable_rows(table, "cosine").tolist(), usable_rows(table).tolist()
        ([True, False, False], [True, True, False])
    """
    fine = torch.isfinite(vectors).all(dim=1)
    return fine & (vectors != 0).any(dim=1) if metric == "cosine" else fine


def prepared_rows(vectors: Num[Tensor, "n d"], metric: Distance) -> Float64[Tensor, "n d"]:
    """Usable rows in double precision; for the cosine each divided by its length."""
    rows = vectors.double()
    if metric == "cosine":
        lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        if not bool(((lengths > SMALL) & (lengths < LARGE)).all()):  # a square overflows or vanishes
            rows = rows / rows.abs().amax(dim=1, keepdim=True)
            lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        rows = rows / lengths
    return rows
