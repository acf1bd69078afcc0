"""A picture file of several pages or frames, opened once; what Pillow's parsers stumble over is damage."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from seewhy.data.decoding import open_picture


@dataclass(frozen=True)
class Pages:
    """The opened file at its first page; ``complaints`` are Pillow's, complete once the block has ended."""

    opened: Image.Image
    count: int
    revision: str
    complaints: list[str] = field(default_factory=list)


@contextmanager
def open_pages(path: Path, max_pixels: int) -> Iterator[Pages]:
    """The pages of an untrusted picture file.

    Raises ``DataError`` SW-D05 to SW-D09 as :func:`seewhy.data.decoding.open_picture` does, also for what fails inside
    the block.
    """
    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_picture(path, max_pixels) as (opened, revision):
            yield Pages(opened, int(getattr(opened, "n_frames", 1)), revision, complaints)
    complaints.extend(dict.fromkeys(f"Pillow: {warning.message}" for warning in caught))
