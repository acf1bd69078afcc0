"""Verdicts from numbers made by hand: each band from either side, signed layers, dead channels over many inputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from seewhy.features import verdict
from seewhy.features.statistics import ChannelStatistics
from seewhy.features.verdict import channel_spread, clearly_negative, judge


def relu_like(level: float, zeros: int, places: int = 10) -> Tensor:
    """Two channels of a mean near ``level`` with so many zeros of ``places``; the second varies more."""
    values = torch.ones(places)
    values[:zeros] = 0
    return torch.stack([values, 2 * values]) * (level / 1.5 * places / (places - zeros))


def test_a_layer_within_every_band_is_told_so() -> None:
    found = judge(relu_like(0.5, 5))
    assert found.words == "within the bands"
    assert found.fine
    assert (found.level, found.zeros) == (pytest.approx(0.5), 0.5)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("level", "zeros", "words"),
    [
        (0.09, 5, "mean low"),
        (0.11, 5, "within the bands"),
        (1.99, 5, "within the bands"),
        (2.01, 5, "mean high"),
        (0.5, 2, "sparsity low"),
        (0.5, 3, "within the bands"),
        (0.5, 7, "within the bands"),
        (0.5, 8, "sparsity high"),
        (3.0, 9, "mean high, sparsity high"),
    ],
)
def test_each_band_ends_where_the_guide_says(level: float, zeros: int, words: str) -> None:
    assert judge(relu_like(level, zeros)).words == words


def test_the_spread_is_the_variation_of_the_channels_variances() -> None:
    # variances 1, 4 and 10: mean 5, deviation sqrt((16 + 1 + 25) / 3)
    rows = torch.tensor([[-1.0, 1.0], [-2.0, 2.0], [-(10**0.5), 10**0.5]])
    assert channel_spread(rows) == pytest.approx(math.sqrt(14) / 5)
    assert channel_spread(rows + 100) == pytest.approx(math.sqrt(14) / 5, rel=1e-3)
    assert channel_spread(torch.tensor([1.0, -2.0, 10**0.5])) == pytest.approx(math.sqrt(14) / 5)
    assert channel_spread(rows.reshape(3, 2, 1, 1)) == pytest.approx(math.sqrt(14) / 5)


def test_channels_all_alike_and_one_channel_alone_leave_the_band_at_either_end() -> None:
    alike = torch.tensor([[0.0, 1.0]] * 20)
    assert channel_spread(alike) == 0
    assert "spread low" in judge(alike).words
    alone = torch.zeros(20, 2)
    alone[3, 1] = 5.0
    assert channel_spread(alone) == pytest.approx(math.sqrt(19))
    assert "spread high" in judge(alone).words
    assert math.isnan(channel_spread(torch.zeros(3, 4)))
    assert math.isnan(channel_spread(torch.ones(1, 4)))


def test_a_layer_before_its_activation_is_read_by_magnitudes_and_says_so() -> None:
    values = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [-2.0, 2.0, -2.0, 2.0]])
    found = judge(values)
    # a mean of zero would be called low
    assert (found.signed, found.level, found.zeros) == (True, 1.5, 0.0)
    assert found.words == "within the bands"
    assert any("magnitudes and near zeros" in note for note in found.notes)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU()])
def test_behind_gelu_and_silu_near_zeros_count_where_no_value_is_exactly_zero(activation: nn.Module) -> None:
    places = torch.full((2, 100), -12.0)
    places[:, :20] = torch.linspace(1, 8, 20)
    places[:, 20:25] = -1.0
    places[1] *= 1.2
    values = activation(places)
    assert not (values == 0).all(dim=1).any()
    found = judge(values)
    assert found.signed
    assert found.zeros == pytest.approx(0.75)
    assert found.words == "near-zero share high"


def test_rounding_below_zero_does_not_make_a_layer_signed() -> None:
    assert not clearly_negative(ChannelStatistics.of(torch.tensor([[[-0.009, 1.0]]])).summary())
    assert clearly_negative(ChannelStatistics.of(torch.tensor([[[-0.011, 1.0]]])).summary())
    assert not clearly_negative(ChannelStatistics.of(torch.zeros(1, 2, 3)).summary())


def test_a_channel_dead_on_one_input_is_alive_where_many_inputs_say_so() -> None:
    one = relu_like(0.5, 5)
    one = torch.cat([one, torch.zeros(1, 10)])
    assert judge(one).words == "1 of 3 channels dead (one input only)"
    assert "may be alive on others" in judge(one).notes[-1]
    others = one.repeat(1200, 1, 1)
    others[7, 2, 3] = 0.4
    alive = judge(one, ChannelStatistics.of(others))
    assert (alive.dead, alive.dead_records) == (0, 1200)
    assert alive.fine
    dead = judge(one, ChannelStatistics.of(one.repeat(1200, 1, 1)))
    assert dead.words == "1 of 3 channels dead (over 1,200 records)"


def test_statistics_of_another_layer_do_not_decide() -> None:
    found = judge(relu_like(0.5, 5), ChannelStatistics.of(torch.zeros(50, 3, 2)))
    assert (found.dead, found.dead_records) == (0, 1)


def test_values_that_are_no_numbers_are_counted_and_not_judged() -> None:
    values = relu_like(0.5, 5)
    values[0, 9] = math.nan
    found = judge(values)
    assert found.words.startswith("1 values not finite")
    assert not found.fine
    assert found.sparsity_band == "unknown"


def test_broken_rules_are_told_from_the_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> list[str]:
        signed = torch.tensor([[-1.0, 1.0], [-2.0, 2.0]])
        return [judge(relu_like(level, zeros)).words for level, zeros in ((0.05, 5), (0.5, 8))] + [judge(signed).words]

    right = answers()
    for name, broken in (
        ("MEAN_BAND", (0.0, 2.0)),
        ("SPARSITY_BAND", (0.3, 0.9)),
        ("clearly_negative", lambda summary: False),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(verdict, name, broken)
            assert answers() != right
    assert answers() == right
