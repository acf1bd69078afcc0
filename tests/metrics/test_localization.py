"""Localization metrics where maps and masks have nothing to say, and data sets of several records."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seewhy.metrics.grade import Grade
from seewhy.metrics.localization import iou, relevance_mass_accuracy, relevance_rank_accuracy
from seewhy.metrics.mask_agreement import kld, localization_auc, nss, sim
from seewhy.metrics.max_box import max_box_acc_v2, max_box_accuracy
from seewhy.values import ConfigError

Metric = Callable[..., Grade]
ALL: tuple[Metric, ...] = (
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    iou,
    max_box_acc_v2,
    localization_auc,
    kld,
    sim,
    nss,
)
BEST = {kld: 0.0, nss: math.sqrt(48 / 16)}
"""What the object itself scores: 16 of 64 places, whose deviation is √(¼ · ¾) and whose distance from the mean is ¾."""
CHANCE = {
    relevance_mass_accuracy: 0.25,
    relevance_rank_accuracy: 0.25,
    iou: 0.25,
    max_box_acc_v2: 0.0,
    localization_auc: 0.5,
    kld: math.log(4),
    sim: 0.25,
}


def square(size: int = 8) -> Tensor:
    mask = torch.zeros(1, size, size, dtype=torch.bool)
    mask[:, 2:6, 1:5] = True
    return mask


@pytest.mark.parametrize("metric", ALL)
def test_the_object_as_map_has_the_best_value(metric: Metric) -> None:
    found = metric(square().float(), square()).values.item()
    assert found == pytest.approx(BEST.get(metric, 1.0), abs=1e-10)


@pytest.mark.parametrize(("metric", "value"), CHANCE.items())
def test_a_constant_map_scores_what_chance_would(metric: Metric, value: float) -> None:
    assert metric(torch.full((1, 8, 8), 0.3), square()).values.item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("metric", ALL)
def test_an_empty_mask_has_no_value_and_its_neighbour_has_its_own(metric: Metric) -> None:
    maps = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = torch.cat([torch.zeros_like(square()), square()])
    found = metric(maps, masks)
    assert found.reasons == ("the mask is empty", None)
    assert math.isnan(found.values[0])
    assert found.values[1].item() == pytest.approx(metric(maps[1:], masks[1:]).values.item(), abs=1e-12)


@pytest.mark.parametrize("metric", [relevance_mass_accuracy, iou, max_box_acc_v2, kld, sim])
@pytest.mark.parametrize("value", [0.0, -2.0])
def test_a_map_without_evidence_has_none_on_the_object(metric: Metric, value: float) -> None:
    assert metric(torch.full((1, 8, 8), value), square()).reasons == ("the map has no positive value",)


def test_what_cannot_be_told_apart_has_no_value() -> None:
    maps = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert localization_auc(maps, torch.ones_like(square())).reasons == ("the mask covers everything",)
    assert nss(torch.full((1, 8, 8), 0.1), square()).reasons == ("the map is constant",)


@pytest.mark.parametrize("metric", ALL)
def test_negative_evidence_off_the_object_is_no_evidence(metric: Metric) -> None:
    maps = torch.where(square(), 1.0, -5.0)
    if metric in (localization_auc, nss):
        assert metric(maps, square()).values.item() == pytest.approx(BEST.get(metric, 1.0))
    else:
        assert metric(maps, square()).values.item() == pytest.approx(metric(square().float(), square()).values.item())


@pytest.mark.parametrize("metric", ALL)
def test_a_mask_of_another_shape_is_refused(metric: Metric) -> None:
    with pytest.raises(ConfigError, match="SW-F263"):
        metric(torch.zeros(1, 4, 4), square())


@pytest.mark.parametrize("threshold", [0, 1.5, math.nan, True, "best"])
def test_a_threshold_is_a_share_of_the_maximum(threshold: object) -> None:
    with pytest.raises(ConfigError, match="SW-F264"):
        iou(square().float(), square(), threshold=threshold)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [iou, max_box_acc_v2])
def test_there_is_at_least_one_cut(metric: Metric) -> None:
    with pytest.raises(ConfigError, match="SW-F252"):
        metric(square().float(), square(), cuts=0)


def test_the_best_cut_is_told_and_not_taken() -> None:
    # A halo of half the object's evidence around it: 20 % of the maximum keeps all of it, a cut above a half none.
    maps = torch.where(square(), 1.0, 0.0)
    maps[:, 1:7, 0:6] += 0.5
    found = iou(maps, square(), cuts=10)
    assert found.values.item() == 16 / 36
    assert found.details["best"].item() == 1
    assert found.details["best_threshold"].item() == pytest.approx(0.4)  # the first above 0.5 of 1.5


def test_a_box_around_the_right_part_counts_and_not_that_around_all() -> None:
    maps = square().float()
    maps[:, 7, 7] = 1
    assert max_box_acc_v2(maps, square()).values.item() == 1


def test_a_box_that_fits_half_reaches_one_or_two_of_the_overlaps() -> None:
    half, fifth = square().clone(), square().clone()
    half[:, 4:] = False  # 8 of 16 cells: 0.5 reaches 0.3 and 0.5
    fifth[:, :, 2:] = False
    fifth[:, 2:4] |= square()[:, 2:4] & (torch.arange(8) < 3)  # its box is 4 × 2 cells: the same
    assert max_box_acc_v2(half.float(), square()).values.item() == pytest.approx(2 / 3)
    assert max_box_acc_v2(fifth.float(), square()).values.item() == pytest.approx(2 / 3)


def test_a_data_set_has_one_threshold_for_all_records() -> None:
    overlaps = torch.tensor([[0.9, 0.2, 0.4], [0.2, 0.9, 0.4]])
    # 0.3: the third threshold serves both; 0.5 and 0.7: one record at most.
    assert max_box_accuracy(overlaps) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert math.isnan(max_box_accuracy(overlaps[:0]))


def test_broken_ties_do_not_decide_ranks() -> None:
    flat = torch.zeros(1, 8, 8)
    for turned in (square(), square().flip(1), square().flip(2)):
        assert relevance_rank_accuracy(flat, turned).values.item() == 0.25
