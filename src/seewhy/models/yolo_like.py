"""Detectors that answer with one tensor of candidates, as the YOLO family does; told in words, not guessed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.candidates import ABSENT, Candidates, stacked_candidates, sum_of_best
from seewhy.models.detr import corners
from seewhy.models.outputs import described
from seewhy.values import ConfigError, ModelError

Boxes = Literal["xywh", "xyxy"]
Values = Literal["logits", "probabilities"]
ROW = 6
"""Left, top, right, bottom, score and class of a detection left after suppression."""


@dataclass(frozen=True)
class BoxTensorReader:
    """Reads ``(B, N, 4 + C)``, ``(B, N, 5 + C)`` with an objectness, or either with the last two axes changed.

    ``boxes`` are centre, width, height (``"xywh"``) or corners (``"xyxy"``), in pixels of the input. ``values`` tells
    whether classes and objectness are logits or probabilities; None takes values that all lie in [0, 1] for
    probabilities, whose logit is their log-odds. ``columns_last=False`` says that the answer is ``(B, 4 + C, N)``; None
    takes the shorter axis for the columns. With an objectness the logit is the log-odds of objectness times class
    probability, which is the detector's confidence.

    ``suppressed`` says that rows are ``(left, top, right, bottom, score, class)`` after suppression: ``(B, N, 6)``, or
    one ``(N, 6)`` per picture. The class is data there and no gradient comes from it.

    Raises ``ConfigError`` SW-F110 for another ``boxes`` or ``values``, ``ModelError`` SW-M76 for an answer of another
    kind.
    """

    boxes: Boxes
    objectness: bool = False
    values: Values | None = None
    columns_last: bool | None = None
    suppressed: bool = False

    def __post_init__(self) -> None:
        if self.boxes not in ("xywh", "xyxy") or self.values not in (None, "logits", "probabilities"):
            raise ConfigError(
                "SW-F110",
                f"boxes is 'xywh' or 'xyxy' and values 'logits' or 'probabilities', got {self.boxes!r} and "
                f"{self.values!r}",
                fix="say how the detector writes a box: boxes='xywh' for centre, width and height",
            )

    def watching(self, model: nn.Module) -> AbstractContextManager[None]:
        """The answer holds everything."""
        del model
        return nullcontext()

    def read(self, answer: Any, seen: None, *, batch: int | None) -> Float[Tensor, "b rows n"]:
        """:class:`~seewhy.models.candidates.Candidates`, packed."""
        del seen
        if self.suppressed:
            return stacked_candidates([self._suppressed(rows) for rows in _per_picture(answer, batch)]).packed()
        return self._dense(self._columns_last(_sole(answer), batch)).packed()

    def traced_score(self, outputs: Float[Tensor, "b rows n"]) -> Float[Tensor, " b"]:
        """The logit of each candidate's best class, summed."""
        return sum_of_best(outputs)

    def _dense(self, rows: Float[Tensor, "b n columns"]) -> Candidates:
        first = 5 if self.objectness else 4
        classes, objects = rows[..., first:], rows[..., 4:first]
        if (self.values or _kind_of(rows[..., 4:])) == "probabilities":
            classes, objects = log_odds(classes), log_odds(objects)
        logits = both(objects, classes) if self.objectness else classes
        return Candidates(self._corners(rows[..., :4]), logits, logits.sigmoid())

    def _suppressed(self, rows: Float[Tensor, "n 6"]) -> Candidates:
        labels = rows[:, 5].detach().long()
        if len(labels) and int(labels.min()) < 0:
            raise _unreadable("classes from 0 on in the last column", rows)
        columns = int(labels.max()) + 1 if len(labels) else 1
        own = F.one_hot(labels, columns).bool()
        logits = torch.where(own, log_odds(rows[:, 4:5]), ABSENT)
        scores = torch.where(own, rows[:, 4:5], 0.0)
        return Candidates(self._corners(rows[None, :, :4]), logits[None], scores[None])

    def _corners(self, boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
        return corners(boxes) if self.boxes == "xywh" else boxes

    def _columns_last(self, tensor: Tensor, batch: int | None) -> Float[Tensor, "b n columns"]:
        least = 6 if self.objectness else 5
        fits = tensor.ndim == 3 and batch in (None, len(tensor))
        last = tensor.shape[2] <= tensor.shape[1] if fits and self.columns_last is None else self.columns_last
        found = tensor if last else tensor.transpose(1, 2) if fits else tensor
        if not fits or found.shape[2] < least:
            raise _unreadable(f"candidates (B, N, {least} or more) of {batch} pictures", tensor)
        return found


def log_odds(probabilities: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``log(p / (1 - p))``, the logit of a sigmoid; a saturated probability counts as one rounding step inside.

    Example:
        >>> log_odds(torch.tensor([0.5, 0.9]))
        tensor([0.0000, 2.1972])
    """
    return torch.logit(probabilities, eps=torch.finfo(probabilities.dtype).eps)


def both(one: Float[Tensor, "*n _"], other: Float[Tensor, "*n c"]) -> Float[Tensor, "*n c"]:
    """The logit of the product of two sigmoids, from their logits: ``log p - log(1 - p)`` with ``log p`` their sum.

    Example:
        >>> both(torch.tensor([0.0]), torch.tensor([0.0])).sigmoid().item()
        0.25
    """
    log_product = F.logsigmoid(one) + F.logsigmoid(other)
    smallest = -torch.finfo(log_product.dtype).tiny
    return log_product - torch.log(-torch.expm1(log_product.clamp(max=smallest)))


def _kind_of(values: Tensor) -> Values:
    low, high = (float(edge) for edge in torch.aminmax(values.detach())) if values.numel() else (0.0, 0.0)
    return "probabilities" if low >= 0 and high <= 1 else "logits"


def _sole(answer: Any) -> Tensor:
    """The answer, or the first tensor of a tuple or list: what inference adds behind it is for training."""
    tensor = answer[0] if isinstance(answer, list | tuple) and answer else answer
    if not isinstance(tensor, Tensor):
        raise _unreadable("one tensor of candidates", answer)
    return tensor


def _per_picture(answer: Any, batch: int | None) -> list[Float[Tensor, "n 6"]]:
    rows = list(answer) if isinstance(answer, Tensor | list | tuple) else []
    fits = all(isinstance(one, Tensor) and one.ndim == 2 and one.shape[1] == ROW for one in rows)
    if not rows or not fits or batch not in (None, len(rows)):
        raise _unreadable(f"detections (N, {ROW}) of each of {batch} pictures", answer)
    return rows


def _unreadable(expected: str, answer: Any) -> ModelError:
    told = f"a tensor {tuple(answer.shape)}" if isinstance(answer, Tensor) else described(answer)
    return ModelError(
        "SW-M76",
        f"{expected} were expected, the model returned {told}",
        fix="say what it returns: boxes='xywh' or 'xyxy', objectness=, values=, suppressed=, or give a reader=",
    )
