"""Statistics per channel: closed forms, merging in any order, zeros of both kinds, broken variants that are noticed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies
from torch import Tensor

from seewhy.features.statistics import NEAR_ZERO, ChannelStatistics
from seewhy.values import DataError


def twin(values: Tensor) -> dict[str, Tensor]:
    """The same numbers from all values at once, in float64."""
    by_channel = values.double().transpose(0, 1).flatten(1)
    largest = values.double().abs().flatten(1).amax(dim=1)
    limits = (NEAR_ZERO * largest)[:, None].expand(len(values), by_channel.shape[1] // len(values)).flatten()
    return {
        "mean": by_channel.mean(dim=1),
        "variance": by_channel.var(dim=1, correction=0),
        "minimum": by_channel.amin(dim=1),
        "maximum": by_channel.amax(dim=1),
        "zeros": (by_channel == 0).sum(dim=1),
        "near_zeros": (by_channel.abs() <= limits).sum(dim=1),
    }


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (4, 2, 7), (5, 3), (2, 2, 3, 4, 5), (2, 600, 33, 33)])
@pytest.mark.parametrize("behind_relu", [True, False])
def test_every_number_is_that_of_all_values_at_once(shape: tuple[int, ...], behind_relu: bool) -> None:
    values = torch.randn(shape, dtype=torch.float64) * 3 + 0.5
    values = values.relu() if behind_relu else values
    found = ChannelStatistics.of(values)
    expected = twin(values)
    for name, value in expected.items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-10, atol=1e-12, msg=name)
    assert (found.records, found.count) == (shape[0], values.numel() // shape[1])
    whole = found.summary()
    assert whole.mean == pytest.approx(float(values.mean()), rel=1e-10)
    assert whole.std == pytest.approx(float(values.std(correction=0)), rel=1e-10)
    assert whole.sparsity == pytest.approx(float((values == 0).double().mean()), abs=1e-15)


def test_a_large_mean_costs_no_digits_of_the_spread() -> None:
    values = torch.randn(2, 1, 100, 100, dtype=torch.float32) + 10_000
    assert float(ChannelStatistics.of(values).variance) == pytest.approx(
        float(values.double().var(correction=0)), rel=1e-4
    )


@given(strategies.lists(strategies.integers(1, 4), min_size=2, max_size=5))
def test_parts_merge_to_the_whole_in_any_order(sizes: list[int]) -> None:
    values = torch.randn(sum(sizes), 3, 4, dtype=torch.float64)
    parts = [ChannelStatistics.of(part) for part in values.split(sizes)]
    forwards, backwards = parts[0], parts[-1]
    for part in parts[1:]:
        forwards = forwards.merged(part)
    for part in reversed(parts[:-1]):
        backwards = backwards.merged(part)
    for merged in (forwards, backwards):
        for name, value in twin(values).items():
            torch.testing.assert_close(getattr(merged, name), value, rtol=1e-9, atol=1e-12, msg=name)


def test_a_channel_is_dead_only_if_no_record_wakes_it() -> None:
    first, second = torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    first[0, 1] = second[0, 1] = 0
    first[0, 2] = 0.005  # below a hundredth of the layer's largest value, until the second record
    assert ChannelStatistics.of(first).summary().dead_channels == (1, 2)
    assert ChannelStatistics.of(first).merged(ChannelStatistics.of(second)).summary().dead_channels == (1,)


def test_behind_gelu_nothing_is_zero_and_much_is_near_it() -> None:
    values = torch.nn.functional.gelu(torch.arange(-800, 801, dtype=torch.float64) / 100)[None, None]
    found = ChannelStatistics.of(values).summary()
    near = int((values.abs() <= NEAR_ZERO * float(values.max())).sum())
    assert found.num_zero == 1
    assert found.near_zero == near / 1601 > 0.3


def test_values_that_are_no_numbers_are_counted_and_told() -> None:
    values = torch.ones(1, 2, 3)
    values[0, 1, 0], values[0, 1, 2] = math.nan, math.inf
    found = ChannelStatistics.of(values)
    assert found.nonfinite.tolist() == [0, 2]
    assert math.isnan(found.summary().mean)
    assert float(found.mean[0]) == 1.0


def test_no_channel_dies_of_values_that_are_no_numbers() -> None:
    values = torch.ones(1, 3, 4)
    values[0, 0], values[0, 1, 0] = 0, math.nan
    assert ChannelStatistics.of(values).summary().dead_channels == (0,)
    assert ChannelStatistics.of(torch.full((1, 2, 3), math.inf)).summary().dead_channels == ()
    with pytest.raises(DataError) as raised:
        ChannelStatistics.of(torch.zeros(1, 0, 6))
    assert raised.value.code == "SW-D134"


def test_half_precision_and_whole_numbers_are_read_in_full() -> None:
    assert ChannelStatistics.of(torch.full((1, 1, 70_000), 2.0, dtype=torch.float16)).mean.tolist() == [2.0]
    assert ChannelStatistics.of(torch.tensor([[[1, 2]]])).mean.tolist() == [1.5]


def test_what_goes_into_a_file_comes_out_of_it() -> None:
    found = ChannelStatistics.of(torch.randn(2, 3, 4))
    again = ChannelStatistics.from_state(found.state())
    assert again.summary() == found.summary()
    assert torch.equal(again.squares, found.squares)


def _without_the_means_apart(self: ChannelStatistics, other: ChannelStatistics) -> ChannelStatistics:
    count = self.count + other.count
    return replace(self, count=count, squares=self.squares + other.squares)


def test_merging_without_the_distance_of_the_means_is_noticed() -> None:
    values = torch.tensor([[[0.0, 2.0]], [[10.0, 12.0]]], dtype=torch.float64)
    parts = [ChannelStatistics.of(part) for part in values.split(1)]
    broken = _without_the_means_apart(*parts)
    assert float(broken.variance) == 1.0
    assert float(parts[0].merged(parts[1]).variance) == 26.0
