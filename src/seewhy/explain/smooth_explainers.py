"""Averages over noisy inputs, of the plain gradient or of another explainer."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from torch import nn

from seewhy.explain.explainer import Explainer


class SmoothGrad(Explainer, method="smoothgrad"):
    """The mean of an explanation over noisy inputs (Smilkov et al. 2017, arXiv:1706.03825).

    Args:
        base_explainer: what is averaged: another explainer with its layer and all it was told of the model, or a model
            for its plain gradient.
        noise_level: standard deviation of the noise as a share of the input's range.
        num_samples: noisy inputs.
        use_cuda: as in :class:`seewhy.explain.explainer.Explainer`.
        others: as in :class:`seewhy.explain.explainer.Explainer`; they win over the base's.
    """

    other_names = MappingProxyType({"n_samples": "num_samples"})

    def __init__(
        self,
        base_explainer: Explainer | nn.Module,
        noise_level: float = 0.15,
        num_samples: int = 50,
        use_cuda: bool = True,
        **others: Any,
    ) -> None:
        model, given = _over(base_explainer)
        settings = {"noise_level": noise_level, "num_samples": num_samples, **others}
        super().__init__(model, use_cuda=use_cuda, **{**given, **settings})


class VarGrad(SmoothGrad, method="vargrad"):
    """The variance of an explanation over noisy inputs (Adebayo et al. 2018, arXiv:1810.03292); arguments as there."""


def _over(base: Explainer | nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    """The model asked, and the settings that follow from the explainer averaged over."""
    if not isinstance(base, Explainer):
        return base, {}
    return base.model, {"of": base.asked({}), "cache": base.cache, **vars(base.reading)}
