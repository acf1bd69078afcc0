"""What an explanation costs, counted rather than timed: how many records went through the model."""

from __future__ import annotations

from torch import Tensor

from seewhy.capture.probe import Edit, Probe
from seewhy.core import Capture, Inputs, Target, Wants
from seewhy.models.adapter import Adapter


class CountingProbe(Probe):
    """A probe that counts the records it puts through the model, also as the probes that are made from it.

    A record that goes forward counts 1, and one more for each question whose gradients are taken: what a backward
    through the tail costs at most is not told apart.
    """

    def __init__(self, adapter: Adapter, targets: tuple[Target, ...]) -> None:
        super().__init__(adapter, targets)
        self._passes = [0]

    @property
    def passes(self) -> int:
        """Records that went through the model, forwards and backwards."""
        return self._passes[0]

    def score(self, inputs: Inputs, edit: Edit | None = None) -> Tensor:
        """As any probe."""
        self._passes[0] += _records(inputs)
        return super().score(inputs, edit)

    def capture(self, inputs: Inputs, wants: Wants, edit: Edit | None = None) -> Capture:
        """As any probe."""
        backward = bool(wants.gradients or wants.attention_gradients or wants.input_gradients)
        self._passes[0] += _records(inputs) * (1 + backward * len(self.targets))
        return super().capture(inputs, wants, edit)


def _records(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))
