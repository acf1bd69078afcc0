"""What a report says of its maps, scales and labels: in the gallery, of volumes, of labels of other classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from browser_runs import ABOUT, preview, row, write_rows
from browser_truth import KNOWN, write_pair_run

from seewhy.values import Answer, Geometry


def opened(page: Any, root: Path, state: str) -> Any:
    page.goto(f"{(root / 'report' / 'index.html').as_uri()}#view={state}")
    page.wait_for_selector("html[data-ready]")
    return page


def test_a_card_shows_the_input_whose_map_is_asked_for(page: Any, tmp_path: Path) -> None:
    opened(page, write_pair_run(tmp_path / "run"), "records")
    shown = "document.querySelector('.card img').src"
    left = page.evaluate(shown)
    page.get_by_label("Maps over the pictures").select_option(label="gradcam at two of right")
    record = page.evaluate("seewhy.unpack(JSON.parse(document.getElementById('page').textContent)).records[0]")
    assert [one["name"] for one in record["inputs"]] == ["left", "right"]
    assert left == record["inputs"][0]["src"]
    assert page.evaluate(shown) == record["inputs"][1]["src"]
    assert page.locator(".card canvas.heat").get_attribute("data-state") == "drawn"


def test_the_gallery_says_what_the_map_shown_is(page: Any, tmp_path: Path) -> None:
    heads = {"kind": "attention", "method": "attention_heads", "layers": [3], "of": 4, "query": "class token"}
    one = row(0, "test", answers={"attention@3": Answer(np.ones((1, 2, 2, 2), np.float32))})
    opened(page, write_rows(tmp_path / "run", {"test": [one]}, questions={"attention@3": heads}), "records")
    assert page.locator(".legend-unit").inner_text().startswith("attention paid by the class token, layer 3, head 0;")
    opened(page, tmp_path / "run", "record&id=test_000")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    # attention is never negative, and of no class: what is left to choose is one scale for both heads
    assert page.locator("select[name=sign]").count() == 0
    assert page.locator("select[name=scale] option").all_inner_texts() == ["own", "shared by all heads"]


def test_a_shared_scale_is_of_one_layer(page: Any, tmp_path: Path) -> None:
    about = {"kind": "gradcam", "method": "gradcam", "question": "given classes"}
    answers = {f"gradcam@{name}": Answer(KNOWN[None] * peak, (0,)) for name, peak in (("deep", 1), ("early", 100))}
    questions = {key: {**about, "layer": key.partition("@")[2]} for key in answers}
    answers["gradcam@deep"] = Answer(np.stack([KNOWN, KNOWN * 2]), (0, 1))
    write_rows(tmp_path / "run", {"test": [row(0, "test", answers=answers)]}, questions=questions)
    opened(page, tmp_path / "run", "record&id=test_000&scale=shared")
    assert page.locator(".figures .legend-end").all_inner_texts()[:2] == ["0", "8"]


def test_a_volume_says_what_is_of_the_slices_and_what_of_all(page: Any, truth_run: Path, tmp_path: Path) -> None:
    opened(page, truth_run, "record&in=test&id=stack")
    assert page.locator(".legend-unit").first.inner_text().endswith("own scale of the slices shown")
    lines = page.locator(".panels tr").all_inner_texts()
    assert any(line.split("\t") == ["Cells of the whole map", "8"] for line in lines)
    assert "of the 3 slices shown out of 4" in page.locator(".panels", has_text="histogram").inner_text()


def test_geometry_has_the_words_of_its_axes_and_several_inputs_share_one_or_none(page: Any, tmp_path: Path) -> None:
    one_axis = Geometry((20,), (10,), (0.5,), (0.0,))
    several = (preview([(80, 80, 80)], name="left"), preview([(80, 80, 80)], name="right"))
    rows = [
        row(0, "test", geometry=one_axis), row(1, "test", geometry=None, previews=several),
        row(2, "test", geometry=Geometry((2, 4, 4), (2, 4, 4), (1.0,) * 3, (0.0,) * 3)),
    ]  # fmt: skip
    write_rows(tmp_path / "run", {"test": rows})
    said = []
    for number in range(3):
        opened(page, tmp_path / "run", f"record&id=test_00{number}")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        said.append(page.locator(".panels > div", has_text="Geometry").inner_text().splitlines()[-1])
    assert said[0].endswith("the axis runs along the signal")
    assert said[1] == "This record keeps no geometry: its inputs do not share one, and a record keeps one for all."
    assert said[2].endswith("slices or frames, then from the top, then from the left")


def test_labels_of_other_classes_are_not_comparable(page: Any, tmp_path: Path) -> None:
    about = {**ABOUT, "labels_match": False, "label_names": ["x", "y", "z"]}
    write_rows(tmp_path / "run", {"test": [row(0, "test"), row(1, "test", label=None)]}, about=about)
    opened(page, tmp_path / "run", "records&sort=id")
    assert page.locator(".badge").all_inner_texts() == ["? not comparable", "? no label"]
    assert "? no comparable label" in page.get_by_label("Result").locator("option").all_inner_texts()
    assert page.locator("select[name=label]").count() == 0


def test_long_names_are_cut_with_the_whole_as_title(page: Any, tmp_path: Path) -> None:
    name = "name" * 80
    write_rows(tmp_path / "run", {"test": [row(0, "test")]}, about={**ABOUT, "class_names": [name, "b", "c"]})
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, tmp_path / "run", "overview")
    assert page.locator(".panel a.long").get_attribute("title") == f"{name} (0)"
    assert page.locator(".panel a.long").bounding_box()["width"] <= 200
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".chart-text").first.bounding_box()["y"] >= page.locator("svg.chart").first.bounding_box()["y"]
    opened(page, tmp_path / "run", "records")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    option = page.get_by_label("Predicted class").locator("option").nth(1)
    assert option.get_attribute("title") == f"{name} (0)"
    assert len(option.inner_text()) <= 48


def test_a_run_that_was_only_graded_says_how_to_get_maps(page: Any, tmp_path: Path) -> None:
    key = "deletion(gradcam@layer4)"
    spec = {"kind": "grades", "method": "gradcam", "layer": "layer4", "metric": "deletion", "input": "image"}
    one = row(0, "test", answers={key: Answer(np.float32([0.5]), (0,))})
    opened(page, write_rows(tmp_path / "run", {"test": [one]}, questions={key: spec}), "record&id=test_000")
    assert "generate_gradcam=true" in page.locator(".no-maps code").all_inner_texts()


def test_one_cell_is_one_cell_and_code_is_code(page: Any, truth_run: Path) -> None:
    opened(page, truth_run, "record&in=test&id=known")
    # 0, 1, 2 and 4 lie in bars of their own
    assert page.locator(".panels .chart-text").first.text_content() == "1 cell"
    opened(page, truth_run, "overview")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert "`" not in page.locator("main").inner_text()


def test_a_check_of_sanity_shows_what_was_judged(page: Any, truth_run: Path) -> None:
    opened(page, truth_run, "methods")
    mean = {"mean": -0.5, "low": -0.75, "high": -0.25, "n": 8, "of": 8}
    check = {
        "metric": "parameter_randomization", "state": "passed", "measure": "magnitude of the similarity",
        "value": {**mean, "mean": 0.5, "low": 0.25, "high": 0.75}, "control": "edges", "control_value": 1.0,
    }  # fmt: skip
    metric = {"better": "lower", "all": {"gradcam": mean}}
    run = {
        "grades": {"splits": {"test": {"image": {"records": 8, "metrics": {check["metric"]: metric}}}}},
        "verdicts": [{"split": "test", "verdict": {"ranking": [
            {"method": "gradcam", "standing": "first", "cost": 2, "sanity": [check]},
        ]}}],
    }  # fmt: skip
    page.evaluate("(run) => seewhy.methodsView(document.getElementById('app'), run)", run)
    assert page.locator("tr", has_text="gradcam").first.inner_text().split("\t")[1].strip() == "−0.5 [−0.75, −0.25]"
    assert page.locator(".magnitudes").inner_text().startswith("parameter_randomization: means here keep the sign")
    standing = "parameter_randomization: passed (magnitude of the similarity 0.5 [0.25, 0.75]; edges: 1)"
    assert standing in page.locator("tr", has_text="first").last.inner_text()
