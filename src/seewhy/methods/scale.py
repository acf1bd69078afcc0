"""What of a method's map counts as evidence: what speaks for the class, or all magnitudes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from seewhy.evidence import Scale
from seewhy.methods.ask import Asked
from seewhy.registry import METHODS, Method

PERTURBING: Final = frozenset({"occlusion", "rise", "lime", "kernel_shap", "scorecam", "ablationcam"})
"""Signed methods whose positive values alone are evidence for the class, as in a class activation map."""


def scale_of(method: Method, settings: Mapping[str, Any] = MappingProxyType({})) -> Scale:
    """How a method's raw map becomes a heat map in [0, 1]: by what speaks for the class, or by how much matters.

    Class activation maps, attention and perturbation are drawn as ``relu(map) / max``: a negative value speaks against
    the class. Signed maps of input gradients are drawn as ``|map| / max``: there the sign tells whether the pixel is
    bright or dark as much as whether it helps. A method over other methods (smoothing, averaging) is drawn as they are.
    """
    inner = settings.get("of", method.settings.get("of")) if method.signed else None
    if inner is not None:
        scales = {_scale_of_inner(one) for one in (inner if isinstance(inner, list | tuple) else [inner])}
        return "positive" if scales == {"positive"} else "magnitude"
    positive = not method.signed or method.needs_layer or method.needs_attention or method.name in PERTURBING
    return "positive" if positive else "magnitude"


def _scale_of_inner(inner: Any) -> Scale:
    if isinstance(inner, Asked):
        return scale_of(inner.method, inner.settings)
    return scale_of(METHODS[inner]) if isinstance(inner, str) else "magnitude"
