"""The detections a person asks about: by score, or by where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.models.box_target import BoundBox, Corners, floor_of, iou
from seewhy.models.candidates import Candidates
from seewhy.values import ConfigError, Geometry, TargetError

LEAST_OVERLAP: Final = 0.1
LISTED: Final = 5


@dataclass(frozen=True)
class FoundBox:
    """One detection: ``box`` left, top, right, bottom on the original, its class, score, and the question about it."""

    box: Corners
    label: int
    score: float
    target: BoundBox


@dataclass(frozen=True)
class Choosing:
    """Detections of at least ``threshold``, at most ``most``, or the one at ``bbox`` (on the original).

    Raises ``ConfigError`` SW-F112 for a threshold or number out of range, SW-F113 for what is no box.
    """

    threshold: float = 0.5
    most: int = 10
    bbox: Any = None
    iou_threshold: float = 0.5
    own_threshold: float = 0.05

    def __post_init__(self) -> None:
        whole = isinstance(self.most, int) and not isinstance(self.most, bool)
        if not isinstance(self.threshold, int | float) or not 0 <= self.threshold <= 1 or not whole or self.most < 1:
            raise ConfigError(
                "SW-F112",
                f"detection_threshold lies between 0 and 1 and max_detections is a whole number from 1 on, got "
                f"{self.threshold!r} and {self.most!r}",
                fix="detection_threshold=0.5, max_detections=10",
            )
        if self.bbox is not None:
            object.__setattr__(self, "bbox", checked_box(self.bbox))

    def among(self, found: Sequence[FoundBox]) -> list[FoundBox]:
        """The detections asked about, best first; raises ``TargetError`` SW-T44 where none is at ``bbox``."""
        above = [one for one in found if one.score >= self.threshold]
        if self.bbox is None or not above:
            return above[: self.most]
        overlaps = [_overlap(one.box, self.bbox) for one in above]
        best = max(range(len(above)), key=lambda index: overlaps[index])
        if overlaps[best] < LEAST_OVERLAP:
            raise _nothing_there(self.bbox, above)
        return [above[best]]


def found_boxes(outputs: Float[Tensor, "1 rows n"], geometry: Geometry, choosing: Choosing) -> list[FoundBox]:
    """Every candidate with a score and an area, best first, on the original picture."""
    found = Candidates.unpacked(outputs.detach().cpu())
    scores, labels = found.scores[0].max(dim=1)
    sides = found.boxes[0, :, 2:] - found.boxes[0, :, :2]
    kept = ((scores > 0) & (sides > 0).all(dim=1)).nonzero().squeeze(1)
    order = kept[scores[kept].argsort(descending=True, stable=True)].tolist()
    return [_found(found, place, int(labels[place]), geometry, choosing) for place in order]


def checked_box(bbox: Any) -> Corners:
    """Left, top, right, bottom as numbers; raises ``ConfigError`` SW-F113 for anything else.

    Example:
        >>> checked_box([1, 2, 3.5, 4])
        (1.0, 2.0, 3.5, 4.0)
    """
    try:
        left, top, right, bottom = (float(edge) for edge in bbox)
    except (TypeError, ValueError):
        left, top, right, bottom = 0.0, 0.0, 0.0, 0.0
    if not (left < right and top < bottom):
        raise ConfigError(
            "SW-F113",
            f"bbox is left, top, right, bottom in pixels of the original picture, got {bbox!r}",
            fix="bbox=(10, 20, 110, 220)",
        )
    return left, top, right, bottom


def _found(found: Candidates, place: int, label: int, geometry: Geometry, choosing: Choosing) -> FoundBox:
    corners: list[float] = found.boxes[0, place].tolist()
    score, logit = float(found.scores[0, place, label]), float(found.logits[0, place, label])
    frozen = (corners[0], corners[1], corners[2], corners[3])
    floor = floor_of(logit, score, choosing.own_threshold)
    target = BoundBox((label,), (frozen,), (floor,), choosing.iou_threshold)
    return FoundBox(on_original(frozen, geometry), label, score, target)


def on_original(box: Corners, geometry: Geometry) -> Corners:
    """A box of the model's input on the original picture, cut at its edges."""
    height, width = geometry.original
    (top, left), (bottom, right) = (geometry.to_original((box[1], box[0])), geometry.to_original((box[3], box[2])))
    return _within(left, width), _within(top, height), _within(right, width), _within(bottom, height)


def _within(value: float, length: int) -> float:
    return min(max(value, 0.0), float(length))


def _overlap(one: Corners, other: Corners) -> float:
    return float(iou(torch.tensor(one), torch.tensor(other)))


def _nothing_there(bbox: Corners, above: Sequence[FoundBox]) -> TargetError:
    centre = _centre(bbox)
    nearest = sorted(above, key=lambda one: sum((a - b) ** 2 for a, b in zip(_centre(one.box), centre, strict=True)))
    named = [f"class {one.label} ({one.score:.2f}) at {_rounded(one.box)}" for one in nearest[:LISTED]]
    return TargetError(
        "SW-T44",
        f"no detection overlaps the box {_rounded(bbox)} by {LEAST_OVERLAP} or more",
        near=named,
        fix="give the box of one of these, or lower detection_threshold",
    )


def _centre(box: Corners) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _rounded(box: Corners) -> str:
    return "(" + ", ".join(f"{edge:.1f}" for edge in box) + ")"
