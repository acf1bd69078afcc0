"""How a model wants its inputs: by position, by keyword, in a list or a dict, or as a list of single records."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from seewhy.core import Inputs
from seewhy.values import ConfigError, ModelError, nearest

Passing = Literal["positional", "keyword", "list", "dict", "records"]


def passing_of(model: nn.Module, inputs: Inputs, told: str | None = None) -> Passing | None:
    """How ``model.forward`` takes these inputs: as told, else by its signature; None where that leaves it open.

    Several inputs go by keyword where the signature knows their names, else by position where it has room for them; a
    single parameter takes a list or a dict, as its annotation says. Raises ``ConfigError`` SW-F120 for another way than
    those there are, ``ModelError`` SW-M22 where some names are known to the signature and others are not, SW-M23 where
    there is no room.
    """
    if told is not None:
        return _checked(told)
    if len(inputs) == 1:
        return "positional"
    parameters = list(inspect.signature(model.forward).parameters.values())
    named = {one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
    kinds = {one.kind for one in parameters}
    if set(inputs) <= named or inspect.Parameter.VAR_KEYWORD in kinds:
        return "keyword"
    if unknown := [name for name in inputs if name not in named and named & set(inputs)]:
        raise ModelError(
            "SW-M22",
            f"the model's forward knows {', '.join(sorted(named & set(inputs)))}, but no input {unknown[0]!r}",
            near=nearest(unknown[0], named - set(inputs)),
            fix="name the inputs as forward's parameters, or say passing='positional'",
        )
    if inspect.Parameter.VAR_POSITIONAL in kinds or len(named) >= len(inputs):
        return "positional"
    return _by_annotation(parameters, inputs)


def _by_annotation(parameters: Sequence[inspect.Parameter], inputs: Inputs) -> Passing | None:
    if len(parameters) != 1:
        raise ModelError(
            "SW-M23",
            f"the model's forward takes {len(parameters)} inputs, {len(inputs)} were given: {', '.join(inputs)}",
            fix="give the inputs that forward takes, in their order, or say passing='list' or 'dict'",
        )
    told = str(parameters[0].annotation).lower()
    if "dict" in told or "mapping" in told:
        return "dict"
    return "list" if any(word in told for word in ("list", "tuple", "sequence", "iterable")) else None


def call_with(model: nn.Module, inputs: Inputs, passing: Passing) -> Any:
    """The model's answer for inputs passed this way."""
    if passing == "positional":
        return model(*inputs.values())
    if passing == "keyword":
        return model(**inputs)
    if passing == "dict":
        return model(dict(inputs))
    if passing == "list":
        return model(list(inputs.values()))
    return model([record for tensor in inputs.values() for record in tensor])


OPEN: Sequence[Passing] = ("list", "dict")
"""What is tried, in this order, where a forward has one parameter without an annotation."""


def first_that_works(call: Callable[[Passing], Any]) -> tuple[Passing, Any]:
    """The first of :data:`OPEN` that the model can be called with, and its answer; raises what the last one raised."""
    first, last = OPEN
    try:
        return first, call(first)
    except ModelError:
        return last, call(last)


def frames_second(tensors: Inputs, frames_first: Sequence[str]) -> Inputs:
    """Clips ``(B, T, C, H, W)`` as ``(B, C, T, H, W)``, and back again: the two axes change places."""
    return {name: tensor.transpose(1, 2) if name in frames_first else tensor for name, tensor in tensors.items()}


def _checked(told: str) -> Passing:
    if told not in get_args(Passing):
        raise ConfigError(
            "SW-F120",
            f"passing is one of {', '.join(get_args(Passing))}, got {told!r}",
            near=nearest(str(told), get_args(Passing)),
            fix="leave it out to have it found from the signature of forward",
        )
    return told  # type: ignore[return-value]


def frames_first_of(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The inputs with three axes of space or time whose channels the model takes third, ``(B, T, C, H, W)``.

    Told by how many channels the model's first convolution takes; a model without one takes channels second. Raises
    ``ConfigError`` SW-F141 where both axes have that many.
    """
    first = first_convolution(model)
    return tuple(name for name, tensor in inputs.items() if tensor.ndim == 5 and _is_frames_first(first, name, tensor))


def first_convolution(model: nn.Module) -> _ConvNd | None:
    """The convolution that a model names first, which is the one its input goes into."""
    return next((module for module in model.modules() if isinstance(module, _ConvNd)), None)


def takes_signals(model: nn.Module) -> bool:
    """Whether a model's first convolution is one over time alone."""
    return isinstance(first_convolution(model), nn.Conv1d)


def _is_frames_first(first: _ConvNd | None, name: str, tensor: Tensor) -> bool:
    second, third = (first is not None and length == first.in_channels for length in tensor.shape[1:3])
    if second and third:
        raise ConfigError(
            "SW-F141",
            f"the input {name!r} {tuple(tensor.shape)} has as many frames or slices as channels: which axis the model "
            "takes for which cannot be found",
            fix="say frames_first=() for (B, C, T, H, W), or frames_first=('" + name + "',) for (B, T, C, H, W)",
        )
    return third
