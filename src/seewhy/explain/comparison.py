"""Several methods asked about one image, in as few passes as they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from seewhy.explain.drawing import Destination, Look, Picture, png_of, require_size, save_panels
from seewhy.explain.evaluate import evaluate_methods
from seewhy.explain.evaluation import Evaluation
from seewhy.explain.keywords import parameters_of
from seewhy.explain.prepared import ImageLike
from seewhy.explain.reading import Reading
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.result import Result, failed, result_of
from seewhy.explain.several import several_explainers
from seewhy.explain.side_by_side import explained_together
from seewhy.metrics.verdict import Verdict
from seewhy.models.outputs import Selector
from seewhy.registry import METHODS
from seewhy.render.plots import Panel, figure_of, rows_and_columns
from seewhy.values import ConfigError, SeewhyError, nearest

if TYPE_CHECKING:
    from seewhy.explain.cache import ExplanationCache
    from seewhy.render.plots import Figure

DEFAULT: Final = ("gradcam", "gradcam++")


class Comparison(dict[str, Result]):
    """The result of each method, by the name it was asked by. In a notebook it shows all pictures.

    A method that could not explain the model has an ``error`` in its result and no picture. Where metrics were asked
    for, each result has its ``metrics``, and ``evaluation`` holds them all with the verdict.
    """

    def __init__(
        self,
        results: dict[str, Result],
        look: Look,
        layout: str,
        figsize: tuple[float, float] | None,
        evaluation: Evaluation | None = None,
    ) -> None:
        super().__init__(results)
        self.look, self.layout, self.figsize, self.evaluation = look, layout, figsize, evaluation

    @property
    def verdict(self) -> Verdict | None:
        """Which of the methods to use for this model and why; None where no metrics were asked for."""
        return None if self.evaluation is None else self.evaluation.verdict

    @property
    def failures(self) -> dict[str, str]:
        """What went wrong, by method."""
        return {name: result["error"] for name, result in self.items() if "error" in result}

    def panels(self) -> dict[str, Picture]:
        """The original once, then each method's heat map over it."""
        shown = [(name, result) for name, result in self.items() if result.explained is not None]
        first = {"Original": shown[0][1].panels(caption=False)["Original"]}
        return first | {
            found.titled(name): next(iter(result.panels(show_original=False).values()))
            for name, result in shown
            if (found := result.explained) is not None
        }

    def figure(self) -> Figure:
        """A matplotlib figure of all pictures, which belongs to the caller."""
        panels = [Panel(*panel) for panel in self.panels().items()]
        return figure_of(panels, self.layout, figsize=self.figsize, dpi=self.look.dpi)

    def save(self, path: Destination) -> Path:
        """Write all pictures into one file, and note it in every result."""
        written = save_panels(self.panels(), path, self.look, self.layout, self.figsize)
        for result in self.values():
            if result.explained is not None:
                result["save_path"] = str(written)
        return written

    def _repr_png_(self) -> bytes:
        return png_of(self.panels(), self.look, self.layout, self.figsize)


def compare_methods(
    model: nn.Module,
    image: ImageLike,
    methods: Sequence[str] = DEFAULT,
    target_class: Any = None,
    target_layer: str | nn.Module | None = None,
    layout: str = "horizontal",
    colormap: str = "viridis",
    alpha: float = 0.4,
    save_path: Destination | None = None,
    dpi: int = 100,
    figsize: tuple[float, float] | None = None,
    *,
    return_heatmap: bool = True,
    preprocessing: Given | Recipe = None,
    class_names: Sequence[str] | None = None,
    task: str | None = None,
    threshold: float | None = None,
    output_selector: Selector | None = None,
    cache: ExplanationCache | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    metrics: bool | Sequence[str] = False,
    metric_settings: dict[str, dict[str, Any]] | None = None,
    bbox: Sequence[float] | None = None,
    mask: Any = None,
    **unknown: Any,
) -> Comparison:
    """Ask several methods about one image; those that read one pass share it.

    Args:
        methods: names; each is a key of the result as it was written.
        target_layer: for the methods that explain through a layer.
        layout: ``horizontal``, ``vertical`` or ``grid`` (four in a row).
        figsize: ``(width, height)`` of the picture in inches; 4 × 4 for each panel if None.
        settings: of the methods, by any of their names: ``{"ig": {"steps": 100}}``.
        metrics: True grades every method with the usual metrics, a list of names with these; the same is graded of
            maps that know nothing (``random``, ``centre``, ``edges``). ``result["metrics"][name]`` holds ``value``,
            ``controls`` and ``reason``, ``comparison.verdict`` says which method to use.
        metric_settings: of the metrics: ``{"deletion": {"steps": 20}}``.
        bbox, mask: where the object is, in pixels of the original picture, for metrics that need it.
        model, image, target_class, colormap, alpha, save_path, dpi, return_heatmap, preprocessing, class_names, task,
            threshold, output_selector, cache: as in :func:`seewhy.explain_prediction`; metrics are computed anew.
        unknown: none: any other keyword is refused.

    Raises:
        ConfigError: ``SW-F78`` no methods or one twice; ``SW-F10`` to ``SW-F13`` an unknown method or setting,
            ``SW-F90`` an unknown keyword, ``SW-F92`` a size that is none.
        SeewhyError: the first method's error, where none of them can explain the model.
    """
    _require_no_others(unknown)
    look = Look(colormap, alpha, dpi)
    rows_and_columns(1, layout)
    require_size(figsize)
    reading = Reading(preprocessing, class_names, task, threshold, output_selector).settled(model)
    explainers = several_explainers(methods, model, target_layer, reading, settings, compare_methods, cache=cache)
    if metrics is False and not (metric_settings is None and bbox is None and mask is None):
        raise ConfigError("SW-F282", "metric_settings, bbox and mask are for metrics", fix="say metrics=True")
    evaluation = None
    if metrics is not False:  # first: what is wrong with the metrics is told before anything is explained
        evaluation = evaluate_methods(
            model,
            [image],
            list(explainers),
            None if metrics is True else metrics,
            None if target_class is None else [target_class],
            bboxes=None if bbox is None else [bbox],
            masks=None if mask is None else [mask],
            target_layer=target_layer,
            settings=settings,
            metric_settings=metric_settings,
            preprocessing=reading.recipe,
            class_names=class_names,
            task=task,
            threshold=threshold,
            output_selector=output_selector,
        )
    found = explained_together(explainers, image, target_class)
    results = {
        name: failed(answer, METHODS[name].name)
        if isinstance(answer, SeewhyError)
        else result_of(answer, explainers[name], look, return_heatmap=return_heatmap)
        for name, answer in found.items()
    }
    errors = [answer for answer in found.values() if isinstance(answer, SeewhyError)]
    if len(errors) == len(results):
        raise errors[0]
    for name, told in evaluation.of_record(0).items() if evaluation else ():
        results[name]["metrics"] = told
    comparison = Comparison(results, look, layout, figsize, evaluation)
    if save_path is not None:
        comparison.save(save_path)
    return comparison


def _require_no_others(unknown: Mapping[str, Any]) -> None:
    for name in unknown:
        raise ConfigError(
            "SW-F90",
            f"compare_methods has no parameter {name!r}",
            near=nearest(name, [one for one in parameters_of(compare_methods) if one != "unknown"]),
            fix=f"settings belong to one method: settings={{'integrated_gradients': {{{name!r}: ...}}}}",
        )
