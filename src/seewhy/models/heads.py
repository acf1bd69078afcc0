"""What a model's outputs mean: the question a class asks of them, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from seewhy.core import Target
from seewhy.models.endings import Activation
from seewhy.targets import BinaryLogit, Classes, LabelsAbove, Logit, class_index
from seewhy.values import TargetError, nearest

Task = Literal["multiclass", "binary", "multilabel", "regression"]
Requested: TypeAlias = int | Tensor | NDArray[Any] | Sequence[Any] | None
"""A class (or output) for all records, or one for each; None, for all or one, for what the model predicts."""


def target_for(
    task: Task | None,
    outputs: int,
    requested: Requested = None,
    *,
    threshold: float | None = None,
    activation: Activation | None = None,
) -> Target:
    """The question that asking a model with ``outputs`` outputs for a class means.

    | task | one output | several outputs |
    |---|---|---|
    | not told (None) | the output itself; a class is refused | as ``multiclass`` |
    | ``multiclass`` | refused | the class's output, the predicted one if none is requested |
    | ``binary`` | ``+output`` for class 1, ``-output`` for class 0, else the predicted one | two: as ``multiclass`` |
    | ``multilabel`` | as several | the label's output; with ``threshold`` the sum of those that reach it |
    | ``regression`` | the output itself | the requested output |

    ``activation`` says what is already applied to the outputs (``adapter.activation``): it moves the boundary between
    two classes, and the threshold, from logits to probabilities.

    Raises:
        TargetError: ``SW-T13`` unknown task, ``SW-T14`` a task the number of outputs contradicts, ``SW-T15`` a class
            asked of one output whose meaning nobody told, ``SW-T16`` no label named, ``SW-T17`` no output named,
            ``SW-T18`` a threshold outside 0 to 1 or for another task, ``SW-T19`` a class name asked of a regression,
            ``SW-T36`` a list with None in it for a task that predicts no single output, ``SW-T10`` and ``SW-T01`` for
            what is no class.

    Example:
        >>> target_for("binary", 1, 0)
        BinaryLogit(index=0, boundary=0.0)
        >>> target_for(None, 1000)
        Logit(index=None, rank=0)
    """
    _check_task(task, outputs)
    if task in ("multilabel", "regression"):
        require_all_or_none(requested)
    if task == "multilabel":
        return _label(outputs, requested, threshold, activation)
    if threshold is not None:
        raise TargetError(
            "SW-T18", f"a threshold was given for the task {task}", fix="leave it out, or task=multilabel"
        )
    if task == "regression":
        return _value(outputs, requested)
    if outputs > 1:
        return Logit(_indices(requested, outputs))
    if task == "binary":
        return BinaryLogit(_indices(requested, 2), 0.5 if activation == "sigmoid" else 0.0)
    if requested is not None:
        raise TargetError(
            "SW-T15",
            f"class {requested!r} was asked of a model with one output, which may be a class or a value",
            fix="say task='binary' (class 1 is the output, class 0 its negative) or task='regression'",
        )
    return Logit(0)


def _check_task(task: Task | None, outputs: int) -> None:
    if task is not None and task not in get_args(Task):
        known = ", ".join(get_args(Task))
        raise TargetError(
            "SW-T13", f"the task must be one of {known}, got {task!r}", near=nearest(str(task), get_args(Task)),
            fix="use one of these, or leave it out",
        )  # fmt: skip
    if (task == "binary" and outputs > 2) or (task == "multiclass" and outputs < 2):
        raise TargetError(
            "SW-T14",
            f"a {task} model has {'one or two outputs' if task == 'binary' else 'two or more'}, this one has {outputs}",
            fix="say multiclass, multilabel or regression" if outputs > 1 else "say binary or regression",
        )


def _label(outputs: int, requested: Requested, threshold: float | None, activation: Activation | None) -> Target:
    if requested is not None:
        return Logit(_indices(requested, outputs))
    if threshold is None:
        raise TargetError(
            "SW-T16",
            "a multi-label model predicts no single class, so the label to explain must be named",
            fix="name a label, or give threshold=0.5 for all labels that reach it",
        )
    if not 0 < threshold < 1:
        raise TargetError("SW-T18", f"a threshold is a probability, got {threshold}", fix="use 0.5, for example")
    logit = float(np.log(threshold) - np.log1p(-threshold))
    return LabelsAbove(threshold if activation == "sigmoid" else logit)


def _value(outputs: int, requested: Requested) -> Target:
    if isinstance(requested, str):
        raise TargetError(
            "SW-T19",
            f"{requested!r} was asked of a regression, whose outputs are no classes",
            fix=f"give the number of an output, 0 to {outputs - 1}",
        )
    if requested is None and outputs > 1:
        raise TargetError(
            "SW-T17",
            f"a regression with {outputs} outputs predicts no single value, so the output to explain must be named",
            fix=f"name an output, 0 to {outputs - 1}",
        )
    return Logit(0 if requested is None else _indices(requested, outputs))


def require_all_or_none(requested: Requested) -> None:
    """Raise ``TargetError`` SW-T36 for a list that names outputs for some records and leaves others open."""
    if isinstance(requested, list | tuple) and len({one is None for one in requested}) > 1:
        raise TargetError(
            "SW-T36",
            f"{list(requested)} leaves some records to the prediction, but this model predicts no single output",
            fix="name an output for every record, or ask about the records without one in a call of their own",
        )


def _indices(requested: Requested, classes: int) -> Classes:
    if requested is None:
        return None
    each = isinstance(requested, list | tuple) or (
        isinstance(requested, Tensor | np.ndarray) and len(requested.shape) == 1
    )
    if not each:
        return class_index(requested, classes)
    return tuple(None if one is None else class_index(one, classes) for one in requested)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Prediction:
    """What the outputs say of each record; None where a task has no such thing.

    ``predicted`` ``(B,)`` classes, ``confidence`` ``(B,)`` their probabilities, ``probabilities`` ``(B, C)`` (a model
    with one output tells two classes apart). Labels of a multi-label model have probabilities only, values none.
    """

    predicted: Int[Tensor, " b"] | None = None
    confidence: Float[Tensor, " b"] | None = None
    probabilities: Float[Tensor, "b c"] | None = None


def prediction(task: Task | None, outputs: Float[Tensor, "b c"], *, activation: Activation | None = None) -> Prediction:
    """Classes, confidence and probabilities, as far as ``task`` has them.

    One output of which nobody told what it means is a value. ``activation`` says what is already applied to the
    outputs, so that it is not applied twice. Raises ``TargetError`` SW-T13 and SW-T14 as :func:`target_for`.

    Example:
        >>> prediction("binary", torch.tensor([[0.0], [-1.0]])).predicted.tolist()
        [1, 0]
    """
    _check_task(task, outputs.shape[1])
    if task == "regression" or (task is None and outputs.shape[1] == 1):
        return Prediction()
    if task == "multilabel":
        return Prediction(probabilities=_sigmoid(outputs, activation))
    if outputs.shape[1] == 1:
        positive = _sigmoid(outputs, activation)
        predicted = (positive[:, 0] >= 0.5).long()
        probabilities = torch.cat([1 - positive, positive], dim=1)
    else:
        probabilities = outputs if activation == "softmax" else outputs.softmax(dim=1)
        predicted = outputs.argmax(dim=1)
    confidence = probabilities.gather(1, predicted.unsqueeze(1)).squeeze(1)
    return Prediction(predicted, confidence, probabilities)


def _sigmoid(outputs: Float[Tensor, "b c"], activation: Activation | None) -> Float[Tensor, "b c"]:
    return outputs if activation == "sigmoid" else outputs.sigmoid()
