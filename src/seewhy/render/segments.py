"""A class for every pixel: the mask over its picture, and the key that names its colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.errors import RenderError
from seewhy.render.evidence import share_words
from seewhy.render.layout import paste, sheet, stack
from seewhy.render.palette import class_colours
from seewhy.render.text import INK, QUIET, line_height, text_line, text_width

Picture = UInt8[np.ndarray, "_ _ 3"]
Names = Sequence[str] | Mapping[int, str]

KEY_LINES = 4


def mask_overlay(
    picture: UInt8[np.ndarray, "h w 3"],
    mask: Integer[np.ndarray, "rows columns"],
    alpha: float = 0.5,
    *,
    background: int | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Tint each pixel with its class's colour, in full along the borders between classes.

    With a class's colour ``c`` and ``w = round(255 * alpha)`` a channel inside a region is
    ``(picture * (255 - w) + c * w + 127) // 255``.

    Args:
        picture: ``(H, W, 3)`` uint8.
        mask: ``(h, w)`` class indices at any resolution, covering the whole picture; each pixel takes its cell's class.
        alpha: weight of the colours in [0, 1].
        background: a class that is left uncoloured; none if None, for class 0 may be a class like any other.

    Raises:
        RenderError: ``SW-R03`` not an RGB picture, ``SW-R05`` alpha, ``SW-R45`` not a mask of class indices.
    """
    require_picture(picture)
    require_alpha(alpha)
    classes = classes_at(mask, picture.shape[0], picture.shape[1])
    colours = class_colours(classes)
    weight = round(255 * alpha)
    tinted = (picture.astype(np.uint16) * (255 - weight) + colours.astype(np.uint16) * weight + 127) // 255
    shown: UInt8[np.ndarray, "h w 3"] = np.where(_borders(classes)[..., None], colours, tinted.astype(np.uint8))
    return shown if background is None else np.where((classes == background)[..., None], picture, shown)


def classes_at(
    mask: Integer[np.ndarray, "rows columns"], height: int, width: int
) -> Integer[np.ndarray, "height width"]:
    """The class of each pixel of a picture that the mask covers: that of the cell in which the pixel's centre lies.

    Raises:
        RenderError: ``SW-R45``, not a mask of class indices.

    Example:
        >>> classes_at(np.array([[3, 300]]), 1, 4).tolist()
        [[3, 3, 300, 300]]
    """
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "iub" or mask.min() < 0:
        raise RenderError(
            "SW-R45",
            f"expected class indices of shape (h, w), 0 or more, got {mask.shape} and {mask.dtype}",
            fix="take the argmax over the classes; give void pixels a class of their own and name it as background",
        )
    rows, columns = (
        ((np.arange(count) + 0.5) * length / count).astype(np.intp)
        for count, length in ((height, mask.shape[0]), (width, mask.shape[1]))
    )
    return mask[np.ix_(rows, columns)].astype(np.int64)


def class_key(
    mask: Integer[np.ndarray, "rows columns"],
    names: Names | None,
    width: int,
    size: int,
    *,
    background: int | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """A swatch, the name and the share of the pixels for each class that occurs, the largest first.

    At most four lines; the last then counts the classes that are left out.

    Args:
        mask: ``(h, w)`` class indices.
        names: by class index; ``class 7`` for one without a name.
        width: of the key in pixels.
        size: of the text in pixels.
        background: a class that is not listed.
    """
    classes, counts = np.unique(mask, return_counts=True)
    kept = classes != background
    classes, shares = classes[kept], counts[kept] / mask.size
    order = np.argsort(-shares, kind="stable")
    entries = [_entry(int(classes[at]), class_name(int(classes[at]), names), shares[at], width, size) for at in order]
    lines = _lines_of([entry.shape[1] for entry in entries], width, size)
    if len(lines) > KEY_LINES:
        left_out = sum(len(line) for line in lines[KEY_LINES - 1 :])
        rest = [text_line(f"and {left_out} more classes", width, size, QUIET)]
        lines = lines[: KEY_LINES - 1]
    else:
        rest = [] if lines else [text_line("background only", width, size, QUIET)]
    return stack([*(_line([entries[at] for at in line], width, size) for line in lines), *rest])


def class_name(index: int, names: Names | None) -> str:
    """The name of a class, or its index in words.

    Example:
        >>> class_name(1, ["sky", "road"]), class_name(7, {1: "road"}), class_name(2, None)
        ('road', 'class 7', 'class 2')
    """
    if isinstance(names, Mapping):
        return names.get(index, f"class {index}")
    return names[index] if names is not None and index < len(names) else f"class {index}"


def _borders(classes: Integer[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels whose neighbour above, below, left or right has another class."""
    border = np.zeros(classes.shape, bool)
    for axis in (0, 1):
        changes = np.diff(classes, axis=axis) != 0
        border |= np.pad(changes, [(0, int(axis == 0)), (0, int(axis == 1))])
        border |= np.pad(changes, [(int(axis == 0), 0), (int(axis == 1), 0)])
    return border


def _entry(index: int, name: str, share: float, width: int, size: int) -> Picture:
    aside = share_words(float(share))
    swatch, gap = sheet(size, size), size // 2
    swatch[:] = class_colours(np.array(index))
    room = width - len(swatch) - 2 * gap - text_width(aside, size)
    label = text_line(name, max(0, min(room, text_width(name, size))), size, INK)
    fact = text_line(aside, text_width(aside, size), size, QUIET)
    strip = sheet(line_height(size), size + gap + label.shape[1] + gap + fact.shape[1])
    paste(strip, swatch, (len(strip) - size) // 2, 0)
    paste(strip, label, 0, size + gap)
    paste(strip, fact, 0, size + gap + label.shape[1] + gap)
    return strip[:, :width]


def _lines_of(widths: Sequence[int], width: int, size: int) -> list[list[int]]:
    """Entries in order, each on the line above if it still fits there."""
    lines: list[list[int]] = []
    used = width
    for index, entry in enumerate(widths):
        if used + entry > width:
            lines.append([])
            used = 0
        lines[-1].append(index)
        used += entry + size
    return lines


def _line(entries: Sequence[Picture], width: int, size: int) -> Picture:
    strip, left = sheet(line_height(size), width), 0
    for entry in entries:
        paste(strip, entry, 0, left)
        left += entry.shape[1] + size
    return strip
