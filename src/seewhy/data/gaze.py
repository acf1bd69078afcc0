"""Points of a film laid on the frames that a model gets: which frame each belongs to, and where on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from seewhy.data.film_times import FilmTimes
from seewhy.data.gaze_table import Points
from seewhy.data.geometry import points_to_input
from seewhy.values import Geometry


@dataclass(frozen=True)
class Gaze:
    """The points of one clip: for each of its frames ``(n, 2)``, ``(x, y)`` in pixels of the input.

    A point on the input's left edge has ``x = 0``, on its right edge ``x = width``. The rest are counts of what cannot
    be shown: points before or after the film, ``off_frame`` (the eye looked elsewhere), ``cropped`` away by the
    preprocessing, and ``missing`` (a row without a place).
    """

    frames: tuple[Float64[np.ndarray, "n 2"], ...]
    off_film: int = 0
    off_frame: int = 0
    cropped: int = 0
    missing: int = 0

    def notes(self) -> list[str]:
        """What a reader of the record is told."""
        filled = sum(bool(len(points)) for points in self.frames)
        counts = {
            "before or after the film": self.off_film,
            "outside the frame": self.off_frame,
            "cropped away": self.cropped,
            "without a place": self.missing,
        }
        lost = ", ".join(f"{count} {where}" for where, count in counts.items() if count)
        told = f"gaze: {sum(map(len, self.frames))} points on {filled} of {len(self.frames)} frames"
        return [f"{told}; {lost}" if lost else told]


def gaze_of(
    points: Points,
    times: FilmTimes,
    positions: Sequence[int],
    plane: Geometry,
    *,
    in_seconds: bool = False,
    fractions: bool = False,
    dense: bool = False,
) -> Gaze:
    """The points of the frames at ``positions`` of a film.

    Every point belongs to the frame nearest in time among those at ``positions`` (the earlier of two), a moment in
    seconds being measured from the middle of the time for which a frame is shown. Each frame gets the one point nearest
    to it, or with ``dense`` all of its points in the order of time; a frame to which none belongs has none. ``plane``
    is where the input ``(H, W)`` lies on the film's upright frame.
    """
    frames = np.array(positions)
    instants, (start, end) = _instants(times, in_seconds)
    held = (points.moments >= start) & (points.moments <= end)
    moments, places = points.moments[held], points.places[held]
    distinct = np.unique(frames)
    between = (instants[distinct[:-1]] + instants[distinct[1:]]) / 2
    owner = distinct[np.searchsorted(between, moments, side="left")]
    if not dense:
        kept = _nearest_of_each(owner, np.abs(moments - instants[owner]))
        owner, places = owner[kept], places[kept]
    on_original = places * np.array(times.size[::-1] if fractions else (1, 1))
    on_input = points_to_input(on_original, plane)
    on_frame = _within(on_original, times.size)
    shown = on_frame & _within(on_input, plane.input)
    return Gaze(
        frames=tuple(on_input[shown & (owner == frame)] for frame in frames),
        off_film=int((~held).sum()),
        off_frame=int((~on_frame).sum()),
        cropped=int((on_frame & ~shown).sum()),
        missing=points.missing,
    )


def _instants(times: FilmTimes, in_seconds: bool) -> tuple[Float64[np.ndarray, " n"], tuple[float, float]]:
    """When each frame is, and the first and last moment of the film."""
    if in_seconds and times.edges is not None:
        return (times.edges[:-1] + times.edges[1:]) / 2, (0.0, float(times.edges[-1]))
    return np.arange(times.count, dtype=np.float64), (0.0, times.count - 1.0)


def _nearest_of_each(owner: Int[np.ndarray, " n"], distance: Float64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which points are the nearest of their frame; the earlier of two."""
    order = np.lexsort((distance, owner))
    first = np.append(True, owner[order][1:] != owner[order][:-1])[: len(order)]
    kept = np.zeros(len(order), np.bool_)
    kept[order[first]] = True
    return kept


def _within(places: Float64[np.ndarray, "n 2"], size: Sequence[int]) -> Bool[np.ndarray, " n"]:
    height, width = size
    x, y = places[:, 0], places[:, 1]
    inside: Bool[np.ndarray, " n"] = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    return inside
