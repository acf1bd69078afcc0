"""The most excited records: the very ones of sorting everything at once, whatever the batches and their order."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from seewhy.features.excited import MostExcited, Reduce

MAPS = torch.randint(-9, 9, (23, 4, 3, 5), generator=torch.Generator().manual_seed(0)).float()
"""Few different values, so that many records are equal."""


def found(maps: Tensor, cuts: list[int], reverse: bool = False, **settings: object) -> dict[int, list[tuple]]:
    heap = MostExcited(**{"top_k": 5, **settings})
    parts = [list(range(*ends)) for ends in pairwise([0, *cuts, len(maps)])]
    for part in reversed(parts) if reverse else parts:
        heap.add(part, maps[part])
    return {
        channel: [(each.position, each.value, each.place, each.map.tolist()) for each in ranked]
        for channel, ranked in heap.ranked().items()
    }


def by_sorting(maps: Tensor, reduce: Reduce, top_k: int = 5) -> dict[int, list[tuple[int, float]]]:
    values = maps.double().flatten(2)
    values = values.amax(2) if reduce == "max" else values.mean(2)
    return {
        channel: sorted(enumerate(values[:, channel].tolist()), key=lambda pair: (-pair[1], pair[0]))[:top_k]
        for channel in range(maps.shape[1])
    }


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_they_are_those_of_sorting_all_values_with_equal_ones_in_the_order_of_the_records(reduce: Reduce) -> None:
    expected = by_sorting(MAPS, reduce)
    assert any(one[1] == other[1] for ranked in expected.values() for one, other in pairwise(ranked))
    ranked = found(MAPS, [8, 16], reduce=reduce)
    assert {channel: [one[:2] for one in each] for channel, each in ranked.items()} == expected


@pytest.mark.parametrize("cuts", [[], [1, 2], [7, 8, 20], list(range(1, 23))])
def test_neither_the_size_nor_the_order_of_batches_changes_anything(cuts: list[int]) -> None:
    assert found(MAPS, cuts) == found(MAPS, [10]) == found(MAPS, cuts, reverse=True)


def test_the_place_is_where_the_map_is_highest_and_the_map_is_the_records_own() -> None:
    for channel, ranked in found(MAPS, [10]).items():
        for position, value, (row, column), values in ranked:
            assert values == MAPS[position, channel].tolist()
            assert MAPS[position, channel, row, column] == value == MAPS[position, channel].max()


def test_chosen_channels_are_called_by_their_own_numbers() -> None:
    assert found(MAPS, [10], channels=[3, 1]) == {number: found(MAPS, [10])[number] for number in (3, 1)}


def test_fewer_records_than_asked_are_all_of_them_and_none_at_all_is_nothing() -> None:
    assert [len(each) for each in found(MAPS[:3], []).values()] == [3, 3, 3, 3]
    assert MostExcited(3).ranked() == {}


def test_values_that_are_no_numbers_are_left_out_and_counted() -> None:
    maps = MAPS.clone()
    maps[4, 2, 1, 1], maps[9, 2, 0, 0] = float("nan"), float("inf")
    heap = MostExcited(top_k=23)
    heap.add(range(23), maps)
    assert heap.nonfinite == {2: 2}
    assert {each.position for each in heap.ranked()[2]} == set(range(23)) - {4, 9}
    assert len(heap.ranked()[1]) == heap.records == 23


def test_vectors_have_no_place_and_maps_may_differ_in_size() -> None:
    heap = MostExcited(top_k=2)
    heap.add([0, 1], torch.tensor([[1.0, -2.0], [3.0, -1.0]]))
    assert [(each.position, each.value, each.place) for each in heap.ranked()[0]] == [(1, 3.0, ()), (0, 1.0, ())]
    heap = MostExcited(top_k=3)
    heap.add([0], torch.ones(1, 1, 2, 2))
    heap.add([1], torch.full((1, 1, 3, 4), 2.0))
    assert [tuple(each.map.shape) for each in heap.ranked()[0]] == [(3, 4), (2, 2)]


def test_what_is_kept_does_not_hold_the_batch_in_memory() -> None:
    heap = MostExcited(top_k=2)
    heap.add(range(23), MAPS)
    for each in heap.ranked()[0]:
        assert each.map.untyped_storage().nbytes() == 3 * 5 * 4


BROKEN = {
    "highest magnitudes": lambda maps: maps.abs(),
    "lowest first": lambda maps: -maps,
    "another channel": lambda maps: maps.roll(1, dims=1),
    "the mean in place of the largest": lambda maps: maps.mean(dim=(2, 3), keepdim=True).expand_as(maps),
    "the first place only": lambda maps: maps[:, :, :1, :1].expand_as(maps),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_value_is_noticed(broken: object) -> None:
    expected = {channel: [position for position, _ in each] for channel, each in by_sorting(MAPS, "max").items()}
    ranked = found(broken(MAPS), [10])
    assert {channel: [one[0] for one in each] for channel, each in ranked.items()} != expected
