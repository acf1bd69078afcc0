"""What the numbers a model puts out mean to a person: which class may be asked about, and what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Float

from seewhy.core import Target
from seewhy.explain.class_choice import label_of
from seewhy.explain.reading import Reading
from seewhy.models.adapter import Adapter
from seewhy.models.endings import Activation
from seewhy.models.heads import Task, prediction, require_all_or_none, target_for
from seewhy.targets import EmbeddingNorm
from seewhy.values import TargetError

EVEN: Final = 0.5
"""The probability from which a label counts as said."""


@dataclass(frozen=True)
class Head:
    """A model's outputs and their meaning; ``headless``: they are features."""

    task: Task | None
    outputs: int
    activation: Activation | None
    headless: bool
    threshold: float | None

    def question(self, wanted: Sequence[Any]) -> Target:
        """The target for these records: a class for each, or None, which asks about that record's prediction.

        Features are asked what moves their length. Raises what :func:`seewhy.models.heads.target_for` raises.
        """
        requested = None if all(one is None for one in wanted) else list(wanted)
        if self.headless:
            require_all_or_none(requested)
            if requested is None:
                return EmbeddingNorm()
        return target_for(self.task, self.outputs, requested, threshold=self.threshold, activation=self.activation)

    def says(self, outputs: Float[np.ndarray, " c"], names: Sequence[str] | None) -> dict[str, Any]:
        """``predicted_class``, ``label``, ``confidence``, ``probabilities`` ``(C,)``; None for what a task has not.

        Labels of a multi-label model from probability 0.5 on are in ``labels``; a value's outputs in ``values``.
        """
        said: dict[str, Any] = dict.fromkeys(("predicted_class", "label", "confidence", "probabilities"))
        if self.headless:
            return said
        found = prediction(self.task, torch.from_numpy(outputs)[None], activation=self.activation)
        if found.probabilities is None:
            return {**said, "values": outputs}
        said["probabilities"] = found.probabilities[0].numpy()
        if found.predicted is None or found.confidence is None:
            labels = [label_of(int(index), names) for index in np.flatnonzero(said["probabilities"] >= EVEN)]
            return {**said, "labels": labels}
        predicted = int(found.predicted[0])
        return {
            **said,
            "predicted_class": predicted,
            "label": label_of(predicted, names),
            "confidence": float(found.confidence[0]),
        }


def head_of(adapter: Adapter, reading: Reading = Reading()) -> Head:  # noqa: B008  (frozen)
    """What a traced model's outputs mean, as far as the reading tells.

    Raises:
        TargetError: ``SW-T32``, not one name for each class.
    """
    outputs, task = adapter.trace.outputs, cast(Task | None, reading.task)
    head = Head(task, outputs, adapter.activation, adapter.headless, reading.threshold)
    require_names(outputs, reading.class_names)
    return head


def require_names(outputs: int, names: Sequence[str] | None) -> None:
    """Raise ``TargetError`` SW-T32 where there is not one name for each class."""
    allowed = (1, 2) if outputs == 1 else (outputs,)
    if names is not None and len(names) not in allowed:
        raise TargetError(
            "SW-T32",
            f"class_names has {len(names)} names, the model has {outputs} outputs",
            fix="give one name per class, in the model's order",
        )
