"""The only part that knows a model: how to call it, its layers, and which output holds the logits."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.borrow import unwrapped
from seewhy.models.grid import Grid
from seewhy.models.layers import (
    OUTPUTS,
    Choice,
    Layer,
    candidates,
    default_embedding,
    default_layer,
    find_layer,
    grid_at,
    has_head,
)
from seewhy.models.trace import Trace, trace_model
from seewhy.pixels import Normalisation
from seewhy.values import LayerError, ModelError, nearest

Precision = Literal["32", "bf16", "16"]
_AUTOCAST: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "16": torch.float16}
_LOGIT_KEYS = ("logits", "out", "output", "prediction", "predictions")


class Adapter:
    """A model, and what was learnt about it by tracing it once on example inputs.

    ``headless`` says that the outputs are features rather than logits. By default a model that calls itself so
    (``num_classes == 0``) is believed. ``normalisation`` says how the input's values came from pixels, for baselines
    that are colours; None where nobody knows. The model is never moved: inputs follow it to its device.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Inputs,
        *,
        headless: bool | None = None,
        precision: Precision = "32",
        normalisation: Normalisation | None = None,
    ) -> None:
        self.model = unwrapped(model)
        self.precision = precision
        self.device = _device_of(self.model)
        self.headless = getattr(self.model, "num_classes", None) == 0 if headless is None else headless
        self._names = _argument_names(self.model, example)
        self.normalisation = normalisation
        self.example = {name: tensor[:2].detach().to(self.device) for name, tensor in example.items()}
        self.trace: Trace = trace_model(self.model, self.call, self.outputs, self.example)

    def call(self, inputs: Inputs) -> Any:
        """The model's own output for a batch on its device."""
        with self._autocast():
            if self._names is None:
                return self.model(*inputs.values())
            return self.model(**{self._names[name]: tensor for name, tensor in inputs.items()})

    def outputs(self, raw: Any, *, batch: int | None = None) -> Float[Tensor, "b c"]:
        """The logits ``(B, C)`` from whatever the model returned, half precision in float32; features without a head.

        ``batch`` tells how many records were asked about, so that a model which squeezes a single record's outputs to
        ``(C,)`` is understood. Raises ``ModelError`` SW-M01 (no logits), SW-M02 (not two axes), SW-M08 (other records).
        """
        tensor = _select(raw)
        if tensor.ndim < 2:
            tensor = tensor.reshape(1, -1) if batch == 1 else tensor.reshape(-1, 1)
        if self.headless and tensor.ndim > 2:
            tensor = _pooled(tensor)
        if tensor.ndim != 2:
            raise ModelError(
                "SW-M02",
                f"a classifier's outputs are (batch, classes), this model returned {tuple(tensor.shape)}",
                fix="wrap the model so that it returns logits",
            )
        if batch is not None and tensor.shape[0] != batch:
            raise ModelError(
                "SW-M08",
                f"the model returned {tensor.shape[0]} rows of outputs for {batch} records",
                fix="wrap the model so that it returns one row of logits for each record",
            )
        return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

    @property
    def spatial_inputs(self) -> tuple[str, ...]:
        """The inputs that have space or time, which maps are made for."""
        return tuple(name for name, tensor in self.example.items() if tensor.ndim >= 3)

    @property
    def has_head(self) -> bool:
        """Whether a layer was seen to put out the logits; without one the outputs may be features."""
        return has_head(self.trace)

    @property
    def classes(self) -> int:
        """How many classes the model tells apart; 0 for a model without a head."""
        return 0 if self.headless else self.trace.outputs

    @cached_property
    def target_layer(self) -> Choice:
        """The default layer for maps, and why."""
        return default_layer(self.trace)

    @cached_property
    def embedding_layer(self) -> Choice:
        """The default layer for embeddings, and why."""
        return default_embedding(self.trace, headless=self.headless)

    def layer(self, name: str) -> Layer:
        """A layer by name; raises with the nearest names."""
        return find_layer(self.model, name)

    def check_target_layer(self, name: str) -> None:
        """Raise unless ``name`` has a grid and the traced score a gradient on it, away from prefix tokens."""
        self.grid(name)
        layer = self.layer(name)
        if not any(
            call.reaches_target for call in self.trace.calls if (call.name, call.call) == (layer.name, layer.call)
        ):
            raise LayerError(
                "SW-L13",
                f"the score has no gradient on the grid of {name}",
                near=[call.name for call in candidates(self.trace)[-3:]],
                fix="choose a layer the outputs depend on; no_grad() or detach() in the model's forward cuts the path",
            )

    def grid(self, name: str) -> Grid:
        """How the output of a spatial layer lies on the input; raises where it does not."""
        return grid_at(self.trace, self.layer(name))

    def embedding_of(self, name: str, tensor: Tensor) -> Float[Tensor, "b d"]:
        """A layer's tensor as one vector per record: the class token, or the mean over places.

        An input of a layer lies on the input as the outputs of its shape do.
        """
        if tensor.ndim <= 2:
            return tensor.reshape(-1, tensor.shape[-1])
        grid = self._grid_like(self.layer(name), tuple(tensor.shape[1:]))
        if grid is None:
            return _pooled(tensor)
        if grid.layout == "tokens" and grid.prefix:
            return tensor[:, 0]
        return grid.apply(tensor).flatten(2).mean(dim=2)

    def _grid_like(self, layer: Layer, shape: tuple[int, ...]) -> Grid | None:
        calls = {Layer(call.name, call.call): call.grid for call in self.trace.calls}
        if layer in calls:
            return calls[layer]
        return next((call.grid for call in self.trace.calls if call.grid and call.shape[1:] == shape), None)

    def check_embedding_layer(self, name: str) -> None:
        """Raise unless ``name`` is the outputs or a layer that runs."""
        if name != OUTPUTS:
            layer = self.layer(name)
            if layer.name not in self.trace.call_counts:
                raise LayerError(
                    "SW-L07",
                    f"layer {layer.name!r} was not reached in the forward pass",
                    near=nearest(layer.name, self.trace.call_counts),
                    fix="name a layer that runs; gradient checkpointing can hide layers, switch it off",
                )

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_AUTOCAST[self.precision])


def _device_of(model: nn.Module) -> torch.device:
    devices: set[torch.device] = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if len(devices) > 1:
        raise ModelError(
            "SW-M03",
            f"the model's parameters are on several devices: {sorted(map(str, devices))}",
            fix="move the model to one device",
        )
    device = devices.pop() if devices else torch.device("cpu")
    if device.type == "meta":
        raise ModelError("SW-M06", "the model has no weights (meta device)", fix="materialise it and load a checkpoint")
    return device


def _argument_names(model: nn.Module, inputs: Inputs) -> dict[str, str] | None:
    """Keyword names for several inputs that the model's forward knows by name; None to pass by position."""
    if len(inputs) == 1:
        return None
    known = set(inspect.signature(model.forward).parameters)
    return {name: name for name in inputs} if set(inputs) <= known else None


def _select(raw: Any) -> Tensor:
    if isinstance(raw, Tensor):
        return raw
    if isinstance(raw, Mapping) or hasattr(raw, "logits"):
        fields = raw if isinstance(raw, Mapping) else {"logits": raw.logits}
        for key in _LOGIT_KEYS:
            if isinstance(tensor := fields.get(key), Tensor):
                return tensor
        raise ModelError(
            "SW-M01", f"the model returned a mapping without logits, its keys are {list(fields)}",
            fix=f"return a tensor, or one of the keys {', '.join(_LOGIT_KEYS)}",
        )  # fmt: skip
    if isinstance(raw, list | tuple) and raw and isinstance(raw[0], Tensor):
        return raw[0]
    raise ModelError(
        "SW-M01",
        f"the model returned {type(raw).__name__}, which holds no logits",
        fix="return a (batch, classes) tensor",
    )


def _pooled(tensor: Tensor) -> Float[Tensor, "b d"]:
    """Tokens ``(B, N, D)`` averaged over tokens, maps ``(B, C, *S)`` over space."""
    return tensor.mean(dim=1) if tensor.ndim == 3 else tensor.flatten(2).mean(dim=2)
