"""Several methods on the same pictures: every number beside its controls, failures told, one picture said to be one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from seewhy.demo.models import load
from seewhy.metrics.usual import usual_metrics
from seewhy.values import ConfigError, ModelError, SeewhyError

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
FAST = ["gini", "relevance_mass_accuracy"]
EVERYONE = {"gradcam", "saliency", "random", "centre", "edges"}


@pytest.fixture(scope="module")
def digits() -> tuple[list[Image.Image], list[Any]]:
    data = seewhy.ClutteredDigits(counts={"test": 4})
    records = [data.read(position) for position in range(4)]
    return [Image.fromarray(data.picture(record.inputs)) for record in records], records


def test_a_picture_is_graded_the_same_whatever_its_neighbours(digits: tuple[list[Image.Image], list[Any]]) -> None:
    pictures, records = digits
    masks = [record.mask for record in records]
    together = seewhy.evaluate_methods(
        load("cnn"), pictures, ["gradcam", "saliency"], ["deletion", *FAST], masks=masks, preprocessing=DIGITS,
        metric_settings={"deletion": {"steps": 5}}, batch_size=3,
    )  # fmt: skip
    assert set(together.gradebook.values) == EVERYONE
    alone = seewhy.evaluate_methods(
        load("cnn"), pictures[2:3], ["saliency"], ["deletion", *FAST], masks=masks[2:3], preprocessing=DIGITS,
        metric_settings={"deletion": {"steps": 5}},
    )  # fmt: skip
    for who in ("saliency", "random", "centre", "edges"):
        for metric in ("deletion", *FAST):
            one, many = (book.gradebook.values[who][metric] for book in (alone, together))
            assert one[0] == pytest.approx(many[2], rel=1e-4)


def test_a_picture_without_a_mask_has_a_reason(digits: tuple[list[Image.Image], list[Any]]) -> None:
    pictures, records = digits
    found = seewhy.evaluate_methods(
        load("cnn"), pictures[:2], ["gradcam"], FAST, masks=[records[0].mask, None], preprocessing=DIGITS
    )
    values = found.gradebook.values["gradcam"]["relevance_mass_accuracy"]
    assert math.isnan(values[1])
    assert not math.isnan(values[0])
    assert "mask" in found.why["gradcam", "relevance_mass_accuracy", 1]
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["missing"][0]["method"] in EVERYONE


def test_a_method_that_cannot_explain_the_model_takes_no_other_with_it(
    digits: tuple[list[Image.Image], list[Any]],
) -> None:
    found = seewhy.evaluate_methods(load("cnn"), digits[0][:1], ["rollout", "gradcam"], ["gini"], preprocessing=DIGITS)
    assert "SW-M10" in found.failures["rollout"]
    assert set(found.gradebook.methods) == {"gradcam"}
    with pytest.raises(ModelError, match="SW-M10"):
        seewhy.evaluate_methods(load("cnn"), digits[0][:1], ["rollout"], ["gini"], preprocessing=DIGITS)


def test_cost_is_counted_in_passes(digits: tuple[list[Image.Image], list[Any]]) -> None:
    found = seewhy.evaluate_methods(
        load("cnn"), digits[0][:2], ["gradcam", "occlusion"], ["gini"], preprocessing=DIGITS,
        settings={"occlusion": {"window": 16}},
    )  # fmt: skip
    assert found.gradebook.costs == {"gradcam": 2.0, "occlusion": 17.0}, "forward and backward; 16 windows and none"


def test_comparing_methods_grades_them_where_asked(digits: tuple[list[Image.Image], list[Any]]) -> None:
    pictures, records = digits
    found = seewhy.compare_methods(
        load("cnn"), pictures[0], ["gradcam", "saliency"], preprocessing=DIGITS, metrics=["deletion", *FAST],
        metric_settings={"deletion": {"steps": 5}}, mask=records[0].mask,
    )  # fmt: skip
    told = found["gradcam"]["metrics"]["relevance_mass_accuracy"]
    assert set(told) == {"value", "controls", "reason"}
    assert set(told["controls"]) == {"random", "centre", "edges"}
    assert found.verdict is not None
    assert "one record" in found.verdict.text().lower()
    assert seewhy.compare_methods(load("cnn"), pictures[0], preprocessing=DIGITS).verdict is None


def test_an_evaluation_draws_a_panel_for_each_metric(digits: tuple[list[Image.Image], list[Any]]) -> None:
    found = seewhy.evaluate_methods(
        load("cnn"), digits[0][:3], ["gradcam"], ["gini", "complexity"], preprocessing=DIGITS
    )
    figure = found.figure()
    assert [axes.get_title() for axes in figure.axes] == ["gini", "complexity"]
    assert "gradcam" in str(found)


BAD = {
    "no methods": {"methods": []},
    "twice": {"methods": ["gradcam++", "gradcampp"]},
    "no metrics": {"methods": ["gradcam"], "metrics": []},
    "too few masks": {"methods": ["gradcam"], "metrics": ["gini"], "masks": [None]},
}


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a control as a method": ("SW-F283", {"methods": ["gradcam", "random_map"]}),
    "steps of a usual metric": ("SW-F252", {"metric_settings": {"deletion": {"steps": 0}}}),
    "a fill of a usual metric": ("SW-F41", {"metric_settings": {"deletion": {"fill": "blu"}}}),
    "a misspelt metric": ("SW-F223", {"metrics": ["delection"]}),
    "a metric that needs masks": ("SW-F226", {"metrics": ["gini", "iou"]}),
    "settings of a metric not asked": ("SW-F282", {"metrics": ["gini"], "metric_settings": {"deletion": {"steps": 5}}}),
    "settings of a method not asked": ("SW-F79", {"settings": {"ig": {"steps": 5}}}),
    "no settings by name": ("SW-F281", {"metric_settings": {"deletion": None}}),
    "no names": ("SW-F231", {"metrics": 5}),
    "no boxes": ("SW-F231", {"bboxes": 5}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_told_before_anything_is_explained(
    what: str, digits: tuple[list[Image.Image], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(*_: object) -> None:
        raise AssertionError("a map was made")

    code, given = REFUSED[what]
    monkeypatch.setattr("seewhy.explain.evaluate.case_for", explained)
    with pytest.raises(SeewhyError) as caught:
        seewhy.evaluate_methods(load("cnn"), digits[0][:1], **({"methods": ["gradcam"]} | given), preprocessing=DIGITS)
    assert caught.value.code == code


def test_methods_are_held_against_one_another(digits: tuple[list[Image.Image], list[Any]]) -> None:
    found = seewhy.evaluate_methods(
        load("cnn"), digits[0][:2], ["gradcam", "hirescam", "saliency"], ["agreement"], preprocessing=DIGITS
    )
    values = found.gradebook.values
    assert np.abs(values["random"]["agreement"]).max() < 0.15, "noise agrees with nobody"
    assert values["hirescam"]["agreement"].mean() > values["random"]["agreement"].mean() + 0.2


def test_files_of_one_name_are_told_apart(digits: tuple[list[Image.Image], list[Any]], tmp_path: Path) -> None:
    for folder, name in (("x", "a"), ("y", "a"), ("x", "a_1")):
        (tmp_path / folder).mkdir(exist_ok=True)
        digits[0][0].save(tmp_path / folder / f"{name}.png")
    paths = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png", tmp_path / "x" / "a_1.png"]
    found = seewhy.evaluate_methods(load("cnn"), paths, ["gradcam"], ["gini"], preprocessing=DIGITS)
    assert found.gradebook.records == ("a_2", "a_3", "a_1")


def test_a_metric_that_a_model_has_no_answer_for_is_told() -> None:
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(2, 1),
    )
    found = seewhy.evaluate_methods(model, torch.rand(2, 3, 24, 24), ["gradcam"], task="regression")
    assert {"deletion", "insertion"} <= set(found.not_applicable)
    assert "not graded: deletion" in str(found)
    with pytest.raises(ConfigError, match="SW-F233"):
        seewhy.evaluate_methods(model, torch.rand(2, 3, 24, 24), ["gradcam"], ["deletion"], task="regression")
    several = seewhy.ExplanationMetrics(model, "gradcam", controls=False, task="regression").evaluate_all(
        torch.rand(3, 24, 24)
    )
    assert set(several["deletion"]) == {"reason"}
    assert several["sensitivity"]["reason"] is None


@pytest.mark.parametrize("what", BAD)
def test_nothing_to_evaluate_is_refused(what: str, digits: tuple[list[Image.Image], list[Any]]) -> None:
    with pytest.raises(ConfigError, match="SW-F78" if what in ("no methods", "twice") else "SW-F231"):
        seewhy.evaluate_methods(load("cnn"), digits[0][:2], preprocessing=DIGITS, **BAD[what])


def test_a_metric_named_that_cannot_be_asked_is_an_error(digits: tuple[list[Image.Image], list[Any]]) -> None:
    with pytest.raises(ConfigError, match="SW-F226"):
        seewhy.evaluate_methods(load("cnn"), digits[0][:1], ["gradcam"], ["pointing_game"], preprocessing=DIGITS)


def test_the_usual_metrics_are_registered() -> None:
    from seewhy.registry import METRICS

    usual = usual_metrics(has_mask=True)
    assert all(METRICS[name].name == name for name in usual)
    assert [name for name in usual if METRICS[name].needs_mask] == ["pointing_game", "relevance_mass_accuracy"]
    assert np.unique(usual).size == len(usual)
