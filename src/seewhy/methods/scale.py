"""How a method's map is read: what counts as evidence, and whether its values are parts of the score."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from seewhy.evidence import Scale
from seewhy.methods.ask import Asked
from seewhy.registry import METHODS, Method

PERTURBING: Final = frozenset({"occlusion", "rise", "lime", "kernel_shap", "scorecam", "ablationcam"})
"""Signed methods whose positive values alone are evidence for the class, as in a class activation map."""


SENSITIVITIES: Final = frozenset({"Saliency", "GuidedBackprop", "Deconvolution", "Gradient"})
"""Attributions of captum and zennit whose values count per unit of the input."""


def scale_of(method: Method, settings: Mapping[str, Any] = MappingProxyType({})) -> Scale:
    """How a method's raw map becomes a heat map in [0, 1]: by what speaks for the class, or by how much matters.

    Class activation maps, attention and perturbation are drawn as ``relu(map) / max``: a negative value speaks against
    the class. Signed maps of input gradients are drawn as ``|map| / max``: there the sign tells whether the pixel is
    bright or dark as much as whether it helps. A method over other methods (smoothing, averaging) is drawn as they are.
    """
    inner = _inner(method, settings) if method.signed else ()
    if inner:
        scales = {_scale_of_inner(one) for one in inner}
        return "positive" if scales == {"positive"} else "magnitude"
    positive = not method.signed or method.needs_layer or method.needs_attention or method.name in PERTURBING
    return "positive" if positive else "magnitude"


def contributes_of(method: Method, settings: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Whether a map's values are parts of the score; those of a method over other methods are what theirs are.

    A variance is none, and sensitivities under another library's name are known by that name.

    >>> contributes_of(METHODS["smoothgrad"]), contributes_of(METHODS["smoothgrad"], {"of": "gradcam"})
    (False, True)
    """
    inner = _inner(method, settings)
    if not inner or method.name == "vargrad":
        return method.contributes and method.name.partition(".")[2] not in SENSITIVITIES
    return all(_contributes_inner(one) for one in inner)


def about_class_of(method: Method, settings: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Whether another class can have another map; of a method over other methods, whether it can of one of theirs.

    >>> about_class_of(METHODS["rollout"]), about_class_of(METHODS["smoothgrad"], {"of": "eigencam"})
    (False, False)
    """
    inner = _inner(method, settings)
    return any(_about_class_inner(one) for one in inner) if inner else method.about_class


def _about_class_inner(inner: Any) -> bool:
    if isinstance(inner, Asked):
        return about_class_of(inner.method, inner.settings)
    return about_class_of(METHODS[inner]) if isinstance(inner, str) else True


def _inner(method: Method, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """The methods that a method is about, if any."""
    inner = settings.get("of", method.settings.get("of"))
    if inner is None:
        return ()
    return tuple(inner) if isinstance(inner, list | tuple) else (inner,)


def _contributes_inner(inner: Any) -> bool:
    if isinstance(inner, Asked):
        return contributes_of(inner.method, inner.settings)
    return contributes_of(METHODS[inner]) if isinstance(inner, str) else True


def _scale_of_inner(inner: Any) -> Scale:
    if isinstance(inner, Asked):
        return scale_of(inner.method, inner.settings)
    return scale_of(METHODS[inner]) if isinstance(inner, str) else "magnitude"
