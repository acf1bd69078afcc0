"""Explain a value that a model puts out: what in the picture raises it, and what lowers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from torch import nn

from seewhy.core import Attribution
from seewhy.explain.class_choice import class_list, label_of
from seewhy.explain.drawing import Destination, Look, Picture, overlay_on
from seewhy.explain.explained import Explained, on_original
from seewhy.explain.explainers import make_explainer
from seewhy.explain.prepared import ImageLike
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.sheet_result import SheetResult
from seewhy.models.outputs import Selector
from seewhy.render.heatmap import heatmap
from seewhy.values import ConfigError

Heat = Float32[np.ndarray, "height width"]


def explain_regression(
    model: nn.Module,
    image: ImageLike,
    output: int | str = 0,
    method: str = "gradcam",
    target_layer: str | nn.Module | None = None,
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    *,
    output_names: Sequence[str] | None = None,
    output_selector: Selector | None = None,
    preprocessing: Given | Recipe = None,
    dpi: int = 100,
    **settings: Any,
) -> RegressionResult:
    """A value that a model puts out, and what in the picture raises and lowers it.

    Both maps have one scale: the largest magnitude of the raw map is 1. Where
    :func:`seewhy.explain.predictions.explain_prediction` with ``task="regression"`` shows what raises an output, here
    the evidence against it is shown beside it.

    Args:
        model: any model with one or several numbers per picture; it comes back untouched.
        image: a path, a PIL image in any mode, an array, or a tensor that is prepared already.
        output: the output to explain, by number, or by name where ``output_names`` are given.
        method: a method's name; one whose maps have a sign.
        target_layer: the layer to explain through; the traced default if None.
        colormap, alpha, dpi: how the pictures look.
        save_path: where to write them, if anywhere.
        output_names: the outputs' names, in the model's order.
        output_selector: where the outputs are in what the model returns: a key, an index or a function of it.
        preprocessing: how pictures become inputs, where the model does not tell.
        settings: the method's own.

    Raises:
        ConfigError: ``SW-F116`` a method whose maps have no sign.
        SeewhyError: with a code and a fix, for whatever else cannot be done; see ``docs/errors.md``.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
        >>> result = explain_regression(net, torch.randn(3, 16, 16))
        >>> float(max(result["raises"].max(), result["lowers"].max())) <= 1.0, result["output_label"]
        (True, 'output 0')
    """
    look = Look(colormap, alpha, dpi)
    reading = Reading(preprocessing, output_names, "regression", None, output_selector)
    explainer = make_explainer(method, model, target_layer, reading, settings, explain_regression)
    number = _number(output, output_names)
    found = explainer.explained(image, number)
    if not found.attribution.signed:
        raise ConfigError(
            "SW-F116",
            f"maps of {explainer.method} have no sign: they do not tell what raises a value from what lowers it",
            fix="use gradcam or integrated_gradients, or explain_prediction(task='regression') for where it looks",
        )
    result = RegressionResult(found, number, output_names, str(explainer.recipe), look)
    if save_path is not None:
        result.save(save_path)
    return result


class RegressionResult(SheetResult):
    """One value explained.

    Keys: ``value``; ``output`` and ``output_label``, which one it is; ``raises`` and ``lowers`` ``(H, W)`` in [0, 1] on
    one scale; ``share_raising``, the raising part of all evidence, None without evidence; ``values``, all outputs;
    ``method``, ``settings``, ``target_layer``, ``valid_mask``, ``preprocessing``, ``notes``, ``image`` and, once
    written, ``save_path``.
    """

    def __init__(
        self, found: Explained, number: int, names: Sequence[str] | None, preprocessing: str, look: Look
    ) -> None:
        self.explained = found
        facts = found.attribution.facts
        raises, lowers = raising_and_lowering(found)
        values = {
            "image": found.prepared.stem or None,
            "value": float(found.outputs[number]),
            "output": number,
            "output_label": f"output {number}" if names is None else label_of(number, names),
            "values": found.outputs,
            "raises": raises,
            "lowers": lowers,
            "share_raising": share_raising(found.raw),
            "method": facts.get("method"),
            "settings": facts.get("settings", {}),
            "target_layer": facts.get("layer"),
            "valid_mask": found.valid,
            "preprocessing": preprocessing,
            "notes": list(found.notes),
        }
        super().__init__(values, look)

    @property
    def attribution(self) -> Attribution:
        """The raw answer for this image, a batch of one."""
        return self.explained.attribution

    def panels(self) -> dict[str, Picture]:
        """The picture with its value, what raises it, and what lowers it."""
        picture = self.explained.prepared.draw()
        share = self["share_raising"]
        told = ("none", "none") if share is None else (f"{share:.0%}", f"{1 - share:.0%}")
        return {
            f"{self['output_label']} = {self['value']:.4g}": picture,
            f"raises it ({told[0]} of evidence)": overlay_on(picture, self["raises"], self.look),
            f"lowers it ({told[1]} of evidence)": overlay_on(picture, self["lowers"], self.look),
        }


def raising_and_lowering(found: Explained) -> tuple[Heat, Heat]:
    """The positive and the negated negative part of the raw map ``(H, W)`` on the original, on one scale.

    Raises ``TargetError`` SW-T33 for a map that is not finite.
    """
    placed = found.signed  # refuses a map that is not finite
    peak = float(np.abs(found.raw).max())
    if peak == 0:
        return np.zeros_like(placed), np.zeros_like(placed)
    size = found.prepared.geometry.input
    parts = [heatmap(sign * found.raw, size, scale="positive", reference=peak).values for sign in (1, -1)]
    raises, lowers = (on_original(part, found.prepared.geometry)[0] for part in parts)
    return raises, lowers


def share_raising(raw: Float32[np.ndarray, "h w"]) -> float | None:
    """The positive part of a raw map as a share of its sum of magnitudes; None for a map of zeros.

    >>> share_raising(np.array([[3.0, -1.0]]))
    0.75
    """
    total = float(np.abs(raw).sum(dtype=np.float64))
    return float(raw.clip(0).sum(dtype=np.float64)) / total if total else None


def _number(output: int | str, names: Sequence[str] | None) -> int:
    if isinstance(output, str):
        return int(class_list(output, 1, names)[0])
    return output
