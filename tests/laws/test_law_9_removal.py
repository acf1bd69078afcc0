"""Law 9 for the metrics that remove places: a broken part of each formula turns an oracle red."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import removal_oracles as oracles
import torch
from torch import Tensor

import seewhy.metrics.removal as removal
from seewhy.metrics import confidence, deletion, imputation, irof, pixel_flipping, region_perturbation, regions, road

NOTICED = 1e-3
TRUE_RANKS, TRUE_REPLACED, TRUE_HEAT = removal.ranks, removal.replaced, confidence.heat_of
TRUE_NEIGHBORS, ALL_GRIDS = imputation._neighbors, imputation._grids


def worst_of_curves() -> float:
    """How far deletion, insertion and pixel flipping are from what they should be."""
    return max(
        oracles.curve_against_definition(deletion.deletion),
        oracles.curve_against_definition(deletion.insertion, start="filling"),
        oracles.curve_against_definition(pixel_flipping.pixel_flipping),
    )


def without_the_first_point(curve: Tensor, fraction: Tensor) -> Tensor:
    return removal.area(curve[:, 1:], fraction[:, 1:])


def by_ones(curve: Tensor, fraction: Tensor) -> Tensor:
    return removal.area(curve, torch.arange(curve.shape[1], dtype=torch.float64).expand_as(fraction))


def by_rectangles(curve: Tensor, fraction: Tensor) -> Tensor:
    return (curve[:, 1:].double() * fraction.diff(dim=1)).sum(dim=1)


def a_share_of_the_clean_one(curve: Tensor, fraction: Tensor) -> Tensor:
    return removal.area(curve, fraction) / curve[:, 0]


def least_first(evidence: Tensor, *others: object) -> Tensor:
    return TRUE_RANKS(-evidence, *others)


def by_magnitude(evidence: Tensor, *others: object) -> Tensor:
    return TRUE_RANKS(evidence.abs(), *others)


def remainder_kept(places: int, steps: int) -> list[int]:
    return [step * (places // steps) for step in range(steps + 1)]


def evenly(gone: list[int], curve: Tensor) -> Tensor:
    return torch.linspace(0, 1, len(gone), dtype=torch.float64).expand(len(curve), -1)


def one_channel(image: Tensor, filling: Tensor, *others: object) -> removal.Change:
    return TRUE_REPLACED(image, torch.cat([filling[:, :1], image[:, 1:]], dim=1), *others)


def swapped(image: Tensor, filling: Tensor, *others: object) -> removal.Change:
    return TRUE_REPLACED(filling, image, *others)


BROKEN_CURVES: dict[str, tuple[str, Callable[..., object]]] = {
    "the unperturbed point is left out": ("area", without_the_first_point),
    "a step is as wide as a whole": ("area", by_ones),
    "the rectangles at the right": ("area", by_rectangles),
    "the clean probability divides": ("area", a_share_of_the_clean_one),
    "least first": ("ranks", least_first),
    "magnitudes": ("ranks", by_magnitude),
    "a remainder is never removed": ("counts", remainder_kept),
    "steps of unequal size count alike": ("fractions", evenly),
    "one channel alone": ("replaced", one_channel),
    "what stays and what goes are swapped": ("replaced", swapped),
}


@pytest.mark.parametrize(("part", "broken"), BROKEN_CURVES.values(), ids=BROKEN_CURVES)
def test_a_broken_curve_is_noticed(part: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (deletion, pixel_flipping):
        monkeypatch.setattr(module, part, broken)
    if part == "fractions":
        assert oracles.curve_against_definition(deletion.deletion, steps=13) > NOTICED
    assert worst_of_curves() > NOTICED / 10


def rescored(change: Callable[[Tensor], Tensor]) -> oracles.Metric:
    """AOPC whose value is made anew from its curve."""

    def metric(*given: object, **settings: object) -> oracles.Grade:
        found = region_perturbation.aopc_morf(*given, **settings)
        return oracles.Grade(change(found.details["curve"]), found.reasons, found.details)

    return metric


BROKEN_AOPC: dict[str, oracles.Metric] = {
    "the image itself is left out": rescored(lambda curve: (curve[:, :1] - curve[:, 1:]).mean(dim=1)),
    "the sum": rescored(lambda curve: (curve[:, :1] - curve).sum(dim=1)),
    "the mean probability": rescored(lambda curve: curve.mean(dim=1)),
    "sign swapped": rescored(lambda curve: (curve - curve[:, :1]).mean(dim=1)),
    "least first": region_perturbation.aopc_lerf,
}


@pytest.mark.parametrize("broken", BROKEN_AOPC.values(), ids=BROKEN_AOPC)
def test_a_broken_aopc_is_noticed(broken: oracles.Metric) -> None:
    assert oracles.aopc_against_definition(broken) > NOTICED
    assert oracles.aopc_of_a_sum(broken) > NOTICED


def test_regions_ordered_by_their_sum_are_noticed_where_the_edges_cut_some(monkeypatch: pytest.MonkeyPatch) -> None:
    true = regions.region_means
    monkeypatch.setattr(regions, "region_means", lambda *given: sums_of(true, *given))
    assert oracles.aopc_against_definition(region_perturbation.aopc_morf) > NOTICED


def sums_of(means: Callable[[Tensor, Tensor], Tensor], evidence: Tensor, numbers: Tensor) -> Tensor:
    found = means(evidence, numbers)
    ones = torch.ones_like(numbers.flatten(1), dtype=found.dtype)
    return found * torch.zeros_like(found).scatter_add(1, numbers.flatten(1), ones)


def test_irof_without_the_clean_probability_or_by_the_worst_places_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def area_under(*given: object, **settings: object) -> oracles.Grade:
        found = irof.irof(*given, **settings)
        return oracles.Grade(1 - found.values, found.reasons, found.details)

    assert oracles.irof_against_definition(area_under) > NOTICED
    monkeypatch.setattr(irof, "region_ranks", lambda evidence, *others: regions.region_ranks(-evidence, *others))
    assert oracles.irof_against_definition(irof.irof) > NOTICED


def plus_neighbors(values: Tensor, rank: int) -> Tensor:
    """The four beside alone, a quarter each."""
    padded = torch.nn.functional.pad(values, (1, 1, 1, 1))
    beside = padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2] + padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1]
    return beside / 4


BROKEN_NEIGHBORS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "none across": plus_neighbors,
    "all eight alike": lambda values, rank: torch.nn.functional.avg_pool2d(values, 3, 1, 1) * 9 / 8 - values / 8,
    "the picture goes round": lambda values, rank: TRUE_NEIGHBORS(values, rank) + values.roll(1, -1) / 12,
}


@pytest.mark.parametrize("broken", BROKEN_NEIGHBORS.values(), ids=BROKEN_NEIGHBORS)
def test_other_neighbors_are_noticed(broken: Callable[[Tensor, int], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "_neighbors", broken)
    assert not oracles.imputation_against_elimination(imputation.imputed) < NOTICED


def test_a_known_place_that_a_coarse_grid_overwrites_costs_passes_not_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preconditioner changes the way, never the end: even without any coarser grid the answer is the same."""
    monkeypatch.setattr(imputation, "_grids", lambda absent, like: ALL_GRIDS(absent, like)[:1])
    assert oracles.imputation_against_elimination(imputation.imputed) < 1e-9


def unfilled(image: Tensor, missing: Tensor, **settings: object) -> Tensor:
    return torch.where(missing.unsqueeze(1), 0.0, image)


@pytest.mark.parametrize("broken", ["black holes", "least first", "the known places are imputed"])
def test_a_broken_road_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken == "black holes":
        monkeypatch.setattr(road, "imputed", unfilled)
    elif broken == "least first":
        monkeypatch.setattr(road, "ranks", least_first)
    else:
        monkeypatch.setattr(road, "imputed", lambda image, missing: imputation.imputed(image, ~missing))
    assert oracles.road_against_definition(road.road) > NOTICED


BROKEN_HEAT: dict[str, Callable[[Tensor], Tensor]] = {
    "magnitudes": lambda maps: maps.abs() / maps.abs().flatten(1).amax(dim=1).reshape(-1, 1, 1),
    "minimum to maximum": lambda maps: (
        (maps - maps.flatten(1).amin(1).reshape(-1, 1, 1))
        / (maps.flatten(1).amax(1) - maps.flatten(1).amin(1)).reshape(-1, 1, 1)
    ),
    "not a share of the largest": lambda maps: maps.clamp(min=0),
    "over the batch": lambda maps: maps.clamp(min=0) / maps.max(),
    "inverted": lambda maps: 1 - TRUE_HEAT(maps),
}


@pytest.mark.parametrize("broken", BROKEN_HEAT.values(), ids=BROKEN_HEAT)
def test_another_heat_map_is_noticed(broken: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence, "heat_of", broken)
    assert oracles.confidence_against_definition(confidence.average_drop, "drop") > NOTICED
    assert oracles.confidence_against_definition(confidence.average_gain, "gain") > NOTICED


def test_drop_increase_and_gain_are_told_apart() -> None:
    known = {
        "drop": confidence.average_drop,
        "increase": confidence.increase_in_confidence,
        "gain": confidence.average_gain,
    }
    for what in known:
        for name, metric in known.items():
            assert (oracles.confidence_against_definition(metric, what) < 1e-10) == (name == what)
