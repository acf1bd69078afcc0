"""Detectors that answer with class logits and relative boxes of a fixed set of queries, as Hugging Face's DETRs do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.models.candidates import Candidates, sum_of_best
from seewhy.models.input_size import SeenPicture, watching_size
from seewhy.models.outputs import described, entries
from seewhy.values import ModelError


@dataclass(frozen=True)
class QueryReader:
    """Reads ``logits`` ``(B, Q, C)`` and ``pred_boxes`` ``(B, Q, 4)``: centre, width and height relative to the input.

    Every query is a candidate. With one more logit than ``classes`` the last is "no object" and scores are a softmax
    (DETR, Conditional DETR, YOLOS); with as many, they are sigmoids (Deformable DETR, RT-DETR). Raises ``ModelError``
    SW-M75 for an answer of another kind.
    """

    classes: int

    def watching(self, model: nn.Module) -> AbstractContextManager[SeenPicture]:
        """Notes the size of the input."""
        return watching_size(model)

    def read(self, answer: Any, seen: SeenPicture, *, batch: int | None) -> Float[Tensor, "b rows q"]:
        """:class:`~seewhy.models.candidates.Candidates`, packed."""
        logits, boxes = self._checked(answer, batch)
        softmax = logits.shape[2] == self.classes + 1
        scores = logits.softmax(dim=2)[..., : self.classes] if softmax else logits.sigmoid()
        return Candidates(to_pixels(boxes, seen.height_and_width), logits[..., : self.classes], scores).packed()

    def traced_score(self, outputs: Float[Tensor, "b rows q"]) -> Float[Tensor, " b"]:
        """The logit of each query's best class, summed."""
        return sum_of_best(outputs)

    def _checked(self, answer: Any, batch: int | None) -> tuple[Tensor, Tensor]:
        held = entries(answer)
        logits, boxes = held.get("logits"), held.get("pred_boxes")
        if (
            not isinstance(logits, Tensor)
            or not isinstance(boxes, Tensor)
            or logits.ndim != 3
            or boxes.shape != (*logits.shape[:2], 4)
            or batch not in (None, len(logits))
            or logits.shape[2] not in (self.classes, self.classes + 1)
        ):
            raise ModelError(
                "SW-M75",
                f"logits (B, Q, {self.classes} or {self.classes + 1}) and pred_boxes (B, Q, 4) were expected of "
                f"{batch} pictures, the model returned {described(answer)}",
                fix="say how many classes it has (config.num_labels), or what it returns: "
                "explain_detection(..., boxes='xywh')",
            )
        return logits, boxes


def to_pixels(boxes: Float[Tensor, "*n 4"], size: tuple[int, int]) -> Float[Tensor, "*n 4"]:
    """Relative centre, width and height as left, top, right, bottom in pixels of a picture ``(height, width)``.

    Example:
        >>> to_pixels(torch.tensor([0.5, 0.5, 0.5, 1.0]), (10, 20)).tolist()
        [5.0, 0.0, 15.0, 10.0]
    """
    height, width = size
    return corners(boxes) * boxes.new_tensor([width, height, width, height])


def corners(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Centre, width and height as left, top, right, bottom.

    Example:
        >>> corners(torch.tensor([5.0, 4.0, 2.0, 6.0])).tolist()
        [4.0, 1.0, 6.0, 7.0]
    """
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)
