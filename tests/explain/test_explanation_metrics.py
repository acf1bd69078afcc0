"""One explanation graded from Python: the document's calls and keys, on the picture as the explainer saw it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import seewhy
from seewhy.demo.models import load
from seewhy.values import ConfigError, SeewhyError

DIGITS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "crop": "none"}
KEYS = {
    "deletion": {"auc", "final_drop", "scores", "original_score"},
    "insertion": {"auc", "final_rise", "scores", "original_score", "baseline_score"},
    "sensitivity": {"sensitivity", "std", "max_change", "changes"},
    "param_randomization": {"correlation", "change", "passes"},
    "data_randomization": {"correlation", "change", "passes"},
    "pointing_game": {"hit", "max_location", "bbox"},
}
"""What AutoTimm's document promises of ``evaluate_all``."""


class Corner(nn.Module):
    """Class 1 is the mean of the last 8 × 8 pixels of a 32 × 32 picture, class 0 is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 8, stride=8, bias=False)
        nn.init.constant_(self.features.weight, 1 / 192)

    def forward(self, x: Tensor) -> Tensor:
        corner = self.features(x)[:, 0, 3, 3]
        return torch.stack([torch.zeros_like(corner), 10 * corner], dim=1)


@pytest.fixture(scope="module")
def digit() -> tuple[Image.Image, Any]:
    digits = seewhy.ClutteredDigits(counts={"test": 1})
    record = digits.read(0)
    return Image.fromarray(digits.picture(record.inputs)), record


def metrics_of(**others: Any) -> seewhy.ExplanationMetrics:
    model = load("cnn")
    return seewhy.ExplanationMetrics(model, seewhy.GradCAM(model, preprocessing=DIGITS), **others)


def test_evaluate_all_has_the_documents_keys_and_goes_through_json(digit: tuple[Image.Image, Any]) -> None:
    picture, record = digit
    found = metrics_of(controls=False).evaluate_all(picture, bbox=list(record.box))
    assert set(found) == set(KEYS)
    for name, keys in KEYS.items():
        assert keys <= set(found[name]), name
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_picture_graded_is_the_one_explained(digit: tuple[Image.Image, Any]) -> None:
    picture, _ = digit
    said = seewhy.explain_prediction(load("cnn"), picture, preprocessing=DIGITS)
    found = metrics_of(controls=False).deletion(picture, steps=4)
    assert found["original_score"] == pytest.approx(said["confidence"], abs=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_a_curve_runs_from_the_whole_picture_to_none_of_it(digit: tuple[Image.Image, Any], steps: int) -> None:
    picture, _ = digit
    metrics = metrics_of(controls=False)
    deletion, insertion = (getattr(metrics, name)(picture, steps=steps) for name in ("deletion", "insertion"))
    assert len(deletion["scores"]) == steps + 1
    assert deletion["fractions"][0] == 0
    assert deletion["fractions"][-1] == 1
    assert deletion["scores"][-1] == pytest.approx(insertion["baseline_score"], abs=1e-5)
    assert insertion["scores"][-1] == pytest.approx(deletion["original_score"], abs=1e-5)
    area = np.trapezoid(deletion["scores"], deletion["fractions"])
    assert deletion["auc"] == pytest.approx(area)
    assert deletion["relative_auc"] == pytest.approx(area / deletion["original_score"])
    assert deletion["final_drop"] == pytest.approx(1 - deletion["scores"][-1] / deletion["original_score"])


def test_deleting_the_corner_that_decides_is_a_step() -> None:
    """Black is 0 here: after the first sixteenth the class has the probability of logits (0, 0)."""
    model = Corner()
    how = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "size": 32, "crop": "none"}
    metrics = seewhy.ExplanationMetrics(model, seewhy.Occlusion(model, window=8, preprocessing=how), controls=False)
    found = metrics.deletion(np.full((32, 32, 3), 255, np.uint8), target_class=1, steps=16, baseline="black")
    full, none = 1 / (1 + np.exp(-10.0)), 0.5
    assert found["scores"] == pytest.approx([full] + [none] * 16, abs=1e-6)
    assert found["auc"] == pytest.approx((full + none) / 2 / 16 + none * 15 / 16, abs=1e-6)


def test_the_last_place_hits_its_own_box() -> None:
    model = Corner()
    how = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "size": 32, "crop": "none"}
    metrics = seewhy.ExplanationMetrics(model, seewhy.HiResCAM(model, "features", preprocessing=how), controls=False)
    white = np.full((64, 64, 3), 255, np.uint8)
    found = metrics.pointing_game(white, [48, 48, 64, 64], target_class=1)
    assert found["hit"] is True
    assert found["max_location"] == pytest.approx([56, 56])
    assert metrics.pointing_game(white, [0, 0, 48, 48], target_class=1)["hit"] is False


@pytest.mark.parametrize("size", [(64, 64), (90, 131)])
def test_without_noise_nothing_changes_whatever_the_size(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    found = metrics_of().sensitivity_n(picture, n_samples=3, noise_level=0.0)
    assert found["changes"] == [0.0] * 3
    assert (found["sensitivity"], found["std"], found["max_change"]) == (0.0, 0.0, 0.0)


def test_the_old_names_are_the_honest_ones(digit: tuple[Image.Image, Any]) -> None:
    picture, _ = digit
    metrics = metrics_of(controls=False)
    assert metrics.data_randomization_test(picture) == metrics.class_sensitivity(picture)
    assert metrics.model_parameter_randomization_test(picture) == metrics.parameter_randomization(picture)


def test_randomization_is_told_from_the_head_to_the_stem(digit: tuple[Image.Image, Any]) -> None:
    picture, _ = digit
    found = metrics_of().parameter_randomization(picture)
    stages = found["by_stage"]
    assert "head" in next(iter(stages))
    assert list(stages.values())[-1] == pytest.approx(found["correlation"])
    assert found["change"] == pytest.approx(1 - found["correlation"])
    assert found["controls"] == {"random": 1.0, "centre": 1.0, "edges": 1.0}


def test_any_metric_is_graded_by_name(digit: tuple[Image.Image, Any]) -> None:
    picture, record = digit
    metrics = metrics_of()
    found = metrics.grade(picture, "relevance_mass_accuracy", mask=record.mask)
    assert 0 < found["value"] <= 1
    assert found["controls"]["random"] == pytest.approx(record.mask.mean(), abs=0.02)
    assert metrics.grade(picture, "sensitivity_n", samples=10)["value"] <= 1


BAD = {
    "SW-F223": lambda m, p: m.grade(p, "deletoin"),
    "SW-F222": lambda m, p: m.grade(p, "deletion", step=5),
    "SW-F226": lambda m, p: m.grade(p, "pointing_game"),
    "SW-F228": lambda m, p: m.pointing_game(p, [10, 10, 5, 20]),
    "SW-F229": lambda m, p: m.grade(p, "pointing_game", mask=np.ones((3, 3))),
    "SW-F41": lambda m, p: m.deletion(p, baseline="blurr"),
    "SW-F227": lambda m, p: m.deletion(p, baseline=5),
    "SW-F252": lambda m, p: seewhy.ExplanationMetrics(m.explainer.model, chunk_size=-1),
    "SW-F230": lambda m, p: seewhy.ExplanationMetrics(m.explainer.model, tsk="binary"),
    "SW-T01": lambda m, p: m.deletion(p, target_class=99),
}


@pytest.mark.parametrize("code", BAD)
def test_bad_input_is_told(code: str, digit: tuple[Image.Image, Any]) -> None:
    with pytest.raises(SeewhyError) as caught:
        BAD[code](metrics_of(), digit[0])
    assert caught.value.code == code
    assert caught.value.fix


@pytest.mark.parametrize("box", [[1, 2, 3], "1,2,3,4", [0, 0, 65, 10], [float("nan")] * 4, None])
def test_what_is_no_box_is_told(box: Any, digit: tuple[Image.Image, Any]) -> None:
    with pytest.raises(ConfigError, match=r"SW-F22[68]"):
        metrics_of().pointing_game(digit[0], box)


@pytest.mark.parametrize("given", [42, seewhy.GradCAM])
def test_an_explainer_of_another_model_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="SW-F230"):
        seewhy.ExplanationMetrics(load("cnn"), given)
    with pytest.raises(ConfigError, match="another model"):
        seewhy.ExplanationMetrics(load("cnn"), seewhy.GradCAM(load("cnn")))


def test_a_baseline_may_be_values_and_the_result_is_still_json(digit: tuple[Image.Image, Any]) -> None:
    zeros = np.zeros((1, 3, 64, 64), np.float32)
    found = metrics_of().grade(digit[0], "deletion", fill=torch.from_numpy(zeros), steps=2)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert metrics_of().grade(digit[0], "deletion", fill=zeros, steps=2)["value"] == found["value"]


def test_the_controls_have_curves_of_their_own(digit: tuple[Image.Image, Any]) -> None:
    found = metrics_of().deletion(digit[0], steps=3)
    assert set(found["control_scores"]) == {"random", "centre", "edges"}
    ends = {(round(curve[0], 6), round(curve[-1], 6)) for curve in (*found["control_scores"].values(), found["scores"])}
    assert len(ends) == 1, "all begin with the picture and end with the baseline"


def test_the_seed_reaches_every_metric(digit: tuple[Image.Image, Any]) -> None:
    first, second = (
        metrics_of(seed=seed, controls=False).grade(digit[0], "infidelity", samples=3)["value"] for seed in (0, 7)
    )
    assert first != second
