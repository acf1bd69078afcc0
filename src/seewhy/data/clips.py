"""One door to clips: a video file, an animated picture, a multi-page TIFF or a folder of frames becomes RGB frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from seewhy.data.conversion import to_plain, to_rgb_array
from seewhy.data.decoding import DAMAGE, MAX_PIXELS, check_picture_size, revision, unreadable
from seewhy.data.frame_folder import frames_revision, read_frames
from seewhy.data.frame_sampling import Damaged, Film, Frames, Limits, check_amount, readable_frames, uneven_note
from seewhy.data.limits import MAX_BYTES, check_limit
from seewhy.data.pages import open_pages
from seewhy.data.tiff_stack import looks_like_tiff
from seewhy.data.video import read_video
from seewhy.values import ConfigError, DataError

MAX_FRAMES: Final = 20_000
WHITE: Final = (255, 255, 255)
PICTURES: Final = (b"GIF8", b"\x89PNG")


@dataclass(frozen=True)
class Clip:
    """Frames ``(T, H, W, 3)`` uint8 RGB, upright, in the order of time.

    ``fps`` is how many of *these* frames make a second of the film (None where the file tells no times). They are
    picked from the first ``readable`` frames of the film (None where they come from no file).
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float | None
    revision: str
    notes: tuple[str, ...] = ()
    readable: int | None = None


def read_clip(
    path: str | os.PathLike[str],
    frames: int | None = None,
    *,
    max_frames: int = MAX_FRAMES,
    max_bytes: int = MAX_BYTES,
) -> Clip:
    """Read ``frames`` frames spread evenly over a film (all of them by default), told apart by the file's content.

    Args:
        path: a video file, an animated picture, a multi-page TIFF (16-bit gray is scaled by its full range), or a
            folder of JPEG or PNG frames, in the order of the numbers in their names.
        frames: the middle frame of each of so many equal parts; frames repeat, noted, where the film has fewer.
        max_frames: the most frames a film may have, as everything up to the last one wanted is decoded.
        max_bytes: the most memory the frames that are kept may take.

    Sizes are checked in the headers before anything is decoded. A damaged end is noted, and the frames are spread over
    what comes before it. Only containers that are one file are opened: a playlist is refused.

    Raises ``ConfigError`` SW-F101 for a limit, SW-F102 for ``frames``; ``DataError`` SW-D05 to SW-D10 for pictures,
    SW-D76 audio only, SW-D77 above a limit, SW-D78 frames that change size, SW-D79 nothing that can be read, or one
    picture alone, SW-D112 a folder with frames in two formats. ``MissingExtraError`` without PyAV for video files.
    """
    limits = Limits(check_limit("max_frames", max_frames), check_limit("max_bytes", max_bytes))
    wanted = _check_frames(frames)
    file = Path(path).expanduser()
    film = _read(file, wanted, limits)
    rate, notes = film.rate, list(film.notes)
    if rate is not None and len(film.frames) != film.readable:
        notes.append(f"{len(film.frames)} of {film.readable} frames at {rate:.4g} per second")
        rate *= len(film.frames) / film.readable
    content = frames_revision(file) if file.is_dir() else revision(file)
    return Clip(film.frames, rate, content, tuple(notes), film.readable)


def _read(file: Path, wanted: int | None, limits: Limits) -> Film:
    if file.is_dir():
        return read_frames(file, wanted, limits)
    return _read_pictures(file, wanted, limits) if is_pictures(file) else read_video(file, wanted, limits)


def _check_frames(frames: Any) -> int | None:
    if frames is None or (isinstance(frames, int) and not isinstance(frames, bool) and frames >= 1):
        return frames
    raise ConfigError(
        "SW-F102", f"frames must be a whole number of 1 or more; got {frames!r}", fix="set frames=16, or None for all"
    )


def is_pictures(file: Path) -> bool:
    """Whether a file begins as the picture formats do that can hold a film. DataError SW-D05 if it cannot be read."""
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
    except OSError as error:
        raise unreadable(file, error) from error
    animated = start.startswith(PICTURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
    return animated or looks_like_tiff(start)


def picture_times(file: Path, limits: Limits) -> tuple[tuple[int, int], list[float], int]:
    """``(height, width)``, the seconds each picture is shown (empty if untold) and their number, nothing decoded."""
    with open_pages(file, MAX_PIXELS) as pages:
        width, height = pages.opened.size
        _check_pages(file.name, pages.count, 1, (height, width), limits)
        return (height, width), _durations(pages.opened, pages.count), pages.count


def _read_pictures(file: Path, wanted: int | None, limits: Limits) -> Film:
    with open_pages(file, MAX_PIXELS) as pages:
        opened, count = pages.opened, pages.count
        width, height = opened.size
        _check_pages(file.name, count, wanted, (height, width), limits)
        told: dict[str, None] = {}
        frames, readable, notes = readable_frames(
            count, wanted, lambda positions: _pictures(file.name, opened, positions, told)
        )
        if not readable:
            raise DataError("SW-D79", f"{file.name}: no frame can be read; {notes[0]}", fix="copy the file again")
        seconds = _durations(opened, readable)
    rate = len(seconds) / sum(seconds) if seconds else None
    return Film(frames, readable, rate, (*told, *notes, *uneven_note(seconds), *pages.complaints))


def _check_pages(name: str, count: int, wanted: int | None, size: tuple[int, int], limits: Limits) -> None:
    if count < 2:
        raise DataError("SW-D79", f"{name}: one picture, not a film", fix="explain it as an image")
    check_amount(name, count, wanted, size, limits)


def _pictures(name: str, opened: Image.Image, positions: Sequence[int], told: dict[str, None]) -> Frames | Damaged:
    frames: Frames = {}
    for position in positions:
        try:
            opened.seek(position)
            frame, notes = _rgb(name, opened)
        except DAMAGE as error:
            return Damaged(position, str(error))
        told.update(dict.fromkeys(notes))
        size = next(iter(frames.values()), frame).shape
        if frame.shape != size:
            raise DataError(
                "SW-D78",
                f"{name}: frame {position} is {frame.shape[1]} × {frame.shape[0]} pixels, the first "
                f"{size[1]} × {size[0]}",
                fix="save all frames in one size",
            )
        frames[position] = frame
    return frames


def _rgb(name: str, opened: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    check_picture_size(name, opened.size, MAX_PIXELS)
    plain, notes = to_plain(name, opened, WHITE)
    frame, reduced = to_rgb_array(plain)
    return frame, [*notes, *reduced]


def _durations(opened: Image.Image, count: int) -> list[float]:
    """Seconds each frame is shown; empty where the file does not tell them all."""
    seconds = []
    for position in range(count):
        opened.seek(position)
        if opened.format == "WEBP":
            opened.load()  # other formats tell a frame's time without decoding it
        seconds.append(float(opened.info.get("duration", 0)) / 1000)
    return seconds if all(second > 0 for second in seconds) else []
