"""Metrics that compare what a map claims with what the model does: what they are given, refuse and cannot say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metrics.cases import case_of, case_with
from seewhy.metrics import completeness, infidelity, monotonicity, patch_by_patch, sensitivity_n  # noqa: F401
from seewhy.metrics.asking import Asking
from seewhy.metrics.claims import CONSTANT_MAP, CONSTANT_SCORE
from seewhy.metrics.completeness import NO_PARTS, NOTHING
from seewhy.metrics.grading import grade
from seewhy.metrics.infidelity import NOT_OF_NOISE
from seewhy.metrics.nearby import NO_UNIT
from seewhy.metrics.patches import Patches
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.targets import Logit
from seewhy.values import ConfigError

OF_PATCHES = ("sensitivity_n", "faithfulness_correlation", "faithfulness_estimate", "monotonicity_correlation")
ZERO = torch.zeros(1, 1, 1, 1)


class Linear(nn.Module):
    """Two logits linear in a picture of two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(2, 2, (6, 7), bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(image).flatten(1)


def linear_case(method: str, **others: Any) -> Any:
    torch.manual_seed(0)
    contributes = METHODS[method].contributes
    inputs = {"image": torch.rand(2, 2, 6, 7)}
    return case_of(Linear(), inputs, method, target=Logit(1), contributes=contributes, keys=("a", "b"), **others)


@pytest.mark.parametrize("method", ["gradient", "saliency", "input_x_gradient"])
def test_maps_that_are_right_on_a_linear_model_are_faithful_whatever_their_values_are(method: str) -> None:
    case = linear_case(method)
    assert grade("infidelity", case, fill=ZERO, patch=3).values.tolist() == pytest.approx([0, 0], abs=1e-10)
    for metric in ("sensitivity_n", "faithfulness_correlation"):
        assert grade(metric, case, fill=ZERO).values.tolist() == pytest.approx([1, 1], abs=1e-5)
    assert grade("monotonicity", case, fill=ZERO, patch=2).values.tolist() == [1, 1]


def test_a_gradient_times_what_is_taken_explains_any_baseline_and_noise() -> None:
    case = linear_case("gradient")
    for fill in ("blur", "mean", torch.full((1, 2, 1, 1), 0.7)):
        assert grade("infidelity", case, fill=fill).values.tolist() == pytest.approx([0, 0], abs=1e-10)
        assert grade("sensitivity_n", case, fill=fill).values.tolist() == pytest.approx([1, 1], abs=1e-4)
    assert grade("infidelity", case, perturbation="noise").values.tolist() == pytest.approx([0, 0], abs=1e-10)


def test_input_times_gradient_claims_another_baseline_than_the_mean() -> None:
    assert (grade("infidelity", linear_case("input_x_gradient"), fill="mean").values > 1e-4).all()


def test_the_sum_of_a_coarse_map_is_kept_on_the_grid_of_the_input() -> None:
    maps = torch.tensor([[[1.0, 2.0], [-3.0, 5.0]]])
    case = case_with(Linear(), {"image": torch.rand(1, 2, 6, 7)}, maps)
    parts = case.parts(case.image * 0)
    assert parts.shape == (1, 6, 7)
    assert parts.sum().item() == pytest.approx(5, abs=0.5)
    corner = Patches.of((6, 7), 6)
    assert corner.sums(parts)[0].sum().item() == pytest.approx(parts.sum().item())


def test_sensitivities_of_one_map_count_for_every_channel() -> None:
    maps = torch.rand(1, 6, 7)
    case = case_with(Linear(), {"image": torch.rand(1, 2, 6, 7)}, maps, contributes=False)
    assert torch.allclose(case.parts(torch.zeros(1, 2, 6, 7)).float(), maps * case.image.sum(dim=1))


# -- what cannot be said


@pytest.mark.parametrize("metric", [*OF_PATCHES, "monotonicity"])
def test_a_map_that_makes_no_difference_has_no_correlation(metric: str) -> None:
    case = linear_case("input_x_gradient")
    flat = replace(case, attribution=replace(case.attribution, maps={"image": torch.full((2, 6, 7), 0.1)}))
    found = grade(metric, flat, fill=ZERO, patch=4)
    assert found.reasons == (CONSTANT_MAP,) * 2


@pytest.mark.parametrize("metric", [*OF_PATCHES, "monotonicity"])
def test_a_model_that_answers_always_the_same_has_no_correlation(metric: str) -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(2, 3, (6, 7))

        def forward(self, image: Tensor) -> Tensor:
            return 1e-12 * self.head(image).flatten(1) + torch.arange(3.0)

    case = case_with(Same(), {"image": torch.rand(1, 2, 6, 7)}, torch.rand(1, 6, 7))
    assert grade(metric, case, fill=ZERO).reasons == (CONSTANT_SCORE,)


def test_several_n_are_averaged_where_they_are_defined() -> None:
    maps = torch.zeros(1, 6, 7)
    maps[0, 0, 0] = 1.0
    case = case_with(Linear(), {"image": torch.rand(1, 2, 6, 7)}, maps, keys=("a",))
    for seed in range(20):  # two sets of half the patches tell something apart if one of them alone has the first
        found = grade("sensitivity_n", case, n=[1, 21], patch=1, samples=2, fill=ZERO, seed=seed)
        each = found.details["correlations"][0]
        if each.isnan().tolist() == [True, False]:
            break
    assert abs(each[1]) == pytest.approx(1)
    assert found.values[0] == each[1]


def test_noise_says_nothing_of_parts_of_a_score_and_needs_a_unit() -> None:
    assert grade("infidelity", linear_case("input_x_gradient"), perturbation="noise").reasons == (NOT_OF_NOISE,) * 2
    inputs = {"image": torch.ones(1, 2, 6, 7)}
    flat = case_of(Linear(), inputs, "gradient", contributes=False)
    assert grade("infidelity", flat, perturbation="noise").reasons == (NO_UNIT,)
    known = case_of(
        Linear(), inputs, "gradient", contributes=False, normalisation=Normalisation((0.5,) * 2, (0.5,) * 2)
    )
    assert grade("infidelity", known, perturbation="noise").values.tolist() == pytest.approx([0], abs=1e-10)


# -- completeness


def test_completeness_of_real_methods() -> None:
    case = linear_case("input_x_gradient")
    assert grade("completeness", case).values.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (grade("completeness", case, fill="mean").values > 0.01).all()
    own = linear_case("integrated_gradients", settings={"baseline": "mean"})
    assert grade("completeness", own).values.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert grade("completeness", own, fill="mean").values.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert grade("completeness", linear_case("gradient")).reasons == (NO_PARTS,) * 2


def test_fullgrad_is_complete_with_what_has_no_place() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    case = case_of(model.eval(), {"image": torch.rand(2, 2, 6, 7)}, "fullgrad")
    assert grade("completeness", case).values.tolist() == pytest.approx([0, 0], abs=1e-5)


def test_nothing_does_not_add_up() -> None:
    case = case_with(Linear(), {"image": torch.zeros(1, 2, 6, 7)}, torch.zeros(1, 6, 7))
    assert grade("completeness", case).reasons == (NOTHING,)


# -- patches, settings


def test_patches_tile_any_rank_and_need_not_divide_it() -> None:
    patches = Patches.of((5, 3, 4), 2)
    assert patches.count == 3 * 2 * 2
    assert patches.number.unique().tolist() == list(range(12))
    ones = patches.sums(torch.ones(1, 5, 3, 4))[0]
    assert sorted(ones.tolist()) == [1 * 1 * 2] * 2 + [2 * 1 * 2] * 4 + [1 * 2 * 2] * 2 + [8] * 4
    where = patches.where(torch.eye(12, dtype=torch.bool))
    assert where.shape == (12, 1, 5, 3, 4)
    assert (where.sum(dim=0) == 1).all()


@pytest.mark.parametrize(
    ("metric", "settings", "code"),
    [
        ("sensitivity_n", {"patch": 0}, "F250"),
        ("sensitivity_n", {"patch": 2.0}, "F250"),
        ("infidelity", {"patch": True}, "F250"),
        ("faithfulness_estimate", {"patch": 7}, "F251"),
        ("sensitivity_n", {"samples": 1}, "F252"),
        ("infidelity", {"samples": 0}, "F252"),
        ("monotonicity_correlation", {"samples": "3"}, "F252"),
        ("infidelity", {"sigma": -1, "perturbation": "noise"}, "F253"),
        ("sensitivity_n", {"n": 42, "patch": 1}, "F254"),
        ("sensitivity_n", {"n": [0.5, 1.0]}, "F254"),
        ("sensitivity_n", {"n": "half"}, "F254"),
        ("faithfulness_correlation", {"size": 0}, "F254"),
        ("infidelity", {"perturbation": "square removal"}, "F255"),
    ],
)
def test_settings_that_are_none_are_refused_before_the_model_runs(
    metric: str, settings: dict[str, Any], code: str
) -> None:
    case = linear_case("input_x_gradient")
    with pytest.raises(ConfigError, match=f"SW-{code}") as refused:
        grade(metric, case, **settings)
    assert refused.value.fix


def test_what_is_drawn_depends_on_the_id_and_the_seed() -> None:
    image = torch.rand(1, 1, 6, 6).expand(3, 1, 6, 6)
    score = Asking.of(lambda images: images.flatten(1).square().sum(dim=1), image)

    def of(ids: tuple[str, ...], seed: int = 0) -> list[list[float]]:
        found = infidelity.infidelity(
            image, score, lambda base: image[:, 0].double(), lambda fill: image * 0, image, True, torch.ones(3, 1), ids,
            seed=seed, patch=2, samples=6,
        )  # fmt: skip
        return found.details["drops"].tolist()

    first, second, again = of(("a", "b", "a"))
    assert first == again
    assert first != second
    assert of(("a", "b", "a"), seed=1)[0] != first


@pytest.mark.parametrize("shape", [(2, 3, 40), (1, 1, 9, 5, 4), (2, 2, 1, 30)])
def test_any_rank_and_any_ratio_of_sides(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    image, weights = torch.rand(shape), torch.randn(shape[1:])
    score = Asking.of(lambda images: (images * weights).flatten(1).sum(dim=1), image)
    parts: Callable[[Tensor], Tensor] = lambda base: ((image - base) * weights).sum(dim=1).double()  # noqa: E731
    ids = ("a", "b")[: shape[0]]
    found = infidelity.infidelity(
        image, score, parts, lambda fill: image * 0, image, True, torch.ones(shape[:2]), ids, patch=4
    )
    assert found.values.tolist() == pytest.approx([0] * shape[0], abs=1e-8)
    kept = sensitivity_n.sensitivity_n(image, score, parts, lambda fill: image * 0, ids)
    assert kept.values.tolist() == pytest.approx([1] * shape[0], abs=1e-4)
