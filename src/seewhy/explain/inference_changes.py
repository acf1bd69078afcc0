"""Ways to run a model faster that can be taken back: where weights lie, in which precision, as compiled code."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from types import MethodType
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


class Change(Protocol):
    """One way to run a model faster. ``on`` and ``off`` may be called any number of times, in turns.

    A deep copy belongs to the copy of the model: it is on where the original is, and turned off by itself.
    """

    name: str

    def on(self) -> None:
        """Run the model this way."""

    def off(self) -> None:
        """Run it as it was."""


class ChannelsLast:
    """Weights of convolutions with their channels last in memory: the same values in another order of their bytes.

    The parameters stay the same objects; each is lent other storage and gets its own back. What was written to a weight
    meanwhile is kept.
    """

    name = "channels last"

    def __init__(self, model: nn.Module) -> None:
        self._weights = [weight for weight in model.parameters() if _can_lie_otherwise(weight)]
        self._lent: list[tuple[nn.Parameter, Tensor, Tensor]] = []
        self._rearranged: dict[nn.Parameter, Tensor] = {}

    def __len__(self) -> int:
        """How many weights lie otherwise."""
        return len(self._weights)

    def on(self) -> None:
        """As :meth:`Change.on`."""
        if self._lent:
            return
        for weight in self._weights:
            if not _can_lie_otherwise(weight):  # another use of the model has lent it storage meanwhile
                continue
            own = weight.data
            rearranged = self._rearranged.get(weight)
            if rearranged is None or not _same(rearranged, own):
                rearranged = self._rearranged[weight] = own.to(memory_format=torch.channels_last)
            weight.data = rearranged
            self._lent.append((weight, own, rearranged))

    def off(self) -> None:
        """As :meth:`Change.off`; a weight moved or replaced meanwhile is left as whoever did it left it."""
        for weight, own, rearranged in self._lent:
            if weight.data_ptr() != rearranged.data_ptr():
                continue
            if not _same(rearranged, own):
                own.copy_(rearranged)
            weight.data = own
        self._lent = []

    def __deepcopy__(self, memo: dict[int, Any]) -> ChannelsLast:
        other = ChannelsLast(nn.Module())
        other._weights = [deepcopy(weight, memo) for weight in self._weights]
        for weight, own, rearranged in self._lent:
            if weight.data_ptr() == rearranged.data_ptr():
                copied = deepcopy(weight, memo)
                other._lent.append((copied, own.clone(), copied.data))
        return other


class Autocast:
    """The model's own forward under automatic precision, wherever it is called from, and nothing else under it."""

    def __init__(self, model: nn.Module, dtype: torch.dtype, device: str) -> None:
        self.name = f"autocast {str(dtype).removeprefix('torch.')}"
        self._model, self._forward = model, _under_autocast(type(model).forward, device, dtype)

    def on(self) -> None:
        """As :meth:`Change.on`."""
        vars(self._model)["forward"] = MethodType(self._forward, self._model)

    def off(self) -> None:
        """As :meth:`Change.off`."""
        if getattr(vars(self._model).get("forward"), "__func__", None) is self._forward:
            del vars(self._model)["forward"]


class Compiled:
    """Calls of the model itself as compiled code; who looks inside with hooks runs the plain modules."""

    name = "torch.compile"

    def __init__(self, model: nn.Module) -> None:
        self.call: Callable[..., Any] = model
        self._model = model
        self._compiled: Callable[..., Any] | None = None

    def on(self) -> None:
        """As :meth:`Change.on`."""
        if self._compiled is None:
            # A function, not the module: compiling a module leaves an attribute on it.
            self._compiled = torch.compile(_calling(self._model))
        self.call = self._compiled

    def off(self) -> None:
        """As :meth:`Change.off`."""
        self.call = self._model

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        other = Compiled(deepcopy(self._model, memo))
        if self.call is not self._model:  # code compiled for one model asks that model
            other.on()
        return other


def _calling(model: nn.Module) -> Callable[..., Any]:
    """A plain function that calls the model."""

    def call(*args: Any, **keywords: Any) -> Any:
        return model(*args, **keywords)

    return call


def _under_autocast(forward: Callable[..., Any], device: str, dtype: torch.dtype) -> Callable[..., Any]:
    """A function of the model itself, so that a copy of the model runs its own weights."""

    @wraps(forward)
    def run(self: nn.Module, *args: Any, **keywords: Any) -> Any:
        with torch.autocast(device, dtype=dtype):
            return forward(self, *args, **keywords)

    return run


def _can_lie_otherwise(weight: nn.Parameter) -> bool:
    """Dense weights of two-dimensional convolutions that are not channels-last already."""
    if weight.ndim != 4 or type(weight) is not nn.Parameter or weight.layout is not torch.strided:
        return False
    return not weight.is_inference() and not weight.is_contiguous(memory_format=torch.channels_last)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether the values are the same, in the same place and precision."""
    return one.device == other.device and one.dtype == other.dtype and torch.equal(one, other)


@dataclass
class _Held:
    """How many uses hold a model in evaluation mode, and the flags it had before the first."""

    uses: int
    flags: list[tuple[weakref.ref[nn.Module], bool]]


_HELD: WeakKeyDictionary[nn.Module, _Held] = WeakKeyDictionary()
_LOCK = threading.Lock()


class EvaluationMode:
    """Every module in evaluation mode, and each back in its own when the last of several uses of one model ends."""

    name = "evaluation mode"

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._on = False

    def on(self) -> None:
        """As :meth:`Change.on`."""
        with _LOCK:
            if self._on:
                return
            self._on = True
            modules = list(self._model.modules())
            held = _HELD.setdefault(self._model, _Held(0, [(weakref.ref(one), one.training) for one in modules]))
            held.uses += 1
            for module in modules:
                module.training = False

    def off(self) -> None:
        """As :meth:`Change.off`."""
        with _LOCK:
            if not self._on:
                return
            self._on = False
            held = _HELD[self._model]
            held.uses -= 1
            if held.uses:
                return
            del _HELD[self._model]
            for module, training in held.flags:
                if (one := module()) is not None:
                    one.training = training

    def __deepcopy__(self, memo: dict[int, Any]) -> EvaluationMode:
        other = EvaluationMode(deepcopy(self._model, memo))
        with _LOCK:
            if self._on:
                flags = _HELD[self._model].flags
                copies = ((memo.get(id(module())), training) for module, training in flags)
                copied = [(weakref.ref(one), training) for one, training in copies if one is not None]
                _HELD.setdefault(other._model, _Held(0, copied)).uses += 1
                other._on = True
        return other
