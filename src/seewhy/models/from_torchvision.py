"""Classification models of torchvision, by any of its names; weights never come from the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision import models

from seewhy.models.built import (
    Built,
    Preprocessing,
    check_classes,
    check_kwargs,
    construct,
    parameter_count,
    tensors_under,
)
from seewhy.values import ModelError, nearest

_WEIGHTS = "weights come from ckpt_path=...; remove this setting"
_MANAGED = {
    "weights": _WEIGHTS,
    "pretrained": _WEIGHTS,
    "weights_backbone": _WEIGHTS,
    "num_classes": "set model.num_classes instead",
}


def build_torchvision(name: str, num_classes: int | None = None, kwargs: Mapping[str, Any] | None = None) -> Built:
    """A torchvision classifier with random weights; ``num_classes=None`` keeps torchvision's 1000.

    Raises:
        ModelError: ``SW-M52`` unknown name, ``SW-M53`` to ``SW-M55`` settings that do not work.
    """
    known = models.list_models(module=models)
    if name not in known:
        near = nearest(name, known)
        raise ModelError("SW-M52", f"torchvision has no classification model {name!r}", near=near, fix="see near names")
    check_classes(num_classes, least=1)
    given = check_kwargs(kwargs, _MANAGED)
    settings = given if num_classes is None else {**given, "num_classes": num_classes}
    weights = models.get_model_weights(name).DEFAULT
    quiet = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    module: nn.Module = construct(
        "torchvision", name, lambda **them: models.get_model(name, weights=None, **(quiet | them)), settings
    )
    head, _, outputs = output_layer(module)
    return Built(
        module=module,
        facts={
            "kind": "torchvision",
            "name": name,
            "num_classes": outputs,
            "kwargs": given,
            "parameters": parameter_count(module),
        },
        preprocessing=_preprocessing(weights),
        class_names=tuple(weights.meta["categories"]) if num_classes is None else None,
        require=tensors_under(head),
    )


def output_layer(module: nn.Module) -> tuple[str, int, int]:
    """The last linear layer (a convolution in SqueezeNet), which every torchvision classifier ends in.

    Its name, the width of what it takes, and the number of its outputs.
    """
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    linear = [(name, layer) for name, layer in layers if isinstance(layer, nn.Linear)]
    name, layer = (linear or layers)[-1]
    if isinstance(layer, nn.Linear):
        return name, layer.in_features, layer.out_features
    return name, layer.in_channels, layer.out_channels


def _preprocessing(weights: Any) -> Preprocessing:
    preset = weights.transforms()
    (size,), (resized,) = preset.crop_size, preset.resize_size
    return Preprocessing(
        size=(size, size),
        crop=size / resized,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )
