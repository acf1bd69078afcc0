"""Which slices or frames of a stack are shown, what they are called, and how many stand in a row."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from seewhy.render.errors import RenderError
from seewhy.values import nearest

Choice = Literal["even", "evidence"]
CHOICES: tuple[str, ...] = get_args(Choice)

FEWEST_ACROSS, MOST_ACROSS = 3, 8
WIDER_THAN_HIGH = 1.5


def chosen_slices(
    heat: Float[np.ndarray, "n h w"], most: int, choice: Choice = "even", neutral: float = 0.0
) -> list[int]:
    """The positions of at most ``most`` slices, in order.

    ``even`` takes the middles of ``most`` equal parts, since the ends of a scan are often empty, and in place of the
    nearest of them the slice with the most evidence, which must not be missed. ``evidence`` takes the slices with the
    largest sums of ``|heat - neutral|``, the earlier of equal ones.

    Raises:
        RenderError: ``SW-R32``, ``most`` is under 1 or there is no such choice.

    Example:
        >>> heat = np.array([0.1, 0.9, 0.0, 0.3]).reshape(4, 1, 1)
        >>> chosen_slices(heat, 1), chosen_slices(heat, 2, "evidence")
        ([1], [1, 3])
    """
    if choice not in CHOICES or most < 1:
        raise RenderError(
            "SW-R32",
            f"slices are chosen by {' or '.join(map(repr, CHOICES))}, at least one; got {choice!r} and {most}",
            near=nearest(str(choice), CHOICES),
            fix="for example slice_grid(pictures, heat, most=12, choice='evidence')",
        )
    total = len(heat)
    count = min(most, total)
    evidence = np.abs(heat.astype(np.float64) - neutral).reshape(total, -1).sum(axis=1)
    if choice == "even":
        even = even_slices(total, count)
        return _with_peak(even, int(evidence.argmax())) if evidence.any() else even
    return sorted(np.argsort(-evidence, kind="stable")[:count].tolist())


def even_slices(total: int, most: int) -> list[int]:
    """The middles of at most ``most`` equal parts of a stack.

    Example:
        >>> even_slices(24, 3), even_slices(2, 8)
        ([4, 12, 20], [0, 1])
    """
    count = min(most, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def _with_peak(positions: list[int], peak: int) -> list[int]:
    """The positions with ``peak`` among them, in place of the nearest."""
    nearest_one = min(positions, key=lambda position: abs(position - peak))
    return sorted({peak if position == nearest_one else position for position in positions})


def slice_labels(count: int) -> list[str]:
    """``"slice 1 / 40"`` to ``"slice 40 / 40"``."""
    return [f"slice {position + 1} / {count}" for position in range(count)]


def frame_labels(count: int, fps: float) -> list[str]:
    """When each frame is shown, from ``"0.00 s"`` on.

    Raises:
        RenderError: ``SW-R33``, ``fps`` is not positive and finite.
    """
    require_fps(fps)
    return [f"{position / fps:.2f} s" for position in range(count)]


def require_fps(fps: float, fastest: float = math.inf) -> None:
    """Raise ``SW-R33`` unless ``fps`` is positive, finite and at most ``fastest``."""
    if not (math.isfinite(fps) and 0 < fps <= fastest):
        limit = "" if math.isinf(fastest) else f" and at most {fastest}"
        raise RenderError("SW-R33", f"expected frames per second above 0{limit}, got {fps}", fix="25 suits most clips")


def cells_across(count: int) -> int:
    """Cells in a row: as few empty places as possible, then a page half as wide again as high.

    Example:
        >>> [cells_across(count) for count in (1, 3, 6, 8, 12, 16)]
        [1, 3, 3, 4, 4, 4]
    """
    if count <= FEWEST_ACROSS:
        return count

    def flaws(across: int) -> tuple[int, float]:
        down = -(-count // across)
        return across * down - count, abs(across / down - WIDER_THAN_HIGH)

    return min(range(FEWEST_ACROSS, MOST_ACROSS + 1), key=flaws)
