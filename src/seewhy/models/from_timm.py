"""Models of timm, by any of its names; weights never come from the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from torch import nn

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
    "pretrained": _WEIGHTS,
    "checkpoint_path": _WEIGHTS,
    "pretrained_cfg": _WEIGHTS,
    "pretrained_cfg_overlay": _WEIGHTS,
    "num_classes": "set model.num_classes instead",
}


def build_timm(name: str, num_classes: int | None = None, kwargs: Mapping[str, Any] | None = None) -> Built:
    """A timm model with random weights; ``num_classes=0`` leaves the head off, ``None`` keeps timm's number.

    Raises:
        ModelError: ``SW-M52`` unknown name, ``SW-M53`` to ``SW-M56`` settings that do not work.
    """
    check_timm_name(name)
    check_classes(num_classes, least=0)
    given = check_kwargs(kwargs, _MANAGED)
    settings = given if num_classes is None else {**given, "num_classes": num_classes}
    module: Any = construct("timm", name, lambda **them: timm.create_model(name, pretrained=False, **them), settings)
    classes = int(module.num_classes)
    return Built(
        module=module,
        facts={
            "kind": "timm",
            "name": name,
            "num_classes": classes,
            "kwargs": given,
            "parameters": parameter_count(module),
        },
        preprocessing=timm_preprocessing(module, given),
        headless=classes == 0,
        class_names=_class_names(module) if num_classes is None else None,
        require=_head_patterns(module) if classes else (),
    )


def takes_one_size(name: str) -> bool:
    """Whether an architecture is built for one input size, which its ``img_size`` sets."""
    check_timm_name(name)
    config = timm.get_pretrained_cfg(name)
    return bool(config is not None and config.fixed_input_size)


def check_timm_name(name: str) -> None:
    """Refuse a name that timm does not know or would look up on the network.

    Raises:
        ModelError: ``SW-M52`` unknown, ``SW-M56`` remote or on disk.
    """
    if ":" in name or "/" in name:
        raise ModelError(
            "SW-M56",
            f"{name!r} names a model outside timm; models are built from timm's own code, without the network",
            fix="use the architecture's plain name (such as 'resnet50') and give the weights as ckpt_path",
        )
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise ModelError(
            "SW-M52",
            f"timm has no model {name!r}",
            fix="timm.list_models('*part*') lists the names",
            near=nearest(architecture, timm.list_models()),
        )
    known = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in known:
        raise ModelError(
            "SW-M52",
            f"timm's {architecture} has no variant {tag!r}",
            near=nearest(tag, known) or known[:5],
            fix=f"leave the variant out: {architecture} is the architecture",
        )


def timm_preprocessing(module: nn.Module, kwargs: Mapping[str, Any]) -> Preprocessing:
    """timm's own data configuration of a model, at the size and number of channels it was built for."""
    config: dict[str, Any] = resolve_model_data_config(module)  # type: ignore[no-untyped-call]
    side = kwargs.get("img_size", config["input_size"][1:])
    height, width = (side, side) if isinstance(side, int) else tuple(side)
    known = kwargs.get("in_chans", len(config["mean"])) == len(config["mean"])
    return Preprocessing(
        size=(int(height), int(width)),
        crop=float(config["crop_pct"]),
        mean=tuple(config["mean"]) if known else None,
        std=tuple(config["std"]) if known else None,
        interpolation=str(config["interpolation"]),
    )


def _head_patterns(module: nn.Module) -> tuple[str, ...]:
    named = getattr(module, "pretrained_cfg", {}).get("classifier", ())
    return tensors_under(*([named] if isinstance(named, str) else named))


def _class_names(module: Any) -> tuple[str, ...] | None:
    subset = infer_imagenet_subset(module)
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return tuple(map(info.index_to_description, range(int(module.num_classes))))
