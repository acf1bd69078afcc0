"""A model is studied once per shape of input: the trace costs a forward and a backward, which later calls save."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import nn

from seewhy.core import Inputs
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import unwrapped
from seewhy.models.outputs import Selector
from seewhy.pixels import Normalisation

KEPT: Final = 8
Key = tuple[object, ...]


class Study:
    """The adapters of one model, by shape of input; safe to use from several threads.

    A model whose weights changed or that was moved is studied again. The ``KEPT`` last shapes are kept.
    """

    def __init__(
        self,
        model: nn.Module,
        normalisation: Normalisation | Mapping[str, Normalisation] | None,
        output_selector: Selector | None = None,
        passing: str | None = None,
    ) -> None:
        self.model = model
        self.bare = unwrapped(model)
        self._normalisation = normalisation
        self._output_selector = output_selector
        self._passing = passing
        self.told = (normalisation, output_selector, passing)
        self._adapters: OrderedDict[Key, Adapter] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type that the model computes in."""
        floating = (weight.dtype for weight in self.bare.parameters() if weight.is_floating_point())
        return next(floating, torch.float32)

    def adapter(self, inputs: Inputs, frames_first: Sequence[str] = ()) -> Adapter:
        """The adapter for inputs of these shapes; ``ModelError`` where the model cannot be called on them.

        ``frames_first`` names clips that the model takes as ``(B, T, C, H, W)``.
        """
        shapes = tuple((name, tensor.dtype, *tensor.shape[1:]) for name, tensor in inputs.items())
        key = (tuple(frames_first), shapes, self._weights())
        with self._lock:
            if key not in self._adapters:
                few = {name: tensor[:2] for name, tensor in inputs.items()}
                self._adapters[key] = Adapter(
                    self.model,
                    few,
                    normalisation=self._normalisation,
                    output_selector=self._output_selector,
                    passing=self._passing,
                    frames_first=frames_first,
                )
                while len(self._adapters) > KEPT:
                    self._adapters.popitem(last=False)
            self._adapters.move_to_end(key)
            return self._adapters[key]

    def _weights(self) -> int:
        """Changes when a weight is replaced, moved or written to."""
        return hash(tuple((id(weight), weight.data_ptr(), _version(weight)) for weight in self.bare.parameters()))


def _version(weight: torch.Tensor) -> int:
    """How often a weight was written to; a tensor made in inference mode does not count."""
    return 0 if weight.is_inference() else weight._version
