"""Where DICOM slices lie: their order along the normal, the affine of the stack, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seewhy.data.orientation import Affine
from seewhy.values import DataError

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE: Final = 0.01  # of the usual distance between slices
UNEVEN: Final = 0.05
MISSING: Final = 1.5
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """One slice in DICOM patient coordinates (millimetres towards left, posterior, superior).

    ``position`` is the centre of its first pixel, ``along_row`` the direction of increasing columns, ``along_column``
    that of increasing rows, and ``pixel_spacing`` the distance of rows and of columns, as the tags of these names.
    """

    name: str
    position: Vector
    along_row: Vector
    along_column: Vector
    pixel_spacing: tuple[float, float]
    thickness: float | None = None

    @property
    def normal(self) -> Vector:
        """The direction in which slices are stacked."""
        return np.cross(self.along_row, self.along_column)


@dataclass(frozen=True)
class Stack:
    """``order[n]`` is the place of slice ``n`` in the sequence given; ``affine`` takes (slice, row, column) to RAS+."""

    order: tuple[int, ...]
    affine: Affine
    notes: tuple[str, ...]


def stacked(planes: Sequence[Plane]) -> Stack:
    """Slices sorted by their position along the common normal, whatever their names and numbers.

    Raises ``DataError``: SW-D68 where directions or pixel spacings differ, SW-D70 two slices at one place.
    """
    _check_parallel(planes)
    depths = np.array([plane.position @ planes[0].normal for plane in planes])
    order = tuple(int(place) for place in np.argsort(depths, kind="stable"))
    in_order = [planes[place] for place in order]
    gaps = np.diff(depths[list(order)])
    _check_distinct(in_order, gaps)
    step, notes = _step(in_order, gaps)
    first = in_order[0]
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = first.along_column * first.pixel_spacing[0]
    affine[:3, 2] = first.along_row * first.pixel_spacing[1]
    affine[:3, 3] = first.position
    return Stack(order, LPS_TO_RAS @ affine, tuple(notes))


def _check_parallel(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes[1:]:
        turned = max(
            np.abs(plane.along_row - first.along_row).max(), np.abs(plane.along_column - first.along_column).max()
        )
        if turned > 1e-3 or not np.allclose(plane.pixel_spacing, first.pixel_spacing, rtol=1e-3):
            raise DataError(
                "SW-D68",
                f"the slices of one volume must be parallel and of one pixel spacing; {first.name} and {plane.name} "
                f"differ (pixel spacing {first.pixel_spacing} and {plane.pixel_spacing})",
                fix="leave localizers and other planes out of the folder",
            )


def _check_distinct(planes: Sequence[Plane], gaps: Vector) -> None:
    if not len(gaps):
        return
    closest = int(np.argmin(gaps))
    if gaps[closest] <= SAME_PLACE * float(np.median(gaps)):
        raise DataError(
            "SW-D70",
            f"{planes[closest].name} and {planes[closest + 1].name} lie at the same place "
            f"({', '.join(f'{value:g}' for value in planes[closest].position)} mm)",
            fix="delete the copy; where the series holds several phases or echoes, put each in a folder of its own",
        )


def _step(planes: Sequence[Plane], gaps: Vector) -> tuple[Vector, list[str]]:
    """The way from one slice to the next, in millimetres, and what is uneven about it."""
    first, last = planes[0], planes[-1]
    if not len(gaps):
        return _step_of_one(first)
    whole = last.position - first.position
    usual = float(np.median(gaps))
    notes = _gap_notes(planes, gaps, usual)
    # a tilted gantry moves slices sideways too, so the step follows the positions rather than the normal
    step = whole * (usual / float(gaps.sum())) if notes else whole / len(gaps)
    bend = _off_line(planes, whole)
    if bend > 0.1 * min(first.pixel_spacing):
        notes.append(f"the slices do not lie on a line: up to {bend:.3g} mm beside it")
    return step, notes


def _step_of_one(plane: Plane) -> tuple[Vector, list[str]]:
    if plane.thickness is None:
        return plane.normal, ["one slice of unknown thickness: 1 mm assumed"]
    return plane.normal * plane.thickness, []


def _gap_notes(planes: Sequence[Plane], gaps: Vector, usual: float) -> list[str]:
    notes = [
        f"gap of {gaps[place]:.4g} mm between {planes[place].name} and {planes[place + 1].name} where slices are "
        f"{usual:.4g} mm apart; behind it the affine does not hold"
        for place in np.flatnonzero(gaps > MISSING * usual).tolist()
    ]
    if not notes and np.abs(gaps - usual).max() > UNEVEN * usual:
        notes.append(f"uneven slices: {gaps.min():.4g} to {gaps.max():.4g} mm apart; the affine uses {usual:.4g} mm")
    return notes


def _off_line(planes: Sequence[Plane], whole: Vector) -> float:
    direction = whole / np.linalg.norm(whole)
    away = np.stack([plane.position - planes[0].position for plane in planes])
    return float(np.linalg.norm(away - np.outer(away @ direction, direction), axis=1).max())
