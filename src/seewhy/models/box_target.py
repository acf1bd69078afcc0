"""The question to a detector: how strongly does it claim this object, in this box?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy.models.candidates import ABSENT, Candidates
from seewhy.values import TargetError

Corners: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the model's input."""
SAME_BOX: Final = 0.999
"""From this intersection over union on, a box is the frozen one itself up to rounding."""
CERTAIN: Final = 1e-6


@dataclass(frozen=True)
class Box:
    """The class logit of one box of a detector's :class:`~seewhy.models.candidates.Candidates`.

    ``class_index`` and ``box`` are for all records; None takes them from the candidate of the ``rank``-th highest
    score (0 is the best), which :meth:`bind` settles on the clean input, one for each record.

    In a perturbed pass the box is looked for again: the candidate that is the same box, else of those that overlap it
    by ``iou_threshold`` the one with the largest product of overlap and score for the class (Petsiuk et al. 2021,
    arXiv:2006.03204, D-RISE, the pairwise similarity of section 3.2 for one class). Where there is none, the detector
    puts out no such box any more and the score is the ``floor``: the logit that would give the clean box the score
    ``score_threshold``, the other logits as they were.

    Raises ``TargetError``: SW-T40 a threshold or box out of range, SW-T41 no candidate at the given box on the clean
    input, SW-T42 too few candidates for ``rank``, SW-T43 another number of records than was bound.

    Example:
        >>> boxes = torch.tensor([[[0.0, 0, 4, 4], [8, 8, 12, 12]]])
        >>> found = Candidates(boxes, torch.tensor([[[2.0], [1.0]]]), torch.tensor([[[0.9], [0.7]]]))
        >>> Box(0, (8.0, 8.0, 12.0, 12.0)).bind(found.packed())(found.packed())
        tensor([1.])
    """

    class_index: int | None = None
    box: Corners | None = None
    iou_threshold: float = 0.5
    score_threshold: float = 0.05
    rank: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1 or not 0 < self.score_threshold < 1:
            raise TargetError(
                "SW-T40",
                f"iou_threshold and score_threshold lie between 0 and 1, got {self.iou_threshold} and "
                f"{self.score_threshold}",
                fix="iou_threshold=0.5, score_threshold=0.05",
            )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise TargetError(
                "SW-T40",
                f"a box is left, top, right, bottom with an area, got {self.box}",
                fix="give the corners in this order, in pixels of the model's input",
            )

    def bind(self, outputs: Float[Tensor, "b rows n"]) -> BoundBox:
        """Class, box and floor of each record, frozen."""
        found = Candidates.unpacked(outputs.detach())
        chosen = [self._chosen(found, record) for record in range(len(outputs))]
        classes = [label for _, label in chosen]
        picked = [(found.logits[r, n, c], found.scores[r, n, c]) for r, (n, c) in enumerate(chosen)]
        boxes = [self.box or _corners(found.boxes[record, n]) for record, (n, _) in enumerate(chosen)]
        floors = [floor_of(float(logit), float(score), self.score_threshold) for logit, score in picked]
        return BoundBox(tuple(classes), tuple(boxes), tuple(floors), self.iou_threshold)

    def take(self, rows: Sequence[int]) -> Box:
        """The same question: nothing is settled yet."""
        del rows
        return self

    def __call__(self, outputs: Float[Tensor, "b rows n"]) -> Float[Tensor, " b"]:
        return self.bind(outputs)(outputs)

    def _chosen(self, found: Candidates, record: int) -> tuple[int, int]:
        """The candidate asked about, and its class."""
        scores = found.scores[record]
        if self.class_index is not None:
            only = torch.zeros_like(scores)
            if self.class_index < scores.shape[1]:
                only[:, self.class_index] = scores[:, self.class_index]
            scores = only
        if self.box is not None:
            return self._at_box(found.boxes[record], scores, record)
        best, labels = scores.max(dim=1)
        ranked = best.argsort(descending=True, stable=True)[self.rank : self.rank + 1].tolist()
        if self.rank < 0 or not ranked or float(best[ranked[0]]) <= 0:
            raise TargetError(
                "SW-T42",
                f"the detection of rank {self.rank} was asked for, record {record} has {int((best > 0).sum())}",
                fix="choose a smaller rank, or lower the detector's own score threshold",
            )
        return ranked[0], int(labels[ranked[0]])

    def _at_box(self, boxes: Float[Tensor, "n 4"], scores: Float[Tensor, "n c"], record: int) -> tuple[int, int]:
        best, labels = scores.max(dim=1)
        overlap = iou(boxes, boxes.new_tensor(self.box))
        weight = matching(overlap, best, self.iou_threshold)
        place = int(weight.argmax())
        if float(weight[place]) <= 0:
            nearest = int(overlap.argmax())
            raise TargetError(
                "SW-T41",
                f"record {record} has no such object at the box {self.box}; the nearest candidate is at "
                f"{_corners(boxes[nearest])}, an overlap of {float(overlap[nearest]):.2f}",
                fix="give the box of a detection in pixels of the model's input, and its class",
            )
        return place, int(labels[place])


@dataclass(frozen=True)
class BoundBox:
    """:class:`Box` with class, box and floor settled for each record."""

    classes: tuple[int, ...]
    boxes: tuple[Corners, ...]
    floors: tuple[float, ...]
    iou_threshold: float = 0.5

    def bind(self, outputs: Float[Tensor, "b rows n"]) -> BoundBox:
        """Nothing is left open."""
        del outputs
        return self

    def take(self, rows: Sequence[int]) -> BoundBox:
        """The same question of these records."""
        classes, boxes, floors = (tuple(one[row] for row in rows) for one in (self.classes, self.boxes, self.floors))
        return BoundBox(classes, boxes, floors, self.iou_threshold)  # type: ignore[arg-type]

    def __call__(self, outputs: Float[Tensor, "b rows n"]) -> Float[Tensor, " b"]:
        found = Candidates.unpacked(outputs)
        if len(outputs) != len(self.classes):
            raise TargetError(
                "SW-T43",
                f"{len(self.classes)} boxes were settled, one for each record, but {len(outputs)} records came",
                fix="bind the question on these records, or take(rows) of it",
            )
        classes = torch.tensor(self.classes, device=outputs.device)
        logits, scores = (_of_class(table, classes) for table in (found.logits, found.scores.detach()))
        frozen = outputs.new_tensor(self.boxes).unsqueeze(1)
        weight = matching(iou(found.boxes.detach(), frozen), scores, self.iou_threshold)
        best = weight.argmax(dim=1, keepdim=True)
        there = weight.gather(1, best).squeeze(1) > 0
        return torch.where(there, logits.gather(1, best).squeeze(1), outputs.new_tensor(self.floors))


def matching(overlap: Float[Tensor, "*b n"], scores: Float[Tensor, "*b n"], threshold: float) -> Float[Tensor, "*b n"]:
    """How well each candidate stands for a frozen box: above 1 for the box itself, else overlap times score, else 0.

    Example:
        >>> matching(torch.tensor([1.0, 0.8, 0.2]), torch.tensor([0.1, 0.9, 1.0]), 0.5)
        tensor([1.1000, 0.7200, 0.0000])
    """
    weight = torch.where(overlap >= SAME_BOX, 1 + scores, overlap * scores)
    return torch.where((overlap >= threshold) & (scores > 0), weight, 0.0)


def iou(one: Float[Tensor, "*#b 4"], other: Float[Tensor, "*#b 4"]) -> Float[Tensor, "..."]:
    """Intersection over union of boxes left, top, right, bottom, broadcast; 0 where both have no area.

    Example:
        >>> iou(torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2]))
        tensor(0.3333)
    """
    sides = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(min=0)
    shared = sides.prod(dim=-1)
    union = _area(one) + _area(other) - shared
    return torch.where(union > 0, shared / union.where(union > 0, 1.0), 0.0)


def floor_of(logit: float, score: float, threshold: float) -> float:
    """The logit at which a score would be ``threshold``, all else unchanged: ``z - logit(score) + logit(threshold)``.

    Exact for a sigmoid, where it is ``logit(threshold)``, and for one class of a softmax.

    Example:
        >>> round(floor_of(0.0, 0.5, 0.05), 4)
        -2.9444
    """
    kept = min(max(score, CERTAIN), 1 - CERTAIN)
    return max(logit - _log_odds(kept) + min(_log_odds(threshold), _log_odds(kept)), ABSENT)


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _area(boxes: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b"]:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def _of_class(table: Float[Tensor, "b n c"], classes: Int[Tensor, " b"]) -> Float[Tensor, "b n"]:
    """The column of each record's class; a class that no candidate of the pass has is nowhere."""
    if table.shape[2] <= int(classes.max()):
        table = torch.nn.functional.pad(table, (0, int(classes.max()) + 1 - table.shape[2]))
    return table.gather(2, classes[:, None, None].expand(-1, table.shape[1], 1)).squeeze(2)


def _corners(box: Float[Tensor, "4"]) -> Corners:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom
