"""Every method graded on the same pictures, beside maps that know nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.explain.class_choice import class_list
from seewhy.explain.evaluation import Evaluation, GradeSheet
from seewhy.explain.explainer import Explainer, require_batch_size
from seewhy.explain.explainers import make_explainer
from seewhy.explain.graded_case import case_for, ready_for
from seewhy.explain.object_region import region_of
from seewhy.explain.prepared import Prepared, chunks_of_one_shape, each_image, prepare
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.metrics.controls import CONTROLS, controlled
from seewhy.metrics.usual import usual_metrics
from seewhy.models.outputs import Selector
from seewhy.registry import METHODS, METRICS
from seewhy.values import ConfigError, SeewhyError

Regions = Sequence[Any] | None
Settings = Mapping[str, Mapping[str, Any]]


def evaluate_methods(
    model: nn.Module,
    images: Any,
    methods: Sequence[str] = ("gradcam", "gradcam++"),
    metrics: Sequence[str] | None = None,
    target_classes: Any = None,
    *,
    bboxes: Regions = None,
    masks: Regions = None,
    target_layer: str | nn.Module | None = None,
    batch_size: int = 16,
    settings: Settings | None = None,
    metric_settings: Settings | None = None,
    preprocessing: Given | Recipe = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    output_selector: Selector | None = None,
) -> Evaluation:
    """Grade several methods on the same pictures and their controls.

    Args:
        model: any image classifier; it comes back untouched.
        images: a list, or a batch ``(B, C, H, W)``.
        methods: names of methods.
        metrics: names of metrics; the usual ones (:mod:`seewhy.metrics.usual`) if None.
        target_classes: one class for all, or one for each; the predicted ones if None.
        bboxes, masks: where the object is, one for each picture (or None for a picture), in pixels of the original.
        settings, metric_settings: by method and by metric: ``{"deletion": {"steps": 20}}``.
        others: as in :func:`seewhy.explain.predictions.explain_prediction`.

    Raises:
        ConfigError: ``SW-F231`` no methods or metrics, or other numbers of boxes or masks than pictures; ``SW-F10`` and
            ``SW-F223`` unknown names, ``SW-F12`` and ``SW-F222`` unknown settings, ``SW-F75`` a batch size.
        SeewhyError: the first method's error, where none of them can explain the model; a metric's, where it was named
            and cannot be asked.

    Example:
        >>> from seewhy.demo.models import load
        >>> found = evaluate_methods(load("cnn"), torch.zeros(2, 3, 64, 64), ["gradcam"], ["gini"])
        >>> sorted(found.gradebook.values)
        ['centre', 'edges', 'gradcam', 'random']
    """
    require_batch_size(batch_size)
    images = each_image(images)
    reading = Reading(preprocessing, class_names, task, None, output_selector).settled(model)
    explainers = _explainers(model, methods, target_layer, reading, settings or {})
    first = next(iter(explainers.values()))
    classes = class_list(target_classes, len(images), first.class_names)
    prepared = [prepare(image, first.recipe, first.study.dtype) for image in images]
    regions = _regions(prepared, bboxes, masks)
    asked = _metrics(metrics, metric_settings or {}, has_mask=any(region is not None for region in regions))
    sheet = GradeSheet(len(images), asked, strict=metrics is not None)
    for rows in chunks_of_one_shape([tuple(one.pixels.shape) for one in prepared], batch_size):
        few = [prepared[row] for row in rows]
        _grade_batch(sheet, explainers, few, [classes[row] for row in rows], _stacked(regions, rows, few), rows)
    if len(sheet.failures) == len(explainers):
        raise next(iter(sheet.failures.values()))
    return sheet.evaluation([one.stem or f"image_{number:04d}" for number, one in enumerate(prepared)])


def _grade_batch(
    sheet: GradeSheet,
    explainers: Mapping[str, Explainer],
    prepared: Sequence[Prepared],
    classes: Sequence[Any],
    mask: Tensor | None,
    rows: Sequence[int],
) -> None:
    """One batch of pictures: the controls once, then every method that still answers."""
    controls_done = False
    for name, explainer in explainers.items():
        if name in sheet.failures:
            continue
        try:
            case, passes = case_for(ready_for(explainer, prepared, classes), mask=mask)
        except SeewhyError as error:
            sheet.failures[name] = error
            continue
        sheet.passes[name].append(passes)
        sheet.grade(name, case, rows)
        if not controls_done:
            for control in CONTROLS:
                sheet.grade(control, controlled(case, control), rows)
            controls_done = True


def _explainers(
    model: nn.Module, methods: Sequence[str], layer: str | nn.Module | None, reading: Reading, settings: Settings
) -> dict[str, Explainer]:
    names = [methods] if isinstance(methods, str) else list(methods)
    if not names or len({METHODS[name].name for name in names}) < len(names):
        raise ConfigError("SW-F231", f"methods are one or more different names, got {names}", fix="write each once")
    given = {METHODS[name].name: values for name, values in settings.items()}
    return {
        name: make_explainer(
            name,
            model,
            layer if METHODS[name].needs_layer else None,
            reading,
            given.get(METHODS[name].name, {}),
            evaluate_methods,
        )
        for name in names
    }


def _metrics(names: Sequence[str] | None, settings: Settings, *, has_mask: bool) -> dict[str, Mapping[str, Any]]:
    """The metrics' own names with their settings, checked before anything is computed."""
    asked = usual_metrics(has_mask=has_mask) if names is None else [names] if isinstance(names, str) else list(names)
    if not asked:
        raise ConfigError("SW-F231", "no metric is named", fix="leave metrics out for the usual ones")
    given = {METRICS[name].name: values for name, values in settings.items()}
    found = {METRICS[name].name: given.get(METRICS[name].name, {}) for name in asked}
    for name, values in {**found, **given}.items():
        METRICS[name].check(values)
    return found


def _regions(prepared: Sequence[Prepared], bboxes: Regions, masks: Regions) -> list[Tensor | None]:
    for name, given in (("bboxes", bboxes), ("masks", masks)):
        if given is not None and len(given) != len(prepared):
            raise ConfigError(
                "SW-F231",
                f"{len(given)} {name} were given for {len(prepared)} pictures",
                fix="give one for each picture, None where it is not known",
            )
    return [
        region_of(one.geometry, None if bboxes is None else bboxes[row], None if masks is None else masks[row])
        for row, one in enumerate(prepared)
    ]


def _stacked(regions: Sequence[Tensor | None], rows: Sequence[int], few: Sequence[Prepared]) -> Tensor | None:
    """The regions of a batch; an unknown one is empty, and metrics of localization then have no value for it."""
    if all(region is None for region in regions):
        return None
    size = tuple(few[0].pixels.shape[1:])
    chosen = [regions[row] for row in rows]
    return torch.stack([torch.zeros(size, dtype=torch.bool) if one is None else one for one in chosen])
