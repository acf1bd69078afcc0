"""A freshly built model and what its library knows about feeding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from seewhy.values import Json, ModelError


@dataclass(frozen=True)
class Preprocessing:
    """How a library feeds a model: the input ``size`` ``(H, W)`` and per-channel normalisation of values in [0, 1].

    The picture is resized so that the centre crop of ``size`` keeps ``crop`` of its shorter edge. ``mean`` and ``std``
    are ``None`` where no values are known for this number of channels.
    """

    size: tuple[int, int]
    crop: float = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class Built:
    """A model with random weights, and the facts a run needs.

    ``facts`` are plain JSON and describe how it was built. ``headless`` models return features instead of logits.
    ``drop`` and ``require`` are the patterns that :func:`seewhy.models.load.load_checkpoint` takes for this model.
    ``class_names`` are the library's own, and only where the number of classes was left at its default.
    """

    module: nn.Module
    facts: Mapping[str, Json]
    preprocessing: Preprocessing | None = None
    headless: bool = False
    class_names: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    require: tuple[str, ...] = ()


def construct(library: str, name: str, factory: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Call a library's factory, turning its complaints about the settings into one of ours.

    Raises:
        ModelError: ``SW-M53``.
    """
    try:
        return factory(**settings)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError, AttributeError) as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in settings.items()) or "no settings"
        raise ModelError(
            "SW-M53",
            f"{library} cannot build {name!r} with {shown}: {error or type(error).__name__}",
            fix=f"correct model.kwargs; they are passed to {library} as they are",
        ) from error


def check_kwargs(kwargs: Mapping[str, Any] | None, managed: Mapping[str, str]) -> dict[str, Any]:
    """The user's keyword arguments, without those that are settings of ours.

    ``managed`` maps a refused key to what to set instead.

    Raises:
        ModelError: ``SW-M54``.
    """
    given = dict(kwargs or {})
    for key in given:
        if key in managed:
            raise ModelError("SW-M54", f"model.kwargs.{key} is not taken here", fix=managed[key])
    return given


def check_classes(num_classes: int | None, least: int) -> None:
    """Refuse a number of classes that is no whole number, or below ``least``.

    Raises:
        ModelError: ``SW-M55``.
    """
    if num_classes is None or (type(num_classes) is int and num_classes >= least):
        return
    raise ModelError(
        "SW-M55",
        f"model.num_classes must be a whole number from {least} on, not {num_classes!r}",
        fix="set the number of classes the checkpoint was trained with",
    )


def parameter_count(module: nn.Module) -> int:
    """The number of parameters, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def tensors_under(*names: str) -> tuple[str, ...]:
    """Patterns of the tensors of some modules; those of a wrapped output layer (``head.0.weight``) included."""
    return tuple(f"{name}.*" for name in names)
