"""Which panels a figure has: the original and the maps over it, with a note where a method has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from seewhy.explain.interactive_figure import FigurePanel, Style, figure_of
from seewhy.explain.interactive_subject import Box, Shown, picture_of, shown_of
from seewhy.explain.result import Result

ORIGINAL: Final = "Original"
OVERLAY: Final = "Overlay"


def explanation_figure(result: Result, style: Style, boxes: Sequence[Box] = ()) -> Any:
    """The original and the overlay of one method, with numbered boxes on it."""
    panel = overlay_panel(OVERLAY, result)
    panel = FigurePanel(panel.title, panel.shown, panel.note, boxes)
    return figure_of(picture_of(result), [FigurePanel(ORIGINAL), panel], style)


def comparison_figure(results: Mapping[str, Result], style: Style) -> Any:
    """The original and the overlay of every method."""
    first = next(one for one in results.values() if one.explained is not None)
    panels = [FigurePanel(ORIGINAL), *(overlay_panel(name, one) for name, one in results.items())]
    return figure_of(picture_of(first), panels, style)


def overlay_panel(name: str, result: Result) -> FigurePanel:
    """A method's panel: its map, or why there is none."""
    shown = shown_of(result)
    if shown is None or result.explained is None:
        return FigurePanel(name, note=f"not explained: {first_line(result)}")
    return FigurePanel(titled(name, result, shown), shown)


def titled(name: str, result: Result, shown: Shown) -> str:
    """What stands above a map: its name, and what there is to know of its colours."""
    if result.explained is not None and result.explained.scaled.zero:
        return f"{name}: no positive evidence"
    return name if shown.full == 1 else f"{name} (full colour from {shown.full:.2g})"


def first_line(result: Result) -> str:
    """The first line of what went wrong."""
    return str(result.get("error") or "no map").splitlines()[0]
