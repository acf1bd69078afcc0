"""A batch as a person has it (a tensor, a loader's tuple, a dict with labels) as what the model's forward takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.calling import (
    Passing,
    call_with,
    first_convolution,
    first_that_works,
    frames_first_of,
    frames_second,
    passing_of,
)
from seewhy.models.trace import first_call
from seewhy.models.weights import device_of, dtype_of
from seewhy.values import ConfigError, DataError

CLIP_NAMES: Final = ("video", "videos", "clip", "clips", "frames")
BY_AXES: Final = {3: "signal", 4: "image", 5: "volume"}


@dataclass(frozen=True)
class GivenBatch:
    """``inputs`` ``(B, C, *S)`` by name, clips ``(B, C, T, H, W)``, on the model's device and in its type.

    ``frames_first`` are those that the model takes as ``(B, T, C, H, W)``, or with ``as_pictures`` as ``(B · T, C, H,
    W)``, since it is one of pictures. ``records`` is B. ``steps`` is the number of frames, or of a volume's slices, and
    1 without either; ``is_clip`` tells frames from slices.
    """

    inputs: Inputs
    passing: Passing | None
    frames_first: tuple[str, ...]
    is_clip: bool
    as_pictures: bool = False

    @property
    def records(self) -> int:
        """How many records it holds."""
        return len(next(iter(self.inputs.values())))

    @property
    def steps(self) -> int:
        """How many frames or slices a record has."""
        return max((tensor.shape[2] for tensor in self.inputs.values() if tensor.ndim == 5), default=1)

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The spatial size of each input with space or time."""
        return {name: tuple(tensor.shape[2:]) for name, tensor in self.inputs.items() if tensor.ndim >= 3}

    def first(self, records: int) -> GivenBatch:
        """The first few records alone."""
        return replace(self, inputs={name: tensor[:records] for name, tensor in self.inputs.items()})

    def run(self, model: nn.Module) -> None:
        """Run the whole model on copies of the inputs; raises ``ModelError`` SW-M09 where they do not suit it."""
        first_call(lambda inputs: self._answer(model, inputs), self.inputs)

    def _answer(self, model: nn.Module, inputs: Inputs) -> Any:
        copies = {name: tensor.clone() for name, tensor in frames_second(inputs, self.frames_first).items()}
        if self.as_pictures:
            copies = {name: copy.flatten(0, 1) if copy.ndim == 5 else copy for name, copy in copies.items()}
        if self.passing is not None:
            return call_with(model, copies, self.passing)
        return first_that_works(lambda passing: first_call(lambda given: call_with(model, given, passing), copies))[1]


def given_batch(model: nn.Module, batch: Any, frames_first: Sequence[str] | None = None) -> GivenBatch:
    """What of a batch goes into ``model``.

    Args:
        model: its forward's argument names choose among the entries of a dict; what it does not know is left out.
        batch: a tensor ``(B, C, *S)``, or a clip ``(B, T, C, H, W)`` where the model's first convolution takes that; a
            dict of tensors; a list or tuple that begins with one of these, as loaders give them with their labels.
        frames_first: the inputs that are ``(B, T, C, H, W)``; found by the first convolution if None.

    Raises:
        DataError: ``SW-D130`` no tensor, or several that forward's names do not tell apart; ``SW-D131`` no records.
        ConfigError: ``SW-F141``, frames cannot be told from channels.
    """
    tensors = _by_name(model, batch)
    if any(not len(tensor) for tensor in tensors.values()):
        raise DataError("SW-D131", "the batch has no records", fix="give a batch of one record or more")
    device, dtype = device_of(model), dtype_of(model)
    moved = {
        name: tensor.detach().to(device, dtype if tensor.is_floating_point() and dtype is not None else tensor.dtype)
        for name, tensor in tensors.items()
    }
    moved = {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in moved.items()}
    if frames_first is None:
        frames_first = _frames_first(model, moved)
    named = {_settled_name(name, tensor, frames_first): tensor for name, tensor in moved.items()}
    frames_first = tuple(_settled_name(name, moved[name], frames_first) for name in frames_first)
    return GivenBatch(
        inputs=frames_second(named, frames_first),
        passing=passing_of(model, named) if len(named) > 1 or _single_by_position(model, named) else "keyword",
        frames_first=frames_first,
        is_clip=bool(frames_first) or any(name in CLIP_NAMES for name, one in named.items() if one.ndim == 5),
    )


def _by_name(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    if isinstance(batch, Tensor):
        return {"": batch}
    if isinstance(batch, Mapping):
        return _of_mapping(model, batch)
    if isinstance(batch, list | tuple) and batch:
        if isinstance(batch[0], Tensor) and batch[0].ndim < 3:
            pictures = [one for one in batch if isinstance(one, Tensor) and one.ndim >= 3]
            return {"": pictures[0]} if len(pictures) == 1 else _unclear(batch)
        return _by_name(model, batch[0])
    return _unclear(batch)


def _of_mapping(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors = {str(name): entry for name, entry in batch.items() if isinstance(entry, Tensor)}
    parameters = inspect.signature(model.forward).parameters
    known = {name: tensor for name, tensor in tensors.items() if name in parameters}
    if known:
        return known
    pictures = {name: tensor for name, tensor in tensors.items() if tensor.ndim >= 3 and tensor.is_floating_point()}
    required = [
        one
        for one in parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if len(pictures) == 1 or (pictures and len(required) == len(pictures)):
        return pictures
    nested = [entry for entry in batch.values() if isinstance(entry, Mapping)]
    return _by_name(model, nested[0]) if len(nested) == 1 and not tensors else _unclear(batch, list(parameters))


def _unclear(batch: Any, parameters: Sequence[str] = ()) -> dict[str, Tensor]:
    held = list(batch) if isinstance(batch, Mapping) else type(batch).__name__
    takes = f"; forward takes {', '.join(parameters)}" if parameters else ""
    raise DataError(
        "SW-D130",
        f"which tensors of the batch are the model's inputs is not clear: it holds {held}{takes}",
        fix="give a tensor, or a dict whose keys are the names of forward's arguments",
    )


def _frames_first(model: nn.Module, tensors: Inputs) -> tuple[str, ...]:
    try:
        return frames_first_of(model, tensors)
    except ConfigError:
        # as many frames as channels: a model of pictures that takes a clip has frames first, one of volumes may not
        if not isinstance(first_convolution(model), nn.Conv2d):
            raise
        return tuple(name for name, tensor in tensors.items() if tensor.ndim == 5)


def _settled_name(name: str, tensor: Tensor, frames_first: Sequence[str]) -> str:
    return name or ("frames" if name in frames_first else BY_AXES.get(tensor.ndim, "input"))


def _single_by_position(model: nn.Module, inputs: Inputs) -> bool:
    """Whether one input may go by position: it is the first argument of forward, or not known to it by name."""
    (name,) = inputs
    parameters = list(inspect.signature(model.forward).parameters)
    return name not in parameters or parameters[0] == name


def as_floats(tensor: Tensor) -> Tensor:
    """Values to compute with: half precision and whole numbers in float32."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
