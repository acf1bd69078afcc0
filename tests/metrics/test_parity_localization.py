"""Localization and complexity beside quantus 0.6.0: equal where it is right, and why not where it is not.

What quantus gives is known by running it. Its own numbers stand in the tests where they are wrong, so that a release
that puts them right is noticed.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seewhy.metrics.complexity import complexity, effective_complexity, gini
from seewhy.metrics.localization import relevance_mass_accuracy, relevance_rank_accuracy
from seewhy.metrics.mask_agreement import localization_auc
from seewhy.metrics.pointing import pointing_game

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Before the surroundings of the first test are looked at: OpenCV, which comes along, sets variables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("quantus", reason="quantus is not installed")


def some_maps() -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    maps = torch.rand(4, 8, 8, generator=drawn, dtype=torch.float64)
    return maps, torch.rand(4, 8, 8, generator=drawn) < 0.3


def theirs(metric: str, maps: Tensor, masks: Tensor | None = None, **settings: Any) -> list[float]:
    """What quantus says of these maps, as they are unless ``settings`` say otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        asked = getattr(quantus, metric)(
            **{"normalise": False, "disable_warnings": True, "display_progressbar": False, **settings}
        )
        found = asked(
            model=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)).eval(),
            x_batch=np.random.default_rng(0).random((len(maps), 1, 8, 8), dtype=np.float32),
            y_batch=np.arange(len(maps)) % 3,
            a_batch=maps[:, None].numpy().copy(),
            s_batch=None if masks is None else masks[:, None].numpy().copy(),
            device="cpu",
        )
    return [float(value) for value in found]


def test_localization_is_that_of_quantus_on_maps_without_ties_or_signs() -> None:
    maps, masks = some_maps()
    signs = {"abs": False}
    assert pointing_game(maps, masks).values.tolist() == theirs("PointingGame", maps, masks, **signs)
    for ours, metric in (
        (relevance_mass_accuracy, "RelevanceMassAccuracy"),
        (relevance_rank_accuracy, "RelevanceRankAccuracy"),
        (localization_auc, "AUC"),
    ):
        assert ours(maps, masks).values.tolist() == pytest.approx(theirs(metric, maps, masks, **signs), abs=1e-8)


def test_complexity_is_that_of_quantus_up_to_its_epsilons() -> None:
    maps, _ = some_maps()
    signed = maps - 0.5
    assert gini(signed).values.tolist() == pytest.approx(theirs("Sparseness", signed), abs=1e-5)
    assert complexity(signed).values.tolist() == pytest.approx(theirs("Complexity", signed), abs=1e-6)
    counted = effective_complexity(signed, epsilon=0.2, relative=False).values.tolist()
    assert counted == theirs("EffectiveComplexity", signed, eps=0.2)


def test_in_quantus_a_constant_map_always_hits_and_so_does_an_empty_mask() -> None:
    maps, masks = some_maps()
    maps[1], masks[2] = 0.5, False
    assert theirs("PointingGame", maps, masks, abs=False)[1:3] == [1, 1]
    ours = pointing_game(maps, masks)
    assert ours.values[1].item() == masks[1].double().mean().item()
    assert ours.reasons[2] == "the mask is empty"


def test_in_quantus_a_constant_map_has_the_ranks_of_its_places_order() -> None:
    maps, masks = some_maps()[0], torch.zeros(4, 8, 8, dtype=torch.bool)
    maps[0], masks[:, :2] = 0.5, True
    first, last = (theirs("RelevanceRankAccuracy", maps, each, abs=False)[0] for each in (masks, masks.flip(1)))
    assert (first, last) == (1.0, 0.0)
    for each in (masks, masks.flip(1)):
        assert relevance_rank_accuracy(maps, each).values[0].item() == 0.25


def test_in_quantus_the_mass_of_signed_maps_is_no_share() -> None:
    maps, masks = some_maps()
    found = theirs("RelevanceMassAccuracy", maps - 0.5, masks, abs=False)
    assert min(found) < 0
    ours = relevance_mass_accuracy(maps - 0.5, masks).values
    assert ((ours >= 0) & (ours <= 1)).all()


def test_in_quantus_a_records_weighted_localization_depends_on_how_many_there_are() -> None:
    maps, masks = some_maps()
    several, fewer = (
        theirs("AttributionLocalisation", maps[:count], masks[:count], abs=False, weighted=True)[0] for count in (4, 3)
    )
    assert several == pytest.approx(fewer / 2)  # one record more than two doubles to two records more
    one, alone = relevance_mass_accuracy(maps, masks).values[0], relevance_mass_accuracy(maps[:1], masks[:1]).values[0]
    assert one.item() == alone.item()


def test_in_quantus_entropy_of_signed_maps_is_nan_and_maps_are_written_to() -> None:
    maps, _ = some_maps()
    assert all(np.isnan(theirs("Complexity", maps - 0.5, abs=False)))
    assert complexity(maps - 0.5).values.isfinite().all()
    quantus = pytest.importorskip("quantus")
    for name in ("Sparseness", "Complexity"):
        given = maps.numpy().copy()
        getattr(quantus, name)(disable_warnings=True).evaluate_batch(x_batch=given, a_batch=given)
        assert not np.array_equal(given, maps.numpy())
