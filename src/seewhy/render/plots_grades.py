"""Grades as plots: the curves of deletion and insertion, and what each metric says of each method and control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from seewhy.render.errors import RenderError
from seewhy.render.palette import PALETTE
from seewhy.render.text import fit_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
PANEL_INCHES = (5.2, 3.6)
ROW_INCHES = 0.26
GREY = "0.45"
DASHES = ("--", ":", "-.")
LABEL_PIXELS, LABEL_SIZE = 170, 12


@dataclass(frozen=True)
class Curve:
    """Scores ``(S,)`` over the fraction ``(S,)`` of places replaced; of a control, which knows nothing of the model."""

    fractions: Float[np.ndarray, " s"]
    scores: Float[np.ndarray, " s"]
    control: bool = False


@dataclass(frozen=True)
class Mark:
    """A mean with its interval; NaN edges for none. Of a method, or of a control."""

    mean: float
    low: float = math.nan
    high: float = math.nan
    control: bool = False


def curves_figure(panels: Mapping[str, Mapping[str, Curve]], *, ylabel: str = "probability of the class") -> Figure:
    """One panel for each title, one line for each method; controls are grey and dashed.

    Args:
        panels: curves by title and by method's or control's name.
        ylabel: what the scores are.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R61``, no panel, or one without curves.

    Example:
        >>> curve = Curve(np.array([0.0, 0.5, 1.0]), np.array([0.9, 0.3, 0.1]))
        >>> figure = curves_figure({"Deletion": {"gradcam": curve}})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['gradcam']
    """
    _require(panels)
    from matplotlib.figure import Figure

    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * len(panels), height), dpi=DPI, layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        styles = _styles({name: curve.control for name, curve in curves.items()})
        for name, curve in curves.items():
            axes.plot(curve.fractions, curve.scores, label=fit_text(name, LABEL_PIXELS, LABEL_SIZE), **styles[name])
        axes.set(title=title, xlabel="share of the places", ylabel=ylabel, xlim=(0, 1))
        axes.set_ylim(bottom=min(0.0, *(float(np.nanmin(curve.scores)) for curve in curves.values())))
        axes.legend(frameon=False, fontsize="small")
    return figure


def grades_figure(
    metrics: Mapping[str, Mapping[str, Mark]], better: Mapping[str, str], *, title: str = "", columns: int = 3
) -> Figure:
    """One panel for each metric: a dot and its interval for every method, and below them for the controls.

    Args:
        metrics: marks by metric, and in it by method's or control's name.
        better: ``higher``, ``lower`` or ``neither``, by metric; an arrow says it.
        title: above all.
        columns: panels in a row.

    Returns:
        A matplotlib figure that belongs to the caller alone.

    Raises:
        RenderError: ``SW-R61``, no metric, or one without marks.

    Example:
        >>> marks = {"gradcam": Mark(0.3, 0.2, 0.4), "random": Mark(0.6, control=True)}
        >>> grades_figure({"deletion": marks}, {"deletion": "lower"}).axes[0].get_title()
        'deletion (lower is better)'
    """
    _require(metrics)
    from matplotlib.figure import Figure

    rows = -(-len(metrics) // columns)
    across = min(columns, len(metrics))
    names = list(dict.fromkeys(name for marks in metrics.values() for name in marks))
    height = 1.1 + ROW_INCHES * len(names)
    figure = Figure(figsize=(4.2 * across, height * rows), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    for axes, (metric, marks) in zip(panels, metrics.items(), strict=False):
        _marks(axes, marks)
        side = better.get(metric, "neither")
        axes.set_title(metric if side == "neither" else f"{metric} ({side} is better)", fontsize="medium")
    figure.suptitle(title)
    return figure


def _marks(axes: Axes, marks: Mapping[str, Mark]) -> None:
    styles = _styles({name: mark.control for name, mark in marks.items()})
    for place, (name, mark) in enumerate(marks.items()):
        colour = styles[name]["color"]
        if math.isfinite(mark.low) and math.isfinite(mark.high):
            axes.plot([mark.low, mark.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        if math.isfinite(mark.mean):
            axes.plot([mark.mean], [place], marker="D" if mark.control else "o", color=colour, markersize=5)
        else:
            axes.text(0.02, place, "not defined", transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    names = [fit_text(name, LABEL_PIXELS, LABEL_SIZE) for name in marks]
    axes.set_yticks(range(len(marks)), names, fontsize="small")
    axes.set_ylim(len(marks) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)


def _styles(controls: Mapping[str, bool]) -> dict[str, dict[str, object]]:
    """Colours for methods, grey dashes for controls, in their order."""
    colours = cycle([tuple(value / 255 for value in PALETTE[index]) for index in (4, 5, 2, 6, 0, 1)])
    dashes = cycle(DASHES)
    return {
        name: {"color": GREY, "linestyle": next(dashes)} if control else {"color": next(colours), "linestyle": "-"}
        for name, control in controls.items()
    }


def _require(panels: Mapping[str, Mapping[str, object]]) -> None:
    empty: Sequence[str] = [name for name, inside in panels.items() if not inside]
    if not panels or empty:
        raise RenderError(
            "SW-R61",
            f"there is nothing to draw{f' in {empty[0]}' if empty else ''}",
            fix="give a method or control for each panel",
        )
