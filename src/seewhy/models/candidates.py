"""What a detector puts out, as one tensor that a target can ask about: boxes, class logits and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

ABSENT = -1e4
"""The logit of what is no candidate; finite, also in half precision."""


@dataclass(frozen=True)
class Candidates:
    """The ``N`` candidates of each of ``B`` records.

    ``boxes`` ``(B, N, 4)``: left, top, right, bottom in pixels of the tensor given to the model; ``logits``
    ``(B, N, C)``: each class's logit before softmax or sigmoid; ``scores`` ``(B, N, C)`` in [0, 1]: what the detector
    itself makes of them, zero where it proposes no such object. Only the logits need a gradient.

    Example:
        >>> one = Candidates(torch.zeros(1, 2, 4), torch.zeros(1, 2, 3), torch.ones(1, 2, 3))
        >>> one.packed().shape, Candidates.unpacked(one.packed()).logits.shape
        (torch.Size([1, 10, 2]), torch.Size([1, 2, 3]))
    """

    boxes: Float[Tensor, "b n 4"]
    logits: Float[Tensor, "b n c"]
    scores: Float[Tensor, "b n c"]

    def packed(self) -> Float[Tensor, "b rows n"]:
        """As outputs ``(B, 4 + 2C, N)``: rows 0 to 3 the boxes, then the logits, then the scores."""
        boxes, scores = self.boxes.detach(), self.scores.detach()
        packed = torch.cat([boxes.to(self.logits), self.logits, scores.to(self.logits)], dim=2).transpose(1, 2)
        return packed.float() if packed.itemsize < 4 else packed

    @classmethod
    def unpacked(cls, outputs: Float[Tensor, "b rows n"]) -> Candidates:
        """The inverse of :meth:`packed`; views."""
        rows = outputs.transpose(1, 2)
        classes = (rows.shape[2] - 4) // 2
        return cls(rows[..., :4], rows[..., 4 : 4 + classes], rows[..., 4 + classes :])

    @property
    def best(self) -> Int[Tensor, "b n"]:
        """The class of the highest score of each candidate."""
        return self.scores.argmax(dim=2)


def stacked_candidates(records: Sequence[Candidates]) -> Candidates:
    """Records ``(1, N, ...)`` that differ in ``N`` as one batch; what is missing has no area and no score."""
    most = max(1, *(record.boxes.shape[1] for record in records))
    classes = max(record.logits.shape[2] for record in records)
    return Candidates(
        torch.cat([_grown(record.boxes, most, 4, 0.0) for record in records]),
        torch.cat([_grown(record.logits, most, classes, ABSENT) for record in records]),
        torch.cat([_grown(record.scores, most, classes, 0.0) for record in records]),
    )


def sum_of_best(outputs: Float[Tensor, "b rows n"]) -> Float[Tensor, " b"]:
    """The logits of every candidate's best class, summed: a number that depends on all that any box depends on."""
    found = Candidates.unpacked(outputs)
    logits = found.logits.gather(2, found.best.unsqueeze(2)).squeeze(2)
    proposed = found.scores.amax(dim=2) > 0
    return (logits * proposed).sum(dim=1)


def _grown(tensor: Float[Tensor, "1 n c"], count: int, columns: int, value: float) -> Float[Tensor, "1 m d"]:
    missing = (0, columns - tensor.shape[2], 0, count - tensor.shape[1])
    return torch.nn.functional.pad(tensor, missing, value=value)
