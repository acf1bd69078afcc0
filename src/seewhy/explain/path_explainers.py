"""Integrated Gradients with what belongs to it: completeness, and the two sides of its signed map."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from seewhy.core import Attribution
from seewhy.explain.explainer import Explainer
from seewhy.explain.figures import polarity_figure
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.render.heatmap import place_on_original
from seewhy.render.plots import save_figure
from seewhy.render.resize import resize
from seewhy.values import Geometry, TargetError

if TYPE_CHECKING:
    from seewhy.render.plots import Figure

SATISFIED = 0.05
"""The share of the score's change that may be unaccounted for."""


class IntegratedGradients(Explainer, method="integrated_gradients"):
    """Gradients along a straight path from a baseline (Sundararajan, Taly and Yan 2017, arXiv:1703.01365).

    Args:
        model: any differentiable classifier.
        baseline: ``black``, ``white``, ``blur``, ``mean`` or ``random``, defined in pixels, or a tensor of the model's
            input.
        steps: nodes of the path integral, or ``"auto"``.
        use_cuda, others: as in :class:`seewhy.explain.explainer.Explainer`.
    """

    other_names = MappingProxyType({"n_steps": "steps"})

    def __init__(
        self,
        model: nn.Module,
        baseline: str | Tensor = "black",
        steps: int | str = 50,
        use_cuda: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(model, use_cuda=use_cuda, baseline=baseline, **{"steps": steps, **others})

    def check_completeness(
        self, image: ImageLike, target_class: Any = None, *, tolerance: float = SATISFIED, **settings: Any
    ) -> dict[str, Any]:
        """Whether the attributions add up to the score's change from the baseline (completeness, proposition 1).

        Returns:
            ``completeness_score``, ``|F(x) - F(x') - sum|`` in the score's units; ``relative_error``, the same as
            a share of ``|F(x) - F(x')|``; ``score_difference``; ``attribution_sum``; ``is_satisfied``, whether the
            relative error is at most ``tolerance``.
        """
        found = self.explained(image, target_class, **settings).attribution
        total = float(next(iter(found.per_channel.values())).double().sum())
        residual = float(found.measured["completeness_residual"][0])
        difference = total - residual
        share = abs(residual) / abs(difference) if difference else float(residual != 0)
        return {
            "completeness_score": abs(residual),
            "relative_error": share,
            "score_difference": difference,
            "attribution_sum": total,
            "is_satisfied": share <= tolerance,
        }

    def get_completeness_score(
        self, image: ImageLike, attribution: Attribution | None = None, target_class: Any = None
    ) -> float:
        """``|F(x) - F(x') - sum of the attributions|``, of a given answer of :meth:`attribute` or of a new one."""
        if attribution is None:
            return float(self.check_completeness(image, target_class)["completeness_score"])
        return float(attribution.measured["completeness_residual"].abs()[0])

    def visualize_polarity(self, first: Any, second: Any = None, save_path: str | Path | None = None) -> Figure:
        """What speaks for the class in red, against it in blue: original, positive, negative, both.

        Either ``visualize_polarity(image, target_class, save_path)``, or ``visualize_polarity(attribution, image,
        save_path)`` with what :meth:`attribute` returned or a raw map ``(h, w)``. The figure belongs to the caller.
        """
        given = _given_map(first, second)
        if given is None:
            found = self.explained(first, second)
            picture, geometry, raw = found.prepared.draw(), found.prepared.geometry, found.raw
        else:
            prepared = prepare(second, self.recipe, self.study.dtype)
            picture, geometry, raw = prepared.draw(), prepared.geometry, given
        figure = polarity_figure(picture, _on_original(raw, geometry))
        if save_path is not None:
            save_figure(figure, Path(save_path).expanduser())
        return figure


def _given_map(first: Any, second: Any) -> np.ndarray | None:
    """The raw map where the first argument is an attribution and the second its image."""
    if isinstance(first, Attribution):
        if len(first.map) != 1:
            raise TargetError(
                "SW-T35", f"one image's attribution is drawn, got {len(first.map)}", fix="attribute one image at a time"
            )
        return first.map[0].float().cpu().numpy()
    has_image = second is not None and not isinstance(second, int | np.integer)
    if has_image and isinstance(first, np.ndarray | Tensor) and first.ndim == 2:
        return np.asarray(first, dtype=np.float32)
    return None


def _on_original(raw: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A signed map on the pixels of the original, zero where the model saw nothing."""
    if raw.shape == geometry.original:
        return raw
    height, width = geometry.input
    laid: np.ndarray = place_on_original(resize(raw, (height, width)), geometry)[0]
    return laid
