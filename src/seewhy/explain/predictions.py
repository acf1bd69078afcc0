"""Explain predictions in one call: one image, one image quickly, or a folder's worth."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from seewhy.explain.class_choice import class_list
from seewhy.explain.drawing import Destination, Look
from seewhy.explain.explainer import Explainer, require_batch_size
from seewhy.explain.explainers import make_explainer
from seewhy.explain.prepared import ImageLike, each_image, stem_of
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.result import Result, failed, result_of
from seewhy.models.outputs import Selector
from seewhy.ops import chunks
from seewhy.store.names import safe_name
from seewhy.values import ConfigError, SeewhyError

if TYPE_CHECKING:
    from seewhy.explain.cache import ExplanationCache


def explain_prediction(
    model: nn.Module,
    image: ImageLike,
    method: str = "gradcam",
    target_class: Any = None,
    target_layer: str | nn.Module | None = None,
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    show_original: bool = True,
    dpi: int = 100,
    return_heatmap: bool = False,
    *,
    preprocessing: Given | Recipe = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    cache: ExplanationCache | None = None,
    **settings: Any,
) -> Result:
    """What the model says of an image, and why, from one pass wherever the method allows it.

    Args:
        model: any image classifier; it comes back untouched.
        image: a path, a PIL image in any mode, an array, or a tensor that is prepared already.
        method: a method's name, such as ``gradcam``, ``integrated_gradients``, ``rollout``.
        target_class: the class to explain, by number or name; the predicted one if None.
        target_layer: the layer to explain through, by name or as a module; the traced default if None.
        colormap: the colours of the heat map, by name: ``viridis``, ``cividis``, ``turbo``, ``jet``, …
        alpha: the weight of the colours over the picture, 0 to 1.
        show_original: put the picture itself beside the heat map.
        dpi: pixels per inch; the longer side of each panel has 4 inches.
        save_path: where to write it, if anywhere.
        return_heatmap: put the heat map ``(H, W)`` in [0, 1] into the result.
        preprocessing: how pictures become inputs, where the model does not tell.
        class_names: the classes' names, in the model's order.
        task: ``multiclass``, ``binary``, ``multilabel`` or ``regression``, where the outputs do not tell.
        threshold: asks a multi-label model about all labels from this probability on.
        output_selector: where the logits are in what the model returns: a key, an index or a function of it.
        cache: a :class:`seewhy.ExplanationCache`, where answers are looked up and kept.
        settings: the method's own, such as ``steps=100``.

    Raises:
        SeewhyError: with a code and a fix, for whatever cannot be done; see ``docs/errors.md``.
    """
    look = Look(colormap, alpha, dpi)
    reading = Reading(preprocessing, class_names, task, threshold, output_selector)
    explainer = make_explainer(method, model, target_layer, reading, settings, explain_prediction, cache=cache)
    result = result_of(explainer.explained(image, target_class), explainer, look, return_heatmap=return_heatmap)
    if save_path is not None:
        result.save(save_path, show_original=show_original)
    return result


def quick_explain(
    model: nn.Module,
    image: ImageLike,
    save_path: Destination | None = "explanation.png",
    *,
    method: str = "gradcam",
    show_plot: bool = False,
    **others: Any,
) -> Result:
    """:func:`explain_prediction` at 150 dots per inch, with the heat map, written to a file.

    ``show_plot`` shows the result in a notebook; outside one there is nothing to show it in.
    """
    settings = {"dpi": 150, "return_heatmap": True, **others}
    result = explain_prediction(model, image, method, save_path=save_path, **settings)
    if show_plot and "IPython" in sys.modules:
        sys.modules["IPython"].display.display(result)
    return result


def visualize_batch(
    model: nn.Module,
    images: Any,
    method: str = "gradcam",
    target_classes: Any = None,
    target_layer: str | nn.Module | None = None,
    output_dir: Destination | None = None,
    colormap: str = "viridis",
    alpha: float = 0.4,
    dpi: int = 100,
    show_predictions: bool = True,
    *,
    batch_size: int = 32,
    return_heatmap: bool = False,
    preprocessing: Given | Recipe = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    cache: ExplanationCache | None = None,
    **settings: Any,
) -> list[Result]:
    """:func:`explain_prediction` for many images, asked in batches, one result for each in their order.

    Pictures are written as ``<stem>_explanation.png``, those of images without a file as ``image_0000_…``; images of
    one name get a number, so that none overwrites another. An image that cannot be explained has an ``error`` in its
    result and the others go on; where none can be, the first error is raised.

    Args:
        images: a list, or a batch ``(B, C, H, W)``.
        target_classes: one class for all, or one for each.
        output_dir: where pictures are written, if anywhere.
        show_predictions: write the prediction above the pictures.
        batch_size: images held and asked at once, at most.
        model, method, target_layer, colormap, alpha, dpi, return_heatmap, preprocessing, class_names, task, threshold,
            output_selector, cache, settings: as in :func:`seewhy.explain_prediction`.

    Raises:
        ConfigError: ``SW-F75`` a batch size that is none, ``SW-F93`` a file in place of the folder.
    """
    look, images = Look(colormap, alpha, dpi), each_image(images)
    require_batch_size(batch_size)
    folder = None if output_dir is None else _folder(output_dir)
    reading = Reading(preprocessing, class_names, task, threshold, output_selector)
    explainer = make_explainer(method, model, target_layer, reading, settings, visualize_batch, cache=cache)
    classes = class_list(target_classes, len(images), explainer.class_names)
    names = list(file_names(images))
    results: list[Result] = []
    errors: list[SeewhyError] = []
    for few in chunks(len(images), batch_size):
        for position, found in zip(few, _each(explainer, images, classes, few, batch_size), strict=True):
            if isinstance(found, SeewhyError):
                errors.append(found)
                results.append(failed(found, explainer.method, names[position]))
                continue
            result = result_of(found, explainer, look, return_heatmap=return_heatmap)
            result["image"] = names[position]
            if folder is not None:
                result.save(folder / f"{names[position]}_explanation.png", caption=show_predictions)
            results.append(result)
    if len(errors) == len(images):
        raise errors[0]
    return results


def _folder(path: Destination) -> Path:
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ConfigError("SW-F93", f"output_dir is a file: {folder}", fix="name a folder; it is created")
    return folder


def file_names(images: Sequence[ImageLike]) -> Iterator[str]:
    """A name on disk for each image: its file's, or its number; a repeated one is numbered.

    >>> list(file_names(["a/cat.png", "b/cat.png", "dog.png"]))
    ['cat', 'cat_2', 'dog']
    """
    taken: Counter[str] = Counter()
    for position, image in enumerate(images):
        base = name = safe_name(stem_of(image) or f"image_{position:04d}")
        while taken[name.casefold()]:
            taken[base.casefold()] += 1
            name = f"{base}_{taken[base.casefold()]}"
        taken[name.casefold()] += 1
        yield name


def _each(
    explainer: Explainer, images: Sequence[ImageLike], classes: Sequence[Any], few: range, batch_size: int
) -> list[Any]:
    """An answer or an error for each of a few images; together, or one by one where together one of them fails."""
    chosen = [images[position] for position in few]
    asked = [classes[position] for position in few]
    try:
        return list(explainer.explain_each(chosen, asked, batch_size))
    except SeewhyError:
        return [_one(explainer, image, target) for image, target in zip(chosen, asked, strict=True)]


def _one(explainer: Explainer, image: ImageLike, target: Any) -> Any:
    try:
        return explainer.explained(image, target)
    except SeewhyError as error:
        return error
