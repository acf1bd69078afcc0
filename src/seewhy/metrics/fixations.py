"""Points where people looked, as counts on a grid and as a density that sums to one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike
from torch import Tensor

from seewhy.values import ConfigError, DataError

Points = Sequence[ArrayLike | Tensor]
"""For each record ``(n, 2)``: ``(x, y)`` in pixels from the upper left corner, pixel ``i`` covering ``[i, i + 1]``."""


def fixation_counts(points: Points, size: Sequence[int], grid: Sequence[int] | None = None) -> Float64[Tensor, "b h w"]:
    """How many points of each record fall into each cell of a grid laid over its frame.

    ``size`` is the frame's ``(height, width)`` in pixels, ``grid`` the number of rows and columns (by default one cell
    per pixel). A point on the right or lower edge of the frame belongs to the last cell. Raises ``ConfigError`` SW-F150
    for a size that is none, ``DataError`` SW-D120 for points that are none, SW-D121 for points outside the frame.

    Example:
        >>> fixation_counts([[[0.5, 0.5], [3.0, 1.9], [4.0, 2.0]]], (2, 4), (2, 2)).tolist()
        [[[1.0, 0.0], [0.0, 2.0]]]
    """
    frame, cells = check_size("size", size), check_size("grid", size if grid is None else grid)
    counts = torch.zeros(len(points), *cells, dtype=torch.float64)
    for row, found in enumerate(checked_points(points, frame)):
        columns, rows = (
            (found[:, axis] * cells[1 - axis] / frame[1 - axis]).floor().long().clamp(max=cells[1 - axis] - 1)
            for axis in (0, 1)
        )
        counts[row].index_put_((rows, columns), torch.ones(len(found), dtype=torch.float64), accumulate=True)
    return counts


def fixation_density(
    points: Points, size: Sequence[int], sigma: float | None = None, grid: Sequence[int] | None = None
) -> Float64[Tensor, "b h w"]:
    """For each record the mean of one Gaussian per point, summed over each cell of a grid laid over the frame.

    Every Gaussian is integrated exactly over the cells, and the part of it that lies outside the frame is given back to
    the rest, so that each point has the same weight and each density sums to 1, whatever ``sigma``. A record without
    points has no density: its row is NaN, never uniform (:func:`has_fixations` tells which).

    ``size`` and ``grid`` are as in :func:`fixation_counts`; ``sigma`` is the standard deviation in pixels of the frame,
    by default :func:`usual_sigma`. Raises what :func:`fixation_counts` raises, and ``ConfigError`` SW-F151 for a sigma
    that is not positive.

    Example:
        >>> fixation_density([[[1.0, 1.0]], []], (2, 2), 0.5).tolist()
        [[[0.25, 0.25], [0.25, 0.25]], [[nan, nan], [nan, nan]]]
    """
    frame, cells = check_size("size", size), check_size("grid", size if grid is None else grid)
    spread = check_spread("sigma", usual_sigma(frame) if sigma is None else sigma)
    density = torch.full((len(points), *cells), math.nan, dtype=torch.float64)
    for row, found in enumerate(checked_points(points, frame)):
        if len(found):
            across = _masses(found[:, 0], frame[1], cells[1], spread)
            down = _masses(found[:, 1], frame[0], cells[0], spread)
            density[row] = down.T @ across / len(found)
    return density


def has_fixations(points: Points) -> Bool[Tensor, " b"]:
    """Which records have any point."""
    return torch.tensor([len(_as_pairs(record, found)) > 0 for record, found in enumerate(points)], dtype=torch.bool)


def usual_sigma(size: Sequence[int]) -> float:
    """The blur that is usual for a frame of ``(height, width)`` pixels: a kernel of a seventh of the shorter side.

    The kernel's width ``k`` is an odd number of pixels, its deviation ``0.3 ((k - 1) / 2 - 1) + 0.8``, which is
    what OpenCV's ``GaussianBlur`` takes for a kernel of this width.

    >>> round(usual_sigma((224, 224)), 3)
    5.3
    """
    kernel = 2 * (min(check_size("size", size)) // 14) + 1
    return 0.3 * ((kernel - 1) / 2 - 1) + 0.8


def checked_points(points: Points, size: Sequence[int]) -> list[Float64[Tensor, "n 2"]]:
    """The points of every record as float64; DataError SW-D120 and SW-D121 for what is no point of a frame."""
    found = [_as_pairs(record, given) for record, given in enumerate(points)]
    for record, pairs in enumerate(found):
        outside = ((pairs < 0) | (pairs > torch.tensor([size[1], size[0]]))).any(dim=1)
        if outside.any():
            raise DataError(
                "SW-D121",
                f"record {record}: {int(outside.sum())} of {len(pairs)} points lie outside the frame of {size[1]} × "
                f"{size[0]} pixels, such as {pairs[outside][0].tolist()}",
                fix="pass (x, y) in pixels of size, as a data set's gaze(position) gives them",
            )
    return found


def check_size(name: str, size: Any) -> tuple[int, int]:
    """``(height, width)`` of at least one each; ConfigError SW-F150 otherwise."""
    lengths = tuple(size) if isinstance(size, Iterable) and not isinstance(size, str) else ()
    if len(lengths) != 2 or not all(type(length) is int and length >= 1 for length in lengths):
        raise ConfigError(
            "SW-F150", f"{name} must be (height, width), whole numbers from 1 on; got {size!r}", fix=f"{name}=(28, 28)"
        )
    return lengths[0], lengths[1]


def check_spread(name: str, spread: Any) -> float:
    """A finite number above 0; ConfigError SW-F151 otherwise."""
    if isinstance(spread, bool) or not isinstance(spread, int | float) or not 0 < spread < math.inf:
        raise ConfigError("SW-F151", f"{name} must be a number above 0; got {spread!r}", fix="leave it out")
    return float(spread)


def _as_pairs(record: int, given: ArrayLike | Tensor) -> Float64[Tensor, "n 2"]:
    try:
        pairs = torch.as_tensor(given, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError) as error:
        raise _no_points(record, "they are no numbers") from error
    if not pairs.numel():
        return torch.empty(0, 2, dtype=torch.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise _no_points(record, f"their shape is {tuple(pairs.shape)}")
    if not pairs.isfinite().all():
        raise _no_points(record, "some are NaN or infinite")
    return pairs


def _no_points(record: int, problem: str) -> DataError:
    return DataError(
        "SW-D120",
        f"record {record}: points are (n, 2), finite (x, y) each; {problem}",
        fix="pass one array (n, 2) per record, an empty one where nobody looked",
    )


def _masses(places: Float64[Tensor, " n"], length: int, cells: int, sigma: float) -> Float64[Tensor, "n cells"]:
    """How much of a Gaussian around each place lies in each cell of an axis; what lies on the axis adds up to 1."""
    edges = torch.linspace(0, length, cells + 1, dtype=torch.float64)
    masses: Tensor = torch.special.ndtr((edges - places[:, None]) / sigma).diff(dim=1)
    return masses / masses.sum(dim=1, keepdim=True)
