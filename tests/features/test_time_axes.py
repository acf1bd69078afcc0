"""Layers over time are read at the step that was asked for, whatever axis time is on; single calls too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from features.video_models import Trunk
from seewhy.features.collecting import Collected
from seewhy.features.layer_reader import LayerReader
from seewhy.features.measuring import statistics_of
from seewhy.values import LayerError


class Over(nn.Module):
    """Frames as vectors ``(B, T, D)`` of a trunk, and a layer over time behind them."""

    def __init__(self, mix: nn.Module, use: Callable[[nn.Module, Tensor], Tensor], width: int = 5) -> None:
        super().__init__()
        self.trunk, self.widen, self.mix, self.use = Trunk(), nn.Linear(5, width), mix, use

    def vectors(self, frames: Tensor) -> Tensor:
        return self.widen(self.trunk(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]))

    def forward(self, frames: Tensor) -> Tensor:
        return self.use(self.mix, self.vectors(frames)).flatten(1)


def with_class_token(mix: nn.Module, vectors: Tensor) -> Tensor:
    return mix(torch.cat([vectors.mean(dim=1, keepdim=True), vectors], dim=1))


def read(model: nn.Module, batch: Tensor, pairs: list[tuple[int, int]], layer: str) -> list[Tensor]:
    reader = LayerReader(model, layer)
    kept = Collected(reader.given(batch), pairs)
    counts = reader.read(kept.given, kept.take)
    return kept.by_layer(reader.layers, counts)[layer]


@pytest.mark.parametrize("width", [5, 8, 12, 16, 17, 64])
@pytest.mark.parametrize("steps", [4, 8])
def test_a_convolution_over_time_is_read_at_its_step(width: int, steps: int) -> None:
    mix = nn.Conv1d(width, width, 3, padding=1)
    model = Over(mix, lambda mix, vectors: mix(vectors.transpose(1, 2)), width).eval()
    clips = torch.randn(2, steps, 3, 16, 16)
    found = read(model, clips, [(0, 0), (1, steps - 1)], "mix")
    expected = mix(model.vectors(clips).transpose(1, 2))
    torch.testing.assert_close(found[0], expected[0, :, 0])
    torch.testing.assert_close(found[1], expected[1, :, steps - 1])
    torch.testing.assert_close(
        statistics_of(LayerReader(model, "mix"), [clips])["mix"].mean.float(), expected.mean(dim=(0, 2))
    )


@pytest.mark.parametrize("steps", [3, 5, 8, 16])
def test_attention_over_time_with_a_class_token_is_read_at_its_step(steps: int) -> None:
    model = Over(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), with_class_token, width=8).eval()
    clips = torch.randn(2, steps, 3, 16, 16)
    found = read(model, clips, [(0, 0), (1, steps - 1)], "mix")
    expected = with_class_token(model.mix, model.vectors(clips))
    torch.testing.assert_close(found[0], expected[0, 1])
    torch.testing.assert_close(found[1], expected[1, steps])


@pytest.mark.parametrize(("records", "steps"), [(1, 1), (1, 5), (5, 1), (3, 3), (2, 5)])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_recurrent_layer_is_read_alike_whatever_the_numbers_of_records_and_steps(
    records: int, steps: int, batch_first: bool
) -> None:
    torch.manual_seed(0)
    mix = nn.LSTM(5, 6, batch_first=batch_first)

    def use(mix: nn.Module, vectors: Tensor) -> Tensor:
        hidden = mix(vectors if batch_first else vectors.transpose(0, 1))[0]
        return hidden if batch_first else hidden.transpose(0, 1)

    model = Over(mix, use).eval()
    clips = torch.randn(records, steps, 3, 16, 16)
    pair = (records - 1, steps - 1)
    torch.testing.assert_close(read(model, clips, [pair], "mix")[0], use(mix, model.vectors(clips))[pair])


class Shared3d(nn.Module):
    """One activation behind two convolutions over space and time."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 2, 3, padding=1), nn.Conv3d(2, 2, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, video: Tensor) -> Tensor:
        return self.act(self.second(self.act(self.first(video))))


@pytest.mark.parametrize("steps", [2, 4])
def test_a_layer_that_runs_as_often_as_there_are_steps_may_still_hold_them_all(steps: int) -> None:
    model, video = Shared3d(), torch.randn(2, 3, steps, 8, 8)
    reader = LayerReader(model, "act")
    kept = Collected(reader.given({"video": video}), [(1, 1)])
    counts = reader.read(kept.given, kept.take)
    torch.testing.assert_close(kept.by_layer(reader.layers, counts)["act"][0], model.first(video).relu()[1, :, 1])
    assert statistics_of(reader, [{"video": video}])["act"].records == 2


@pytest.mark.parametrize("time_outside", [True, False])
def test_one_call_for_each_frame_of_each_record_is_mapped_in_either_order(time_outside: bool) -> None:
    class OneByOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = Trunk()

        def forward(self, frames: Tensor) -> Tensor:
            records, steps = frames.shape[:2]
            if time_outside:
                pairs = [(record, step) for step in range(steps) for record in range(records)]
            else:
                pairs = [(record, step) for record in range(records) for step in range(steps)]
            return torch.stack([self.trunk(frames[b : b + 1, t])[0] for b, t in pairs])

    model, clips = OneByOne(), torch.randn(3, 4, 3, 8, 8)
    pairs = [(0, 0), (2, 1), (1, 3)]
    for found, (record, step) in zip(read(model, clips, pairs, "conv1"), pairs, strict=True):
        torch.testing.assert_close(found, model.trunk.conv1(clips[record, step][None])[0])
    maps = LayerReader(model, "conv1").maps(clips)["conv1"]
    torch.testing.assert_close(maps, model.trunk.conv1(clips.flatten(0, 1)))


def test_recurrent_layers_of_signals_have_their_channels_second() -> None:
    signals = torch.randn(3, 7, 4)
    for batch_first in (True, False):
        lstm = nn.LSTM(4, 5, batch_first=batch_first)
        given = signals if batch_first else signals.transpose(0, 1)

        class Net(nn.Module):
            def __init__(self, lstm: nn.LSTM, first: bool) -> None:
                super().__init__()
                self.lstm, self.first = lstm, first

            def forward(self, x: Tensor) -> Tensor:
                return self.lstm(x if self.first else x.transpose(0, 1))[0]

        expected = lstm(given)[0]
        expected = expected if batch_first else expected.transpose(0, 1)
        torch.testing.assert_close(
            LayerReader(Net(lstm, batch_first), "lstm").maps(signals)["lstm"], expected.transpose(1, 2)
        )


def test_a_call_that_never_comes_is_told() -> None:
    with pytest.raises(LayerError, match="runs 2 times") as raised:
        LayerReader(Trunk(), "act#2").maps(torch.zeros(1, 3, 8, 8))
    assert raised.value.code == "SW-L08"
