"""Attention as explanation, with the constructors that people know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import nn

from seewhy.explain.drawing import Destination
from seewhy.explain.explainer import Explainer, Heat
from seewhy.explain.prepared import ImageLike
from seewhy.values import ConfigError


class AttentionRollout(Explainer, method="rollout"):
    """Attention of the class token followed back through all layers (Abnar and Zuidema 2020, arXiv:2005.00928).

    Args:
        model: a model with attention over all its tokens.
        head_fusion: how the heads of a layer become one: ``mean`` (the paper), ``max`` or ``min``.
        discard_ratio: the share of the lowest weights of every row that counts as zero, in [0, 1); 0 is the paper.
        use_cuda: as in :class:`seewhy.explain.explainer.Explainer`.
        others: as in :class:`seewhy.explain.explainer.Explainer`; ``discard_cls_token=True`` is accepted here and in
            every call, since tokens without a place in the picture are never drawn.

    Raises:
        ConfigError: ``SW-F77``, ``discard_cls_token=False``, for which a picture has no place.
    """

    def __init__(
        self,
        model: nn.Module,
        head_fusion: str = "mean",
        discard_ratio: float = 0.0,
        use_cuda: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(model, use_cuda=use_cuda, head_fusion=head_fusion, discard_ratio=discard_ratio, **others)

    @classmethod
    def renamed(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """As of every explainer, without ``discard_cls_token``, which has one possible value."""
        known = super().renamed(settings)
        if not known.pop("discard_cls_token", True):
            raise ConfigError(
                "SW-F77",
                "the class token has no place in the picture, so its own share cannot be drawn",
                fix="leave discard_cls_token out; seewhy.methods.attention.rollout returns all tokens",
            )
        return known

    def visualize(  # type: ignore[override]
        self,
        attention_map: Any,
        image: Any = None,
        save_path: Destination | None = None,
        alpha: float = 0.5,
        colormap: str = "viridis",
        **look: Any,
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The map over its picture: ``visualize(attention_map, image)``, or ``visualize(image)`` to explain it first.

        ``visualize(image, attention_map)``, the order of the other explainers, is understood too: a picture is a path,
        a PIL image, a tensor or an array of three axes, a map an array of two.
        """
        first_is_map = isinstance(attention_map, np.ndarray) and attention_map.ndim == 2 and image is not None
        picture, heat = (image, attention_map) if first_is_map else (attention_map, image)
        return super().visualize(picture, heat, save_path, colormap=colormap, alpha=alpha, **look)


class AttentionFlow(Explainer, method="attention_flow"):
    """One layer's attention of a patch to all patches; with ``exact=True`` the maximum flow into it of the paper.

    Args:
        model: a model with attention over all its tokens.
        target_patch: the patch that attends, counted row by row from 0 without prefix tokens.
        layer_idx: the layer, -1 the last.
        exact: the maximum flow through all layers (Abnar and Zuidema 2020, arXiv:2005.00928, section 3).
        use_cuda, others: as in :class:`seewhy.explain.explainer.Explainer`.
    """

    def __init__(
        self,
        model: nn.Module,
        target_patch: int = 0,
        layer_idx: int = -1,
        exact: bool = False,
        use_cuda: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(
            model, use_cuda=use_cuda, target_patch=target_patch, layer_idx=layer_idx, exact=exact, **others
        )

    def explain(  # type: ignore[override]
        self,
        image: ImageLike,
        from_patch: int | None = None,
        layer_idx: int | None = None,
        *,
        target_class: Any = None,
        normalize: bool = True,
        **settings: Any,
    ) -> Heat:
        """As every explainer; of another patch or layer than the object's where one is given."""
        given = {"target_patch": from_patch, "layer_idx": layer_idx}
        chosen = {name: value for name, value in given.items() if value is not None}
        return super().explain(image, target_class, normalize, **chosen, **settings)

    __call__ = explain  # type: ignore[assignment]

    def get_attention_flow(self, image: ImageLike, from_patch: int, layer_idx: int = -1) -> Heat:
        """:meth:`explain` for another patch and layer.

        Args:
            image: as in :meth:`seewhy.Explainer.explain`.
            from_patch: the patch that attends, counted row by row from 0 without prefix tokens.
            layer_idx: the layer, -1 the last.
        """
        return self.explain(image, from_patch, layer_idx)
