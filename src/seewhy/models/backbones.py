"""One picture in, one vector out: any classifier of timm or torchvision without its head, and its vector's width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import timm
from torch import nn
from torchvision import models

from seewhy.models.built import Preprocessing, check_kwargs
from seewhy.models.from_timm import build_timm, takes_one_size
from seewhy.models.from_torchvision import build_torchvision, output_layer
from seewhy.values import ModelError, nearest

LIBRARIES = ("timm", "torchvision")
_RGB = 3
_MANAGED = {"in_chans": "set channels, and channel_adapter=none, instead"}
_WITH_SIDE_HEADS = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Backbone:
    """``module`` takes ``(B, channels, H, W)`` to pooled features ``(B, width)``; ``name`` begins with its library."""

    module: nn.Module
    width: int
    name: str
    preprocessing: Preprocessing | None = None


def build_backbone(
    name: str,
    *,
    channels: int = _RGB,
    img_size: int | tuple[int, int] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Backbone:
    """A backbone with random weights: ``timm:NAME``, ``torchvision:NAME``, or a bare name, looked up in this order.

    The width is what the library itself says of the model, never a constant of ours. ``img_size`` is for timm's
    models that are built for one size; ``kwargs`` go to the library as they are.

    Raises:
        ModelError: ``SW-M63`` a name that no library has, ``SW-M66`` a torchvision model for other than three
            channels, and ``SW-M52`` to ``SW-M56`` from the libraries.

    Example:
        >>> build_backbone("efficientnet_b2", channels=1).width, build_backbone("torchvision:resnet18").width
        (1408, 512)
    """
    library, plain = _library_of(name)
    given = check_kwargs(kwargs, _MANAGED)
    if library == "timm":
        return _from_timm(plain, channels, img_size, given)
    if channels != _RGB:
        raise ModelError(
            "SW-M66",
            f"torchvision's {plain} takes pictures of 3 channels, not {channels}",
            fix="use channel_adapter=to3, or a backbone of timm, which takes any number of channels",
        )
    return _from_torchvision(plain, given)


def _library_of(name: str) -> tuple[str, str]:
    library, colon, plain = name.partition(":")
    if colon and library in LIBRARIES:
        return library, plain
    if not colon and (timm.is_model(name.partition(".")[0]) or "/" in name):  # timm's builder refuses a path
        return "timm", name
    if not colon and name in models.list_models(module=models):
        return "torchvision", name
    known = [*timm.list_models(), *models.list_models(module=models)]
    raise ModelError(
        "SW-M63",
        f"neither timm nor torchvision has a backbone {name!r}",
        near=nearest(plain or name, known),
        fix="use a name such as efficientnet_b0, timm:convnext_tiny or torchvision:resnet18",
    )


def _from_timm(name: str, channels: int, img_size: int | tuple[int, int] | None, given: Mapping[str, Any]) -> Backbone:
    sized = {} if img_size is None or not takes_one_size(name) else {"img_size": img_size}
    built = build_timm(name, 0, {**sized, **given, "in_chans": channels})
    module: Any = built.module
    return Backbone(module, int(module.head_hidden_size), f"timm:{name}", built.preprocessing)


def _from_torchvision(name: str, given: Mapping[str, Any]) -> Backbone:
    one_output = {"aux_logits": False} if name in _WITH_SIDE_HEADS else {}
    built = build_torchvision(name, kwargs={**one_output, **given})
    head, width, _ = output_layer(built.module)
    built.module.set_submodule(head, nn.Identity())
    return Backbone(built.module, width, f"torchvision:{name}", built.preprocessing)
