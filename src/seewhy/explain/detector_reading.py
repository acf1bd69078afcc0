"""Which reader understands a detector's answer: told by the caller, or by what the model says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from seewhy.explain.detector_input import own_resize
from seewhy.models.detectors import BoxListReader
from seewhy.models.detr import QueryReader
from seewhy.models.readers import OutputReader
from seewhy.models.yolo_like import Boxes, BoxTensorReader, Values
from seewhy.values import ConfigError

SMALLEST_THRESHOLD = 1e-3
USUAL_THRESHOLD = 0.05


@dataclass(frozen=True)
class DetectorReading:
    """How to ask a detector and read its answer: ``passing`` as in :mod:`seewhy.models.calling`.

    ``score_threshold`` is the score below which the detector itself drops a box.
    """

    reader: OutputReader
    passing: str
    score_threshold: float


@dataclass(frozen=True)
class ToldOfAnswer:
    """What a caller may say of a detector's answer; see :class:`seewhy.models.yolo_like.BoxTensorReader`."""

    boxes: Boxes | None = None
    objectness: bool = False
    values: Values | None = None
    suppressed: bool = False
    reader: OutputReader | None = None
    passing: str | None = None


def detector_reading(model: nn.Module, told: ToldOfAnswer) -> DetectorReading:
    """The reader the caller gives or describes; else torchvision's answers for a detector that resizes by itself, and
    queries for a Hugging Face model. Raises ``ConfigError`` SW-F111 where nothing tells."""
    threshold = own_threshold(model)
    if told.reader is not None:
        return DetectorReading(told.reader, told.passing or "positional", threshold)
    if told.boxes is not None:
        reader = BoxTensorReader(told.boxes, told.objectness, told.values, suppressed=told.suppressed)
        return DetectorReading(reader, told.passing or "positional", threshold)
    if own_resize(model) is not None:
        return DetectorReading(BoxListReader(), told.passing or "records", threshold)
    classes = getattr(getattr(model, "config", None), "num_labels", None)
    if isinstance(classes, int):
        return DetectorReading(QueryReader(classes), told.passing or "positional", threshold)
    raise ConfigError(
        "SW-F111",
        f"nothing tells how {type(model).__name__} writes its detections",
        fix="boxes='xywh' or 'xyxy' for a tensor of candidates (with objectness=, values=, suppressed=), or "
        "reader=BoxListReader(), passing='records' for a dictionary of boxes, labels and scores per picture",
    )


def own_threshold(model: nn.Module) -> float:
    """The score below which the detector drops a box, where it says so; 0.05 otherwise."""
    for module in model.modules():
        threshold = getattr(module, "score_thresh", None)
        if isinstance(threshold, int | float) and 0 <= threshold < 1:
            return max(float(threshold), SMALLEST_THRESHOLD)
    return USUAL_THRESHOLD
