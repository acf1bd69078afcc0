"""Laws 4 and 9 for metrics that explain again, and for axioms: each is its definition, and a broken one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import pytest
import stability_oracles as oracles
import torch
from torch import Tensor

import seewhy.metrics.completeness as completeness_module
import seewhy.metrics.input_invariance as invariance_module
import seewhy.metrics.nearby as nearby
import seewhy.metrics.relative_stability as stability
import seewhy.metrics.sensitivity as sensitivity
from seewhy import ops
from seewhy.metrics.completeness import completeness
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.input_invariance import input_invariance
from seewhy.metrics.relative_stability import (
    relative_input_stability,
    relative_output_stability,
    relative_representation_stability,
)
from seewhy.metrics.sensitivity import average_sensitivity, local_lipschitz, max_sensitivity

NOTICED = 1e-3
RIGHT: dict[str, tuple[Callable[..., float], Callable[..., Grade]]] = {
    "average": (oracles.sensitivity_by_definition(mean), average_sensitivity),
    "maximum": (oracles.sensitivity_by_definition(max), max_sensitivity),
    "average without noise": (oracles.without_noise_nothing_moves, average_sensitivity),
    "maximum without noise": (oracles.without_noise_nothing_moves, max_sensitivity),
    "a multiple": (oracles.lipschitz_of_a_multiple, local_lipschitz),
    "Lipschitz": (oracles.lipschitz_by_definition, local_lipschitz),
    "input stability of a multiple": (oracles.input_stability_of_a_multiple, relative_input_stability),
    "input stability": (oracles.stability_by_definition("input"), relative_input_stability),
    "output stability": (oracles.stability_by_definition("output"), relative_output_stability),
    "representation": (oracles.stability_by_definition("representation"), relative_representation_stability),
    "completeness": (oracles.completeness_of_a_linear_model, completeness),
    "invariance": (oracles.invariance_of_known_maps, input_invariance),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_metric_is_its_definition(name: str) -> None:
    oracle, metric = RIGHT[name]
    assert oracle(metric) < 1e-9


def drawn(change: Callable[[Tensor], Tensor]) -> Callable[[nearby.Nearby, int, int], Tensor]:
    """The noise, made of something else than evenly spread numbers around 0."""

    def noise(self: nearby.Nearby, row: int, sample: int) -> Tensor:
        like = self.image[row]
        even = torch.rand(like.shape, generator=ops.generator(self.seed, "nearby", self.ids[row], sample))
        return change(even).to(like) * self.reach[row].reshape(-1, *[1] * (like.ndim - 1))

    return noise


def manhattan(one: Tensor, other: Tensor) -> Tensor:
    return (one.double() - other.double()).abs().flatten(1).sum(dim=1)


BROKEN_NOISE: dict[str, Callable[[Tensor], Tensor]] = {
    "upwards only": lambda even: even,
    "twice as far": lambda even: 4 * even - 2,
    "half as far": lambda even: even - 0.5,
    "corners only": lambda even: (even - 0.5).sign(),
    "Gaussian": lambda even: torch.special.ndtri(even.clamp(1e-6, 1 - 1e-6)),
}


@pytest.mark.parametrize("mistake", BROKEN_NOISE)
def test_other_noise_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby.Nearby, "_noise", drawn(BROKEN_NOISE[mistake]))
    oracle, metric = RIGHT["average"]
    assert oracle(metric) > NOTICED


BROKEN: dict[str, tuple[str, object, str, Callable[..., object]]] = {
    "Manhattan distances": ("average", sensitivity, "apart", manhattan),
    "squared distances": ("maximum", sensitivity, "apart", lambda one, other: nearby.apart(one, other) ** 2),
    "Manhattan lengths": ("average", sensitivity, "norm", lambda values: values.double().abs().flatten(1).sum(dim=1)),
    "not divided by the map": ("maximum", sensitivity, "norm", lambda values: torch.ones(len(values))),
    "Lipschitz of Manhattan distances": ("Lipschitz", sensitivity, "apart", manhattan),
    "every class counted": (
        "input stability",
        stability,
        "same_class",
        lambda outputs, clean, target: torch.ones(len(outputs), dtype=torch.bool),
    ),
    "only other classes counted": (
        "output stability",
        stability,
        "same_class",
        lambda outputs, clean, target: outputs.argmax(dim=1) != clean.argmax(dim=1),
    ),
    "divided by the length of all": (
        "input stability",
        stability,
        "relative_change",
        lambda values, clean: nearby.apart(values, clean) / nearby.norm(clean),
    ),
    "divided by the changed value": (
        "representation",
        stability,
        "relative_change",
        lambda values, clean, true=stability.relative_change: true(clean, values),
    ),
    "squared output distances": ("output stability", stability, "apart", lambda a, b: nearby.apart(a, b) ** 2),
    "completeness per place": (
        "completeness",
        completeness_module,
        "graded",
        lambda values, undefined, **details: graded(values / 90, undefined, **details),
    ),
    "completeness by the difference alone": (
        "completeness",
        completeness_module,
        "graded",
        lambda values, undefined, total, difference: graded(((total - difference) / difference).abs(), undefined),
    ),
    "invariance not divided": ("invariance", invariance_module, "norm", lambda values: torch.ones(len(values))),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_formula_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, module, attribute, broken = BROKEN[mistake]
    monkeypatch.setattr(module, attribute, broken)
    oracle, metric = RIGHT[name]
    assert oracle(metric) > NOTICED


def test_a_mean_is_no_maximum() -> None:
    oracle, _ = RIGHT["average"]
    assert oracle(max_sensitivity) > NOTICED
