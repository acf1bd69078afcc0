"""The probability of the class that a settled question asks about; what a metric of confidence measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.core import Target
from seewhy.models.endings import Activation
from seewhy.models.heads import Task, prediction
from seewhy.targets import BinaryLogit, Logit
from seewhy.values import TargetError


@dataclass(frozen=True)
class ClassProbability:
    """The probability of one class for each record, whatever is still to be applied to the outputs."""

    classes: tuple[int, ...]
    task: Task | None = None
    activation: Activation | None = None

    @classmethod
    def of(cls, target: Target, outputs: int, task: Task | None, activation: Activation | None) -> ClassProbability:
        """Of a settled question to a model with that many outputs.

        Raises ``TargetError`` SW-T60 for a question that is about no class: a value, an embedding, several labels.
        """
        asked = target.index if isinstance(target, Logit | BinaryLogit) else None
        classes = tuple(one for one in asked if one is not None) if isinstance(asked, tuple) else ()
        known = prediction(task, torch.zeros(1, outputs), activation=activation).probabilities
        if not classes or known is None:
            raise TargetError(
                "SW-T60",
                f"a probability was asked for, but {type(target).__name__} to a model with {outputs} outputs is about "
                "no single class",
                fix="ask about one class, or say task='multiclass', 'binary' or 'multilabel'",
            )
        return cls(classes, task, activation)

    def bind(self, outputs: Float[Tensor, "b c"]) -> ClassProbability:
        """Everything is settled."""
        del outputs
        return self

    def take(self, rows: Sequence[int]) -> ClassProbability:
        """The same question of these records."""
        return ClassProbability(tuple(self.classes[row] for row in rows), self.task, self.activation)

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        found = prediction(self.task, outputs, activation=self.activation).probabilities
        if found is None:
            raise TargetError("SW-T60", "these outputs have no probabilities", fix="ask about a class")
        chosen = torch.tensor(self.classes, device=found.device).unsqueeze(1)
        return found.gather(1, chosen).squeeze(1)
