"""What sparseness, entropy and effective complexity are of maps that anybody can count."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seewhy.metrics.complexity import complexity, effective_complexity, gini
from seewhy.metrics.grade import Grade
from seewhy.values import ConfigError

ALL: tuple[Callable[[Tensor], Grade], ...] = (gini, complexity, effective_complexity)
COUNT = 6 * 5
ONE_HOT, UNIFORM = torch.zeros(1, 6, 5), torch.full((1, 6, 5), -0.1)
ONE_HOT[0, 2, 3] = -4


def some_maps() -> Tensor:
    return torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("metric", "one", "all_"),
    [(gini, 1 - 1 / COUNT, 0), (complexity, 0, math.log(COUNT)), (effective_complexity, 1, COUNT)],
)
def test_one_place_and_all_places_are_the_two_ends(metric: Callable[..., Grade], one: float, all_: float) -> None:
    assert metric(ONE_HOT).values.item() == pytest.approx(one, abs=1e-12)
    assert metric(UNIFORM).values.item() == pytest.approx(all_, abs=1e-6)
    values = metric(some_maps()).values
    assert ((values > min(one, all_)) & (values < max(one, all_))).all()


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("scale", [-3.0, 1e-300, 1e300])
def test_neither_scale_nor_sign_nor_order_matters(metric: Callable[..., Grade], scale: float) -> None:
    maps = some_maps()
    torch.testing.assert_close(metric(maps * scale).values, metric(maps).values)
    torch.testing.assert_close(metric(maps.flip(1, 2).mT).values, metric(maps).values)


@pytest.mark.parametrize("metric", ALL)
def test_a_map_of_zeros_has_no_value_and_its_neighbour_has(metric: Callable[..., Grade]) -> None:
    found = metric(torch.cat([torch.zeros_like(ONE_HOT), ONE_HOT]))
    assert found.reasons == ("the map is zero everywhere", None)
    assert found.values[0].isnan()


@pytest.mark.parametrize("metric", ALL)
def test_the_maps_stay_as_they_are(metric: Callable[..., Grade]) -> None:
    maps = some_maps()
    before = maps.clone()
    metric(maps)
    assert torch.equal(maps, before)


def test_entropy_and_count_are_told_as_shares_too() -> None:
    assert complexity(UNIFORM).details["share"].item() == pytest.approx(1)
    assert effective_complexity(ONE_HOT).details["share"].item() == 1 / COUNT


def test_an_epsilon_of_its_own_counts_from_it_on_at_any_scale() -> None:
    maps = torch.tensor([[0.5, -2.0, 0.1]])
    assert effective_complexity(maps, epsilon=0.3, relative=False).values.item() == 2
    assert effective_complexity(maps, epsilon=0.3).values.item() == 1


def test_an_epsilon_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="SW-F265"):
        effective_complexity(ONE_HOT, epsilon=1.0)
    with pytest.raises(ConfigError, match="SW-F253"):
        effective_complexity(ONE_HOT, epsilon=-0.1)
    assert effective_complexity(ONE_HOT, epsilon=1.0, relative=False).values.item() == 1
