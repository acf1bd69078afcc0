"""Interactive figures and pages of what a model saw: zoom, pan, values under the pointer; nothing is loaded or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from seewhy.explain.drawing import Destination, Look
from seewhy.explain.evaluate import evaluate_explainers
from seewhy.explain.evaluation import Evaluation
from seewhy.explain.explainer import Explainer
from seewhy.explain.explanation_metrics import reading_of
from seewhy.explain.interactive_choices import (
    FigureError,
    require_count,
    require_lengths,
    require_model_of_pictures,
    require_picture,
    require_text,
)
from seewhy.explain.interactive_figure import Style
from seewhy.explain.interactive_file import page_path, write_page
from seewhy.explain.interactive_page import comparison_page, explanation_page, report_page
from seewhy.explain.interactive_panels import comparison_figure, explanation_figure
from seewhy.explain.interactive_plotly import require_plotly
from seewhy.explain.interactive_subject import answered, answered_each, explainer_of
from seewhy.explain.interactive_text import said
from seewhy.explain.prepared import ImageLike
from seewhy.explain.reading import require_model
from seewhy.explain.result import Result


class InteractiveVisualizer:
    """Interactive figures and pages of a classifier's explanations.

    Pictures go through the explainer's own preprocessing, so that a page says what the model says. A page is one file
    that works without a network.

    Args:
        model: any image classifier; it stays as it is.
        use_cuda: accepted for compatibility: the model is asked where it is.
        reading: for methods given by name, what an explainer is told of the model: ``preprocessing``,
            ``class_names``, ``task``, ``threshold``, ``output_selector``.

    Raises:
        ModelError: ``SW-M20``, what is no model.
        FigureError: ``SW-V05``, a model of volumes or clips.
        ConfigError: ``SW-F230``, nothing to tell of a model.

    Example:
        >>> import torch
        >>> from seewhy.demo.models import load
        >>> figure = InteractiveVisualizer(load("cnn")).visualize_explanation(torch.zeros(3, 64, 64), "gradcam")
        >>> figure.data[0].z.shape
        (64, 64)
    """

    def __init__(self, model: nn.Module, use_cuda: bool = True, **reading: Any) -> None:
        del use_cuda
        require_model(model)
        require_model_of_pictures(model)
        reading_of(reading, "InteractiveVisualizer")
        self.model, self._reading = model, reading

    def visualize_explanation(
        self,
        image: ImageLike | None,
        explainer: Explainer | str | Result,
        target_class: Any = None,
        title: str = "Model Explanation",
        colorscale: str = "Viridis",
        opacity: float = 0.6,
        save_path: Destination | None = None,
        show_colorbar: bool = True,
        width: int = 800,
        height: int = 600,
    ) -> Any:
        """The picture, and the heat map over it, as a ``plotly.graph_objects.Figure``.

        ``figure.data[0].z`` is the heat map in [0, 1] where the model looked, at most 224 values along a side (means
        of pixels of a larger picture); axes are pixels of the picture. Under the pointer stand X, Y and Importance.

        Args:
            image: a path, picture, array or prepared tensor; not read where ``explainer`` is a result.
            explainer: an explainer of this model, a method's name, or a result of
                :func:`seewhy.explain.predictions.explain_prediction`, which is not asked again.
            target_class: a class's number or name; the predicted class if None.
            title: above the figure; shown to the letter.
            colorscale: any of :func:`seewhy.render.colormap_names`, in any case, as for saved pictures.
            opacity: weight of the colours in [0, 1]; places without evidence stay clear.
            save_path: an ``.html`` file to write as well; its folder is created.
            show_colorbar: draw the legend.
            width, height: of the figure in pixels; it is never too small for its legend.

        Raises:
            MissingExtraError: ``SW-X01``, Plotly is not installed.
            FigureError: ``SW-V01`` to ``SW-V07`` and ``SW-V11``, before anything is explained.
            ConfigError, RenderError: ``SW-F91`` and ``SW-R01``, ``SW-R05`` the colours or their weight.
            StoreError: ``SW-S01`` to ``SW-S03``, the disk failed while the page was written.
            SeewhyError: what explaining raises.
        """
        _check(title, colorscale, opacity, width=width, height=height)
        require_plotly()
        path = None if save_path is None else page_path(save_path)
        result = self._answer(image, explainer, target_class)
        style = Style(title, said(result), colorscale, float(opacity), width, height, show_colorbar)
        figure = explanation_figure(result, style)
        if path is not None:
            write_page(path, explanation_page(result, figure, style))
        return figure

    def compare_methods(
        self,
        image: ImageLike | None,
        explainers: Mapping[str, Explainer | str | Result],
        target_class: Any = None,
        title: str = "Method Comparison",
        colorscale: str = "Viridis",
        opacity: float = 0.6,
        save_path: Destination | None = None,
        width: int = 1200,
        height: int = 400,
    ) -> Any:
        """The picture, then each method's heat map over it, as one figure; all of them zoom together.

        Methods that read one pass share it. One that cannot explain the model leaves a note in its place.

        Args:
            explainers: by the name that stands above each map; or what :func:`seewhy.compare_methods` returned, whose
                metrics and verdict then stand below the figure on a saved page.
            height: of a row of pictures in pixels; four fit beside one another into 1200.
            others: as in :meth:`visualize_explanation`.

        Raises: as :meth:`visualize_explanation`, and ``FigureError`` SW-V08 for no methods by name.
        """
        _check(title, colorscale, opacity, width=width, height=height)
        require_plotly()
        path = None if save_path is None else page_path(save_path)
        results = self._answers(image, explainers, target_class)
        first = next(one for one in results.values() if one.explained is not None)
        style = Style(title, said(first), colorscale, float(opacity), width, height)
        figure = comparison_figure(results, style)
        if path is not None:
            evaluation = getattr(explainers, "evaluation", None)
            write_page(path, comparison_page(results, figure, style, evaluation))
        return figure

    def create_report(
        self,
        image: ImageLike | None,
        explainer: Explainer | str | Result,
        target_class: Any = None,
        include_statistics: bool = True,
        save_path: Destination = "report.html",
        title: str = "Interpretation Report",
        *,
        include_top_regions: bool = False,
        top_k: int = 5,
        include_metrics: bool | Sequence[str] = False,
        metric_settings: Mapping[str, Mapping[str, Any]] | None = None,
        bbox: Sequence[float] | None = None,
        mask: Any = None,
        colorscale: str = "Viridis",
        opacity: float = 0.6,
        width: int = 800,
        height: int = 600,
        interactive: bool = True,
    ) -> str:
        """Write one page about one picture; returns its path.

        It holds what the model says, the likeliest classes, the explanation, its statistics and distribution, and where
        asked for the regions with most of the evidence and metrics with controls and the verdict.

        Args:
            include_statistics: statistics of the heat map and its distribution over 50 parts of [0, 1].
            save_path: an ``.html`` file, never None: the page is all there is; its folder is created.
            include_top_regions: a table of the regions with most of the evidence, numbered on the picture.
            top_k: classes and regions told of, at most.
            include_metrics: True for the usual metrics, or a list of names.
            metric_settings: by metric: ``{"deletion": {"steps": 20}}``.
            bbox, mask: where the object is, in pixels of the original, for metrics that need it.
            interactive: False writes a page without Plotly and without any script: a fiftieth of the size.
            others: as in :meth:`visualize_explanation`.

        Raises: as :meth:`visualize_explanation`, and ``FigureError`` SW-V04 for ``top_k``, SW-V09 for metrics of a
        result, which are asked for where it is made, SW-V10 for a metric's settings without metrics; and what
        :func:`seewhy.evaluate_methods` raises.
        """
        _check(title, colorscale, opacity, width=width, height=height)
        require_count(top_k)
        if interactive:
            require_plotly()
        path = page_path(save_path)
        asked = {"metric_settings": metric_settings, "bbox": bbox, "mask": mask}
        evaluation = self._evaluated(image, explainer, target_class, include_metrics, asked)
        result = self._answer(image, explainer, target_class)
        style = Style(title, said(result), colorscale, float(opacity), width, height)
        shown = {"statistics": include_statistics, "regions": include_top_regions}
        write_page(path, report_page(result, style, top_k, evaluation, interactive=interactive, **shown))
        return str(path)

    def _answer(self, image: ImageLike | None, explainer: Explainer | str | Result, target_class: Any) -> Result:
        if not isinstance(explainer, Result):
            return answered(image, explainer_of(explainer, self.model, self._reading), target_class)
        if explainer.explained is None:
            raise FigureError("SW-V06", f"the result holds no map: {explainer.get('error')}", fix="use another method")
        return explainer

    def _answers(self, image: ImageLike | None, explainers: Any, target_class: Any) -> dict[str, Result]:
        named = isinstance(explainers, Mapping) and explainers and all(isinstance(name, str) for name in explainers)
        if not named:
            raise FigureError(
                "SW-V08",
                f"explainers are one or more by name, got {explainers!r:.200}",
                fix="write explainers={'Grad-CAM': seewhy.GradCAM(model), 'IG': 'integrated_gradients'}",
            )
        asked = {
            name: explainer_of(one, self.model, self._reading)
            for name, one in explainers.items()
            if not isinstance(one, Result)
        }
        found = answered_each(image, asked, target_class) if asked else {}
        results = {name: found.get(name, one) for name, one in explainers.items()}
        if all(one.explained is None for one in results.values()):
            raise FigureError("SW-V06", "no method of these has a map", fix="use other methods")
        return results

    def _evaluated(
        self, image: Any, explainer: Any, target_class: Any, metrics: bool | Sequence[str], asked: Mapping[str, Any]
    ) -> Evaluation | None:
        if metrics is False:
            for name, value in asked.items():
                if value is not None:
                    raise FigureError("SW-V10", f"{name} is for metrics", fix="say include_metrics=True")
            return None
        if isinstance(explainer, Result):
            raise FigureError(
                "SW-V09", "metrics ask the method again, and a result cannot", fix="give the explainer, or its name"
            )
        require_picture(image)
        one = explainer_of(explainer, self.model, self._reading)
        return evaluate_explainers(
            {one.method: one},
            [image],
            None if metrics is True else metrics,
            None if target_class is None else [target_class],
            bboxes=None if asked["bbox"] is None else [asked["bbox"]],
            masks=None if asked["mask"] is None else [asked["mask"]],
            metric_settings=asked["metric_settings"],
        )


def _check(title: object, colorscale: str, opacity: float, **lengths: object) -> None:
    """Everything that can be wrong with a figure's looks, before a model is asked."""
    Look(colorscale, opacity)
    require_text(title=title)
    require_lengths(**lengths)
