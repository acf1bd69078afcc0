"""What stands on the pages: an explanation's, a comparison's, and a report's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from seewhy.explain.drawing import Look, overlay_on
from seewhy.explain.evaluation import Evaluation
from seewhy.explain.interactive_facts import (
    CARDS,
    Region,
    class_rows,
    distribution,
    grade_rows,
    regions_of,
    statistics_rows,
    verdict_lines,
)
from seewhy.explain.interactive_figure import HEAD, Style, bar_length, fitting_height
from seewhy.explain.interactive_panels import ORIGINAL, OVERLAY, explanation_figure, first_line, overlay_panel
from seewhy.explain.interactive_plotly import CONFIG, LONGEST_PICTURE, picture_uri, plotly_script
from seewhy.explain.interactive_subject import picture_of, shown_of
from seewhy.explain.interactive_text import facts_of, one_line
from seewhy.explain.result import Result
from seewhy.render.colormap import colormap
from seewhy.render.encode import thumbnail
from seewhy.render.value_scale import short_number
from seewhy.report.interpretation_page import Chart, interpretation_page
from seewhy.store.manifest import versions

READING = (
    "Zoom with the wheel or by dragging a frame, pan with Shift, double-click to see all again; all pictures move "
    "together. The value under the pointer is the importance from 0 to 1."
)
MEANINGS = {
    "mean": "average",
    "std": "standard deviation",
    "min": "smallest value",
    "max": "largest value",
    "sparsity": "share of exact zeros",
    "near_zero": "share up to 1 % of the largest magnitude",
}
TALLEST = 130
"""Units of the highest bar of a page without a script."""


def explanation_page(result: Result, figure: Any, style: Style) -> str:
    """The page of one explanation's figure."""
    content = {"lead": one_line(style.subtitle), "notes": _notes(result)}
    return _page(style, {**content, **_pictures({OVERLAY: result}, style)}, [_chart(figure)])


def comparison_page(
    results: Mapping[str, Result], figure: Any, style: Style, evaluation: Evaluation | None = None
) -> str:
    """The page of a comparison's figure, with metrics and the verdict where there are some."""
    failed = [f"{name}: not explained: {first_line(one)}" for name, one in results.items() if one.explained is None]
    content = {"lead": one_line(style.subtitle), "figure_title": "Methods", **_pictures(results, style)}
    content["notes"] = [one_line(line, 600) for line in failed]
    return _page(style, {**content, **_graded(evaluation)}, [_chart(figure)])


def report_page(
    result: Result,
    style: Style,
    top_k: int,
    evaluation: Evaluation | None = None,
    *,
    interactive: bool,
    statistics: bool,
    regions: bool,
) -> str:
    """The page of one picture's report, with every section that was asked for."""
    shown = shown_of(result)
    found = regions_of(shown, top_k) if regions and shown is not None else []
    edges, counts = distribution(result) if statistics else ([], [])
    content: dict[str, Any] = {
        "facts": facts_of(result),
        "notes": _notes(result),
        "classes": class_rows(result, top_k),
        "statistics": [(name, _cards(values)) for name, values in statistics_rows(result)] if statistics else [],
        "distribution": _distribution(edges, counts) if statistics else None,
        "regions": found if regions else None,
        **_pictures({OVERLAY: result}, style),
        **_graded(evaluation),
    }
    if not interactive:
        content["figure_text"] = _boxes_in_words(found)
        return _page(style, content, [])
    charts = [_chart(explanation_figure(result, style, [one.box for one in found]))]
    if statistics:
        charts.append(_histogram(edges, counts, style))
    return _page(style, content, charts)


def _page(style: Style, content: Mapping[str, Any], charts: Sequence[Chart]) -> str:
    told = {"opacity": style.opacity, "figure_text": READING, **content}
    script = plotly_script() if charts else ""
    return interpretation_page(one_line(style.title), versions()["seewhy"], told, charts, script)


def _chart(figure: Any) -> Chart:
    """The figure as the page draws it; its title is the page's."""
    told = json.loads(figure.to_json())
    layout = {name: value for name, value in told["layout"].items() if name not in ("title", "width", "height")}
    for image in layout["images"][1:]:
        image["source"] = ""  # the same picture, which the page's script fills in
    layout["margin"] = {**layout["margin"], "t": HEAD}
    height = min(figure.layout.height, fitting_height(figure))
    if "coloraxis" in layout:
        layout["coloraxis"]["colorbar"]["len"] = bar_length(height, HEAD)
    return Chart("chart-explanation", told["data"], layout, CONFIG, figure.layout.width, height, panels=True)


def _histogram(edges: Sequence[float], counts: Sequence[int], style: Style) -> Chart:
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    words = [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
    bars = {
        "type": "bar", "x": middles, "y": list(counts), "width": [edges[1] - edges[0]] * len(counts),
        "customdata": words, "hovertemplate": "importance %{customdata}<br>%{y} pixels<extra></extra>",
    }  # fmt: skip
    layout = {
        "template": "none", "margin": {"l": 64, "r": 24, "t": 16, "b": 48}, "bargap": 0,
        "xaxis": {"title": {"text": "importance"}, "range": [0, 1], "showgrid": False, "zeroline": False},
        "yaxis": {"title": {"text": "pixels"}, "rangemode": "tozero", "gridcolor": "rgba(128,128,128,0.3)"},
    }  # fmt: skip
    return Chart("chart-distribution", [bars], layout, {**CONFIG, "scrollZoom": False}, style.width, 320)


def _pictures(results: Mapping[str, Result], style: Style) -> dict[str, Any]:
    """The same pictures without a script, and the legend of their colours."""
    first = next(one for one in results.values() if one.explained is not None)
    original = thumbnail(picture_of(first), LONGEST_PICTURE)
    look = Look(style.colorscale, style.opacity)
    told = [_picture(ORIGINAL, original, "the original picture")]
    for name, result in results.items():
        if result.explained is not None:
            title = overlay_panel(name, result).title
            laid = overlay_on(original, result.explained.drawn, look)
            told.append(_picture(title, laid, f"the heat map of {result['method']} over the picture"))
    strip = np.repeat(colormap(style.colorscale)[None], 8, axis=0)
    return {"pictures": told, "legend": {"low": "0", "high": "full colour", "src": picture_uri(strip)}}


def _picture(title: str, picture: Any, meaning: str) -> dict[str, Any]:
    height, width = picture.shape[:2]
    return {
        "title": one_line(title), "src": picture_uri(picture), "width": width, "height": height,
        "alt": one_line(f"{title}: {meaning}"),
    }  # fmt: skip


def _cards(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    cards = [(name.replace("_", " "), _number(name, values[name]), MEANINGS[name]) for name in CARDS]
    if values["nonfinite"]:
        cards.append(("not finite", str(values["nonfinite"]), "values left out of the others"))
    return cards


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.1%}" if name in ("sparsity", "near_zero") else short_number(value)


def _distribution(edges: Sequence[float], counts: Sequence[int]) -> dict[str, Any]:
    whole, most = sum(counts), max(counts, default=0)
    bars = [
        {"height": round(TALLEST * count / most, 2) if most else 0, "title": f"{low:.2f} to {high:.2f}: {count} pixels"}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    lowest = counts[0] / whole if whole else 0
    text = (
        f"How many of the {whole} pixels that the model saw have which importance, in {len(counts)} equal parts; "
        f"{lowest:.1%} lie in the lowest."
    )
    return {"bars": bars, "text": text}


def _graded(evaluation: Evaluation | None) -> dict[str, Any]:
    if evaluation is None:
        return {}
    controls = list(evaluation.gradebook.present_controls)
    rows = [
        {
            **row,
            "value": _grade(row["value"]),
            "controls": [_grade(row["controls"].get(name)) for name in controls],
            "reading": row["reason"] or row["better"],
        }
        for row in grade_rows(evaluation)
    ]
    return {"grades": rows, "controls": controls, "verdict": verdict_lines(evaluation)}


def _grade(value: float | None) -> str:
    return "none" if value is None else short_number(value)


def _notes(result: Result) -> list[str]:
    return [one_line(note, 600) for note in result.get("notes") or ()]


def _boxes_in_words(found: Sequence[Region]) -> str:
    return "Where the regions below lie is told in pixels of the original." if found else ""
