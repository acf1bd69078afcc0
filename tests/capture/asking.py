"""One way to put a question to a model, shared by the tests of the probe."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Capture, Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

BODY = Wants(activations=("body",), gradients=("body",), embedding="head.input")


def pictures(records: int = 3) -> dict[str, Tensor]:
    return {"image": torch.randn(records, 2, 16, 16)}


def asked(model: nn.Module, inputs: dict[str, Tensor], wants: Wants = BODY, **settings: Any) -> Capture:
    return Probe(Adapter(model, inputs, **settings), [Logit(1)]).capture(inputs, wants)


def assert_same(one: Capture, other: Capture, tolerance: float = 0.0) -> None:
    pairs = [(one.outputs, other.outputs), (one.scores, other.scores), (one.embedding, other.embedding)]
    pairs += [(one.gradients[name], other.gradients[name]) for name in one.gradients]
    pairs += [(one.activations[name], other.activations[name]) for name in one.activations]
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)


class Shared(nn.Module):
    """One activation module used after each of two convolutions, and one convolution that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.unused, self.fc = nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.second(self.relu(self.first(x)))).flatten(2).mean(dim=2))
