"""What a table of vectors must be, and which of its rows a distance is defined for."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import DISTANCES, Distance
from seewhy.values import EmbeddingError, nearest

SMALL: Final = 1e-100
LARGE: Final = 1e100
"""Squares of larger numbers, and of differences between them, are not finite."""


def require_distance(metric: str) -> Distance:
    """The distance of that name; raises ``EmbeddingError`` SW-E01."""
    for known in DISTANCES:
        if metric == known:
            return known
    raise EmbeddingError(
        "SW-E01", f"a distance is one of {', '.join(DISTANCES)}, got {metric!r}",
        near=nearest(str(metric), DISTANCES), fix="use one of them",
    )  # fmt: skip


def require_table(vectors: object, what: str = "vectors") -> Num[Tensor, "n d"]:
    """The table ``(N, D)`` of real numbers with a row or more, on the CPU and without its graph.

    A tensor, or a numpy array of either byte order; raises ``EmbeddingError`` SW-E02 for anything else.
    """
    table = _as_tensor(vectors)
    reason = type(vectors).__name__ if table is None else _unsuitable(table)
    if table is None or reason:
        raise EmbeddingError(
            "SW-E02", f"expected {what} as a tensor (N, D) of real numbers with one row or more, got {reason}",
            fix="one vector for each record: torch.stack(vectors)",
        )  # fmt: skip
    return table.detach().cpu()


def require_vector(vector: Any) -> Num[Tensor, "1 d"]:
    """A vector ``(D,)`` as a table of one row; raises as :func:`require_table`."""
    if vector.ndim != 1:
        raise EmbeddingError("SW-E02", f"expected a vector (D,), got {tuple(vector.shape)}", fix="take one row of it")
    return require_table(vector[None], "the vector")


def _as_tensor(vectors: Any) -> Tensor | None:
    if isinstance(vectors, np.ndarray) and vectors.dtype.kind in "bcfiu":
        return torch.from_numpy(np.ascontiguousarray(vectors, vectors.dtype.newbyteorder("=")))
    return vectors if isinstance(vectors, Tensor) else None


def _unsuitable(table: Tensor) -> str:
    """What a table is instead of one of real numbers; nothing where it is one."""
    if table.is_complex():
        return "complex numbers"
    if table.is_quantized:
        return "quantised numbers: take vectors.dequantize()"
    if table.is_meta:
        return "a tensor without data, on the device 'meta'"
    if table.layout != torch.strided:
        return "a sparse tensor: take vectors.to_dense()"
    return "" if table.ndim == 2 and table.numel() else str(tuple(table.shape))


def usable_rows(vectors: Num[Tensor, "n d"], metric: Distance = "l2") -> Bool[Tensor, " n"]:
    """Which rows have a distance to others: all numbers finite and, for the cosine, not all zero.

    Where the distance is Euclidean, a number beyond 1e100 counts as not finite: its square is not.

    Example:
        >>> table = torch.tensor([[3.0, 4.0], [0.0, 0.0], [float("nan"), 1.0]])
        >>> usable_rows(table, "cosine").tolist(), usable_rows(table).tolist()
        ([True, False, False], [True, True, False])
    """
    fine = torch.isfinite(vectors).all(dim=1)
    if metric == "cosine":
        return fine & (vectors != 0).any(dim=1)
    return fine & (vectors.abs().amax(dim=1) <= LARGE) if vectors.dtype == torch.float64 else fine


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
