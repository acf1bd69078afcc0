"""What a person gets back of a segmentation: a dictionary that can draw itself and be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from seewhy.core import Attribution
from seewhy.explain.drawing import ENCODERS, Destination, Look, Picture, as_sheet, overlay_on, save_panels
from seewhy.explain.explained import Explained
from seewhy.explain.sheet_result import SheetResult
from seewhy.explain.uncertainty import largest_uncertainty
from seewhy.render.colormap import colorize
from seewhy.render.encode import encode_png
from seewhy.render.layout import stack
from seewhy.render.segmentation_figure import UNCERTAINTY_COLORMAP, segmentation_figure
from seewhy.render.segments import mask_overlay


class SegmentationResult(SheetResult):
    """One segmentation explained.

    Keys: ``heatmap`` ``(H, W)`` in [0, 1]; ``prediction`` ``(H, W)`` int32 classes, -1 outside what the model saw;
    ``target_class``, ``target_label``; ``classes``, the share of pixels of each class present, most frequent first;
    ``uncertainty`` ``(H, W)`` in the absolute units of ``uncertainty_method``, NaN outside, None if not asked for;
    ``mean_uncertainty``, its mean over what the model saw; ``method``, ``settings``, ``target_layer``, ``score`` (the
    mean logit), ``valid_mask`` ``(H, W)``, ``preprocessing``, ``notes``, ``image`` (its name), ``visualization``
    ``(h, w, 3)``, the figure, and once written ``save_path``. All maps are on the original picture.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        explained: Explained,
        look: Look,
        *,
        number_of_classes: int,
        class_names: Sequence[str] | None = None,
        background: int | None = None,
        over_picture: bool = True,
    ) -> None:
        super().__init__(values, look)
        self.explained = explained
        self.number_of_classes = number_of_classes
        self.class_names = class_names
        self.background = background
        self.over_picture = over_picture
        self["visualization"] = self.figure()

    @property
    def attribution(self) -> Attribution:
        """The raw answer for this image, a batch of one."""
        return self.explained.attribution

    def figure(self) -> Picture:
        """Image, prediction, explanation and uncertainty, two by two, of the part of the picture that the model saw."""
        if not self.over_picture:
            panels = list(self.panels().items())
            return stack([as_sheet(dict(panels[row : row + 2]), self.look) for row in range(0, len(panels), 2)])
        unsure = self["uncertainty"]
        return segmentation_figure(
            self._seen(self.explained.prepared.draw()),
            self._seen(self["prediction"]),
            self._seen(self.explained.drawn),
            None if unsure is None else self._seen(unsure),
            classes=self.number_of_classes,
            uncertainty_method=self["uncertainty_method"] or "entropy",
            names=self.class_names,
            background=self.background,
            title=self["image"] or "segmentation",
            caption=self._asked(),
            colormap=self.look.colormap,
            alpha=self.look.alpha,
            unit=f"importance for {self['target_label']}, its own scale",
        )

    def panels(self) -> dict[str, Picture]:
        """The same pictures one by one, by title; the prediction in the classes' colours alone."""
        picture = self._seen(self.explained.prepared.draw())
        labels = self._seen(self["prediction"])
        shown = {
            "Image": picture,
            "Prediction": mask_overlay(picture, labels, 1.0, background=self.background),
            self.explained.titled(self._asked()): overlay_on(picture, self._seen(self.explained.drawn), self.look),
        }
        if self["uncertainty"] is not None:
            top = largest_uncertainty(self.number_of_classes, self["uncertainty_method"])
            share = (self._seen(self["uncertainty"]) / top).clip(0, 1)
            unit = " nats" if self["uncertainty_method"] == "entropy" else ""
            shown[f"{self['uncertainty_method']}, 0 to {top:.3g}{unit}"] = colorize(share, UNCERTAINTY_COLORMAP)
        return shown

    def save(self, path: Destination) -> Path:
        """Write the figure and note where; the file's folder is created."""
        target = Path(path).expanduser()
        encode = ENCODERS.get(target.suffix.lower())
        if encode is None:
            save_panels({self._asked(): self["visualization"]}, target, self.look)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode(self["visualization"]))
        self["save_path"] = str(target)
        return target

    def _asked(self) -> str:
        layer = f" at {self['target_layer']}" if self["target_layer"] else ""
        return f"{self['target_label']} · {self['method']}{layer}"

    def _seen(self, values: Shaped[np.ndarray, "height width *rest"]) -> Shaped[np.ndarray, "rows columns *rest"]:
        """The part of a map or picture that the model saw: all but what a centre crop cut."""
        rows, columns = (np.flatnonzero(self["valid_mask"].any(axis=axis)) for axis in (1, 0))
        return values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def _repr_png_(self) -> bytes:
        return encode_png(self["visualization"])
