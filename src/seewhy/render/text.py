"""One line of text as pixels: fonts, widths, and names too long for their place."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont
Colour = tuple[int, int, int]
Align = Literal["left", "centre", "right"]

PAPER = 255
INK: Colour = (24, 26, 31)
QUIET: Colour = (98, 104, 115)

ELLIPSIS = "…"
UNASSIGNED = "\uffff"


@lru_cache(maxsize=512)
def text_line(
    text: str, width: int, size: int, colour: Colour = INK, align: Align = "left", cut: Literal["middle", "end"] = "end"
) -> UInt8[np.ndarray, "line width 3"]:
    """One line on paper, exactly ``width`` pixels wide and :func:`line_height` high; too long a text is shortened.

    The result is shared between callers and read-only.
    """
    strip = Image.new("RGB", (width, line_height(size)), (PAPER,) * 3)
    text = fit_text(printable(text), width, size, cut)
    if text:
        font = _font_for(text, size)
        slack = width - font.getlength(text)
        left = {"left": 0.0, "centre": slack / 2, "right": slack}[align]
        ImageDraw.Draw(strip).text((round(left), size), text, fill=colour, font=font, anchor="ls")
    return np.asarray(strip)


def line_height(size: int) -> int:
    """Pixels from one line's top to the next: room for descenders below the baseline at ``size``."""
    return round(size * 1.3)


def text_width(text: str, size: int) -> int:
    """Pixels a text takes, rounded up."""
    return int(np.ceil(_font_for(text, size).getlength(text)))


def fit_text(text: str, width: int, size: int, cut: Literal["middle", "end"] = "end") -> str:
    """The text, or as much of it as fits into ``width`` pixels around an ellipsis.

    ``middle`` keeps both ends, which tell long record ids apart; ``end`` keeps the start.
    """
    if text_width(text, size) <= width:
        return text
    fitting, too_long = 0, len(text)
    while too_long - fitting > 1:
        kept = (fitting + too_long) // 2
        if text_width(_shortened(text, kept, cut), size) <= width:
            fitting = kept
        else:
            too_long = kept
    return _shortened(text, fitting, cut)


def printable(text: str) -> str:
    """The text on one line: what has no glyph by nature (line breaks, controls, lone surrogates) becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text)


def _shortened(text: str, kept: int, cut: Literal["middle", "end"]) -> str:
    head = kept if cut == "end" else (kept + 1) // 2
    tail = kept - head
    return text[:head].rstrip() + ELLIPSIS + (text[-tail:].lstrip() if tail else "")


def _font_for(text: str, size: int) -> Font:
    """Pillow's font where it has every glyph of the text, otherwise the wider-ranging one that matplotlib carries."""
    plain = _plain_font(size)
    if text.isascii() or all(_has_glyph(character) for character in set(text)):
        return plain
    return _wide_font(size) or plain


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    font = _plain_font(16)
    return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask(UNASSIGNED))


@cache
def _plain_font(size: int) -> Font:
    return cast(Font, ImageFont.load_default(size))


@cache
def _wide_font(size: int) -> Font | None:
    package = find_spec("matplotlib")  # locates the package without importing it
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    return None
