"""Laws 4 and 9 for metrics of claims: each is its definition, and a broken one is noticed."""

from __future__ import annotations

import functools
from collections.abc import Callable

import claim_oracles as oracles
import pytest
import torch
from torch import Tensor

import seewhy.metrics.claims as claims
import seewhy.metrics.infidelity as infidelity_module
import seewhy.metrics.patch_by_patch as single
import seewhy.metrics.sensitivity_n as sets
from seewhy.metrics.grade import Grade
from seewhy.metrics.infidelity import infidelity
from seewhy.metrics.monotonicity import monotonicity
from seewhy.metrics.patch_by_patch import faithfulness_estimate, monotonicity_correlation
from seewhy.metrics.sensitivity_n import faithfulness_correlation, sensitivity_n

NOTICED = 1e-3
INFIDELITY = (oracles.infidelity_of_a_linear_model, oracles.infidelity_of_squares, oracles.infidelity_of_noise)
SETS = (oracles.correlation_of_a_linear_model, oracles.correlation_by_definition)


@pytest.mark.parametrize("oracle", INFIDELITY)
def test_infidelity_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(infidelity) < 1e-10


@pytest.mark.parametrize("metric", [sensitivity_n, faithfulness_correlation])
@pytest.mark.parametrize("oracle", SETS)
def test_correlations_over_sets_are_right(oracle: Callable[..., float], metric: Callable[..., Grade]) -> None:
    assert oracle(metric) < 1e-10


@pytest.mark.parametrize(
    ("oracle", "metric"),
    [
        (oracles.estimate_by_definition, faithfulness_estimate),
        (oracles.monotonicity_by_definition, monotonicity),
        (oracles.rank_correlation_by_definition, monotonicity_correlation),
    ],
)
def test_what_goes_patch_by_patch_is_right(oracle: Callable[..., float], metric: Callable[..., Grade]) -> None:
    assert oracle(metric) < 1e-10


def cumulative() -> Callable[..., Tensor]:
    """Every copy starts from the one before, as in quantus."""
    kept: dict[int, Tensor] = {}

    def replaced(image: Tensor, baseline: Tensor, where: Tensor) -> Tensor:
        copies = []
        for one in where:
            kept[image.data_ptr()] = last = torch.where(one, baseline, kept.get(image.data_ptr(), image))
            copies.append(last)
        return torch.stack(copies)

    return replaced


TRUE_COMPARED, TRUE_NOISE = infidelity_module._compared, infidelity_module._noise
BROKEN_INFIDELITY: dict[str, tuple[str, Callable[..., object]]] = {
    "magnitudes instead of squares": (
        "_compared",
        lambda claimed, drops, *_: claims_grade((claimed - drops).abs().mean(dim=1), claimed),
    ),
    "the sum instead of the mean": (
        "_compared",
        lambda claimed, drops, *_: claims_grade((claimed - drops).square().sum(dim=1), claimed),
    ),
    "the claims the other way": ("_compared", lambda claimed, drops, *_: TRUE_COMPARED(-claimed, drops)),
    "scaled by a factor for all records": (
        "_compared",
        lambda claimed, drops, *_: TRUE_COMPARED(claimed * (claimed * drops).sum() / claimed.square().sum(), drops),
    ),
    "perturbations that add up": ("replaced", cumulative()),
    "noise twice as wide": ("_noise", lambda *given: 2 * TRUE_NOISE(*given)),
    "nothing replaced": ("replaced", lambda image, baseline, where: image.expand(len(where), *image.shape)),
}


def claims_grade(values: Tensor, claimed: Tensor) -> Grade:
    return infidelity_module.graded(values, scaled=values, claimed=claimed)


@pytest.mark.parametrize("mistake", BROKEN_INFIDELITY)
def test_a_broken_infidelity_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infidelity_module, *BROKEN_INFIDELITY[mistake])
    assert max(oracle(infidelity) for oracle in INFIDELITY) > NOTICED


def ranked(a: Tensor, b: Tensor) -> Tensor:
    return single.spearman(a, b)


TRUE_DRAWN = sets._drawn
BROKEN_SETS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "ranks instead of values": (claims, "correlation", ranked),
    "covariance": (claims, "correlation", lambda a, b: ((a - a.mean(1, True)) * (b - b.mean(1, True))).mean(1)),
    "one patch more": (
        sets,
        "_drawn",
        lambda record, counts, *rest: TRUE_DRAWN(record, [count + 1 for count in counts], *rest),
    ),
    "the patches that stay": (sets, "_drawn", lambda *given: ~TRUE_DRAWN(*given)),
    "one set again and again": (sets, "_drawn", lambda *given: TRUE_DRAWN(*given)[:2].repeat(10, 1)),
    "the baseline kept": (sets, "replaced", lambda image, baseline, where: torch.where(where, image, baseline)),
}


@pytest.mark.parametrize("mistake", BROKEN_SETS)
def test_a_broken_correlation_over_sets_is_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BROKEN_SETS[mistake])
    assert (
        max(oracles.correlation_by_definition(metric) for metric in (sensitivity_n, faithfulness_correlation)) > NOTICED
    )


def with_parts(metric: Callable[..., Grade], change: Callable[[Tensor], Tensor]) -> Callable[..., Grade]:
    @functools.wraps(metric)
    def broken(
        image: Tensor, asking: object, parts: Callable[[Tensor], Tensor], *rest: object, **named: object
    ) -> Grade:
        return metric(image, asking, lambda base: change(parts(base)), *rest, **named)

    return broken


BROKEN_SINGLE: dict[str, tuple[Callable[..., float], Callable[..., Grade]]] = {
    "estimate of magnitudes": (oracles.estimate_by_definition, with_parts(faithfulness_estimate, torch.abs)),
    "estimate of flipped places": (
        oracles.estimate_by_definition,
        with_parts(faithfulness_estimate, lambda parts: parts.flip(1)),
    ),
    "monotonicity from the largest": (oracles.monotonicity_by_definition, with_parts(monotonicity, torch.neg)),
    "monotonicity of magnitudes": (oracles.monotonicity_by_definition, with_parts(monotonicity, torch.abs)),
    "rank correlation of other places": (
        oracles.rank_correlation_by_definition,
        with_parts(monotonicity_correlation, lambda parts: parts.roll(2, dims=2)),
    ),
    "rank correlation of other records": (
        oracles.rank_correlation_by_definition,
        with_parts(monotonicity_correlation, lambda parts: parts.flip(0)),
    ),
}


@pytest.mark.parametrize("mistake", BROKEN_SINGLE)
def test_a_broken_metric_of_single_patches_is_noticed(mistake: str) -> None:
    oracle, broken = BROKEN_SINGLE[mistake]
    assert oracle(broken) > NOTICED


def test_rank_correlation_is_of_mean_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        single, "_mean_square", lambda drops, samples: drops.reshape(len(drops), -1, samples).mean(dim=2)
    )
    assert oracles.rank_correlation_by_definition(monotonicity_correlation) > NOTICED
