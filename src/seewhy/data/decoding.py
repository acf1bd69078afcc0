"""From the bytes of one untrusted picture file to upright pixels, with a note for everything that was changed."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Shaped
from PIL import Image, UnidentifiedImageError

from seewhy.data.conversion import Color, to_plain
from seewhy.values import DataError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
SMALLEST_SIDE: Final = 8
MAX_PIXELS: Final = 64_000_000
SKIP_FILE: Final = "leave the file out of the data set"
DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, OverflowError, LookupError, TypeError, struct.error)
ORIENTATION: Final = 0x0112
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """An upright picture: 8-bit ``RGB`` or ``L``, or mode ``F`` with values in [0, 1] (from 16-bit gray)."""

    picture: Image.Image
    revision: str
    notes: tuple[str, ...]


def revision(path: Path) -> str:
    """A short digest of a file's bytes, so that changed content is noticed. DataError SW-D05 if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, new_digest).hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def decode(path: Path, *, max_pixels: int = MAX_PIXELS, background: Color = (255, 255, 255)) -> Decoded:
    """Read the first frame of a JPEG, PNG, WebP, TIFF, BMP or GIF file, turned upright by its EXIF tag.

    Transparency is composited on ``background``; palettes and CMYK become RGB; 16-bit gray is scaled by its bit range,
    never clipped. The pixel limit holds before anything is decoded.

    Raises ``DataError``: SW-D05 no such file, SW-D06 no picture, SW-D07 damaged, SW-D08 too many pixels, SW-D09 too
    small, SW-D10 samples without a known range (float, 32-bit, signed).
    """
    return decode_content(path.name, _content_of(path), max_pixels=max_pixels, background=background)


def decode_content(
    name: str, content: bytes, *, max_pixels: int = MAX_PIXELS, background: Color = (255, 255, 255)
) -> Decoded:
    """As :func:`decode`, of a picture that is in memory already; ``name`` is what errors call it.

    Example:
        >>> decode_content("note.txt", b"no picture at all")
        Traceback (most recent call last):
        seewhy.values.DataError: [SW-D06] note.txt: no picture in a known format (it begins with b'no picture a')
          fix: use a file in one of the formats JPEG, PNG, WEBP, TIFF, BMP, GIF
    """
    with _told() as complaints, _opened(name, content, max_pixels) as (opened, content_revision):
        frames = getattr(opened, "n_frames", 1)
        notes = [f"first of {frames} frames used"] if frames > 1 else []
        plain, changed = to_plain(name, opened, background)
        turn = orientation(opened)
        turned = [f"turned upright by EXIF orientation {turn}"] if turn in UPRIGHT else []
        picture = upright(plain, turn)
    return Decoded(picture, content_revision, (*notes, *changed, *turned, *complaints))


def decode_values(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[Shaped[np.ndarray, "h w ..."], str]:
    """The values of a picture as they are stored, upright and without alpha, and the file's revision.

    ``(H, W)`` for gray and for palettes (the indices), ``(H, W, C)`` for colour. Raises what :func:`decode` raises.
    """
    with _told(), open_picture(path, max_pixels) as (opened, content_revision):
        opened.load()
        values = np.asarray(upright(opened, orientation(opened)))
        colours = len([band for band in opened.getbands() if band not in "Aa"])
        if values.ndim == 3:
            values = values[..., :colours]
        return values, content_revision


@contextmanager
def open_picture(path: Path, max_pixels: int) -> Iterator[tuple[Image.Image, str]]:
    """An untrusted file opened by Pillow, with its revision; what fails inside the block is told as a ``DataError``."""
    with _opened(path.name, _content_of(path), max_pixels) as found:
        yield found


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


@contextmanager
def _opened(name: str, content: bytes, max_pixels: int) -> Iterator[tuple[Image.Image, str]]:
    digest = new_digest()
    digest.update(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels decides, and is an error
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                check_picture_size(name, opened.size, max_pixels)
                yield opened, digest.hexdigest()
        except UnidentifiedImageError as error:
            raise _not_a_picture(name, content[:64]) from error
        except Image.DecompressionBombError as error:
            raise _too_large(name, str(error), max_pixels) from error
        except DAMAGE as error:
            raise DataError(
                "SW-D07",
                f"{name}: the picture is damaged or cut short ({type(error).__name__}: {error})",
                fix="copy or export the file again, or leave it out of the data set",
            ) from error


@contextmanager
def _told() -> Iterator[list[str]]:
    """Collects what Pillow warns of (broken metadata), each once, when the block ends."""
    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield complaints
    complaints.extend(dict.fromkeys(f"Pillow: {warning.message}" for warning in caught))


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that is absent or may not be read."""
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return DataError("SW-D05", f"{path.name or path} is a folder, not a picture", fix="name a picture inside it")
    return DataError(
        "SW-D05", f"{path.name}: cannot be read ({error.strerror or error})", fix=f"check that {path.name} exists"
    )


def new_digest() -> hashlib.blake2b:
    """The hash behind every revision: 16 hexadecimal digits."""
    return hashlib.blake2b(digest_size=8)


def upright(picture: Image.Image, turn: int) -> Image.Image:
    """The picture turned as EXIF orientation ``turn`` (1 to 8) tells."""
    return picture.transpose(UPRIGHT[turn]) if turn in UPRIGHT else picture


def orientation(opened: Image.Image) -> int:
    """The EXIF orientation of a picture, 1 (upright) where it tells none that can be read."""
    try:
        return int(opened.getexif().get(ORIENTATION, 1))
    except DAMAGE:  # broken EXIF does not make the pixels unreadable
        return 1


def check_picture_size(name: str, size: tuple[int, int], max_pixels: int, *, fix: str = SKIP_FILE) -> None:
    """Raise ``DataError`` SW-D08 above ``max_pixels``, SW-D09 where a side is shorter than :data:`SMALLEST_SIDE`.

    ``fix`` is what to do about a picture that is too small.
    """
    width, height = size
    if width * height > max_pixels:
        raise _too_large(name, f"{width} × {height} = {width * height} pixels", max_pixels)
    if min(width, height) < SMALLEST_SIDE:
        raise DataError(
            "SW-D09",
            f"{name}: {width} × {height} pixels; each side must have at least {SMALLEST_SIDE}",
            fix=fix,
        )


def _too_large(name: str, found: str, max_pixels: int) -> DataError:
    return DataError(
        "SW-D08",
        f"{name}: {found}; the limit is max_pixels={max_pixels}",
        fix="raise max_pixels if the file is what you expect, or make a smaller copy",
    )


def _not_a_picture(name: str, start: bytes) -> DataError:
    fix = f"use a file in one of the formats {', '.join(FORMATS)}"
    if not start:
        found = "the file is empty (0 bytes)"
    elif start.startswith(b"version https://git-lfs"):
        found, fix = "a Git LFS pointer, not the picture itself", "fetch the file with `git lfs pull`"
    elif start[4:8] == b"ftyp":
        found, fix = "a HEIC, AVIF or video file", "convert it to JPEG or PNG"
    elif start.lstrip()[:1] == b"<":
        found = "an HTML, XML or SVG text"
    else:
        found = f"no picture in a known format (it begins with {start[:12]!r})"
    return DataError("SW-D06", f"{name}: {found}", fix=fix)
