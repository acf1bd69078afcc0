"""When each frame of a film is shown, without decoding the film: what points in time are matched with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seewhy.data.clips import is_pictures, picture_times
from seewhy.data.frame_folder import film_files, frame_size
from seewhy.data.frame_sampling import Limits, check_amount
from seewhy.data.video import video_times
from seewhy.values import DataError


@dataclass(frozen=True)
class FilmTimes:
    """``count`` frames of ``size`` (height, width) pixels, upright.

    ``edges`` ``(count + 1,)`` are seconds since the first frame: frame ``n`` is shown from ``edges[n]`` to
    ``edges[n + 1]``. None where the film tells no times.
    """

    count: int
    size: tuple[int, int]
    edges: Float64[np.ndarray, " edges"] | None

    def at(self, frames_per_second: float | None) -> FilmTimes:
        """The same film, shown at so many frames per second where it tells no times itself."""
        if self.edges is not None or frames_per_second is None:
            return self
        return FilmTimes(self.count, self.size, np.arange(self.count + 1) / frames_per_second)


def film_times(path: Path, limits: Limits) -> FilmTimes:
    """What a film of any kind that :func:`seewhy.data.clips.read_clip` opens says of its frames.

    At most the first frame of a video is decoded, to learn how it is turned. Raises ``DataError`` as ``read_clip``.
    """
    if path.is_dir():
        files = film_files(path)
        size = frame_size(files[0])
        check_amount(path.name, len(files), 1, size, limits)
        return FilmTimes(len(files), size, None)
    if is_pictures(path):
        size, seconds, count = picture_times(path, limits)
        return FilmTimes(count, size, np.cumsum([0.0, *seconds]) if seconds else None)
    count, size, times, rate = video_times(path, limits)
    if len(times) == count:
        return FilmTimes(count, size, _edges(np.array(times), rate))
    return FilmTimes(count, size, None).at(rate)


def _edges(times: Float64[np.ndarray, " n"], rate: float | None) -> Float64[np.ndarray, " edges"] | None:
    """Each frame lasts until the next, the last as long as is usual."""
    steps = np.diff(times)
    last = float(np.median(steps)) if len(steps) else 1 / rate if rate else None
    return None if last is None else np.append(times, times[-1] + last) - times[0]


def without_times(name: str) -> DataError:
    """The error for points that are told in seconds of a film that tells none."""
    return DataError(
        "SW-D118",
        f"{name}: the annotations tell seconds, the film tells no times",
        fix="set fps to the frames per second of such films, or give the column frame in place of time",
    )
