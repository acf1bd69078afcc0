"""Which anatomical direction each axis of a volume runs in, and the exact reordering from one such order to another.

World coordinates are millimetres, positive towards the patient's right, anterior and superior (RAS+, as in NIfTI). An
axis is named by the letter it runs *towards*: ``"SPL"`` is a first axis towards superior, then posterior, then left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from seewhy.values import ConfigError, DataError

ENDS: Final = ("LR", "PA", "IS")  # the negative and the positive end of each world axis
STRAIGHT_WITHIN_DEGREES: Final = 0.5
Affine = Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class StoredVolume:
    """What a reader found: ``values`` float32 ``(*C, I, J, K)`` in the file's own axes, and where they lie.

    ``affine`` takes a stored index ``(i, j, k, 1)`` to RAS+ millimetres. ``anatomical`` is False where the file says
    nothing of the patient: then only the voxel sizes in it mean something.
    """

    values: NDArray[np.float32]
    affine: Affine
    anatomical: bool
    revision: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reordering:
    """A transposition and mirroring of the last three axes: ``order[n]`` is the stored axis behind the new axis ``n``.

    ``mirrored[n]`` tells whether the new axis runs against it. No voxel is interpolated, so :meth:`undo` is exact.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    mirrored: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, stored: Shaped[np.ndarray, "*c i j k"]) -> Shaped[np.ndarray, "*c d h w"]:
        """Stored voxels in the new order; leading axes stay."""
        leading = stored.ndim - 3
        moved = stored.transpose(*range(leading), *(leading + axis for axis in self.order))
        return np.ascontiguousarray(np.flip(moved, self._mirrored_axes(leading)))

    def undo(self, moved: Shaped[np.ndarray, "*c d h w"]) -> Shaped[np.ndarray, "*c i j k"]:
        """The inverse of :meth:`apply`."""
        leading = moved.ndim - 3
        stored = np.flip(moved, self._mirrored_axes(leading))
        back = (leading + int(axis) for axis in np.argsort(self.order))
        return np.ascontiguousarray(stored.transpose(*range(leading), *back))

    def affine(self, stored: Affine, shape: tuple[int, ...]) -> Affine:
        """The affine of the new order, from that of the stored order and the stored lengths ``(I, J, K)``."""
        to_stored = np.zeros((4, 4))
        to_stored[3, 3] = 1
        for new, (axis, mirrored) in enumerate(zip(self.order, self.mirrored, strict=True)):
            to_stored[axis, new] = -1 if mirrored else 1
            to_stored[axis, 3] = shape[axis] - 1 if mirrored else 0
        affine: Affine = stored @ to_stored
        return affine

    def _mirrored_axes(self, leading: int) -> tuple[int, ...]:
        return tuple(leading + axis for axis, mirrored in enumerate(self.mirrored) if mirrored)


def axis_codes(affine: Affine) -> str:
    """The direction each voxel axis runs in, to the nearest anatomical one.

    DataError SW-D63 for an affine that flattens the volume or is not finite.

    >>> axis_codes(np.diag([-1.5, -1.5, 8.0, 1.0]))
    'LPS'
    """
    return "".join(ENDS[world][int(forwards)] for world, forwards in _directions(affine))


def reordering(affine: Affine, axes: str) -> Reordering:
    """How stored axes come to run as ``axes`` says, three letters of R/L, A/P and S/I in any order.

    Raises ``ConfigError`` SW-F100 for letters that are no such three, ``DataError`` SW-D63 as :func:`axis_codes`.

    >>> reordering(np.eye(4), "SPL")
    Reordering(order=(2, 1, 0), mirrored=(False, True, True))
    """
    found = _directions(affine)
    pairs = []
    for letter in check_axes(axes):
        world = next(world for world, ends in enumerate(ENDS) if letter in ends)
        stored = next(axis for axis, (behind, _) in enumerate(found) if behind == world)
        pairs.append((stored, found[stored][1] != bool(ENDS[world].index(letter))))
    (i, i_mirrored), (j, j_mirrored), (k, k_mirrored) = pairs
    return Reordering((i, j, k), (i_mirrored, j_mirrored, k_mirrored))


def check_axes(axes: str) -> str:
    """``axes`` as three upper-case letters, one of each of R/L, A/P, S/I; ConfigError SW-F100 otherwise."""
    letters = axes.upper() if isinstance(axes, str) else ""
    if len(letters) != 3 or any(sum(letter in ends for letter in letters) != 1 for ends in ENDS):
        raise ConfigError(
            "SW-F100",
            f"axes must name three directions, one of each of R/L, A/P and S/I; got {axes!r}",
            fix='write axes="SPL" (slices upwards, rows backwards, columns leftwards), or axes=None as stored',
        )
    return letters


def spacing(affine: Affine) -> tuple[float, float, float]:
    """Millimetres from one voxel to the next along each axis."""
    i, j, k = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    return i, j, k


def tilt_degrees(affine: Affine) -> float:
    """The largest angle between a voxel axis and the anatomical direction it is named by."""
    cosines = _unit_columns(affine)
    kept = (abs(cosines[world, axis]) for axis, (world, _) in enumerate(_directions(affine)))
    return max(math.degrees(math.acos(min(1.0, float(cosine)))) for cosine in kept)


def _directions(affine: Affine) -> list[tuple[int, bool]]:
    """Per voxel axis its world axis and whether it runs forwards: the assignment that agrees most with the rotation."""
    left, _, right = np.linalg.svd(_unit_columns(affine))
    rotation = left @ right  # without the shear of a tilted gantry
    best = max(permutations(range(3)), key=lambda worlds: sum(abs(rotation[w, a]) for a, w in enumerate(worlds)))
    return [(world, bool(rotation[world, axis] > 0)) for axis, world in enumerate(best)]


def _unit_columns(affine: Affine) -> NDArray[np.float64]:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    usable = bool(np.isfinite(affine).all() and (lengths > 0).all())
    if not usable or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise DataError(
            "SW-D63",
            f"the affine says nothing of where the voxels lie: {np.round(affine, 6).tolist()}",
            fix="repair the file's header (a voxel size is 0, or two axes run the same way)",
        )
    unit: NDArray[np.float64] = affine[:3, :3] / lengths
    return unit
