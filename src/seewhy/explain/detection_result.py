"""What a person gets back of a detector: its boxes, a heat map for each, and a picture of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from seewhy.core import Attribution
from seewhy.explain.class_choice import label_of
from seewhy.explain.detector_input import DetectorInput
from seewhy.explain.drawing import Destination, Look, Picture, save_panels
from seewhy.explain.explained import on_original
from seewhy.explain.found_boxes import Choosing, FoundBox
from seewhy.explain.result import plain
from seewhy.render.boxes import Detection
from seewhy.render.detection_figure import detection_figure
from seewhy.render.encode import encode_jpeg, encode_png
from seewhy.render.heatmap import Heatmap, Scale, heatmap
from seewhy.values import Geometry, Json, TargetError

Heat = Float32[np.ndarray, "height width"]
ARRAYS = ("heatmaps", "attributions", "visualization")


@dataclass(frozen=True)
class ExplainedBox:
    """One detection with its ``raw`` map ``(h, w)``, which lies on ``geometry``'s input."""

    found: FoundBox
    raw: NDArray[np.float32]
    scale: Scale
    attribution: Attribution
    geometry: Geometry

    @cached_property
    def scaled(self) -> Heatmap:
        """The raw map in [0, 1] at the size of what it lies on."""
        return heatmap(self.raw, self.geometry.input, scale=self.scale)

    @cached_property
    def heat(self) -> Heat:
        """``(H, W)`` in [0, 1] on the original; raises ``TargetError`` SW-T33 for a map that is not finite."""
        if self.scaled.nonfinite:
            raise TargetError(
                "SW-T33",
                f"{self.scaled.nonfinite} of {self.raw.size} values of the map are not finite; nothing is painted",
                fix="check the model's weights and the input's range, or use another method or layer",
            )
        return on_original(self.scaled.values, self.geometry)[0]

    @property
    def layer(self) -> str | None:
        """The layer it was explained through."""
        layer = self.attribution.facts.get("layer")
        return None if layer is None else str(layer)


class DetectionResult(dict[str, Any]):
    """One image's detections, explained.

    Keys: ``detections``, one ``{"bbox", "class_id", "class_name", "score", "confidence"}`` each, best first (``bbox``
    is left, top, right, bottom on the original; ``score`` and ``confidence`` are the same number); ``heatmaps``, one
    ``(H, W)`` in [0, 1] each; ``attributions``, the raw maps ``(h, w)``; ``layers``, where each was read (None for a
    method without a layer); ``logits``, the scores explained; ``method``, ``settings``, ``preprocessing``, ``notes``,
    ``image``; ``visualization`` ``(height, width, 3)`` uint8 with all boxes and maps; ``save_path`` once written.
    """

    def __init__(self, values: Mapping[str, Any], explained: Sequence[ExplainedBox] = ()) -> None:
        super().__init__(values)
        self.explained = tuple(explained)

    @classmethod
    def of(
        cls,
        explained: Sequence[ExplainedBox],
        found: Sequence[FoundBox],
        choosing: Choosing,
        given: DetectorInput,
        names: Sequence[str] | None,
        facts: Mapping[str, Any],
        look: Look,
    ) -> DetectionResult:
        """The result of the boxes that were explained among all that were ``found``."""
        detections = [_told(one.found, names) for one in explained]
        heats = [one.heat for one in explained]
        prepared = given.prepared
        notes = [*_none_above(found, choosing, names), *prepared.notes, *_notes(explained, facts)]
        return cls(
            {
                "image": prepared.stem or None,
                "detections": detections,
                "heatmaps": heats,
                "attributions": [one.raw for one in explained],
                "layers": [one.layer for one in explained],
                "logits": [float(one.attribution.score[0]) for one in explained],
                **facts,
                "preprocessing": given.told,
                "notes": notes,
                "visualization": _figure(prepared.draw(), detections, heats, prepared.stem, facts, look),
            },
            explained,
        )

    def save(self, path: Destination) -> Path:
        """Write the picture, PNG or JPEG or in any format of figures, and note where; its folder is created."""
        target = Path(path).expanduser()
        encode = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}.get(target.suffix.lower())
        if encode is None:
            target = save_panels({"": self["visualization"]}, target, Look())
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode(self["visualization"]))
        self["save_path"] = str(target)
        return target

    def to_json(self) -> dict[str, Json]:
        """Everything but the arrays of pixels, as plain values."""
        return {name: plain(value) for name, value in self.items() if name not in ARRAYS}

    def _repr_png_(self) -> bytes:
        return encode_png(self["visualization"])

    def __repr__(self) -> str:
        told = ((name, value) for name, value in self.items() if name not in ARRAYS)
        return f"DetectionResult({', '.join(f'{name}={value!r}' for name, value in told)})"


def _told(found: FoundBox, names: Sequence[str] | None) -> dict[str, Any]:
    return {
        "bbox": list(found.box),
        "class_id": found.label,
        "class_name": label_of(found.label, names),
        "score": found.score,
        "confidence": found.score,
    }


def _none_above(found: Sequence[FoundBox], choosing: Choosing, names: Sequence[str] | None) -> list[str]:
    if found and found[0].score >= choosing.threshold:
        return []
    if not found:
        return ["no detections: the detector put out no box at all"]
    best = found[0]
    return [
        f"no detections of at least {choosing.threshold:g}; the best score is {best.score:.3g} "
        f"({label_of(best.label, names)}): lower detection_threshold to explain it"
    ]


def _notes(explained: Sequence[ExplainedBox], facts: Mapping[str, Any]) -> list[str]:
    notes = []
    if explained and facts["settings"].get("local"):
        notes.append(f"{facts['method']} averaged gradients over the cells that each box's logit reads (local=True)")
    for number, one in enumerate(explained, 1):
        if one.scaled.zero:
            notes.append(f"no positive evidence for detection {number}: its heat map is zero{_instead(facts)}")
    return notes


def _instead(facts: Mapping[str, Any]) -> str:
    """A head that weighs a centre against its surroundings has an average gradient that says nothing of either."""
    if not facts["settings"].get("local"):
        return ""
    return " where gradients are averaged; hirescam weighs each cell by its own"


def _figure(
    picture: Picture,
    detections: Sequence[Mapping[str, Any]],
    heats: Sequence[Heat],
    stem: str,
    facts: Mapping[str, Any],
    look: Look,
) -> Picture:
    drawn = [Detection(tuple(one["bbox"]), one["class_name"], one["score"]) for one in detections]
    figure: Picture = detection_figure(
        picture, drawn, heats, title=stem or "detections", caption=facts["method"], colormap=look.colormap,
        alpha=look.alpha,
    )  # fmt: skip
    return figure
