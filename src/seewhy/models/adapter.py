"""The only part that knows a model: how to call it, its layers, and which output holds the logits."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.borrow import borrowed, unwrapped
from seewhy.models.calling import Passing, call_with, first_that_works, frames_second, passing_of
from seewhy.models.endings import Activation, LastActivation, skipping
from seewhy.models.grid import Grid
from seewhy.models.layer_calls import LayerCall
from seewhy.models.layers import (
    OUTPUTS,
    Choice,
    Layer,
    call_at,
    candidates,
    default_embedding,
    default_layer,
    find_layer,
    has_head,
    last_inside,
    shuffled,
)
from seewhy.models.notes import notes_on
from seewhy.models.outputs import FEATURE_KEYS, LOGIT_KEYS, Selector, as_logits, pooled, selected
from seewhy.models.places import Order, orders_of
from seewhy.models.readers import OutputReader
from seewhy.models.trace import Trace, first_call, trace_model
from seewhy.models.weights import device_of, dtype_of
from seewhy.pixels import Normalisation
from seewhy.values import LayerError, nearest

Precision = Literal["32", "bf16", "16"]
_AUTOCAST: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "16": torch.float16}


class Adapter:
    """A model, and what was learnt about it by tracing it once on example inputs.

    ``headless`` says that the outputs are features rather than logits. By default a model that calls itself so
    (``num_classes == 0``) is believed. ``normalisation`` says how the input's values came from pixels, for baselines
    that are colours, of all inputs or of each by name; None where nobody knows. ``output_selector`` says where in the
    model's answer the logits are: a key, an index, or a function of the answer; a ``reader`` does that for models that
    are no classifiers. ``passing`` is how the model takes its inputs, found from its signature if None.
    ``frames_first`` names the inputs that the model takes as ``(B, T, C, H, W)``; here they are ``(B, C, T, H, W)``.
    The model is never moved and never given the caller's own tensors: copies of the inputs follow it to its device and,
    where all its weights have one, to their floating-point type.

    ``notes`` are what a reader of the maps should know: training mode, a softmax at the end, answers that change from
    call to call. ``activation`` is what is still applied to the logits in ``outputs``, if anything; where it is a
    module of its own at the very end, that module is passed by and the outputs are the logits.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Inputs,
        *,
        headless: bool | None = None,
        precision: Precision = "32",
        normalisation: Normalisation | Mapping[str, Normalisation] | None = None,
        output_selector: Selector | None = None,
        reader: OutputReader | None = None,
        passing: str | None = None,
        frames_first: Sequence[str] = (),
    ) -> None:
        self.model = unwrapped(model)
        self.precision = precision
        self.device = device_of(self.model)
        self.dtype = dtype_of(self.model)
        self.headless = getattr(self.model, "num_classes", None) == 0 if headless is None else headless
        self.passing = passing_of(self.model, example, passing)
        self.frames_first = tuple(frames_first)
        self.normalisation = normalisation
        self.output_selector = output_selector
        self.reader = reader
        self.passed_by: str | None = None
        self.taken_off: Inputs = {}
        self._orders: dict[tuple[str, int], Order] = {}
        self.example = {name: tensor[:2].detach().to(self.device) for name, tensor in example.items()}
        training = [module for module in self.model.modules() if module.training]
        with borrowed(self.model):
            first = self._first_look()
            self.trace: Trace = trace_model(
                self.model, self.call, self.outputs, self.example, score=reader.traced_score if reader else None
            )
        self.notes: tuple[str, ...] = notes_on(self, training, first)

    def on(self, model: nn.Module) -> Adapter:
        """What was learnt of this model, of another one with the same layers, such as a copy with other weights."""
        other = copy.copy(self)
        other.model = unwrapped(model)
        other.device, other.dtype = device_of(other.model), dtype_of(other.model)
        return other

    def at(self, precision: Precision) -> Adapter:
        """What was learnt of this model, asked in another precision."""
        other = copy.copy(self)
        other.precision = precision
        return other

    def shifted(self, by: Inputs) -> Adapter:
        """The same model behind a step that first takes ``by`` off the named inputs: it says of ``x + by`` what the
        model says of ``x``."""
        other = copy.copy(self)
        other.taken_off = {name: tensor.to(self.device) for name, tensor in by.items()}
        return other

    def _first_look(self) -> Float[Tensor, "b c *s"]:
        """The outputs for the example, and which activation at the end is passed by from now on."""
        batch = next(iter(self.example.values())).shape[0]
        if self.passing is None:
            self.passing, _ = first_that_works(self._try)
        if self.reader is not None:
            return self.outputs(first_call(self.call, self.example), batch=batch)
        last = LastActivation(self.model)
        with last.watching():
            outputs = self.outputs(first_call(self.call, self.example), batch=batch)
        if self.headless or (layer := last.layer(outputs)) is None:
            return outputs
        self.passed_by = layer
        return self.outputs(first_call(self.call, self.example), batch=batch)

    def _try(self, passing: Passing) -> Any:
        self.passing = passing
        return first_call(self.call, self.example)

    def call(self, inputs: Inputs) -> Any:
        """The model's answer for a batch on its device, with what a reader saw beside it."""
        copied = {name: self._copied(self._shifted(name, tensor)) for name, tensor in inputs.items()}
        given = frames_second(copied, self.frames_first)
        with self._autocast(), skipping(self.model, self.passed_by):
            if self.reader is None:
                return call_with(self.model, given, self.passing or "positional")
            with self.reader.watching(self.model) as seen:
                return Watched(call_with(self.model, given, self.passing or "positional"), seen)

    def _shifted(self, name: str, tensor: Tensor) -> Tensor:
        return tensor - self.taken_off[name].to(tensor) if name in self.taken_off else tensor

    def _copied(self, tensor: Tensor) -> Tensor:
        """A copy, since a model may change what it is given, in the floating-point type of the weights."""
        wanted = self.dtype if tensor.is_floating_point() and self.dtype is not None else tensor.dtype
        return tensor.clone() if tensor.dtype == wanted else tensor.to(wanted)

    def outputs(self, raw: Any, *, batch: int | None = None) -> Float[Tensor, "b c *s"]:
        """The logits ``(B, C)`` from whatever the model returned, half precision in float32; features without a head.

        A ``reader`` may give more axes.

        ``batch`` tells how many records were asked about, so that a model which squeezes a single record's outputs to
        ``(C,)`` is understood. Raises ``ModelError`` SW-M01 (no logits), SW-M02 (not two axes), SW-M08 (other records),
        SW-M11 and SW-M12 (an ``output_selector`` that picks nothing).
        """
        if self.reader is not None and isinstance(raw, Watched):
            return self.reader.read(raw.answer, raw.seen, batch=batch)
        keys = (*LOGIT_KEYS, *FEATURE_KEYS) if self.headless else LOGIT_KEYS
        return as_logits(selected(raw, self.output_selector, keys=keys), batch=batch, headless=self.headless)

    def normalisation_of(self, name: str) -> Normalisation | None:
        """How the values of this input came from pixels; None where nobody knows."""
        known = self.normalisation
        return known.get(name) if isinstance(known, Mapping) else known

    @property
    def activation(self) -> Activation | None:
        """What is applied to the logits in ``outputs``; None where the outputs are logits, or features."""
        return None if self.headless or self.reader is not None else self.trace.activation

    @property
    def spatial_inputs(self) -> tuple[str, ...]:
        """The inputs that have space or time, which maps are made for."""
        return tuple(name for name, tensor in self.example.items() if tensor.ndim >= 3)

    @property
    def has_head(self) -> bool:
        """Whether a layer was seen to put out the logits; without one the outputs may be features."""
        return has_head(self.trace, self.model)

    @property
    def classes(self) -> int:
        """How many classes the model tells apart; 0 for a model without a head."""
        return 0 if self.headless else self.trace.outputs

    @cached_property
    def target_layers(self) -> Mapping[str, Choice]:
        """The default layer for the maps of each input with space, and why: the last that can be one, that sees no
        other input where there is such a layer, and whose cells lie as on the input."""
        return {name: self._target_layer(name) for name in self.spatial_inputs}

    @property
    def target_layer(self) -> Choice:
        """The default layer of the first input."""
        return self.target_layer_of(self.spatial_inputs[0])

    def target_layer_of(self, name: str) -> Choice:
        """The default layer of one input; raises ``LayerError`` where it has none."""
        return self.target_layers[name]

    def _target_layer(self, name: str) -> Choice:
        found = default_layer(self.trace, name)
        if not self._is_shuffled(call_at(self.trace, self.layer(found.layer))):
            return found
        orders = self._orders_of(candidates(self.trace))
        without = [call for call, order in orders.items() if order != "in place"]
        return default_layer(self.trace, name, without=without)

    def layers_for(self, name: str | nn.Module | None = None) -> dict[str, str]:
        """The layer that explains each input it can explain: the one named, or every input's default.

        A layer without a grid stands for the last layer with one inside it. Raises what :meth:`grid` raises.
        """
        if name is None:
            return {given: choice.layer for given, choice in self.target_layers.items()}
        layer = self.layer(name)
        stands_for = last_inside(self.trace, layer)
        self.grid(str(stands_for))
        kept = str(name) if stands_for == layer and isinstance(name, str) else str(stands_for)
        return dict.fromkeys(call_at(self.trace, stands_for).lies_on, kept)

    @cached_property
    def embedding_layer(self) -> Choice:
        """The default layer for embeddings, and why."""
        return default_embedding(self.trace, headless=self.headless)

    def layer(self, name: str | nn.Module) -> Layer:
        """A layer by name, or by the module itself; raises with the nearest names."""
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
        """How the output of a spatial layer lies on the input.

        Raises ``LayerError`` where it does not: SW-L07, SW-L08, SW-L09, SW-L12, SW-L14 from
        :func:`seewhy.models.layers.call_at`, SW-L19 for tokens that are not in the input's order.
        """
        call = call_at(self.trace, self.layer(name))
        if call.grid is None or self._is_shuffled(call):
            raise shuffled(str(name), near=[self.target_layer.layer])
        return call.grid

    def _is_shuffled(self, call: LayerCall) -> bool:
        return "elsewhere" in self._orders_of([call]).values()

    def _orders_of(self, calls: Sequence[LayerCall]) -> dict[tuple[str, int], Order]:
        """How the tokens of ``calls`` lie on the input, each examined once; maps of pixels keep their order."""
        asked = {(c.name, c.call): c for c in calls if c.grid and (c.grid.layout == "tokens" or c.grid.frames)}
        with borrowed(self.model):
            if new := [call for place, call in asked.items() if place not in self._orders]:
                self._orders |= orders_of(self.model, self.call, self.example, new)
        return {place: self._orders[place] for place in asked}

    def embedding_of(self, name: str, tensor: Tensor) -> Float[Tensor, "b d"]:
        """A layer's tensor as one vector per record: the class token, or the mean over places.

        An input of a layer lies on the input as the outputs of its shape do.
        """
        if tensor.ndim <= 2:
            return tensor.reshape(-1, tensor.shape[-1])
        grid = self._grid_like(self.layer(name), tuple(tensor.shape[1:]))
        if grid is None:
            return pooled(tensor)
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


@dataclass(frozen=True)
class Watched:
    """A model's answer, and what a reader saw while it was made."""

    answer: Any
    seen: Any
