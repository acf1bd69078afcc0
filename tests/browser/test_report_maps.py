"""Maps as a page draws them, pixel by pixel, against values worked out by hand and against the pictures of a run."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_truth import KNOWN, write_bare_run, write_pair_run
from browser_watch import Watch, until

from seewhy.render.colormap import colorize, colormap
from seewhy.render.heatmap import heatmap
from seewhy.render.palette import CLASSES

PIXEL = """([index, x, y]) => {
  const canvas = document.querySelectorAll('.figures canvas.heat')[index];
  const pixel = canvas.getContext('2d').getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1);
  return [...pixel.data];
}"""

WHOLE = """() => {
  const canvas = document.querySelector('.figures canvas.heat');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let i = 0; i < data.length; i += 4096) text += String.fromCharCode(...data.slice(i, i + 4096));
  return {size: [canvas.height, canvas.width], text: btoa(text)};
}"""


def record(page: Any, root: Path, name: str, state: str = "") -> Any:
    """The page of a record."""
    page.goto(f"{(root / 'report' / 'index.html').as_uri()}#view=record&in=test&id={name}{state}")
    page.wait_for_selector("html[data-ready]")
    return page


def pixel(page: Any, x: float, y: float, index: int = 0) -> list[int]:
    """Red, green, blue and weight of the map at a place, both in shares of its size."""
    found: list[int] = page.evaluate(PIXEL, [index, x, y])
    return found


def test_colours_are_those_of_the_table_at_known_places(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "known")
    table = colormap("viridis")
    # beyond the centres of the outermost cells a map has their values: 4, 2, 1 and 0 of a peak of 4 in 127 steps
    assert pixel(page, 0.99, 0.99) == [*table[255].tolist(), 255]
    assert pixel(page, 0.01, 0.99) == [*table[round(255 * 64 / 127)].tolist(), 255]
    assert pixel(page, 0.99, 0.01) == [*table[round(255 * 32 / 127)].tolist(), 255]
    assert pixel(page, 0.01, 0.01)[3] == 0
    # half-way between two centres of the lower row the value is their mean
    expected = table[round(255 * (64 + 127) / 2 / 127)]
    assert np.abs(np.subtract(pixel(page, 0.5, 0.99)[:3], expected.astype(int))).max() <= 2


def test_a_whole_map_is_the_pictures_of_the_run_within_a_step(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "known")
    told = page.evaluate(WHOLE)
    drawn = np.frombuffer(base64.b64decode(told["text"]), np.uint8).reshape(*told["size"], 4)
    expected = colorize(heatmap(KNOWN, size=tuple(told["size"])).values, "viridis").astype(int)
    opaque = drawn[..., 3] == 255
    # a value is rounded to 127 steps of the peak, which is up to one step of 255, and the table moves 3 a step at most
    assert opaque.mean() > 0.5
    assert np.abs(drawn[opaque][:, :3].astype(int) - expected[opaque]).max() <= 4


def test_a_map_without_positive_evidence_says_so_and_draws_nothing(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "zero")
    assert page.locator(".figures .map-note").first.inner_text() == "no positive evidence"
    assert page.locator(".figures canvas.heat").first.get_attribute("data-state") == "zero"
    assert pixel(page, 0.99, 0.99)[3] == 0
    page.get_by_label("Evidence").select_option("signed")
    # -4 of a peak of 4: the table's first step on a signed scale
    assert pixel(page, 0.99, 0.99) == [*colormap("rdbu_r")[0].tolist(), 255]
    assert page.locator(".figures .map-note").count() == 0


def test_values_that_are_not_finite_are_reported(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "nan")
    note = page.locator(".figures .map-note").first.inner_text()
    assert note == "1 value of this map not finite (NaN or infinite): nothing is drawn"
    assert pixel(page, 0.99, 0.99)[3] == 0
    line = page.locator(".panels tr", has_text="Not finite").first.inner_text().split("\t")
    assert line[1].strip() == "1"


def test_a_signed_map_has_its_zero_in_the_middle(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "signed", "&sign=signed")
    table = colormap("rdbu_r")
    assert pixel(page, 0.01, 0.01) == [*table[0].tolist(), 255]
    assert pixel(page, 0.99, 0.99) == [*table[255].tolist(), 255]
    assert pixel(page, 0.99, 0.01)[3] == 0
    ends = page.locator(".figures .legend").first.locator(".legend-end").all_inner_texts()
    assert ends == ["−4", "4"]


def test_a_shared_scale_has_one_peak_for_all_classes(page: Any, truth_run: Path) -> None:
    # class 0 has a peak of 4, class 1 of 8: on a shared scale the former's peak is the middle of the table
    record(page, truth_run, "known", "&scale=shared")
    assert page.locator(".figures .legend-end").all_inner_texts()[:2] == ["0", "8"]
    assert pixel(page, 0.99, 0.99) == [*colormap("viridis")[round(255 / 2)].tolist(), 255]
    page.locator("select[name=scale]").select_option("own")
    assert page.locator(".figures .legend-end").all_inner_texts()[:2] == ["0", "4"]
    assert pixel(page, 0.99, 0.99) == [*colormap("viridis")[255].tolist(), 255]


def test_opacity_colours_class_and_method_are_the_readers(page: Any, truth_run: Path, watched: Watch) -> None:
    record(page, truth_run, "known")
    page.locator("input[name=opacity]").fill("0.25")
    assert page.evaluate("getComputedStyle(document.querySelector('.figures canvas.heat')).opacity") == "0.25"
    page.locator("select[name=colormap]").select_option("cividis")
    assert pixel(page, 0.99, 0.99) == [*colormap("cividis")[255].tolist(), 255]
    page.locator("select[name=class]").select_option("2")
    # a quarter of the known map: its peak of 1 has the last colour on its own scale
    assert page.locator(".figures .legend-end").all_inner_texts()[:2] == ["0", "1"]
    page.locator("select[name=question]").select_option(label="rollout")
    assert page.locator("select[name=class]").count() == 0
    assert "cmap=cividis" in page.url
    assert "o=0.25" in page.url
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("select[name=colormap]").input_value() == "cividis"
    assert page.locator("input[name=opacity]").input_value() == "0.25"
    assert watched.problems == []


def test_slices_have_the_map_at_their_own_depth(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "stack")
    names = page.locator(".figures .picture").nth(1).locator(".tile-named > span").all_inner_texts()
    assert names == ["slice 1 of 4", "slice 3 of 4", "slice 4 of 4"]
    table = colormap("viridis")
    # the slices shown have the values 1, 2 and 4; the slice with 9 is not among them
    codes = [32, 64, 127]
    found = [pixel(page, 0.5, 0.5, index) for index in range(3)]
    assert found == [[*table[round(255 * code / 127)].tolist(), 255] for code in codes]


def test_maps_lie_over_their_pictures(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "known")
    boxes = page.evaluate("""[...document.querySelectorAll('.figures .picture:nth-child(2) .tile > *')].map((one) => {
      const {x, y, width, height} = one.getBoundingClientRect(); return [x, y, width, height].map(Math.round) })""")
    assert len(boxes) == 2
    assert boxes[0] == boxes[1]


def test_side_by_side_has_every_map_of_a_class(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "known")
    page.locator(".side-by-side summary").click()
    until(page, "document.querySelectorAll('.figures-small .picture').length === 2")
    titles = page.locator(".figures-small figcaption").all_inner_texts()
    assert titles == ["gradcam · cat (0): predicted, true", "rollout"]


@pytest.mark.parametrize("name", ["known", "zero"])
def test_cards_have_the_map_of_the_predicted_class(page: Any, truth_run: Path, name: str) -> None:
    page.goto(f"{(truth_run / 'report' / 'index.html').as_uri()}#view=records&q={name}")
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".card canvas.heat").get_attribute("data-state") == {"known": "drawn", "zero": "zero"}[name]


def test_classes_have_the_colours_of_the_pictures(page: Any, truth_run: Path) -> None:
    record(page, truth_run, "known")
    assert [tuple(one) for one in page.evaluate("seewhy.palette")] == list(CLASSES)


def test_inputs_stand_side_by_side_with_their_shares(page: Any, tmp_path: Path) -> None:
    record(page, write_pair_run(tmp_path / "run"), "pair", "&scale=shared")
    assert page.locator(".figures figcaption").all_inner_texts() == [
        "left", "right", "gradcam of left · cat (0): predicted, true", "gradcam of right · cat (0): predicted, true",
    ]  # fmt: skip
    shares = page.locator("table", has_text="share of the evidence").locator("tbody tr").inner_text().split("\t")
    assert [one.strip() for one in shares] == ["cat (0)", "33.3 %", "66.7 %"]
    # left has a peak of 4, right of 8, and both are drawn on the scale of the latter
    assert pixel(page, 0.99, 0.99, 0) == [*colormap("viridis")[round(255 / 2)].tolist(), 255]
    assert pixel(page, 0.99, 0.99, 1) == [*colormap("viridis")[255].tolist(), 255]


def test_a_run_without_pictures_says_why_and_shows_its_maps(page: Any, tmp_path: Path, watched: Watch) -> None:
    record(page, write_bare_run(tmp_path / "run"), "known")
    said = page.locator(".stage > .quiet").inner_text()
    assert said.startswith("This run was made before records kept a small picture of their inputs")
    assert page.locator(".figures .placeholder").all_inner_texts() == ["no picture kept"]
    assert pixel(page, 0.99, 0.99) == [*colormap("viridis")[255].tolist(), 255]
    assert watched.problems == []
