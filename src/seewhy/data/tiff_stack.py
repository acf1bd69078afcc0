"""A multi-page TIFF as a volume: one page per slice, the samples as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from seewhy.data.decoding import MAX_PIXELS, check_picture_size
from seewhy.data.limits import MAX_BYTES
from seewhy.data.orientation import StoredVolume
from seewhy.data.pages import open_pages
from seewhy.values import DataError

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GRAY: Final = frozenset({"1", "L", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
WHITE_IS_ZERO: Final = 0
UNSIGNED: Final = 1


def looks_like_tiff(start: bytes) -> bool:
    """Whether a file begins as a TIFF or BigTIFF does."""
    return start[:4] in MAGICS


def read_tiff_stack(path: Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> StoredVolume:
    """The pages of a TIFF in their order as slices: axes (page, row, column), RGB as three channels first.

    Samples of 1 to 32 bits and float are taken as stored, never scaled. The size of every page is checked before any is
    decoded: ``max_pixels`` for one page, ``max_bytes`` for the volume as float32.

    Raises ``DataError``: SW-D05 to SW-D09 for the file as a picture, SW-D64 above ``max_bytes``, SW-D74 pages that
    differ, or are neither gray nor RGB.
    """
    with open_pages(path, max_pixels) as file:
        opened, pages = file.opened, file.count
        _check_amount(path, opened, pages, max_bytes)
        _check_pages(path, opened, pages, max_pixels)
        values = np.stack([_page(opened, page) for page in range(pages)], axis=-3)
        inverted = _inverted(opened)
    notes = ["a TIFF names no patient directions: axes are page, row, column"]
    notes += ["white is zero: inverted, so that more is brighter"] * inverted
    return StoredVolume(values, np.eye(4), False, file.revision, (*notes, *file.complaints))


def _check_amount(path: Path, opened: Image.Image, pages: int, max_bytes: int) -> None:
    width, height = opened.size
    needed = 4 * width * height * pages * len(opened.getbands())
    if needed > max_bytes:
        raise DataError(
            "SW-D64",
            f"{path.name}: {pages} pages of {width} × {height} pixels are {needed} bytes as float32; the limit is "
            f"{max_bytes}",
            fix="raise max_bytes",
        )


def _check_pages(path: Path, opened: Any, pages: int, max_pixels: int) -> None:
    first: tuple[str, tuple[int, int]] | None = None
    for page in range(pages):
        opened.seek(page)
        check_picture_size(path.name, opened.size, max_pixels)
        kind = (opened.mode, opened.size)
        first = first or kind
        if kind != first or opened.mode not in {*GRAY, "RGB"}:
            raise DataError(
                "SW-D74",
                f"{path.name}: page {page + 1} of {pages} is {opened.mode} {opened.size[0]} × {opened.size[1]}; the "
                f"slices of a volume must be gray or RGB, and all like the first ({first[0]} {first[1][0]} × "
                f"{first[1][1]})",
                fix="save the slices alone, without thumbnails, palettes or transparency",
            )


def _page(opened: Any, page: int) -> NDArray[np.float32]:
    """``(H, W)``, or ``(3, H, W)`` for RGB."""
    opened.seek(page)
    samples = np.asarray(opened)
    if opened.mode == "I" and opened.tag_v2.get(SAMPLEFORMAT, (UNSIGNED,))[0] == UNSIGNED:
        samples = samples.view(np.uint32)  # Pillow reads unsigned samples as signed
    if opened.mode == "I;16" and _inverted(opened):
        bits = int(opened.tag_v2.get(BITSPERSAMPLE, (16,))[0])
        samples = (2**bits - 1) - samples  # Pillow inverts 8-bit samples itself, 16-bit ones not
    values: NDArray[np.float32] = samples.astype(np.float32)
    return np.moveaxis(values, -1, 0) if values.ndim == 3 else values


def _inverted(opened: Any) -> bool:
    return bool(opened.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO and opened.mode in {"L", "I;16", "1"})
