"""Explain a segmentation: which parts of the picture speak for a class where the model sees it, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Attribution, Inputs
from seewhy.data.geometry import crop_notes
from seewhy.data.images import Preprocessing
from seewhy.explain.answering import Answer, ListeningProbe
from seewhy.explain.class_choice import class_list, label_of
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.explained import each_record
from seewhy.explain.given_inputs import stacked
from seewhy.explain.head import Head
from seewhy.explain.keywords import require_settings
from seewhy.explain.label_map import label_map
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.segmentation_result import SegmentationResult
from seewhy.explain.uncertainty import require_uncertainty
from seewhy.methods.ask import Asked
from seewhy.models.borrow import unwrapped
from seewhy.models.layers import find_layer
from seewhy.models.outputs import Selector
from seewhy.models.region_target import Region
from seewhy.models.segmentation_adapter import SegmentationAdapter, segmentation_adapter
from seewhy.models.weights import device_of, dtype_of
from seewhy.registry import METHODS, Method
from seewhy.values import ConfigError, TargetError


def explain_segmentation(
    model: nn.Module,
    image: ImageLike,
    target_class: Any = None,
    method: str = "gradcam",
    target_layer: str | nn.Module | None = None,
    show_mask_overlay: bool = True,
    show_uncertainty: bool = True,
    uncertainty_method: str = "entropy",
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    *,
    class_names: Sequence[str] | None = None,
    background: int | None = None,
    output_selector: Selector | None = None,
    preprocessing: Given | Recipe = None,
    dpi: int = 100,
    **settings: Any,
) -> SegmentationResult:
    """Where a segmentation model sees a class, what in the picture speaks for it there, and how sure it is.

    The map explains the mean logit of the class over the places predicted as that class.

    Args:
        model: torchvision's, Hugging Face's or any model with logits ``(B, C, H, W)``; it comes back untouched.
        image: a path, a PIL image in any mode, an array, or a tensor that is prepared already.
        target_class: the class to explain, by number or name; the most frequent predicted one if None.
        method: a method's name, such as ``gradcam``, ``layercam``, ``integrated_gradients``.
        target_layer: the layer to explain through; if None the last one that does not hold the logits already.
        show_mask_overlay: draw the predicted classes over the picture rather than on their own.
        show_uncertainty: also say how sure the model is of each pixel.
        uncertainty_method: ``entropy`` in nats, 0 to ``log C``, or ``margin``, 0 to 1; never rescaled per image.
        colormap, alpha, dpi: as in :func:`seewhy.explain_prediction`.
        save_path: where to write it, if anywhere.
        class_names: the classes' names, in the model's order.
        background: a class that is left out when the most frequent one is sought; none is assumed.
        output_selector: where the logits are in what the model returns: a key, an index or a function of it.
        preprocessing: how pictures become inputs, where the model does not tell; what is assumed then keeps the whole
            picture, stretched, since what a crop cuts would be of no class.
        settings: the method's own.

    Raises:
        TargetError: ``SW-T50`` a class that is predicted nowhere, with those that are; ``SW-T52``, ``SW-T58``.
        ConfigError: ``SW-F115`` no such measure of uncertainty.
        SeewhyError: with a code and a fix, for whatever else cannot be done; see ``docs/errors.md``.

    Source: Vinogradova et al. 2020, Seg-Grad-CAM, arXiv:2002.11434.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> result = explain_segmentation(net, torch.randn(3, 16, 16))
        >>> result["prediction"].shape, result["target_layer"], round(sum(result["classes"].values()), 6)
        ((16, 16), '1', 1.0)
    """
    look = Look(colormap, alpha, dpi)
    require_uncertainty(uncertainty_method)
    require_settings(METHODS[method], settings, explain_segmentation)
    explainer = SegmentationExplainer(
        model,
        method,
        target_layer,
        class_names=class_names,
        background=background,
        output_selector=output_selector,
        preprocessing=preprocessing,
        **settings,
    )
    unsure = uncertainty_method if show_uncertainty else None
    result = explainer.explain(image, target_class, unsure, look, show_mask_overlay=show_mask_overlay)
    if save_path is not None:
        result.save(save_path)
    return result


class SegmentationExplainer:
    """Asks one method about one segmentation model, for pictures or for tensors of any rank and number of channels.

    Args:
        model, method, target_layer, class_names, background, output_selector, preprocessing, settings: as in
            :func:`explain_segmentation`.

    Raises:
        ConfigError: ``SW-F117`` a method that flips the picture, ``SW-F12`` no such setting.
        LayerError: a layer that is not there.
    """

    def __init__(
        self,
        model: nn.Module,
        method: str = "gradcam",
        target_layer: str | nn.Module | None = None,
        *,
        class_names: Sequence[str] | None = None,
        background: int | None = None,
        output_selector: Selector | None = None,
        preprocessing: Given | Recipe = None,
        **settings: Any,
    ) -> None:
        require_settings(METHODS[method], settings, type(self))
        _require_places_kept(METHODS[method], settings)
        self.model = model
        self.background = background
        told = Reading(preprocessing, class_names, None, None, output_selector)
        self.reading = _whole_picture(told.settled(model), preprocessing)
        layer = None if target_layer is None else str(find_layer(unwrapped(model), target_layer))
        self.asked = Asked(METHODS[method].name, layer, settings)
        self._adapters: dict[tuple[Any, ...], SegmentationAdapter] = {}

    def attribute(self, x: Tensor | Mapping[str, Tensor], target_class: Any = None) -> Attribution:
        """The raw answer, never resized or normalised.

        Args:
            x: a batch ``(B, C, *S)`` of any rank, or a mapping of such by input name.
            target_class: one class for all records, or one for each; the most frequent predicted ones if None.
        """
        inputs = dict(x) if isinstance(x, Mapping) else {"image": x}
        return self._answer(inputs, target_class)[0].attribution

    def explain(
        self,
        image: ImageLike,
        target_class: Any = None,
        uncertainty_method: str | None = "entropy",
        look: Look = Look(),  # noqa: B008  (frozen)
        *,
        show_mask_overlay: bool = True,
    ) -> SegmentationResult:
        """One picture explained; ``uncertainty_method=None`` for no uncertainty."""
        prepared = prepare(image, self.reading.recipe, dtype_of(self.model) or torch.float32)
        answer, logits = self._answer(stacked([prepared.pixels]), target_class)
        (found,) = each_record(answer, [prepared], self.asked)
        seen = label_map(logits[0], prepared.geometry, uncertainty_method)
        target = cast(int, found.target)
        names = self.reading.class_names
        facts = found.attribution.facts
        values = {
            "image": prepared.stem or None,
            "heatmap": found.heat,
            "prediction": seen.labels,
            "target_class": target,
            "target_label": label_of(target, names),
            "classes": seen.shares(),
            "uncertainty": seen.uncertainty,
            "uncertainty_method": uncertainty_method,
            "mean_uncertainty": seen.mean_uncertainty(),
            "method": facts.get("method", self.asked.name),
            "settings": facts.get("settings", {}),
            "target_layer": facts.get("layer"),
            "score": float(found.attribution.score[0]),
            "valid_mask": seen.valid,
            "preprocessing": str(self.reading.recipe),
            "notes": list(dict.fromkeys((*found.notes, *crop_notes(prepared.geometry)))),
        }
        return SegmentationResult(
            values,
            found,
            look,
            number_of_classes=max(logits.shape[1], 2),
            class_names=names,
            background=self.background,
            over_picture=show_mask_overlay,
        )

    def _answer(self, inputs: Inputs, target_class: Any) -> tuple[Answer, Float[Tensor, "b c *s"]]:
        adapter = self._adapter(inputs)
        names = self._names(adapter.trace.outputs)
        classes = class_list(target_class, len(next(iter(inputs.values()))), names)
        probe = ListeningProbe(adapter, Region(tuple(classes), self.background), inputs)
        attribution = self.asked(probe, inputs).target()
        logits, settled = probe.heard()
        means = logits.flatten(2).mean(dim=2)
        head = Head(None, means.shape[1], None, headless=False, threshold=None)
        return Answer(attribution, means, settled, head, adapter.notes), logits

    def _adapter(self, inputs: Inputs) -> SegmentationAdapter:
        """The model traced on inputs of these shapes; the last one is kept."""
        shapes = tuple((name, tensor.dtype, *tensor.shape[1:]) for name, tensor in inputs.items())
        key = (shapes, device_of(self.model), dtype_of(self.model))
        if key not in self._adapters:
            few = {name: tensor[:2] for name, tensor in inputs.items()}
            recipe = self.reading.recipe
            selector = self.reading.output_selector
            made = segmentation_adapter(self.model, few, output_selector=selector, normalisation=recipe.normalisation)
            self._adapters = {key: made}
            return made
        return self._adapters[key]

    def _names(self, outputs: int) -> Sequence[str] | None:
        names = self.reading.class_names
        if names is not None and len(names) != max(outputs, 2):
            raise TargetError(
                "SW-T58",
                f"class_names has {len(names)} names, the model tells {max(outputs, 2)} classes apart",
                fix="give one name per class, in the model's order; two for a model with one channel",
            )
        return names


def _whole_picture(reading: Reading, given: Given | Recipe) -> Reading:
    """A crop that nobody asked for is left out: what lies outside it would be of no class."""
    recipe = reading.recipe
    asked = isinstance(given, Mapping) and bool({"crop", "crop_ratio"} & set(given))
    if asked or not recipe.assumed or not isinstance(recipe.how, Preprocessing):
        return reading
    return replace(reading, preprocessing=replace(recipe, how=replace(recipe.how, crop="none")))


def _require_places_kept(method: Method, settings: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` SW-F117 for flipped views: the region that is asked about would stay where it was."""
    if {**method.settings, **settings}.get("flips"):
        raise ConfigError(
            "SW-F117",
            f"{method.name} asks about flipped pictures, where the region of a class lies elsewhere",
            fix="leave the flips out: flips=()",
        )
