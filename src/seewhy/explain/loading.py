"""Models and pictures by one call each, for people who start with files."""

from __future__ import annotations

import os
from typing import Any, Final

from PIL import Image
from torch import nn

from seewhy.data.pictures import read_picture, rgb8
from seewhy.explain.recipe import remember
from seewhy.explain.warning import warn_caller
from seewhy.models.build import KINDS, build_model
from seewhy.models.built import Built
from seewhy.models.load import load_checkpoint
from seewhy.values import ConfigError, ModelError, nearest

FORMS: Final = "timm:resnet50, torchvision:resnet18, mae_vit:base or custom:package.module.Class"


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """A picture file as an upright 8-bit RGB image; transparency shows white.

    Raises:
        DataError: ``SW-D44`` a web address, and what :func:`seewhy.data.decoding.decode` raises.
    """
    return Image.fromarray(rgb8(read_picture(path).picture))


def load_model(
    checkpoint: str | os.PathLike[str] | None = None,
    model: str | None = None,
    num_classes: int | None = None,
    *,
    min_coverage: float = 0.9,
    **settings: Any,
) -> nn.Module:
    """A model in evaluation mode with a checkpoint's weights, on the CPU.

    Args:
        checkpoint: a file of weights in any common form; None leaves random weights, with a warning.
        model: ``timm:resnet50``, ``torchvision:resnet18``, ``mae_vit:base`` or ``custom:package.module.Class``, a
            class of your own or a LightningModule; a file of weights does not say what it is of.
        num_classes: as the checkpoint was trained with; the architecture's own number if None.
        min_coverage: the share of the model's tensors that the file must hold.
        settings: for the library or your class, such as ``img_size=96``.

    Raises:
        ConfigError: ``SW-F94``, no model is named.
        ModelError: ``SW-M50`` to ``SW-M61``, a model that cannot be built.
        CheckpointError: ``SW-C01`` to ``SW-C22``, weights that cannot be read or do not fit.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     type(load_model(model="torchvision:resnet18", num_classes=2)).__name__
        'ResNet'
    """
    if model is None:
        raise ConfigError(
            "SW-F94",
            "the model that the weights are of must be named",
            fix=f"pass model=..., written {FORMS}",
        )
    built = _built(model, num_classes, settings)
    if checkpoint is None:
        warn_caller(f"{model} has random weights, since no checkpoint was given: it knows nothing")
    else:
        load_checkpoint(built.module, checkpoint, min_coverage=min_coverage, drop=built.drop, require=built.require)
    module = built.module.eval()
    remember(module, built)
    return module


def _built(model: str, num_classes: int | None, settings: dict[str, Any]) -> Built:
    kind, colon, name = model.partition(":")
    if not colon or kind not in KINDS:
        raise ModelError(
            "SW-M50",
            f"a model is named kind:name, got {model!r}",
            near=nearest(kind, KINDS),
            fix=f"write {FORMS}",
        )
    classes = {} if num_classes is None else {"num_classes": num_classes}
    if kind == "custom":
        return build_model(kind, _target_=name, **classes, **settings)
    if kind == "mae_vit":
        return build_model(kind, backbone=name, **classes, **settings)
    return build_model(kind, name=name, **classes, kwargs=settings)
