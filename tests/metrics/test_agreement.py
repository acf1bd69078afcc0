"""Agreement between methods: of one with its rivals, and of every two."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seewhy import ops
from seewhy.metrics.agreement import agreement, agreement_matrix, top_overlap
from seewhy.metrics.similarity import spearman
from seewhy.values import ConfigError


def noise(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(2, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_map_agrees_with_itself_at_any_scale_and_not_with_its_negative() -> None:
    maps = noise(6, 5)
    found = agreement(maps, {"itself": 9 * maps.exp(), "negative": -maps})
    torch.testing.assert_close(found.details["spearman"], torch.tensor([[1.0, -1.0]] * 2, dtype=torch.float64))
    assert found.values.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert found.details["overlap"].tolist() == [[1, 0]] * 2


def test_rivals_of_any_resolution_are_compared_at_the_inputs() -> None:
    maps, coarse = noise(8, 8), noise(4, 4, seed=1)
    found = agreement(maps, {"coarse": coarse})
    enlarged = ops.resize(coarse[:, None], (8, 8))[:, 0]
    torch.testing.assert_close(found.values, spearman(maps, enlarged))


def test_a_constant_rival_is_left_out_and_a_constant_map_has_no_value() -> None:
    maps = noise(6, 5)
    maps[1] = 0.2
    found = agreement(maps, {"flat": torch.zeros(2, 3, 3), "itself": maps})
    assert found.reasons == (None, "the map is constant")
    assert found.values[0].item() == pytest.approx(1)
    alone = agreement(noise(6, 5), {"flat": torch.zeros(2, 3, 3)})
    assert alone.reasons == ("the maps of all other methods are constant",) * 2


def test_the_overlap_of_the_highest_tenth() -> None:
    a, b = torch.zeros(1, 100), torch.zeros(1, 100)
    a[:, :10], b[:, 5:15] = 1, 1
    assert top_overlap(a, b).item() == pytest.approx(5 / 15)
    # Ten of a hundred equal places: each belongs by a tenth, so 10 · 0.1 over 10 + 90 · 0.1.
    assert top_overlap(a, torch.zeros(1, 100)).item() == pytest.approx(1 / 19)


def test_every_two_methods_are_compared_as_any_two() -> None:
    maps = {"a": noise(6, 5), "b": noise(6, 5, seed=1), "c": noise(3, 5, seed=2)}
    found = agreement_matrix(maps)
    at_one = [ops.resize(each[:, None], (6, 5))[:, 0] for each in maps.values()]
    for row, one in enumerate(at_one):
        for column, other in enumerate(at_one):
            torch.testing.assert_close(found[:, row, column], spearman(one, other))


def test_a_constant_map_agrees_with_none_and_the_others_do() -> None:
    flat = torch.full((2, 4), 0.1)
    found = agreement_matrix({"flat": flat, "other": noise(4)}, (4,))
    assert found[0].isnan().tolist() == [[True, True], [True, False]]
    assert found[:, 1, 1].tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("top", [0, 1, -0.1, math.nan, True, "0.1"])
def test_a_share_of_highest_places_is_between_none_and_all(top: object) -> None:
    with pytest.raises(ConfigError, match="SW-F267"):
        agreement(noise(4), {"other": noise(4)}, top=top)  # type: ignore[arg-type]


def test_nobody_agrees_alone() -> None:
    with pytest.raises(ConfigError, match="SW-F266"):
        agreement(noise(4), {})
    with pytest.raises(ConfigError, match="SW-F266"):
        agreement_matrix({})
