"""Models and pictures by one call each, for people who start with files."""

from __future__ import annotations

import os
import warnings
from typing import Any

from PIL import Image
from torch import nn

from seewhy.data.pictures import read_picture, rgb8
from seewhy.explain.recipe import remember
from seewhy.models.build import KINDS, build_model
from seewhy.models.built import Built
from seewhy.models.load import load_checkpoint
from seewhy.values import ModelError, nearest


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """A picture file as an upright 8-bit RGB image; transparency shows white.

    Raises:
        DataError: ``SW-D44`` a web address, and what :func:`seewhy.data.decoding.decode` raises.
    """
    return Image.fromarray(rgb8(read_picture(path).picture))


def load_model(
    checkpoint: str | os.PathLike[str] | None = None,
    model: str = "timm:resnet50",
    num_classes: int | None = None,
    *,
    min_coverage: float = 0.9,
    **settings: Any,
) -> nn.Module:
    """A model in evaluation mode with a checkpoint's weights, on the CPU.

    Args:
        checkpoint: a file of weights in any common form; None leaves random weights, with a warning.
        model: ``timm:resnet50``, ``torchvision:resnet18``, ``mae_vit:base`` or ``custom:package.module.Class``, a
            class of your own or a LightningModule.
        num_classes: as the checkpoint was trained with; the architecture's own number if None.
        min_coverage: the share of the model's tensors that the file must hold.
        settings: for the library or your class, such as ``img_size=96``.

    Raises:
        ModelError: ``SW-M50`` to ``SW-M61``, a model that cannot be built.
        CheckpointError: ``SW-C01`` to ``SW-C22``, weights that cannot be read or do not fit.

    Example:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     type(load_model(model="torchvision:resnet18", num_classes=2)).__name__
        'ResNet'
    """
    built = _built(model, num_classes, settings)
    if checkpoint is None:
        warnings.warn(
            f"{model} has random weights, since no checkpoint was given: it knows nothing", UserWarning, stacklevel=2
        )
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
            fix="write timm:resnet50, torchvision:resnet18, mae_vit:base or custom:package.module.Class",
        )
    classes = {} if num_classes is None else {"num_classes": num_classes}
    if kind == "custom":
        return build_model(kind, _target_=name, **classes, **settings)
    if kind == "mae_vit":
        return build_model(kind, backbone=name, **classes, **settings)
    return build_model(kind, name=name, **classes, kwargs=settings)
