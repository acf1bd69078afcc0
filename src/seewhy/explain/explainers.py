"""One class per method, named as people know it. Those that need no code of their own are made from the registry."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from seewhy.explain.attention_explainers import AttentionFlow as AttentionFlow
from seewhy.explain.attention_explainers import AttentionRollout as AttentionRollout
from seewhy.explain.explainer import Explainer
from seewhy.explain.keywords import require_settings
from seewhy.explain.path_explainers import IntegratedGradients as IntegratedGradients
from seewhy.explain.reading import Reading, require_model
from seewhy.explain.smooth_explainers import SmoothGrad as SmoothGrad
from seewhy.explain.smooth_explainers import VarGrad as VarGrad
from seewhy.registry import METHODS

if TYPE_CHECKING:
    from seewhy.explain.cache import ExplanationCache

NAMES: Final = MappingProxyType(
    {
        "GradCAM": "gradcam",
        "GradCAMPlusPlus": "gradcam++",
        "GradCAMElementWise": "gradcam_elementwise",
        "HiResCAM": "hirescam",
        "LayerCAM": "layercam",
        "XGradCAM": "xgradcam",
        "EigenCAM": "eigencam",
        "EigenGradCAM": "eigengradcam",
        "ScoreCAM": "scorecam",
        "AblationCAM": "ablationcam",
        "FullGrad": "fullgrad",
        "KPCACAM": "kpca_cam",
        "LayerFusion": "layer_fusion",
        "Saliency": "saliency",
        "Gradient": "gradient",
        "InputXGradient": "input_x_gradient",
        "IntegratedGradients": "integrated_gradients",
        "SmoothGrad": "smoothgrad",
        "VarGrad": "vargrad",
        "GradientSHAP": "gradient_shap",
        "GuidedBackprop": "guided_backprop",
        "GuidedGradCAM": "guided_gradcam",
        "DeepLIFT": "deeplift",
        "Occlusion": "occlusion",
        "RISE": "rise",
        "LIME": "lime",
        "KernelSHAP": "kernel_shap",
        "Attention": "attention",
        "PatchAttention": "patch_attention",
        "AttentionRollout": "rollout",
        "AttentionFlow": "attention_flow",
        "AttentionMaxFlow": "attention_maxflow",
        "AttentionRelevance": "attention_relevance",
        "LeGrad": "legrad",
        "External": "external",
        "RandomMap": "random",
        "MeanOfMethods": "mean_of_methods",
        "MinusRandom": "minus_random",
        "TestTimeAugmentation": "tta",
    }
)
"""Class names and the methods they ask."""

_lock = threading.Lock()
_classes: dict[str, type[Explainer]] = {
    kind.method: kind for kind in (AttentionFlow, AttentionRollout, IntegratedGradients, SmoothGrad, VarGrad)
}


def explainer_class(method: str) -> type[Explainer]:
    """The class that asks a method, by any of the method's names.

    Raises:
        ConfigError: ``SW-F10``, there is no such method.

    Example:
        >>> explainer_class("gradcam++").__name__
        'GradCAMPlusPlus'
    """
    known = METHODS[method].name
    with _lock:
        if known not in _classes:
            members = {"__module__": __name__, "__qualname__": class_name(known)}
            _classes[known] = type(class_name(known), (Explainer,), members, method=known)
        return _classes[known]


def make_explainer(
    method: str,
    model: nn.Module,
    target_layer: str | nn.Module | None = None,
    reading: Reading = Reading(),  # noqa: B008  (frozen)
    settings: Mapping[str, Any] = MappingProxyType({}),
    *calls: Callable[..., Any],
    cache: ExplanationCache | None = None,
) -> Explainer:
    """The explainer of a method by any of the method's names, with these settings.

    ``calls`` are the functions whose parameters a misspelt setting may have meant.

    Raises:
        ConfigError: ``SW-F10`` no such method, ``SW-F12`` no such setting, ``SW-F13`` it has no layer.
    """
    kind = explainer_class(method)
    require_model(model)
    require_settings(METHODS[method], kind.renamed(settings), *calls)
    given: dict[str, Any] = {**settings, **vars(reading), "cache": cache}
    return kind(model, **given) if target_layer is None else kind(model, target_layer=target_layer, **given)


def class_name(method: str) -> str:
    """What the class of a method is called; a method outside the table by its own name.

    >>> class_name("rise"), class_name("my_method")
    ('RISE', 'MyMethod')
    """
    listed = {known: name for name, known in NAMES.items()}
    return listed.get(method) or "".join(part.capitalize() for part in re.split(r"\W+|_", method))


def __getattr__(name: str) -> type[Explainer]:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return explainer_class(NAMES[name])


def __dir__() -> list[str]:
    return sorted([*NAMES, "explainer_class"])
