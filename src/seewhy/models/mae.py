"""Vision transformers pre-trained as masked autoencoders: the encoder is kept, the decoder dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import timm

from seewhy.models.built import Built, Preprocessing, check_classes, check_kwargs, tensors_under
from seewhy.models.from_timm import build_timm
from seewhy.values import ModelError, nearest

_DECODER = ("decoder_*", "mask_token")
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MANAGED = {key: f"set model.{key} instead" for key in ("img_size", "in_chans", "global_pool", "num_classes")}


def build_mae_vit(
    backbone: str = "vit_base_patch16",
    num_classes: int = 0,
    img_size: int | tuple[int, int] = 224,
    in_chans: int = 3,
    global_pool: Literal["token", "avg"] = "token",
    kwargs: Mapping[str, Any] | None = None,
) -> Built:
    """The encoder of a masked autoencoder as a timm ViT: head-less by default, a classifier with ``num_classes``.

    ``global_pool="avg"`` is for checkpoints fine-tuned with average pooling, which hold ``fc_norm`` instead of
    ``norm``. Normalisation is ImageNet's, with which the method's authors trained.

    Raises:
        ModelError: ``SW-M57`` unknown backbone, ``SW-M53`` to ``SW-M55`` settings that do not work.
    """
    check_classes(num_classes, least=0)
    given = check_kwargs(kwargs, _MANAGED)
    shape = {"img_size": img_size, "in_chans": in_chans, "global_pool": global_pool}
    built = build_timm(timm_backbone(backbone), num_classes, {**given, **shape})
    known = in_chans == len(_IMAGENET_MEAN)
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    return replace(
        built,
        facts={**built.facts, "kind": "mae_vit", "backbone": backbone},
        preprocessing=Preprocessing(
            size=(height, width),
            crop=224 / 256,
            mean=_IMAGENET_MEAN if known else None,
            std=_IMAGENET_STD if known else None,
            interpolation="bicubic",
        ),
        drop=_DECODER if num_classes else (*_DECODER, "head.*"),
        require=(*built.require, *tensors_under("norm", "fc_norm")),
    )


def timm_backbone(backbone: str) -> str:
    """timm's name of a ViT named in the style of the MAE authors: ``mae_vit_large_patch16_dec512d8b`` or the like.

    Raises:
        ModelError: ``SW-M57``.
    """
    plain = re.sub(r"_dec\d+d\d+b$", "", backbone.removeprefix("mae_"))
    for name in (plain, f"{plain}_224"):
        if timm.is_model(name):
            return name
    known = sorted({name.removesuffix("_224") for name in timm.list_models("vit_*_patch*")})
    raise ModelError(
        "SW-M57",
        f"no vision transformer is called {backbone!r}",
        fix="use a name such as vit_base_patch16, vit_large_patch16 or vit_huge_patch14",
        near=nearest(plain, known),
    )
