"""Finding a picture on a page, pixel for pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def places_of(page: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Top and left of every place where ``part`` lies on ``page``, in reading order."""
    height, width = part.shape[:2]
    # a row that varies is rarely found where the part is not
    telling = int(np.abs(np.diff(part.astype(int), axis=1)).sum(axis=(1, 2)).argmax()) if width > 1 else 0
    sought = part[telling].tobytes()
    return [
        (top, left)
        for top in range(len(page) - height + 1)
        for left in _starts(page[top + telling].tobytes(), sought)
        if np.array_equal(page[top : top + height, left : left + width], part)
    ]


def place_of(page: np.ndarray, part: np.ndarray) -> tuple[int, int]:
    """Top and left of the only place where ``part`` lies on ``page``."""
    [place] = places_of(page, part)
    return place


def _starts(row: bytes, sought: bytes) -> Iterator[int]:
    place = row.find(sought)
    while place >= 0:
        if place % 3 == 0:
            yield place // 3
        place = row.find(sought, place + 1)
