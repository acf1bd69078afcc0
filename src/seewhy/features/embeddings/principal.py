"""Principal components, exact and from one pass over chunks, so that memory does not grow with the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float64, Num
from torch import Tensor

from seewhy.features.embeddings.usable import LARGE, require_table, usable_rows
from seewhy.features.requirements import require_count
from seewhy.values import EmbeddingError

CHUNK: Final = 4096
WIDEST: Final = 8192
"""A covariance has this many columns at most (512 MB), or, with fewer records than columns, so many records."""

Chunks = Callable[[], Iterable[Num[Tensor, "m d"]]]


@dataclass(frozen=True)
class Principal:
    """The directions along which vectors vary most.

    ``axes`` ``(K, D)`` are of unit length, the entry of largest size positive (the first of several); ``variances``
    ``(K,)`` belong to them (divided by ``n - 1``), ``total`` is the variance over all directions, ``rows`` how many
    vectors were used and ``left_out`` how many held a number that is not finite.
    """

    mean: Float64[Tensor, " d"]
    axes: Float64[Tensor, "k d"]
    variances: Float64[Tensor, " k"]
    total: float
    rows: int
    left_out: int

    @property
    def explained(self) -> tuple[float, ...]:
        """The share of the variance that lies along each axis; NaN where nothing varies."""
        return tuple(float(value) / self.total if self.total > 0 else float("nan") for value in self.variances)

    def project(self, vectors: Num[Tensor, "m d"]) -> Float64[Tensor, "m k"]:
        """Coordinates along the axes; NaN for a row that is not finite, or beyond 1e100.

        Raises:
            EmbeddingError: ``SW-E02`` no table, ``SW-E04`` vectors of another length.
        """
        rows = require_table(vectors)
        if rows.shape[1] != len(self.mean):
            raise EmbeddingError(
                "SW-E04", f"the axes are of vectors of length {len(self.mean)}, got {rows.shape[1]}",
                fix="project embeddings of the same layer",
            )  # fmt: skip
        return torch.cat([self._project(chunk) for chunk in torch.split(rows, CHUNK)])

    def _project(self, rows: Num[Tensor, "m d"]) -> Float64[Tensor, "m k"]:
        centred = rows.double() - self.mean
        # a matrix product would round a row differently in a table of another size
        found = torch.stack([(centred * axis).sum(dim=1) for axis in self.axes], dim=1)
        return found.masked_fill(~usable_rows(rows)[:, None], float("nan"))


def principal_components(vectors: Num[Tensor, "n d"], count: int = 2) -> Principal:
    """The first principal components of a table of vectors; as many as ``count``, or as rows or columns allow.

    Exact, in double precision (eigenvectors of the covariance). Rows with a number that is not finite are left out and
    counted.

    Raises:
        EmbeddingError: ``SW-E02`` no table, ``SW-E05`` no finite row, ``SW-E06`` more than 8192 rows of more than 8192
            columns. ConfigError: ``SW-F201``, ``count`` is no whole number from 1 on.

    Example:
        >>> found = principal_components(torch.tensor([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]]), 1)
        >>> found.axes.numpy().round(4).tolist(), round(found.explained[0], 6)
        ([[0.7071, 0.7071]], 1.0)
    """
    rows = require_table(vectors)
    return principal_of_chunks(lambda: torch.split(rows, CHUNK), count)


def principal_of_chunks(chunks: Chunks, count: int = 2) -> Principal:
    """:func:`principal_components` of what ``chunks()`` yields, a part ``(m, D)`` of the rows at a time.

    It is gone through twice, or, where there are fewer rows than columns, three times; one part is in memory at once.
    """
    require_count("count", count)
    mean, rows, left_out = _mean(chunks)
    if min(rows, len(mean)) > WIDEST:
        raise EmbeddingError(
            "SW-E06", f"the principal components of {rows} vectors of length {len(mean)} need a table too large",
            fix=f"at most {WIDEST} vectors, or shorter ones",
        )  # fmt: skip
    if rows < len(mean):
        axes, variances, total = _by_rows(chunks, mean, rows, count)
    else:
        axes, variances, total = _by_columns(chunks, mean, rows, count)
    return Principal(mean, _signed(axes), variances, total, rows, left_out)


def _mean(chunks: Chunks) -> tuple[Float64[Tensor, " d"], int, int]:
    sums: list[Tensor] = []
    rows = seen = 0
    for chunk in chunks():
        kept = _finite(chunk)
        seen += len(chunk)
        if not len(kept):
            continue
        rows += len(kept)
        own = [kept.sum(dim=0), kept.amin(dim=0), kept.amax(dim=0)]
        if sums and len(sums[0]) != len(own[0]):
            raise EmbeddingError(
                "SW-E04", f"vectors of length {len(sums[0])} and {len(own[0])} lie in no common space",
                fix="take embeddings of one layer",
            )  # fmt: skip
        sums = [sums[0] + own[0], sums[1].minimum(own[1]), sums[2].maximum(own[2])] if sums else own
    if not sums:
        raise EmbeddingError(
            "SW-E05", f"none of {seen} vectors is finite, with numbers up to {LARGE:g}",
            fix="check the model: it puts out NaN, or numbers that overflow",
        )  # fmt: skip
    total, low, high = sums
    # what does not vary is exactly zero once centred, which a mean rounded by a division would miss
    return torch.where(low == high, low, total / rows), rows, seen - rows


def _finite(chunk: Num[Tensor, "m d"]) -> Float64[Tensor, "n d"]:
    rows = require_table(chunk)
    return rows[usable_rows(rows)].double()


def _by_columns(
    chunks: Chunks, mean: Float64[Tensor, " d"], rows: int, count: int
) -> tuple[Float64[Tensor, "k d"], Float64[Tensor, " k"], float]:
    """Eigenvectors of the scatter ``(D, D)``."""
    scatter = mean.new_zeros(len(mean), len(mean))
    for chunk in chunks():
        centred = _finite(chunk) - mean
        scatter.addmm_(centred.T, centred)
    values, vectors = torch.linalg.eigh(scatter)
    kept = min(count, len(mean))
    return (
        vectors.flip(1)[:, :kept].T.contiguous(),
        values.flip(0)[:kept].clamp(min=0) / max(rows - 1, 1),
        float(scatter.trace()) / max(rows - 1, 1),
    )


def _by_rows(
    chunks: Chunks, mean: Float64[Tensor, " d"], rows: int, count: int
) -> tuple[Float64[Tensor, "k d"], Float64[Tensor, " k"], float]:
    """Through the products of rows ``(N, N)``, smaller than the scatter; the rows themselves fit, being few."""
    centred = torch.cat([_finite(chunk) for chunk in chunks()]) - mean
    products = centred @ centred.T
    values, vectors = torch.linalg.eigh(products)
    kept = min(count, rows)
    strengths = values.flip(0)[:kept].clamp(min=0)
    axes = vectors.flip(1)[:, :kept].T @ centred
    axes = torch.linalg.qr(axes.T).Q.T  # of unit length; one without variation is any that is orthogonal to the others
    return axes, strengths / max(rows - 1, 1), float(products.trace()) / max(rows - 1, 1)


def _signed(axes: Float64[Tensor, "k d"]) -> Float64[Tensor, "k d"]:
    peaks = axes.abs()
    # entries of equal size up to rounding: the first of them decides
    first = (peaks >= peaks.amax(dim=1, keepdim=True) * (1 - 1e-9)).int().argmax(dim=1, keepdim=True)
    return torch.where(axes.gather(1, first) < 0, -axes, axes)
