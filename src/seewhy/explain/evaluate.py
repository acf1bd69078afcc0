"""Every method graded on the same pictures, beside maps that know nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.explain.class_choice import class_list
from seewhy.explain.evaluation import Evaluation, GradeSheet
from seewhy.explain.explainer import Explainer, require_batch_size
from seewhy.explain.graded_case import case_for, ready_for, rehearsed
from seewhy.explain.named import named_list, named_settings
from seewhy.explain.object_region import region_of
from seewhy.explain.prepared import ImageLike, Prepared, chunks_of_one_shape, each_image, prepare
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.several import several_explainers
from seewhy.metrics.case import Case
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
    threshold: float | None = None,
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

    Raises, before anything is explained:
        ConfigError: ``SW-F78`` no methods; ``SW-F231`` no metrics, or other numbers of boxes or masks than pictures;
            ``SW-F10`` and ``SW-F223`` unknown names; ``SW-F12`` and ``SW-F222`` unknown settings; ``SW-F79`` and
            ``SW-F282`` settings of what is not asked; ``SW-F281`` what are no settings; ``SW-F283`` a method that is a
            control; ``SW-F226`` a metric that needs masks; ``SW-F75`` a batch size; and the metrics' own.
        SeewhyError: a metric's, where it was named and cannot be asked; and, afterwards, the first method's error where
            none of them can explain the model.

    Example:
        >>> from seewhy.demo.models import load
        >>> found = evaluate_methods(load("cnn"), torch.zeros(2, 3, 64, 64), ["gradcam"], ["gini"])
        >>> sorted(found.gradebook.values)
        ['centre', 'edges', 'gradcam', 'random']
    """
    require_batch_size(batch_size)
    images = each_image(images)
    own = _metric_settings(metric_settings)
    named = _metric_names(metrics, own)
    reading = Reading(preprocessing, class_names, task, threshold, output_selector).settled(model)
    explainers = several_explainers(methods, model, target_layer, reading, settings, evaluate_methods)
    return _evaluated(explainers, images, named, own, target_classes, bboxes, masks, batch_size)


def evaluate_explainers(
    explainers: Mapping[str, Explainer],
    images: Any,
    metrics: Sequence[str] | None = None,
    target_classes: Any = None,
    *,
    bboxes: Regions = None,
    masks: Regions = None,
    batch_size: int = 16,
    metric_settings: Settings | None = None,
) -> Evaluation:
    """:func:`evaluate_methods` for explainers that are there already, of one model and one preprocessing, by name."""
    require_batch_size(batch_size)
    own = _metric_settings(metric_settings)
    named = _metric_names(metrics, own)
    return _evaluated(explainers, each_image(images), named, own, target_classes, bboxes, masks, batch_size)


def _evaluated(
    explainers: Mapping[str, Explainer],
    images: Sequence[ImageLike],
    named: tuple[str, ...],
    own: Mapping[str, Mapping[str, Any]],
    target_classes: Any,
    bboxes: Regions,
    masks: Regions,
    batch_size: int,
) -> Evaluation:
    """Every picture graded by the metrics ``named``, the usual ones where that is empty, with settings ``own``."""
    _require_no_controls(explainer.method for explainer in explainers.values())
    first = next(iter(explainers.values()))
    classes = class_list(target_classes, len(images), first.class_names)
    prepared = [prepare(image, first.recipe, first.study.dtype) for image in images]
    regions = _regions(prepared, bboxes, masks)
    known = [region is not None for region in regions]
    chosen = {name: own.get(name, {}) for name in named or usual_metrics(has_mask=any(known))}
    _require_regions(chosen, known)
    refused = rehearsed(ready_for(first, prepared[:1], classes[:1]), chosen, strict=bool(named))
    kept = {name: values for name, values in chosen.items() if name not in refused}
    sheet = GradeSheet(len(images), kept, known, refused)
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
    """One batch of pictures: every method that still answers, and the controls once."""
    cases: dict[str, Case] = {}
    for name, explainer in explainers.items():
        if name in sheet.failures:
            continue
        try:
            cases[name], passes = case_for(ready_for(explainer, prepared, classes), mask=mask)
        except SeewhyError as error:
            sheet.failures[name] = error
            continue
        sheet.passes[name].append(passes)
    evidence = {name: case.native_evidence for name, case in cases.items()}
    for name, case in cases.items():
        sheet.grade(name, replace(case, rivals={other: evidence[other] for other in cases if other != name}), rows)
    for control in CONTROLS if cases else ():
        laid_on = replace(next(iter(cases.values())), rivals=evidence)
        sheet.grade(control, controlled(laid_on, control), rows)


def _require_no_controls(methods: Iterable[str]) -> None:
    for name in methods:
        if METHODS[name].name in CONTROLS:
            raise ConfigError(
                "SW-F283", f"{name!r} is graded beside every method anyway, as a control", fix="leave it out"
            )


def _metric_names(names: Any, settings: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The named metrics by their own names, none for the usual ones; names and settings checked."""
    asked = () if names is None else tuple(METRICS[name].name for name in named_list("metrics", names))
    for name, values in settings.items():
        METRICS[name].check(values)
        if name not in (asked or usual_metrics(has_mask=True)):
            raise ConfigError(
                "SW-F282", f"settings were given for {name!r}, which is not asked", fix="name a metric that is"
            )
    return tuple(dict.fromkeys(asked))


def _metric_settings(settings: Settings | None) -> dict[str, Mapping[str, Any]]:
    return {METRICS[name].name: values for name, values in named_settings("metric_settings", settings).items()}


def _require_regions(metrics: Mapping[str, Any], known: Sequence[bool]) -> None:
    for name in metrics:
        if METRICS[name].needs_mask and not any(known):
            raise ConfigError(
                "SW-F226",
                f"the metric {name!r} needs to know where the object is, and no picture has a mask or box",
                fix="give masks= or bboxes=, or choose another metric",
            )


def _regions(prepared: Sequence[Prepared], bboxes: Regions, masks: Regions) -> list[Tensor | None]:
    for name, given in (("bboxes", bboxes), ("masks", masks)):
        several = given is None or (hasattr(given, "__len__") and not isinstance(given, str))
        if not several or (given is not None and len(given) != len(prepared)):
            told = f"{len(given)} {name} were" if several and given is not None else f"{name}={given!r} was"
            raise ConfigError(
                "SW-F231",
                f"{told} given for {len(prepared)} pictures",
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
