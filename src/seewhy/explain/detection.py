"""Explain what a detector found: one heat map for each box, of that box's own class logit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.core import Attribution, Capture, Explanation, Inputs, Wants
from seewhy.explain.box_layers import BoxLayers, box_layers
from seewhy.explain.class_choice import names_of
from seewhy.explain.detection_result import DetectionResult, ExplainedBox
from seewhy.explain.detector_input import DetectorInput, detector_input
from seewhy.explain.detector_reading import DetectorReading, ToldOfAnswer, detector_reading
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.explained import scale_of
from seewhy.explain.found_boxes import Choosing, FoundBox, found_boxes
from seewhy.explain.keywords import require_settings
from seewhy.explain.prepared import ImageLike
from seewhy.explain.reading import require_model
from seewhy.explain.recipe import Given, Recipe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import unwrapped
from seewhy.models.layers import find_layer
from seewhy.models.readers import OutputReader
from seewhy.models.weights import dtype_of
from seewhy.models.yolo_like import Boxes, Values
from seewhy.registry import METHODS
from seewhy.values import ConfigError


def explain_detection(
    model: nn.Module,
    image: ImageLike,
    method: str = "gradcam",
    detection_threshold: float = 0.5,
    max_detections: int = 10,
    bbox: Any = None,
    target_layer: str | nn.Module | None = None,
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    *,
    class_names: Sequence[str] | None = None,
    preprocessing: Given | Recipe = None,
    boxes: Boxes | None = None,
    objectness: bool = False,
    values: Values | None = None,
    suppressed: bool = False,
    reader: OutputReader | None = None,
    passing: str | None = None,
    iou_threshold: float = 0.5,
    **settings: Any,
) -> DetectionResult:
    """What a detector found in an image, and for each box why: a map of that box's class logit, before any softmax.

    All boxes are asked about in one forward and one partial backward each, where the method reads what a pass leaves
    behind. A method that perturbs the picture looks for the same box in every perturbed pass (by overlap). Grad-CAM and
    Grad-CAM++ average gradients where the box's logit has one (``local=True``), since an average over the whole picture
    is the same for all boxes of a class.

    Args:
        model: a torchvision detector, a Hugging Face one with ``logits`` and ``pred_boxes``, or any that is described
            below; it comes back untouched and is asked in evaluation mode.
        image: a path, a PIL image in any mode, an array, or a tensor ``(C, H, W)`` as the detector takes it.
        method: a method's name.
        detection_threshold: the score from which detections are explained.
        max_detections: how many of them at most, the best first.
        bbox: explain the detection that overlaps this box most: left, top, right, bottom in pixels of the original.
        target_layer: for all boxes; by default each box takes the level of the feature pyramid that its logit reads
            most, or the last layer that it reads more than one cell of.
        colormap, alpha: as in :func:`seewhy.explain_prediction`.
        save_path: where to write it, if anywhere.
        class_names: by the detector's labels; torchvision's label 0 is the background.
        preprocessing: how pictures become inputs, where the default does not suit; see
            :func:`seewhy.explain.detector_input.detector_input`.
        boxes: how a tensor of candidates writes a box: ``xywh`` (centre, width, height) or ``xyxy``, in pixels of the
            input; see :class:`seewhy.models.yolo_like.BoxTensorReader`.
        objectness: such a tensor has an objectness before its classes.
        values: whether it holds ``logits`` or ``probabilities``; if None told from their range.
        suppressed: its rows are left, top, right, bottom, score and class, after suppression.
        reader: for an answer of yet another kind, an :class:`seewhy.models.readers.OutputReader` that gives
            :class:`seewhy.models.candidates.Candidates`.
        passing: how the model takes its input, as in :class:`seewhy.Explainer`.
        iou_threshold: the overlap from which a candidate of a perturbed pass may be the same object.
        settings: the method's own, such as ``steps=100``.

    Returns:
        A dictionary; see :class:`seewhy.explain.detection_result.DetectionResult`. Without a detection of at least
        ``detection_threshold`` it has none, and a note says the best score.

    Raises:
        ConfigError: ``SW-F110`` to ``SW-F114`` a description, threshold or box that is none; ``SW-F12`` no
            such setting.
        TargetError: ``SW-T44``, no detection is at ``bbox``.
        ModelError: ``SW-M70`` to ``SW-M76``, an answer that cannot be read.
    """
    require_model(model)
    require_settings(METHODS[method], settings, explain_detection)
    look, bare = Look(colormap, alpha), unwrapped(model)
    layer = _named_layer(bare, target_layer)
    reading = detector_reading(bare, ToldOfAnswer(boxes, objectness, values, suppressed, reader, passing))
    choosing = Choosing(detection_threshold, max_detections, bbox, _overlap(iou_threshold), reading.score_threshold)
    given = detector_input(bare, image, preprocessing, dtype_of(bare) or torch.float32)
    asking = _Asking(Asked(METHODS[method].name, layer, _with_local(method, settings)), given)
    adapter = asking.adapter(bare, reading)
    found = found_boxes(adapter.trace.logits, given.prepared.geometry, choosing)
    chosen = choosing.among(found)
    explained = asking.about(adapter, chosen)
    result = DetectionResult.of(explained, found, choosing, given, names_of(model, class_names), asking.facts, look)
    result["notes"] += [note for note in adapter.notes if note not in result["notes"]]
    if save_path is not None:
        result.save(save_path)
    return result


@dataclass(frozen=True)
class _Asking:
    """A method asked about boxes of one picture."""

    asked: Asked
    given: DetectorInput

    @property
    def inputs(self) -> Inputs:
        """The picture as a batch of one."""
        return {"image": self.given.prepared.pixels[None]}

    @property
    def facts(self) -> Mapping[str, Any]:
        """The method and its settings."""
        return {"method": self.asked.method.name, "settings": dict(self.asked.settings)}

    def adapter(self, model: nn.Module, reading: DetectorReading) -> Adapter:
        """The detector traced on this very picture, which also tells what it found."""
        return Adapter(
            model,
            self.inputs,
            headless=False,
            normalisation=self.given.normalisation,
            reader=reading.reader,
            passing=reading.passing,
        )

    def about(self, adapter: Adapter, chosen: Sequence[FoundBox]) -> list[ExplainedBox]:
        """Each box with its raw map, placed on the original."""
        if not chosen:
            return []
        probe = Probe(adapter, [one.target for one in chosen])
        method = self.asked.method
        if not method.needs_layer or self.asked.layer is not None:
            return self._explained(chosen, [self.asked(probe, self.inputs)] * len(chosen), range(len(chosen)))
        answers, places = self._each_at_its_layer(probe, box_layers(adapter, self.inputs))
        return self._explained(chosen, answers, places)

    def _each_at_its_layer(self, probe: Probe, layers: Iterable[BoxLayers]) -> tuple[list[Explanation], list[int]]:
        """An answer for each box at the layer it is explained through, and which of its questions is the box's."""
        chosen, capture = self._chosen(probe, layers)
        answers: dict[str, tuple[Explanation, list[int]]] = {}
        for layer in dict.fromkeys(chosen):
            rows = [row for row, name in enumerate(chosen) if name == layer]
            at_layer = Asked(self.asked.name, layer, self.asked.settings)
            if self.asked.method.asks:
                few = probe.asking([probe.targets[row] for row in rows])
                answers[layer] = at_layer(few, self.inputs), rows
            else:
                answers[layer] = at_layer.read(probe, self.inputs, capture), list(range(len(chosen)))
        return [answers[layer][0] for layer in chosen], [
            answers[layer][1].index(row) for row, layer in enumerate(chosen)
        ]

    def _chosen(self, probe: Probe, layers: Iterable[BoxLayers]) -> tuple[tuple[str, ...], Capture]:
        """The layer of each box and the pass that told: of the first choice that suits all boxes, else the first."""
        looked = (
            (one, probe.capture(self.inputs, Wants(activations=one.names, gradients=one.names))) for one in layers
        )
        first = next(looked)
        choice, capture = next((pair for pair in chain([first], looked) if pair[0].suit(pair[1])), first)
        return choice.chosen(capture), capture

    def _explained(
        self, chosen: Sequence[FoundBox], answers: Sequence[Explanation], places: Sequence[int]
    ) -> list[ExplainedBox]:
        scale = scale_of(self.asked.method, self.asked.settings)
        return [
            ExplainedBox(found, _plane(answer.target(place)), scale, answer.target(place), self._geometry(answer))
            for found, answer, place in zip(chosen, answers, places, strict=True)
        ]

    def _geometry(self, answer: Explanation) -> Any:
        """A map made at a layer lies on the padded canvas, one made at the input on the input."""
        at_input = tuple(answer.maps["image"].shape[2:]) == self.given.prepared.geometry.input
        return self.given.prepared.geometry if at_input else self.given.canvas


def _plane(attribution: Attribution) -> NDArray[np.float32]:
    plane: NDArray[np.float32] = attribution.map[0].detach().float().cpu().numpy()
    return plane


def _with_local(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**({"local": True} if "local" in METHODS[method].settings else {}), **settings}


def _named_layer(model: nn.Module, layer: str | nn.Module | None) -> str | None:
    return None if layer is None else str(find_layer(model, layer))


def _overlap(iou_threshold: float) -> float:
    if isinstance(iou_threshold, int | float) and 0 < iou_threshold <= 1:
        return float(iou_threshold)
    raise ConfigError(
        "SW-F114",
        f"iou_threshold lies between 0 and 1, got {iou_threshold!r}",
        fix="iou_threshold=0.5 looks for boxes that overlap the clean one by half",
    )
