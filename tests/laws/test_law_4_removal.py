"""Metrics that remove places, against closed forms and NumPy twins written from the papers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import removal_oracles as oracles
import torch
from oracles import random

from seewhy.metrics.asking import Asking
from seewhy.metrics.confidence import average_drop, average_gain, increase_in_confidence
from seewhy.metrics.deletion import deletion, insertion
from seewhy.metrics.imputation import imputed
from seewhy.metrics.irof import irof
from seewhy.metrics.pixel_flipping import pixel_flipping
from seewhy.metrics.region_perturbation import aopc_lerf, aopc_morf
from seewhy.metrics.road import road, road_lerf, road_morf

TRUTHS: dict[str, Callable[[], float]] = {
    "deletion, step by step": lambda: oracles.curve_against_definition(deletion),
    "deletion, more steps than places": lambda: oracles.curve_against_definition(deletion, steps=33),
    "insertion, step by step": lambda: oracles.curve_against_definition(insertion, start="filling"),
    "pixel flipping, step by step": lambda: oracles.curve_against_definition(pixel_flipping),
    "deletion of what needs every value": lambda: oracles.all_is_lost_at_once(deletion),
    "insertion of what any value convinces": lambda: oracles.all_is_won_at_once(insertion),
    "deletion of a patch": lambda: oracles.mean_of_a_patch(deletion),
    "insertion of a patch": lambda: oracles.mean_of_a_patch(insertion, insertion=True),
    "AOPC, most first": lambda: oracles.aopc_against_definition(aopc_morf),
    "AOPC, least first": lambda: oracles.aopc_against_definition(aopc_lerf, least_first=True),
    "AOPC of a sum": lambda: oracles.aopc_of_a_sum(aopc_morf),
    "AOPC of a sum, least first": lambda: oracles.aopc_of_a_sum(aopc_lerf, least_first=True),
    "IROF": lambda: oracles.irof_against_definition(irof),
    "average drop": lambda: oracles.confidence_against_definition(average_drop, "drop"),
    "increase in confidence": lambda: oracles.confidence_against_definition(increase_in_confidence, "increase"),
    "average gain": lambda: oracles.confidence_against_definition(average_gain, "gain"),
    "imputation": lambda: oracles.imputation_against_elimination(imputed),
}


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_metrics_are_what_the_papers_say(truth: Callable[[], float]) -> None:
    assert truth() < 1e-10


@pytest.mark.parametrize(("metric", "order"), [(road, "both"), (road_morf, "morf"), (road_lerf, "lerf")])
def test_road_is_what_the_paper_says_up_to_the_solver_s_tolerance(
    metric: Callable[..., oracles.Grade], order: str
) -> None:
    assert oracles.road_against_definition(metric, order=order) < 1e-5


@pytest.mark.parametrize("size", [(1,), (2,), (33,), (1, 8), (14, 9), (5, 6, 7)])
def test_in_any_rank_a_missing_place_is_the_mean_of_its_neighbors(size: tuple[int, ...]) -> None:
    """What is found obeys the equations themselves, with weights ``[1, 2, 1]`` along every axis less the middle."""
    image, missing = random(2, 1, *size), random(2, *size, seed=4) < 0.4
    missing.view(2, -1)[:, 0] = False
    found = imputed(image, missing, tolerance=1e-13)
    for record, hole in zip(found[:, 0].numpy(), missing.numpy(), strict=True):
        for place in zip(*np.nonzero(hole), strict=True):
            total = weights = 0.0
            for step in np.ndindex(*[3] * len(size)):
                other = tuple(int(at) + move - 1 for at, move in zip(place, step, strict=True))
                inside = all(0 <= at < length for at, length in zip(other, size, strict=True))
                if inside and other != tuple(place):
                    weight = 2.0 ** sum(move == 1 for move in step)
                    total, weights = total + weight * record[other], weights + weight
            assert record[place] == pytest.approx(total / weights, abs=1e-9)
    assert torch.equal(found.masked_select(~missing.unsqueeze(1)), image.masked_select(~missing.unsqueeze(1)))


def test_imputed_pictures_do_not_depend_on_each_other_and_single_precision_is_close() -> None:
    image = random(3, 2, 40, 33).float()
    missing = random(3, 40, 33, seed=1) < torch.tensor([-1.0, 0.5, 2.0]).reshape(3, 1, 1)
    together = imputed(image, missing)
    alone = torch.cat([imputed(image[row : row + 1], missing[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    exact = imputed(image.double(), missing, tolerance=1e-13)
    assert float((together - exact).abs().max()) < 1e-4


def test_a_map_without_information_is_graded_as_random_order_is() -> None:
    """Only the upper half matters: raster order would find it first, and random order finds it half of the time."""
    image = torch.ones(40, 1, 16, 16, dtype=torch.float64)
    upper = Asking.of(lambda images: images[:, 0, :8].flatten(1).mean(dim=1), image)
    ids = tuple(str(number) for number in range(40))
    found = deletion(torch.full((40, 16, 16), 0.3), image, upper, lambda fill: torch.zeros_like(image), ids, steps=16)
    assert found.values.mean().item() == pytest.approx(0.5, abs=0.01)
    assert found.values.std().item() > 0.001
    nothing = torch.zeros_like(image[:1])
    again = deletion(
        nothing[:, 0], image[:1], Asking(upper.ask, upper.clean[:1]), lambda fill: nothing, ids[:1], steps=16
    )
    assert again.values[0] == found.values[0]
