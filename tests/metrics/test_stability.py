"""Metrics that explain again: which question they ask, in which unit they move, and what they cannot say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metrics.cases import case_of, case_with
from seewhy.metrics import input_invariance, relative_stability, sensitivity  # noqa: F401
from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.metrics.nearby import NO_MAP, NO_UNIT
from seewhy.metrics.relative_stability import NO_COPY, same_class
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.targets import BinaryLogit, Logit
from seewhy.values import ConfigError

STABILITIES = ("relative_input_stability", "relative_output_stability", "relative_representation_stability")
SENSITIVITIES = ("average_sensitivity", "max_sensitivity")


def small() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return nn.Sequential(*layers).eval()


def case(method: str = "gradcam", **others: Any) -> Case:
    return case_of(small(), {"image": torch.rand(2, 3, 8, 9)}, method, keys=("a", "b"), **others)


def test_the_same_copies_are_averaged_and_searched_for_the_largest() -> None:
    subject = case("saliency")
    average, largest = (grade(name, subject, radius=0.1, samples=5) for name in SENSITIVITIES)
    torch.testing.assert_close(average.details["changes"], largest.details["changes"], rtol=0, atol=0)
    assert (largest.values > average.values).all()
    more = grade("max_sensitivity", subject, radius=0.1, samples=9)
    assert (more.details["changes"][:, :5] == largest.details["changes"]).all()


@pytest.mark.parametrize("metric", SENSITIVITIES)
def test_without_noise_a_real_map_stays_exactly_as_it_is(metric: str) -> None:
    assert grade(metric, case(), radius=0.0).values.tolist() == [0.0, 0.0]
    assert grade(metric, case(), radius=1e-9).values.tolist() == pytest.approx([0, 0], abs=1e-5)


def test_a_radius_counts_pixels_where_it_is_known_how_values_came_from_them() -> None:
    told = case(normalisation=Normalisation((0.5,) * 3, (0.5, 0.25, 0.1)))
    reach = grade("max_sensitivity", told, radius=0.01, samples=1).details["reach"]
    assert reach.tolist() == [pytest.approx([0.02, 0.04, 0.1])] * 2
    unknown = case()
    deviations = [float(one.std(correction=0)) for one in unknown.image]
    reach = grade("max_sensitivity", unknown, radius=0.01, samples=1).details["reach"]
    assert reach.tolist() == [pytest.approx([0.01 * one] * 3) for one in deviations]


def test_the_question_stays_that_of_the_clean_record() -> None:
    asked: list[tuple[int | None, ...]] = []
    subject = case(target=Logit())

    def explain(probe: Any, inputs: dict[str, Tensor]) -> Any:
        asked.append(probe.targets[0].index)
        return subject.explain_with(probe, inputs)

    watched = Case(subject.probe, subject.inputs, subject.attribution, explain, keys=("a", "b"), chunk_size=4)
    grade("average_sensitivity", watched, radius=5.0, samples=3)
    clean = subject.classes
    assert asked == [(clean[0],) * 3 + (clean[1],), (clean[1],) * 2]


@pytest.mark.parametrize("metric", [*SENSITIVITIES, *STABILITIES, "input_invariance"])
def test_a_map_of_zeros_has_no_relative_change(metric: str) -> None:
    subject = case_with(small(), {"image": torch.rand(1, 3, 8, 9)}, torch.zeros(1, 8, 9))
    assert grade(metric, subject).reasons == (NO_MAP,)


@pytest.mark.parametrize("metric", [*SENSITIVITIES, *STABILITIES, "local_lipschitz", "input_invariance"])
def test_a_constant_record_without_a_unit_is_nowhere_near(metric: str) -> None:
    subject = case_with(small(), {"image": torch.full((1, 3, 8, 9), 0.3)}, torch.rand(1, 8, 9))
    assert grade(metric, subject).reasons == (NO_UNIT,)


def test_the_class_is_that_of_the_largest_output_or_of_the_side_of_the_boundary() -> None:
    clean = torch.tensor([[1.0, 0.0]])
    several = torch.tensor([[0.1, 0.0], [0.0, 0.1]])
    assert same_class(several, clean.expand(2, 2), Logit((0,))).tolist() == [True, False]
    one, before = torch.tensor([[0.6], [0.4]]), torch.tensor([[0.9]]).expand(2, 1)
    assert same_class(one, before, BinaryLogit((1,), boundary=0.5)).tolist() == [True, False]
    assert same_class(one - 0.5, before, Logit((0,))).tolist() == [True, True]


def test_without_a_copy_of_the_same_class_there_is_nothing_to_compare() -> None:
    class Brittle(nn.Module):
        """Another class as soon as anything changes."""

        def __init__(self) -> None:
            super().__init__()
            self.same = nn.Conv2d(1, 1, 1)
            self.seen = torch.zeros(1, 1, 4, 4)

        def forward(self, image: Tensor) -> Tensor:
            changed = (image != self.seen).flatten(1).any(dim=1).to(image)
            return torch.stack([1 - changed, changed], dim=1) + 0 * self.same(image).sum()

    subject = case_with(Brittle(), {"image": torch.zeros(1, 1, 4, 4)}, torch.rand(1, 4, 4))
    subject.adapter.normalisation = Normalisation((0.0,), (1.0,))
    found = grade("relative_input_stability", subject)
    assert found.reasons == (NO_COPY,)
    assert found.details["kept"].tolist() == [0]


@pytest.mark.parametrize("method", ["gradient", "saliency", "gradcam", "input_x_gradient", "integrated_gradients"])
def test_what_only_depends_on_the_function_is_invariant_and_what_multiplies_by_the_input_is_not(method: str) -> None:
    settings = {"baseline": torch.zeros(1, 3, 1, 1)} if method == "integrated_gradients" else {}
    subject = case(method, settings=settings, contributes=METHODS[method].contributes)
    moved = grade("input_invariance", subject).values
    if method in ("gradient", "saliency", "gradcam"):
        assert moved.tolist() == pytest.approx([0, 0], abs=1e-5)
    else:
        assert (moved > 0.1).all()


def test_a_baseline_that_moves_with_the_input_keeps_integrated_gradients_invariant() -> None:
    subject = case("integrated_gradients", settings={"baseline": "mean"})
    assert grade("input_invariance", subject).values.tolist() == pytest.approx([0, 0], abs=1e-4)


def test_the_shifted_model_says_of_shifted_records_what_the_model_says_of_records() -> None:
    subject = case()
    by = {"image": torch.tensor([1.0, -2.0, 0.5]).reshape(1, 3, 1, 1)}
    shifted = subject.probe.on(subject.adapter.shifted(by))
    moved = shifted.score({"image": subject.image + by["image"]})
    torch.testing.assert_close(moved, subject.probe.score(subject.inputs))
    assert (shifted.score(subject.inputs) != subject.probe.score(subject.inputs)).all()


@pytest.mark.parametrize(
    ("metric", "settings", "code"),
    [
        ("average_sensitivity", {"samples": 0}, "F252"),
        ("max_sensitivity", {"radius": -0.1}, "F253"),
        ("max_sensitivity", {"radius": float("nan")}, "F253"),
        ("max_sensitivity", {"radius": "0.1"}, "F253"),
        ("local_lipschitz", {"radius": 0}, "F253"),
        ("relative_output_stability", {"radius": 0.0}, "F253"),
        ("relative_input_stability", {"samples": 2.0}, "F252"),
        ("input_invariance", {"shift": 0}, "F253"),
    ],
)
def test_settings_that_are_none_are_refused(metric: str, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError, match=f"SW-{code}"):
        grade(metric, case(), **settings)


def test_an_embedding_of_parts_of_a_record_is_refused() -> None:
    class Frames(nn.Module):
        """Every frame goes through the network as a record of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2)

        def forward(self, video: Tensor) -> Tensor:
            frames = video.transpose(1, 2).flatten(0, 1)
            logits = self.head(self.conv(frames).mean(dim=(2, 3)))
            return logits.reshape(len(video), -1, 2).mean(dim=1)

    subject = case_with(Frames(), {"video": torch.rand(2, 1, 3, 6, 6)}, torch.rand(2, 3, 6, 6))
    with pytest.raises(ConfigError, match="SW-F256"):
        grade("relative_representation_stability", subject)
