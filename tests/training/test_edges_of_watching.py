"""Networks that write while they are asked, functions of a user's own, layers that go away: training is as without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seewhy.training import FeatureMonitorCallback, InterpretationCallback
from seewhy.training.callback_base import asking
from training.watched import network, pictures, train


class Counting(nn.Module):
    """Counts its calls in a buffer, in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(image)


class Logging(nn.Module):
    def log(self, name: str, value: float) -> None:
        raise RuntimeError("not here")


def test_what_a_forward_writes_into_buffers_is_taken_back(tmp_path: Path) -> None:
    samples = list(pictures(3)[0])
    callback = InterpretationCallback(samples, log_every_n_epochs=1, target_layer="inner.4")
    torch.manual_seed(0)
    net = Counting()
    alone = train(tmp_path, net=net)
    torch.manual_seed(0)
    watched = train(tmp_path, [callback], net=Counting())
    assert callback.report().pictures > 0
    assert float(watched.module.net.calls) == float(alone.module.net.calls)


def test_what_a_forward_logs_while_it_is_asked_is_not_logged() -> None:
    module = Logging()
    with asking(module):
        module.log("mean", 1.0)
    with pytest.raises(RuntimeError, match="not here"):
        module.log("mean", 1.0)


@pytest.mark.parametrize(
    "statistic",
    [lambda values: values.flatten()[torch.randint(values.numel(), (3,))].mean(), lambda values: values.zero_().mean()],
    ids=["draws", "writes"],
)
def test_a_function_of_the_users_moves_neither_values_nor_random_numbers(tmp_path: Path, statistic: Any) -> None:
    torch.manual_seed(0)
    alone = train(tmp_path, net=network())
    torch.manual_seed(0)
    watched = train(tmp_path, [FeatureMonitorCallback(["0"], extra_stats={"own": statistic})], net=network())
    assert alone.differences(watched) == []


def test_a_function_that_fails_costs_its_own_number_alone(tmp_path: Path) -> None:
    callback = FeatureMonitorCallback(["0"], extra_stats={"own": lambda values: values.mean((0, 2, 3))})
    train(tmp_path, [callback])
    assert callback.statistics["train"]["0"].records == 24
    assert callback.report().failures > 0


def test_a_layer_that_goes_away_does_not_end_the_training(tmp_path: Path) -> None:
    class Shrinking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rest, self.calls = nn.Conv2d(2, 4, 3), network(4), 0

        def forward(self, image: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 8 and "gone" in self._modules:
                del self.gone
            return self.rest(self.first(image))

    net = Shrinking()
    net.gone = nn.Conv2d(2, 4, 3)
    callback = FeatureMonitorCallback(["gone", "first"])
    train(tmp_path, [callback], net=net, max_epochs=3)
    assert any("no longer has the layer" in problem for problem in callback.report().problems)
