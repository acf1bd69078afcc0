"""Integrated Gradients with what belongs to it: completeness, and the two sides of its signed map."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float32
from PIL import Image
from torch import Tensor, nn

from seewhy.core import Attribution
from seewhy.explain.drawing import Destination, Picture
from seewhy.explain.explained import on_original
from seewhy.explain.explainer import Explainer
from seewhy.explain.figures import polarity_figure
from seewhy.explain.prepared import ImageLike, prepare
from seewhy.render.plots import save_figure
from seewhy.render.resize import resize
from seewhy.values import Geometry, TargetError

if TYPE_CHECKING:
    from seewhy.render.plots import Figure

Plane = Float32[np.ndarray, "height width"]
SATISFIED = 0.05
"""The share of the score's change that may be unaccounted for."""


class IntegratedGradients(Explainer, method="integrated_gradients"):
    """Gradients along a straight path from a baseline (Sundararajan, Taly and Yan 2017, arXiv:1703.01365).

    Args:
        model: any differentiable classifier.
        baseline: ``black``, ``white``, ``blur``, ``mean`` or ``random``, defined in pixels, or a tensor of the model's
            input; if None black, or where nobody told how values come from pixels the record's mean, as a note says.
        steps: nodes of the path integral, or ``"auto"``.
        use_cuda, others: as in :class:`seewhy.explain.explainer.Explainer`.
    """

    other_names = MappingProxyType({"n_steps": "steps"})

    def __init__(
        self,
        model: nn.Module,
        baseline: str | Tensor | None = None,
        steps: int | str = 50,
        use_cuda: bool = True,
        **others: Any,
    ) -> None:
        asked = {} if baseline is None else {"baseline": baseline}
        super().__init__(model, use_cuda=use_cuda, **{"steps": steps, **asked, **others})

    def check_completeness(
        self, image: ImageLike, target_class: Any = None, *, tolerance: float = SATISFIED, **settings: Any
    ) -> dict[str, Any]:
        """Whether the attributions add up to the score's change from the baseline (completeness, proposition 1).

        Args:
            image, target_class, settings: as in :meth:`explain`.
            tolerance: the relative error up to which the sum counts as complete.

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

    def get_completeness_score(self, image: ImageLike, attribution: Any = None, target_class: Any = None) -> float:
        """``|F(x) - F(x') - sum of the attributions|``, of a given answer of :meth:`attribute` or of a new one.

        A heat map in place of an answer tells nothing of the sum, so the image is asked about again; likewise where a
        class is named. Raises ``TargetError`` SW-T35 for an answer about several images.
        """
        known = isinstance(attribution, Attribution) and "completeness_residual" in attribution.measured
        if not known or target_class is not None:
            return float(self.check_completeness(image, target_class)["completeness_score"])
        _require_one(attribution)
        return float(attribution.measured["completeness_residual"].abs()[0])

    @overload
    def visualize_polarity(
        self, image: ImageLike, target_class: Any = None, save_path: Destination | None = None
    ) -> Figure: ...

    @overload
    def visualize_polarity(
        self, attribution: Any, image: ImageLike, save_path: Destination | None = None
    ) -> Figure: ...

    def visualize_polarity(self, *given: Any, **named: Any) -> Figure:
        """What speaks for the class in red, against it in blue: original, positive, negative, both.

        Either ``visualize_polarity(image, target_class=None, save_path=None)``, or ``visualize_polarity(attribution,
        image, save_path=None)`` with what :meth:`attribute` returned or a signed map ``(h, w)``; all by keyword, too.
        The figure belongs to the caller.

        Raises:
            TargetError: ``SW-T35`` several images' attribution, ``SW-T37`` a heat map that has lost its sign.
        """
        if "attribution" in named or (
            given and self._starts_with_map(given[0], next(iter(given[1:]), named.get("image")))
        ):
            return self._polarity_of_map(*given, **named)
        return self._polarity_of_image(*given, **named)

    def _polarity_of_image(
        self, image: ImageLike, target_class: Any = None, save_path: Destination | None = None
    ) -> Figure:
        found = self.explained(image, target_class)
        return _figure(found.prepared.draw(), found.raw, found.prepared.geometry, save_path)

    def _polarity_of_map(self, attribution: Any, image: ImageLike, save_path: Destination | None = None) -> Figure:
        raw = _signed_map(attribution)
        prepared = prepare(image, self.recipe, self.study.dtype)
        return _figure(prepared.draw(), raw, prepared.geometry, save_path)

    def _starts_with_map(self, first: Any, second: Any) -> bool:
        """Whether an attribution and its image were given, rather than an image (which may be a gray plane)."""
        if isinstance(first, Attribution):
            return True
        if not isinstance(first, np.ndarray | Tensor) or first.ndim != 2:
            return False
        if isinstance(second, str):
            return second not in (self.class_names or ()) and Path(second).expanduser().is_file()
        return isinstance(second, os.PathLike | Image.Image) or getattr(second, "ndim", 0) > 1


def _signed_map(attribution: Any) -> Plane:
    if isinstance(attribution, Attribution):
        _require_one(attribution)
        return attribution.map[0].float().cpu().numpy()
    values: Plane = np.asarray(attribution, dtype=np.float32)
    if values.min() >= 0 and values.max() <= 1:
        raise TargetError(
            "SW-T37",
            "the map holds no negative value: a heat map in [0, 1] has lost its sign",
            fix="pass attribute(image), or the map of explain(image, normalize=False)",
        )
    return values


def _require_one(attribution: Attribution) -> None:
    if len(attribution.map) != 1:
        count = len(attribution.map)
        raise TargetError(
            "SW-T35", f"one image's attribution is expected, got {count}", fix="attribute one image at a time"
        )


def _figure(picture: Picture, raw: Plane, geometry: Geometry, save_path: Destination | None) -> Figure:
    figure = polarity_figure(picture, _placed(raw, geometry))
    if save_path is not None:
        save_figure(figure, Path(save_path).expanduser())
    return figure


def _placed(raw: Plane, geometry: Geometry) -> Plane:
    """A signed map on the pixels of the original, zero where the model saw nothing.

    A map of the original's size that is not the input's is one that ``explain(image, normalize=False)`` placed already.
    """
    if raw.shape == geometry.original and raw.shape != geometry.input:
        return raw
    height, width = geometry.input
    return on_original(resize(raw, (height, width)), geometry)[0]
