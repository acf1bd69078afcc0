"""Pictures of inputs made smaller, so that a page of many records stays small."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

from seewhy.report.record import damaged_preview
from seewhy.report.record_maps import evenly
from seewhy.values import Preview

_JPEG: Final = b"\xff\xd8"
_EFFORT: Final = 4


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a page carries it: its bytes, one tile's size, and which tiles of the preview it has."""

    data: bytes
    width: int
    height: int
    tiles: tuple[int, ...]

    @property
    def uri(self) -> str:
        """A ``data:`` address."""
        kind = "jpeg" if self.data.startswith(_JPEG) else "webp"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode('ascii')}"


def thumbnail_of(preview: Preview, record_id: str, *, side: int, quality: int | None, tiles: int) -> Thumbnail:
    """At most ``tiles`` tiles of a preview, the longest side of each at most ``side`` pixels, as WebP.

    What needs no change keeps its bytes, also where they are fewer; ``quality`` None asks for no other compression.

    Raises:
        ReportError: ``SW-P03``, the preview is no picture.
    """
    kept = evenly(len(preview.shown), tiles)
    try:
        with Image.open(BytesIO(preview.data)) as picture:
            width, height = picture.width // max(1, len(preview.shown)), picture.height
            whole = len(kept) == len(preview.shown) and max(width, height) <= side
            if whole and quality is None:
                return Thumbnail(preview.data, width, height, kept)
            small, size = _strip(picture, kept, (width, height), side)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise damaged_preview(record_id, str(error)) from error
    stream = BytesIO()
    small.save(stream, "WEBP", quality=80 if quality is None else quality, method=_EFFORT)
    data = stream.getvalue()
    if whole and len(preview.data) <= len(data):
        return Thumbnail(preview.data, width, height, kept)
    return Thumbnail(data, *size, kept)


def _strip(
    picture: Image.Image, kept: tuple[int, ...], tile: tuple[int, int], side: int
) -> tuple[Image.Image, tuple[int, int]]:
    """The kept tiles side by side, each reduced by itself so that no colour crosses into its neighbour."""
    factor = min(1.0, side / max(tile))
    size = (max(1, round(tile[0] * factor)), max(1, round(tile[1] * factor)))
    if picture.width == tile[0]:
        picture.draft("RGB", size)  # a picture of one tile: the decoder itself may halve it
        return _reduced(picture.convert("RGB"), size), size
    colour = picture.convert("RGB")
    strip = Image.new("RGB", (size[0] * len(kept), size[1]))
    for place, number in enumerate(kept):
        part = colour.crop((number * tile[0], 0, (number + 1) * tile[0], tile[1]))
        strip.paste(_reduced(part, size), (place * size[0], 0))
    return strip, size


def _reduced(part: Image.Image, size: tuple[int, int]) -> Image.Image:
    return part if part.size == size else part.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
