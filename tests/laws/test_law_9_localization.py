"""Laws 4 and 9 for localization, complexity and similarity: each formula is right, and a broken one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import localization_oracles as oracles
import pytest
import torch
from torch import Tensor

from seewhy.metrics import components, human_attention
from seewhy.metrics.complexity import complexity, effective_complexity, gini
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.localization import iou, relevance_mass_accuracy, relevance_rank_accuracy
from seewhy.metrics.mask_agreement import kld, localization_auc
from seewhy.metrics.max_box import max_box_acc_v2
from seewhy.metrics.similarity import spearman, ssim

NOTICED = 1e-3
Broken = Callable[..., Any]
CASES: dict[str, tuple[Callable[..., float], Callable[..., Any], dict[str, Broken]]] = {
    "mass": (
        oracles.mass_by_definition,
        relevance_mass_accuracy,
        {
            "negative values count": lambda e, m: graded((e * m).flatten(1).sum(1) / e.flatten(1).sum(1)),
            "magnitudes": lambda e, m: relevance_mass_accuracy(e.abs(), m),
            "beside the object": lambda e, m: relevance_mass_accuracy(e, ~m),
            "divided over the batch": lambda e, m: graded(
                (e.clamp(min=0) * m).flatten(1).sum(1) / e.clamp(min=0).sum()
            ),
            "records mixed": lambda e, m: relevance_mass_accuracy(e, m.roll(1, dims=0)),
        },
    ),
    "ranks": (
        oracles.rank_by_every_order,
        relevance_rank_accuracy,
        {
            "the first of equal places": lambda e, m: _first_of_equals(e, m),
            "negative values have an order": lambda e, m: relevance_rank_accuracy(e + 9, m),
            "the lowest places": lambda e, m: relevance_rank_accuracy(9 - e.clamp(min=0), m),
        },
    ),
    "overlap": (
        oracles.overlap_by_sets,
        iou,
        {
            "above and not at the cut": lambda e, m, threshold, cuts: iou(e, m, threshold=threshold + 1e-6, cuts=cuts),
            "over the mask alone": lambda e, m, threshold, cuts: _of_the_mask(
                iou(e, m, threshold=threshold, cuts=cuts)
            ),
            "thresholds from 0 on": lambda e, m, threshold, cuts: _shifted(iou(e, m, threshold=threshold, cuts=cuts)),
        },
    ),
    "area": (
        oracles.area_by_pairs,
        localization_auc,
        {
            "ties lost": lambda e, m: localization_auc(_untied(e), m),
            "the wrong way round": lambda e, m: localization_auc(-e, m),
        },
    ),
    "boxes": (
        oracles.boxes_by_walking,
        max_box_acc_v2,
        {
            "one more cell": lambda e, m, cuts: max_box_acc_v2(
                e, torch.nn.functional.pad(m, (0, 1))[..., 1:], cuts=cuts
            ),
            "curve reversed": lambda e, m, cuts: _reversed(max_box_acc_v2(e, m, cuts=cuts)),
        },
    ),
    "divergence": (
        oracles.divergence_from_a_uniform_object,
        kld,
        {
            "the other direction": lambda e, m: _other_direction(e, m),
            "in bits": lambda e, m: replace(kld(e, m), values=kld(e, m).values / 0.6931),
        },
    ),
    "sparseness": (
        oracles.sparseness_by_differences,
        gini,
        {
            "signed": lambda e: gini(e - e.flatten(1).amin(1).reshape(-1, *[1] * (e.ndim - 1))),
            "one-hot has 1": lambda e: replace(gini(e), values=gini(e).values * e[0].numel() / (e[0].numel() - 1)),
        },
    ),
    "entropy": (
        oracles.entropy_by_definition,
        complexity,
        {
            "negative values as 0": lambda e: complexity(e.clamp(min=0)),
            "in shares of the most": lambda e: graded(complexity(e).details["share"]),
        },
    ),
    "count": (
        oracles.count_of_places_that_matter,
        effective_complexity,
        {
            "negative values as 0": lambda e, **s: effective_complexity(e.clamp(min=0), **s),
            "always relative": lambda e, epsilon, relative=True: effective_complexity(e, epsilon=min(epsilon, 0.9)),
        },
    ),
    "structure": (
        oracles.windows_by_loops,
        ssim,
        {
            "one window for all": lambda a, b: spearman(a, b),
            "range of the data": lambda a, b: ssim(a - a.min(), b - b.min()),
        },
    ),
    "rank correlation": (
        oracles.ranks_by_counting,
        spearman,
        {
            "values in place of ranks": lambda a, b: ssim(a, b),
            "ties in order of places": lambda a, b: spearman(_untied(a), _untied(b)),
            "magnitudes": lambda a, b: spearman(a.abs(), b.abs()),
        },
    ),
}


@pytest.mark.parametrize(("oracle", "right", "broken"), CASES.values(), ids=CASES)
def test_the_formula_is_right(oracle: Callable[..., float], right: Broken, broken: dict[str, Broken]) -> None:
    del broken
    assert oracle(right) < 1e-12


BROKEN = {f"{name}: {what}": (oracle, each) for name, (oracle, _, all_) in CASES.items() for what, each in all_.items()}


@pytest.mark.parametrize(("oracle", "broken"), BROKEN.values(), ids=BROKEN)
def test_a_broken_formula_is_noticed(oracle: Callable[..., float], broken: Broken) -> None:
    assert oracle(broken) > NOTICED


@pytest.mark.parametrize("size", [(40,), (5, 4, 6)])
def test_boxes_of_parts_are_right_in_any_rank(size: tuple[int, ...]) -> None:
    assert oracles.boxes_by_walking(max_box_acc_v2, size) < 1e-12


def test_parts_that_touch_at_corners_alone_are_noticed_when_cut_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    true = components.product
    monkeypatch.setattr(
        components, "product", lambda *values, repeat: [s for s in true(*values, repeat=repeat) if sum(map(abs, s)) < 2]
    )
    assert oracles.boxes_by_walking(max_box_acc_v2) > NOTICED


def _first_of_equals(evidence: Tensor, mask: Tensor) -> Grade:
    return relevance_rank_accuracy(_untied(evidence.clamp(min=0)), mask)


def _untied(values: Tensor) -> Tensor:
    places = torch.arange(values[0].numel(), dtype=values.dtype).reshape(values.shape[1:])
    return values - 1e-6 * (places - places.max())


def _of_the_mask(found: Grade) -> Grade:
    return replace(found, values=found.values * 1.5)


def _shifted(found: Grade) -> Grade:
    return replace(found, details={**found.details, "curve": found.details["curve"].roll(1, dims=1)})


def _reversed(found: Grade) -> Grade:
    return replace(found, details={"box_iou": found.details["box_iou"].flip(1)})


def _other_direction(evidence: Tensor, mask: Tensor) -> Grade:
    lines = evidence.flatten(1)[:, None], mask.double().flatten(1)[:, None]
    return graded(human_attention.kld(lines[1], lines[0]))
