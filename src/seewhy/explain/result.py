"""What a person gets back: a dictionary that can draw itself, be saved, and be written as plain JSON."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.core import Attribution
from seewhy.explain.class_choice import label_of
from seewhy.explain.drawing import Destination, Look, Picture, overlay_on, png_of, save_panels
from seewhy.explain.explained import Explained
from seewhy.explain.explainer import Explainer
from seewhy.values import Json, SeewhyError

ARRAYS = ("heatmap", "valid_mask", "probabilities")
SHOWN = ("label", "confidence", "target_label", "method", "target_layer", "preprocessing", "notes", "error")


class Result(dict[str, Any]):
    """One image explained.

    Keys: ``predicted_class``, ``label``, ``confidence``, ``probabilities`` ``(C,)``; ``target_class`` and
    ``target_label``, the class asked about; ``method``, ``settings``, ``target_layer``, ``score``, ``measured``;
    ``heatmap`` ``(H, W)`` in [0, 1] where asked for and ``valid_mask`` ``(H, W)``, the pixels the model saw;
    ``preprocessing``, ``notes``, ``image`` (its name) and, once written, ``save_path``; ``labels`` of a multi-label
    model, ``values`` of a regression. A result that could not be had holds ``error`` instead.

    ``attribution`` is the raw answer; ``class_names`` are those of all classes, where known. In a notebook a result
    shows its picture.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        explained: Explained | None = None,
        look: Look | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(values)
        self.explained, self.class_names = explained, class_names
        self.look = look or Look()

    @property
    def attribution(self) -> Attribution | None:
        """The raw answer for this image, a batch of one; None where there is none."""
        return None if self.explained is None else self.explained.attribution

    def panels(self, *, show_original: bool = True, caption: bool = True) -> dict[str, Picture]:
        """The original and the heat map over it, by title; empty for a result that could not be had."""
        if self.explained is None:
            return {}
        picture = self.explained.prepared.draw()
        title = f"{self['method']} · {self['target_label']}" if caption and self["target_label"] else self["method"]
        shown = {self.explained.titled(title): overlay_on(picture, self.explained.drawn, self.look)}
        return {self._of_original(caption): picture, **shown} if show_original else shown

    def save(self, path: Destination, *, show_original: bool = True, caption: bool = True) -> Path:
        """Write the picture and note where; the file's folder is created."""
        written = save_panels(self.panels(show_original=show_original, caption=caption), path, self.look)
        self["save_path"] = str(written)
        return written

    def to_json(self) -> dict[str, Json]:
        """Everything but the arrays of pixels, as plain values."""
        return {name: plain(value) for name, value in self.items() if name not in ("heatmap", "valid_mask")}

    def _of_original(self, caption: bool) -> str:
        if not caption or self["label"] is None:
            return "Original"
        return f"{self['label']} {self['confidence']:.1%}" if self["confidence"] is not None else str(self["label"])

    def _repr_png_(self) -> bytes | None:
        return png_of(self.panels(), self.look) if self.explained is not None else None

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(_told(self[name]))}</td></tr>"
            for name in SHOWN
            if self.get(name) not in (None, "", [])
        )
        picture = self._repr_png_()
        image = f"<img src='data:image/png;base64,{b64encode(picture).decode()}'>" if picture else ""
        return f"<div>{image}<table>{rows}</table></div>"

    def __repr__(self) -> str:
        told = ((name, value) for name, value in self.items() if name not in ARRAYS)
        return f"Result({', '.join(f'{name}={value!r}' for name, value in told)})"


def result_of(
    found: Explained, explainer: Explainer, look: Look | None = None, *, return_heatmap: bool = True
) -> Result:
    """The result that one answer makes."""
    names = explainer.class_names
    facts = found.attribution.facts
    values = {
        "image": found.prepared.stem or None,
        **found.head.says(found.outputs, names),
        "target_class": found.target,
        "target_label": None if found.target is None else label_of(found.target, names),
        "method": facts.get("method", explainer.method),
        "settings": facts.get("settings", {}),
        "target_layer": facts.get("layer"),
        "score": float(found.attribution.score[0]),
        "measured": {name: float(value[0]) for name, value in found.attribution.measured.items()},
        "valid_mask": found.valid,
        "preprocessing": str(explainer.recipe),
        "notes": list(found.notes),
    }
    if return_heatmap:
        values["heatmap"] = found.heat
    return Result(values, found, look, names)


def failed(error: SeewhyError, method: str, image: str | None = None) -> Result:
    """The result of what could not be explained: the error's text under ``error``, no numbers."""
    absent = dict.fromkeys(("predicted_class", "label", "confidence", "probabilities", "target_class", "target_label"))
    return Result({"image": image, **absent, "method": method, "target_layer": None, "error": str(error)})


def plain(value: Any) -> Json:
    """A value as JSON can hold it; what it cannot hold as its text.

    >>> plain({"a": np.float32(0.5), "b": (1, None)})
    {'a': 0.5, 'b': [1, None]}
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return str(value)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
