"""Many records on one page: a row for each, what was true and predicted at the left, its inputs' overlays beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from seewhy.render.arrays import require_alpha, require_picture
from seewhy.render.captions import captioned, page_heading
from seewhy.render.columns import GAP, MARGIN, in_column, row_of
from seewhy.render.errors import RenderError
from seewhy.render.evidence import importance_legend
from seewhy.render.inputs_figure import NARROWEST_PAGE, heat_cell, require_known, scale_note
from seewhy.render.layout import LONGEST, framed, paste, sheet, stack
from seewhy.render.picture import text_size
from seewhy.render.text import INK, QUIET, Colour, line_height, text_line

Picture = UInt8[np.ndarray, "_ _ 3"]

COLUMN, NARROWEST_COLUMN = 192, 96
BOX = 176
STRIPE = 6
CORRECT: Colour = (0, 128, 94)
WRONG: Colour = (200, 70, 0)
UNKNOWN: Colour = QUIET
"""Bluish green and vermilion are told apart by colour-blind readers too; the box also says it in words."""
UNLABELLED = "not known"


@dataclass(frozen=True)
class Sample:
    """One record of a summary.

    ``pictures`` ``(H, W, 3)`` uint8 and ``heats`` ``(h, w)`` in [0, 1] by input name; ``shares`` are the inputs' parts
    of all evidence, in [0, 1]. ``true`` is None where it is not known.
    """

    sample_id: str
    true: str | None
    predicted: str
    pictures: Mapping[str, NDArray[np.uint8]]
    heats: Mapping[str, NDArray[np.floating]]
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> tuple[str, Colour]:
        """Whether the prediction is right, as a word and a colour."""
        if self.true is None:
            return "not labelled", UNKNOWN
        return ("correct", CORRECT) if self.true == self.predicted else ("wrong", WRONG)


def summary_figure(
    samples: Sequence[Sample],
    *,
    method: str = "Grad-CAM",
    colormap: str = "jet",
    alpha: float = 0.4,
    per_input_scale: bool = False,
    unit: str = "importance for the predicted class",
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one row per sample: a box with its id, truth and prediction, then each input's overlay with its share.

    Columns are the inputs of all samples in the order they are first met; a sample without one leaves its place empty.
    The rows take at most 4096 pixels; what does not fit is counted in the second line.

    Args:
        samples: one or more, drawn in this order.
        method: as it stands in the title, ``Grad-CAM Summary - 10 Samples``.
        colormap: a colour map's name.
        alpha: weight of the colours in [0, 1].
        per_input_scale: whether each heat was divided by its own peak; the legend says which.
        unit: what the colours measure.

    Raises:
        RenderError: ``SW-R40`` no sample or one without an input, ``SW-R41`` a heat or share of an input that has no
            picture, ``SW-R42`` a share outside [0, 1]; ``SW-R01`` to ``SW-R05`` as in :func:`seewhy.render.overlay`.

    Example:
        >>> picture = np.zeros((64, 64, 3), np.uint8)
        >>> sample = Sample("patient_001", "Early", "Late", {"mnv": picture, "ga": picture}, {"mnv": np.eye(4)})
        >>> sample.verdict[0], summary_figure([sample]).shape[1] == 24 + 176 + 2 * (14 + 192) + 24
        ('wrong', True)
    """
    names = _input_names(samples)
    require_alpha(alpha)
    column = summary_column(len(names))
    head = _beside(sheet(1, BOX), [text_line(name, column, text_size(column), cut="middle") for name in names], column)
    rows = list(_that_fit((_sample_row(sample, names, column, colormap, alpha) for sample in samples), LONGEST))
    body = stack([stack([head, rows[0]], gap=GAP // 2), *rows[1:]], gap=GAP)
    width, size = max(body.shape[1], NARROWEST_PAGE), text_size(column)
    left_out = len(samples) - len(rows)
    caption = f"the first {len(rows)} are shown, {left_out} more are left out" if left_out else ""
    plural = "Sample" if len(samples) == 1 else "Samples"
    title = page_heading(f"{method} Summary - {len(samples)} {plural}", caption, width, size)
    note = scale_note(len(names), len(samples), per_input_scale)
    foot = importance_legend(width, size, colormap, alpha, unit, note)
    return framed(stack([title, body, foot], gap=GAP), MARGIN)


def summary_column(inputs: int) -> int:
    """The width of a column: less for many inputs, so that the page stays within 4096 pixels where it can.

    Example:
        >>> [summary_column(inputs) for inputs in (4, 30, 100)]
        [192, 115, 96]
    """
    room = (LONGEST - 2 * MARGIN - BOX) // inputs - GAP
    return max(NARROWEST_COLUMN, min(COLUMN, room))


def _sample_row(sample: Sample, names: Sequence[str], column: int, colormap: str, alpha: float) -> Picture:
    cells = []
    for name in names:
        if name not in sample.pictures:
            cells.append(captioned("no such input", "", sheet(1, column), colour=QUIET))
            continue
        canvas = in_column(sample.pictures[name], column)
        words, is_share, panel = heat_cell(canvas, sample.heats.get(name), sample.shares.get(name), colormap, alpha)
        cells.append(captioned(words, "", panel, column, INK if is_share else QUIET))
    row = row_of(cells, column)
    return _beside(_verdict_box(sample, len(row)), [row], row.shape[1])


def _verdict_box(sample: Sample, height: int) -> Picture:
    """Id, truth, prediction and verdict in a box of the verdict's colour, as high as the row."""
    word, colour = sample.verdict
    size = text_size(COLUMN)
    width = BOX - STRIPE - size // 2 - size
    lines = [
        text_line(sample.sample_id, width, size, INK, cut="middle"),
        text_line(f"True: {sample.true or UNLABELLED}", width, size, INK),
        text_line(f"Pred: {sample.predicted}", width, size, INK),
        text_line(word, width, size, colour),
    ]
    box = sheet(max(height, line_height(size) * len(lines)), BOX)
    text = stack(lines)
    paste(box, text, (len(box) - len(text)) // 2, STRIPE + size)
    np.minimum(box, np.array(tint(colour), np.uint8), out=box)
    box[:, :STRIPE] = colour
    return box


def tint(colour: Colour) -> Colour:
    """The colour thinned to a tenth, as a ground that text can be read on.

    Example:
        >>> tint((0, 128, 94))
        (229, 242, 239)
    """
    red, green, blue = (255 - (255 - channel + 5) // 10 for channel in colour)
    return red, green, blue


def _beside(box: Picture, cells: Sequence[Picture], column: int) -> Picture:
    return row_of([box, row_of(cells, column)], BOX)


def _that_fit(rows: Iterable[Picture], height: int) -> Iterator[Picture]:
    """The first row, and those after it that end within ``height`` pixels; the others are not even drawn."""
    used = 0
    for row in rows:
        used += len(row) + GAP
        if used > height and used > len(row) + GAP:
            return
        yield row


def _input_names(samples: Sequence[Sample]) -> list[str]:
    names = list(dict.fromkeys(name for sample in samples for name in sample.pictures))
    if not names:
        raise RenderError("SW-R40", "the summary needs at least a picture", fix="pass the samples that were explained")
    for sample in samples:
        for picture in sample.pictures.values():
            require_picture(picture)
        require_known([*sample.heats, *sample.shares], sample.pictures, "input")
    return names
