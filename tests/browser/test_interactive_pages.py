"""Interactive pages in a browser without a network: they draw, answer the pointer, and show texts to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser_watch import Watch, until
from torch import nn

import seewhy
from seewhy import InteractiveVisualizer
from seewhy.demo.models import build

HOSTILE = [
    "<script>window.__pwned=1</script>",
    "</script><script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    '"><svg onload=window.__pwned=1>',
    '<a href="javascript:window.__pwned=1">click</a>',
    "<b style='position:fixed'>bold</b>",
    "&lt;script&gt;window.__pwned=1&lt;/script&gt;",
    "%{z} {{ 7 * 7 }} ${7 * 7} $x^2$ <!-- ]]>",
    "\u202egnp.exe <iframe src=//example.org>",
    "=cmd|' /C calc'!A0",
]
PREPARED = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_ratio": 1.0}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Untrained, with nothing that speaks against class 0: its heat map is never empty."""
    model = build("cnn")
    with torch.no_grad():
        model.get_parameter("head.fc.weight")[0].abs_()
    return model


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)


def grad_cam(model: nn.Module) -> seewhy.GradCAM:
    return seewhy.GradCAM(model, preprocessing=PREPARED, class_names=HOSTILE)


def opened(page: Any, path: Path) -> None:
    page.goto(path.as_uri())
    until(page, "document.documentElement.dataset.drawn === 'true'", 20)


def test_a_report_draws_offline_and_answers_the_pointer(
    page: Any, watched: Watch, model: nn.Module, picture: np.ndarray, tmp_path: Path
) -> None:
    explainer, path = grad_cam(model), tmp_path / "report.html"
    InteractiveVisualizer(model).create_report(
        picture, explainer, 0, save_path=path, title=HOSTILE[1], include_top_regions=True, top_k=10
    )
    opened(page, path)
    assert page.inner_text("h1") == HOSTILE[1]
    names = page.locator("section[aria-labelledby=classes] tbody th").all_inner_texts()
    assert sorted(names) == sorted(name.replace("\u202e", " ").strip() for name in HOSTILE)
    _the_pointer_shows_the_heat_map(page, explainer.explain(picture, 0))
    _zoom_moves_both_pictures(page)
    _nothing_is_shared(page)
    _opacity_follows_the_keyboard(page)
    page.locator("[data-theme-toggle]").click()
    until(page, "document.querySelector('#chart-explanation')._fullLayout.font.color === '#eceef2'")
    assert page.evaluate("window.__pwned") is None
    assert (watched.requests, watched.problems) == ([path.as_uri()], [])


def test_a_comparison_shows_markup_to_the_letter_and_fits_a_phone(
    page: Any, watched: Watch, model: nn.Module, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "compare.html"
    explainers = {name: grad_cam(model) for name in HOSTILE}
    InteractiveVisualizer(model).compare_methods(
        picture, explainers, 0, title=HOSTILE[5], save_path=path, width=9000, height=300
    )
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, path)
    shown = page.locator("#chart-explanation .annotation-text").all_text_contents()
    assert shown == ["Original", *(name.replace("\u202e", " ") for name in HOSTILE)]
    assert page.locator("#chart-explanation a, #chart-explanation .annotation-text [style*=fixed]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = page.evaluate(
        "[...document.querySelectorAll('#chart-explanation image')].map(one => one.getBoundingClientRect().top)"
    )
    assert len(set(tops)) >= len(explainers), "panels stand below one another"
    assert page.evaluate("window.__pwned") is None
    assert (watched.foreign, watched.problems) == ([], [])


@pytest.mark.parametrize(("width", "height", "methods"), [(200, 60, 1), (640, 360, 3), (400, 200, 3)])
def test_the_whole_colour_bar_is_seen_beside_wide_pictures(
    page: Any, model: nn.Module, tmp_path: Path, width: int, height: int, methods: int
) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    spread = seewhy.IntegratedGradients(model, preprocessing=PREPARED, steps=4)
    visualizer, path = InteractiveVisualizer(model), tmp_path / "wide.html"
    if methods == 1:
        visualizer.visualize_explanation(wide, spread, 0, save_path=path)
    else:
        visualizer.compare_methods(wide, {"a": spread, "b": spread, "c": grad_cam(model)}, 0, save_path=path)
    opened(page, path)
    _the_bar_is_whole(page, "#chart-explanation")


@pytest.mark.parametrize(("width", "height"), [(800, 100), (100, 400)])
def test_the_whole_colour_bar_is_seen_in_a_small_figure(
    page: Any, model: nn.Module, picture: np.ndarray, tmp_path: Path, width: int, height: int
) -> None:
    spread = seewhy.IntegratedGradients(model, preprocessing=PREPARED, steps=4)
    figure = InteractiveVisualizer(model).visualize_explanation(picture, spread, 0, width=width, height=height)
    figure.write_html(tmp_path / "figure.html")
    page.goto((tmp_path / "figure.html").as_uri())
    _the_bar_is_whole(page, ".js-plotly-plot")


def test_a_page_of_long_names_follows_the_width_of_its_window(
    page: Any, model: nn.Module, picture: np.ndarray, tmp_path: Path
) -> None:
    explainer = seewhy.GradCAM(model, preprocessing=PREPARED, class_names=[f"{'long' * 20}{n}" for n in range(10)])
    path = tmp_path / "long.html"
    InteractiveVisualizer(model).create_report(picture, explainer, 0, save_path=path)
    opened(page, path)
    for width, shown in ((390, 358), (1280, 800)):
        page.set_viewport_size({"width": width, "height": 800})
        until(page, f"document.querySelector('#chart-explanation svg').clientWidth === {shown}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_plain_report_has_no_script_to_run(
    page: Any, watched: Watch, model: nn.Module, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "plain.html"
    InteractiveVisualizer(model).create_report(picture, grad_cam(model), 0, save_path=path, interactive=False)
    page.goto(path.as_uri())
    assert page.locator("script").count() == 0
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator("svg.bars rect").count() == 50
    assert (watched.requests, watched.problems) == ([path.as_uri()], [])


def _the_bar_is_whole(page: Any, chart: str) -> None:
    """With its words, inside what the figure draws on, and its colours at least 40 pixels high."""
    bar = page.locator(f"{chart} .infolayer > [class*=coloraxis]")
    bar.wait_for()
    (left, top, right, bottom), (width, height), colours = page.evaluate(
        """([chart]) => {
          const find = (name) => document.querySelector(`${chart} ${name}`).getBoundingClientRect();
          const [whole, bar, fills] = ["svg.main-svg", ".infolayer > [class*=coloraxis]", ".cbfills"].map(find);
          return [
            [bar.left - whole.left, bar.top - whole.top, bar.right - whole.left, bar.bottom - whole.top],
            [whole.width, whole.height], fills.height,
          ];
        }""",
        [chart],
    )
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert colours >= 40


def _the_pointer_shows_the_heat_map(page: Any, heat: np.ndarray) -> None:
    """Over the pixel in row 20 and column 50 of the overlay."""
    row, column = 20, 50
    page.locator("#chart-explanation").scroll_into_view_if_needed()
    place = page.evaluate(
        """([row, column]) => {
          const chart = document.getElementById("chart-explanation");
          const { xaxis2: x, yaxis2: y } = chart._fullLayout;
          const box = chart.getBoundingClientRect();
          return [box.left + x._offset + x.d2p(column), box.top + y._offset + y.d2p(row)];
        }""",
        [row, column],
    )
    page.mouse.move(place[0] - 9, place[1] - 9)
    page.mouse.move(*place)
    told = f"X: {column}Y: {row}Importance: {heat[row, column]:.4f}"
    until(page, f"document.querySelector('#chart-explanation .hovertext .nums')?.textContent === {told!r}")


def _zoom_moves_both_pictures(page: Any) -> None:
    ranges = "['xaxis', 'xaxis2'].map(axis => document.getElementById('chart-explanation')._fullLayout[axis].range)"
    before = page.evaluate(ranges)
    page.mouse.wheel(0, -400)
    until(page, f"JSON.stringify({ranges}) !== {str(before)!r}.replaceAll(' ', '')")
    first, second = page.evaluate(ranges)
    assert first == second
    assert first[1] - first[0] < before[0][1] - before[0][0]


def _nothing_is_shared(page: Any) -> None:
    buttons = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map(one => one.dataset.title || one.title)")
    assert "Zoom" in buttons
    assert not [title for title in buttons if any(word in title.lower() for word in ("share", "cloud", "plotly"))]


def _opacity_follows_the_keyboard(page: Any) -> None:
    page.locator("#opacity").focus()
    page.keyboard.press("End")
    until(page, "document.getElementById('chart-explanation').data[0].opacity === 1")
    assert page.inner_text("output[for=opacity]") == "100 %"
