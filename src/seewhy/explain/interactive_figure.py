"""Plotly figures of pictures with heat maps over them: zoom and pan together, values under the pointer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from seewhy.explain.interactive_plotly import colour_stops, offline_figure, picture_uri
from seewhy.explain.interactive_subject import Box, Shown
from seewhy.explain.interactive_text import in_chart, one_line

GAP, PANEL_WIDTH = 0.06, 240
NOTE_LINE, SHORTEST_TITLE, LETTER = 26, 16, 7
"""Letters of a note's line and of a title at least, and pixels that a title's letter takes."""
TITLES, HEAD, FEET, COLOUR_BAR = 96, 40, 36, 80
"""Pixels above the panels in a figure and on a page, below them, and beside them."""
SHORTEST_BAR, LONGEST_BAR, LEAST_WIDTH = 120, 200, 240
"""Pixels of the colour bar with its words, and of a figure's width that has space for it."""
HOVER: Final = "X: %{x:.5~g}<br>Y: %{y:.5~g}<br>Importance: %{z:.4f}<extra></extra>"


@dataclass(frozen=True)
class FigurePanel:
    """One picture: its title, the heat map over it or a note why there is none, and numbered boxes."""

    title: str
    shown: Shown | None = None
    note: str = ""
    boxes: Sequence[Box] = ()


@dataclass(frozen=True)
class Style:
    """How a figure looks; ``width`` of the whole in pixels, ``height`` of a row of panels."""

    title: str
    subtitle: str
    colorscale: str
    opacity: float
    width: int
    height: int
    show_colorbar: bool = True


@dataclass
class _Sheet:
    """A figure as it grows, and the colour axis of each end of a scale."""

    traces: list[Any] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    axes: dict[float, str] = field(default_factory=dict)


def figure_of(picture: UInt8[np.ndarray, "h w 3"], panels: Sequence[FigurePanel], style: Style) -> Any:
    """A ``plotly.graph_objects.Figure`` of one picture, once for each panel.

    Its axes are pixels of the picture, the centre of the first at 0, and move together. It is shown and saved without
    Plotly's cloud button and logo, with Plotly's script inside. It is never too small for its colour bar.
    """
    source, sheet = picture_uri(picture), _Sheet()
    width = max(style.width, LEAST_WIDTH)
    rows, columns = _grid(len(panels), width)
    sheet.layout = {
        "title": {"text": in_chart(style.title), "subtitle": {"text": in_chart(style.subtitle)}, "x": 0.5},
        "width": width,
        "height": max(rows * style.height, TITLES + SHORTEST_BAR + FEET),
        "template": "none",
        "margin": {"l": 40, "r": 24, "t": TITLES, "b": FEET},
        "images": [],
        "shapes": [],
        "annotations": [],
    }
    for number, panel in enumerate(panels, 1):
        _add_axes(sheet, number, picture.shape[:2], _domains(number - 1, rows, columns))
        _add_picture(sheet, number, source, picture.shape[:2])
        _add_title(sheet, number, in_chart(panel.title, max(SHORTEST_TITLE, width // columns // LETTER)))
        if panel.shown is not None:
            _add_heat(sheet, number, panel.shown, style)
            _add_boxes(sheet, number, panel, picture.shape[:2])
        if panel.note:
            _add_note(sheet, number, panel.note)
    return offline_figure()(data=sheet.traces, layout=sheet.layout)


def fitting_height(figure: Any) -> int:
    """Pixels from top to bottom that a figure needs on a page, where pictures are as wide as their columns allow."""
    layout = figure.layout
    (left, right), (low, high) = layout.xaxis.domain, layout.yaxis.domain
    rows = round((1 + 2 * GAP) / (high - low + 2 * GAP))
    has_bar = "coloraxis" in layout.to_plotly_json() and layout.coloraxis.showscale
    width = (layout.width - 64 - (COLOUR_BAR if has_bar else 0)) * (right - left)
    (start, stop), (bottom, top) = layout.xaxis.range, layout.yaxis.range
    panels: int = math.ceil(rows * width * (bottom - top) / (stop - start) * (1 + 2 * GAP))
    return max(panels, SHORTEST_BAR if has_bar else 0) + HEAD + FEET


def bar_length(height: int, head: int) -> int:
    """Pixels of the colour bar in a figure of this height, with ``head`` pixels above its panels."""
    return min(LONGEST_BAR, height - head - FEET)


def _grid(panels: int, width: int) -> tuple[int, int]:
    columns = min(panels, max(2, width // PANEL_WIDTH))
    return math.ceil(panels / columns), columns


def _domains(place: int, rows: int, columns: int) -> tuple[list[float], list[float]]:
    """Where a panel lies, as shares of the figure: from left to right, then down."""
    row, column = divmod(place, columns)
    return _part(column, columns, GAP), [1 - end for end in reversed(_part(row, rows, 2 * GAP))]


def _part(place: int, parts: int, gap: float) -> list[float]:
    step = (1 + gap) / parts
    return [round(place * step, 5), round(min(1.0, (place + 1) * step - gap), 5)]


def _add_axes(sheet: _Sheet, number: int, size: tuple[int, ...], domains: tuple[list[float], list[float]]) -> None:
    height, width = size
    here = "" if number == 1 else str(number)
    common = {"showgrid": False, "zeroline": False, "constrain": "domain", "ticks": "outside", "tickfont": {"size": 10}}
    x: dict[str, Any] = {**common, "range": [-0.5, width - 0.5], "domain": domains[0], "anchor": f"y{here}"}
    y: dict[str, Any] = {**common, "range": [height - 0.5, -0.5], "domain": domains[1], "anchor": f"x{here}"}
    if number == 1:
        y |= {"scaleanchor": "x"}
    else:
        x, y = {**x, "matches": "x"}, {**y, "matches": "y"}
    sheet.layout |= {f"xaxis{here}": x, f"yaxis{here}": y}


def _add_picture(sheet: _Sheet, number: int, source: str, size: tuple[int, ...]) -> None:
    height, width = size
    here = "" if number == 1 else str(number)
    sheet.layout["images"].append(
        {
            "source": source, "xref": f"x{here}", "yref": f"y{here}", "x": -0.5, "y": -0.5, "sizex": width,
            "sizey": height, "sizing": "stretch", "layer": "below",
        }
    )  # fmt: skip


def _add_title(sheet: _Sheet, number: int, words: str) -> None:
    here = "" if number == 1 else str(number)
    sheet.layout["annotations"].append(
        {
            "text": words, "xref": f"x{here} domain", "yref": f"y{here} domain", "x": 0.5, "y": 1,
            "yanchor": "bottom", "yshift": 4, "showarrow": False, "font": {"size": 13},
        }
    )  # fmt: skip


def _add_heat(sheet: _Sheet, number: int, shown: Shown, style: Style) -> None:
    rows, columns = shown.values.shape
    seen = shown.seen
    across, down = (seen.right - seen.left) / columns, (seen.bottom - seen.top) / rows
    here = "" if number == 1 else str(number)
    sheet.traces.append(
        {
            "type": "heatmap", "z": shown.values, "x0": seen.left + across / 2 - 0.5, "dx": across,
            "y0": seen.top + down / 2 - 0.5, "dy": down, "xaxis": f"x{here}", "yaxis": f"y{here}",
            "coloraxis": _colour_axis(sheet, shown.full, style), "opacity": style.opacity, "hovertemplate": HOVER,
            "name": "",
        }
    )  # fmt: skip


def _colour_axis(sheet: _Sheet, full: float, style: Style) -> str:
    """The axis of this scale, the same for all maps that end there; the first has the colour bar."""
    if full not in sheet.axes:
        first = not sheet.axes
        sheet.axes[full] = "coloraxis" if first else f"coloraxis{len(sheet.axes) + 1}"
        sheet.layout[sheet.axes[full]] = {
            "colorscale": colour_stops(style.colorscale), "cmin": 0, "cmax": full,
            "showscale": style.show_colorbar and first,
            "colorbar": {"title": {"text": _legend(full)}, "thickness": 14, "outlinewidth": 0, "y": 1,
                         "yanchor": "top", "lenmode": "pixels",
                         "len": bar_length(sheet.layout["height"], TITLES)},
        }  # fmt: skip
    return sheet.axes[full]


def _add_boxes(sheet: _Sheet, number: int, panel: FigurePanel, size: tuple[int, ...]) -> None:
    """What the model saw where that is not the whole picture, and the numbered regions."""
    whole, here = Box(0, 0, size[1], size[0]), "" if number == 1 else str(number)
    if panel.shown is not None and panel.shown.seen != whole:
        sheet.layout["shapes"] += _frame(here, panel.shown.seen, "dot")
    for rank, box in enumerate(panel.boxes, 1):
        sheet.layout["shapes"] += _frame(here, box, "solid")
        sheet.layout["annotations"].append(
            {
                "text": str(rank), "xref": f"x{here}", "yref": f"y{here}", "x": box.left - 0.5, "y": box.top - 0.5,
                "xanchor": "left", "yanchor": "top", "showarrow": False, "font": {"size": 12, "color": "#ffffff"},
                "bgcolor": "#000000", "borderpad": 2,
            }
        )  # fmt: skip


def _frame(here: str, box: Box, dash: str) -> list[dict[str, Any]]:
    """White on black, to be seen on any ground."""
    edges = {
        "type": "rect", "xref": f"x{here}", "yref": f"y{here}", "x0": box.left - 0.5, "x1": box.right - 0.5,
        "y0": box.top - 0.5, "y1": box.bottom - 0.5,
    }  # fmt: skip
    lines = ({"color": "#000000", "width": 3, "dash": "solid"}, {"color": "#ffffff", "width": 1.5, "dash": dash})
    return [{**edges, "line": line} for line in lines]


def _add_note(sheet: _Sheet, number: int, note: str) -> None:
    here = "" if number == 1 else str(number)
    lines = textwrap.wrap(one_line(note), NOTE_LINE)
    sheet.layout["annotations"].append(
        {
            "text": "<br>".join(map(in_chart, lines)), "xref": f"x{here} domain", "yref": f"y{here} domain", "x": 0.5,
            "y": 0.5, "showarrow": False, "font": {"size": 11, "color": "#ffffff"}, "bgcolor": "rgba(0,0,0,0.8)",
            "borderpad": 6,
        }
    )  # fmt: skip


def _legend(full: float) -> str:
    return "importance" if full == 1 else f"importance<br>(full colour<br>from {full:.2g})"
