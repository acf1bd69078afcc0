"""Models by kind and settings, always with random weights: ``load_checkpoint`` gives them meaning."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from seewhy.models.built import Built
from seewhy.models.custom import build_custom
from seewhy.values import ModelError, nearest

_TARGET = "_target_"
KINDS = ("timm", "torchvision", "mae_vit", "multi_branch", "custom")


def build_model(kind: str, **settings: Any) -> Built:
    """A model of one of the kinds ``timm``, ``torchvision``, ``mae_vit``, ``multi_branch``, ``custom``, built offline.

    ``timm`` and ``torchvision`` take ``name``, ``num_classes`` and ``kwargs``; ``mae_vit`` takes ``backbone``,
    ``num_classes``, ``img_size``, ``in_chans``, ``global_pool`` and ``kwargs``; ``multi_branch`` what
    :class:`seewhy.models.multi_branch.MultiBranch` takes; ``custom`` takes ``_target_`` (the dotted name of the user's
    own class) and passes everything else to it.

    Raises:
        ModelError: ``SW-M50`` unknown kind, ``SW-M51`` unknown or missing setting, ``SW-M52`` to ``SW-M69`` from the
            kinds.

    Example:
        >>> build_model("torchvision", name="resnet18", num_classes=2).facts["parameters"]
        11177538
    """
    if kind == "custom":
        return _build_custom(settings)
    builder = _builder(kind)
    _check_settings(kind, builder, settings)
    return builder(**settings)


def _builder(kind: str) -> Callable[..., Built]:
    """The builder of a kind; each library takes seconds to import, so only the one in use is."""
    if kind == "timm":
        from seewhy.models.from_timm import build_timm

        return build_timm
    if kind == "torchvision":
        from seewhy.models.from_torchvision import build_torchvision

        return build_torchvision
    if kind == "mae_vit":
        from seewhy.models.mae import build_mae_vit

        return build_mae_vit
    if kind == "multi_branch":
        from seewhy.models.multi_branch import build_multi_branch

        return build_multi_branch
    raise ModelError(
        "SW-M50", f"no kind of model {kind!r}", fix=f"use one of {', '.join(KINDS)}", near=nearest(kind, KINDS)
    )


def _build_custom(settings: Mapping[str, Any]) -> Built:
    target = settings.get(_TARGET)
    if not isinstance(target, str) or not target:
        raise ModelError(
            "SW-M51",
            "a custom model needs _target_, the dotted name of your class",
            fix="set model._target_=my_package.my_module.MyModel",
            near=nearest(_TARGET, settings),
        )
    return build_custom(target, **{key: value for key, value in settings.items() if key != _TARGET})


def _check_settings(kind: str, builder: Callable[..., Built], settings: Mapping[str, Any]) -> None:
    known = inspect.signature(builder).parameters
    for key in settings:
        if key not in known:
            raise ModelError(
                "SW-M51",
                f"a {kind} model has no setting {key!r}",
                fix=f"known are {', '.join(known)}; anything else for the library goes under kwargs",
                near=nearest(key, known),
            )
    missing = [key for key, value in known.items() if value.default is value.empty and settings.get(key) is None]
    if missing:
        raise ModelError("SW-M51", f"a {kind} model needs model.{missing[0]}", fix=f"set model.{missing[0]}=...")
