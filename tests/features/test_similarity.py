"""Similarity of representations against closed forms, an independent twin in NumPy, and broken variants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seewhy.features import similarity
from seewhy.features.similarity import (
    channel_correlation,
    linear_cka,
    mean_difference,
    mean_map,
    places_as_examples,
    vector_correlation,
)
from seewhy.values import ConfigError


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(size: int) -> Tensor:
    return torch.linalg.qr(random(size, size, seed=9))[0]


def twin(x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith 2019, eq. 1 and 3: HSIC of centred Gram matrices, written with the centring matrix."""
    count = len(x)
    centre = np.eye(count) - 1 / count
    k, other = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return float(np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other)))


def unbiased_twin(x: np.ndarray, y: np.ndarray) -> float:
    """Song 2012, eq. 4 (Nguyen 2021, eq. 3) term by term, on kernels that are not centred."""

    def hsic(k: np.ndarray, other: np.ndarray) -> float:
        n, ones = len(k), np.ones(len(k))
        k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
        total = np.trace(k @ other) + (ones @ k @ ones) * (ones @ other @ ones) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * (ones @ k @ other @ ones)) / (n * (n - 3))

    k, other = x @ x.T, y @ y.T
    return float(hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other)))


SHAPES = [(50, 3, 4), (6, 40, 30), (10, 10, 12), (5, 2, 200)]


@pytest.mark.parametrize(("count", "first", "second"), SHAPES)
def test_both_estimates_equal_their_definitions_in_either_form(count: int, first: int, second: int) -> None:
    x, y = random(count, first) + 3, random(count, second, seed=1) - 5
    y[:, :2] += x[:, :2]
    assert linear_cka(x, y) == pytest.approx(twin(x.numpy(), y.numpy()), abs=1e-10)
    assert linear_cka(x, y, unbiased=True) == pytest.approx(unbiased_twin(x.numpy(), y.numpy()), abs=1e-9)


@pytest.mark.parametrize("unbiased", [False, True])
def test_a_rotation_a_scale_and_a_shift_change_nothing(unbiased: bool) -> None:
    x, y = random(30, 8), random(30, 5, seed=2)
    turned = 7 * x @ rotation(8) + 100
    assert linear_cka(x, turned, unbiased=unbiased) == pytest.approx(1, abs=1e-9)
    assert linear_cka(turned, y, unbiased=unbiased) == pytest.approx(linear_cka(x, y, unbiased=unbiased), abs=1e-9)
    assert linear_cka(y, x, unbiased=unbiased) == pytest.approx(linear_cka(x, y, unbiased=unbiased), abs=1e-12)


def test_stretching_one_direction_does_change_it() -> None:
    x = random(200, 2)
    stretched = x * torch.tensor([10.0, 1.0])
    assert linear_cka(x, stretched) < 0.9


def test_representations_without_a_common_direction_have_nothing_in_common() -> None:
    first = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    second = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert linear_cka(first, second) == 0


def test_only_the_unbiased_estimate_sees_that_wide_noise_is_unrelated() -> None:
    x, y = random(20, 2000), random(20, 2000, seed=1)
    assert linear_cka(x, y) > 0.9
    assert abs(linear_cka(x, y, unbiased=True)) < 0.1


def test_a_representation_that_does_not_vary_has_no_similarity() -> None:
    assert math.isnan(linear_cka(torch.full((9, 3), 0.1), random(9, 3)))
    assert math.isnan(linear_cka(random(9, 3), torch.zeros(9, 2)))


@pytest.mark.parametrize("other", [random(4, 2), random(5), random(5, 2, 2)])
def test_tables_that_do_not_belong_together_are_refused(other: Tensor) -> None:
    with pytest.raises(ConfigError, match="SW-F164"):
        linear_cka(random(5, 2), other)


def test_the_unbiased_estimate_needs_four_examples() -> None:
    with pytest.raises(ConfigError, match="4 or more"):
        linear_cka(random(3, 2), random(3, 2), unbiased=True)


def test_the_places_of_a_map_are_its_examples() -> None:
    maps = torch.arange(12).reshape(2, 2, 3)
    assert places_as_examples(maps).tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]
    assert places_as_examples(torch.tensor([5, 6])).tolist() == [[5, 6]]


def test_correlations_are_those_of_numpy_and_a_constant_channel_has_none() -> None:
    first, second = random(4, 3, 5).float(), random(4, 3, 5, seed=1).float()
    first[2], second[3] = 0.1, 0.0
    found = channel_correlation(first, second)
    for channel in (0, 1):
        expected = np.corrcoef(first[channel].flatten().double(), second[channel].flatten().double())[0, 1]
        assert found[channel].item() == pytest.approx(expected, abs=1e-12)
    assert found.isnan().tolist() == [False, False, True, True]


def test_a_channel_scaled_or_turned_over_correlates_fully() -> None:
    maps = random(2, 4, 4)
    assert channel_correlation(maps, torch.stack([3 * maps[0] + 1, -maps[1]])).tolist() == pytest.approx([1, -1])


def test_vectors_are_correlated_over_their_channels() -> None:
    assert vector_correlation(torch.tensor([1.0, 2, 4]), torch.tensor([2.0, 4, 8])) == pytest.approx(1)
    assert channel_correlation(torch.tensor([1.0, 2, 4]), torch.tensor([2.0, 4, 8])).isnan().all()


def test_layers_of_two_shapes_have_no_common_channels() -> None:
    with pytest.raises(ConfigError, match=r"SW-F165.*\(2, 4, 4\)"):
        channel_correlation(random(2, 4, 4), random(3, 4, 4))


def test_mean_maps_and_the_difference_channel_by_channel() -> None:
    first = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    second = torch.tensor([[[3.0, 4.0]], [[1.0, 2.0]]])
    assert mean_map(first).tolist() == [[2.0, 3.0]]
    # the mean maps are equal, the channels are not
    assert mean_difference(first, second).tolist() == [[2.0, 2.0]]
    assert mean_map(torch.tensor([1, 2])).tolist() == [1.0, 2.0]
    assert mean_difference(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])).tolist() == [2.0, 1.0]


def off(function: Callable[..., float], unbiased: bool) -> float:
    """How far an implementation is from its definition."""
    x, y = random(12, 3) + 1, random(12, 4, seed=1)
    y[:, :3] += x
    expected = (unbiased_twin if unbiased else twin)(x.numpy(), y.numpy())
    return abs(function(x, y, unbiased=unbiased) - expected)


@pytest.mark.parametrize("unbiased", [False, True])
def test_broken_variants_are_told_from_the_definitions(unbiased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert off(linear_cka, unbiased) < 1e-9
    monkeypatch.setattr(similarity, "_centred", lambda table: table.double())
    assert off(linear_cka, unbiased) > 1e-3
    monkeypatch.undo()
    # the biased product in place of the unbiased; magnitudes in place of squares
    monkeypatch.setattr(similarity, "_unbiased_product", similarity._product)
    if not unbiased:
        monkeypatch.setattr(similarity, "_product", lambda x, y: float((y.T @ x).abs().sum()))
    assert off(linear_cka, unbiased) > 1e-3
