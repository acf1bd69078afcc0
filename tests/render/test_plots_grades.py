"""Plots of grades: every line and mark is where its number is, controls look different, nothing undefined is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seewhy.render.errors import RenderError
from seewhy.render.plots_grades import GREY, Curve, Mark, curves_figure, grades_figure

FRACTIONS = np.array([0.0, 0.5, 1.0])


def test_a_curve_is_drawn_through_its_points_and_a_control_is_grey_and_dashed() -> None:
    curves = {
        "gradcam": Curve(FRACTIONS, np.array([0.9, 0.3, 0.1])),
        "random": Curve(FRACTIONS, np.array([0.9, 0.5, 0.1]), control=True),
    }
    (axes,) = curves_figure({"Deletion": curves}).axes
    method, control = axes.lines
    assert method.get_xdata().tolist() == [0.0, 0.5, 1.0]
    assert method.get_ydata().tolist() == [0.9, 0.3, 0.1]
    assert (method.get_linestyle(), control.get_linestyle(), control.get_color()) == ("-", "--", GREY)
    assert method.get_color() != GREY
    assert axes.get_ylim()[0] == 0.0


def test_a_score_below_zero_is_not_cut_off() -> None:
    (axes,) = curves_figure({"x": {"m": Curve(FRACTIONS, np.array([1.0, -0.5, 0.0]))}}).axes
    assert axes.get_ylim()[0] == -0.5


def test_an_interval_reaches_from_edge_to_edge_and_an_undefined_mean_has_words() -> None:
    marks = {"a": Mark(0.3, 0.2, 0.4), "b": Mark(0.5), "c": Mark(math.nan), "random": Mark(0.6, control=True)}
    (axes,) = grades_figure({"deletion": marks}, {"deletion": "lower"}).axes
    drawn = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines if line.get_xdata()[0] < 1]
    assert ([0.2, 0.4], [0, 0]) in [(list(x), list(y)) for x, y in drawn]
    assert [x for x, _ in ((list(x), y) for x, y in drawn) if len(x) == 1] == [[0.3], [0.5], [0.6]]
    assert [text.get_text() for text in axes.texts] == ["not defined"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "random"]
    assert axes.get_title() == "deletion (lower is better)"


def test_panels_are_in_rows_and_empty_ones_are_blank() -> None:
    marks = {"a": Mark(0.3)}
    figure = grades_figure(dict.fromkeys("wxyz", marks), {}, title="four", columns=3)
    assert [axes.get_title() for axes in figure.axes] == ["w", "x", "y", "z", "", ""]
    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
    assert figure.get_suptitle() == "four"


@pytest.mark.parametrize("panels", [{}, {"deletion": {}}])
def test_nothing_to_draw_is_refused(panels: dict[str, dict[str, Curve]]) -> None:
    with pytest.raises(RenderError, match="SW-R61"):
        curves_figure(panels)
