"""Which frames of a film make a clip, and how evenly they follow each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from seewhy.values import DataError

VARIABLE: Final = 0.1  # of the usual time between frames


@dataclass(frozen=True)
class Limits:
    """What a film may cost: ``max_frames`` that would be decoded, ``max_bytes`` of the frames that are kept."""

    max_frames: int
    max_bytes: int


@dataclass(frozen=True)
class Film:
    """Frames ``(T, H, W, 3)`` picked from ``readable`` ones that follow at ``rate`` per second (None if untold)."""

    frames: UInt8[np.ndarray, "t h w 3"]
    readable: int
    rate: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Damaged:
    """Decoding stopped: the first frame that cannot be read, and why."""

    frame: int
    reason: str


Frames = dict[int, NDArray[np.uint8]]


def even_positions(count: int, wanted: int | None) -> list[int]:
    """The middle frame of each of ``wanted`` equal parts of ``count`` frames; None takes all of them.

    Frames repeat where there are fewer than wanted.

    >>> even_positions(10, 4)
    [1, 3, 6, 8]
    """
    if wanted is None:
        return list(range(count))
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def readable_frames(
    count: int, wanted: int | None, decode: Callable[[Sequence[int]], Frames | Damaged]
) -> tuple[NDArray[np.uint8], int, list[str]]:
    """Even frames of what can be read: after damage, those of the part before it, noted.

    ``decode`` takes increasing positions and returns these frames, or where it had to stop. Returns ``(T, H, W, 3)``
    (empty where nothing can be read), how many frames are readable, and notes.
    """
    readable, notes = count, []
    while readable > 0:
        positions = even_positions(readable, wanted)
        found = decode(sorted(set(positions)))
        if not isinstance(found, Damaged):
            notes += _repeat_note(readable, wanted)
            return np.stack([found[position] for position in positions]), readable, notes
        readable = min(found.frame, readable - 1)  # less every time, so that this ends
        notes = [f"{readable} of {count} frames could be read ({found.reason})"]
    return np.empty((0, 0, 0, 3), np.uint8), 0, notes


def check_amount(name: str, count: int, wanted: int | None, size: tuple[int, int], limits: Limits) -> None:
    """DataError SW-D77 for a film of ``count`` frames of ``size`` (height, width) that costs more than ``limits``."""
    kept = (count if wanted is None else wanted) * size[0] * size[1] * 3
    if count > limits.max_frames:
        raise DataError(
            "SW-D77",
            f"{name}: {count} frames; the limit is max_frames={limits.max_frames}",
            fix="cut the part of interest out, or raise max_frames",
        )
    if kept > limits.max_bytes:
        raise DataError(
            "SW-D77",
            f"{name}: {kept} bytes of {size[1]} × {size[0]} frames; the limit is max_bytes={limits.max_bytes}",
            fix="take fewer frames, make a smaller copy, or raise max_bytes",
        )


def uneven_note(steps: Sequence[float]) -> list[str]:
    """A note where the seconds between frames differ by more than a tenth of the usual."""
    if not steps:
        return []
    usual = float(np.median(steps))
    if max(steps) - min(steps) <= VARIABLE * usual:
        return []
    return [
        f"variable frame rate: {min(steps):.3g} to {max(steps):.3g} s between frames; frames are picked by number, "
        "not by time"
    ]


def _repeat_note(readable: int, wanted: int | None) -> list[str]:
    if wanted is None or wanted <= readable:
        return []
    return [f"{readable} frames for a clip of {wanted}: some are repeated"]
