"""Asking a method about inputs, and hearing what the model said of them in the same passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from seewhy.capture.probe import Edit, Probe
from seewhy.core import Attribution, Capture, Inputs, Target, Wants
from seewhy.explain.head import Head
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter


@dataclass(frozen=True)
class Answer:
    """Raw maps for ``B`` records, the outputs ``(B, C)`` they explain, and the question with every choice made."""

    attribution: Attribution
    outputs: Float[Tensor, "b c"]
    target: Target
    head: Head
    notes: tuple[str, ...] = ()


class ListeningProbe(Probe):
    """A probe that remembers what the model said of the clean inputs the first time a method asked."""

    def __init__(self, adapter: Adapter, target: Target, clean: Inputs) -> None:
        super().__init__(adapter, [target])
        self.clean = clean
        self._heard: list[tuple[Tensor, tuple[Target, ...]]] = []

    def capture(self, inputs: Inputs, wants: Wants, edit: Edit | None = None) -> Capture:
        """As any probe; the first look at the clean inputs is kept."""
        found = super().capture(inputs, wants, edit)
        if inputs is self.clean and not edit and not self._heard and found.targets:
            self._heard.append((found.outputs, found.targets))
        return found

    def on(self, adapter: Adapter) -> Probe:
        """Another model's words are not remembered."""
        return Probe(adapter, self.targets)

    def heard(self) -> tuple[Float[Tensor, "b c"], Target]:
        """Outputs and settled question on the clean inputs; asks once where no method did."""
        if not self._heard:
            self.capture(self.clean, Wants())
        outputs, (target, *_) = self._heard[0]
        return outputs, target


def answer(adapter: Adapter, head: Head, asked: Asked, classes: Sequence[Any], inputs: Inputs) -> Answer:
    """One method's answer about ``B`` records: for each a class, or for all None."""
    probe = ListeningProbe(adapter, head.question(classes), inputs)
    found = asked(probe, inputs)
    outputs, settled = probe.heard()
    return Answer(found.target(), outputs, settled, head, adapter.notes)


@dataclass(frozen=True)
class Ready:
    """A method about to be asked: the traced model, what its outputs mean, a class for each record or None, inputs."""

    adapter: Adapter
    head: Head
    asked: Asked
    classes: Sequence[Any]
    inputs: Inputs

    def answer(self) -> Answer:
        """The method's answer."""
        return answer(self.adapter, self.head, self.asked, self.classes, self.inputs)
