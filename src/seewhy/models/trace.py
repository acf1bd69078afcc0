"""One small forward and backward through a model, recording what every module call puts out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from seewhy.core import Inputs
from seewhy.models.borrow import borrowed
from seewhy.models.dependence import dependence
from seewhy.models.endings import Activation, activation_of
from seewhy.models.grid import Channels, Grid, frame_grid, grid_of
from seewhy.models.outputs import described, sole_tensor
from seewhy.values import LayerError, ModelError


@dataclass(frozen=True)
class LayerCall:
    """One call of one module: its output as the trace saw it.

    ``call`` counts calls of the same module from 0; ``grid`` is None where the output has no place on the input;
    ``on_path`` says whether the score has a non-zero gradient anywhere in it, ``reaches_target`` whether it has one
    away from the prefix tokens. ``inputs`` are those it depends on, ``lies_on`` those of them that its grid covers.
    """

    name: str
    kind: str
    call: int
    shape: tuple[int, ...]
    grid: Grid | None
    on_path: bool
    reaches_target: bool
    inputs: tuple[str, ...] = ()
    lies_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """What one pass over example inputs showed: calls in order of completion (a parent after its children).

    ``input_sizes`` are the spatial sizes of the inputs that have space or time. ``logits`` are the outputs for the
    example, ``differentiable`` whether the score has a gradient at an input or at a
    grid, ``activation`` what made the outputs if not a plain layer. ``containers`` describes, by layer, outputs that
    hold no single tensor.
    """

    calls: tuple[LayerCall, ...]
    input_sizes: Mapping[str, tuple[int, ...]]
    output_layer: str | None
    pooled_head: str | None
    logits: Float[Tensor, "b c *s"] = field(compare=False)
    differentiable: bool
    activation: Activation | None
    call_counts: Mapping[str, int] = field(default_factory=dict)
    containers: Mapping[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """How many outputs the model has for each record."""
        return self.logits.shape[1]


@dataclass
class _Call:
    """A module call while the trace runs."""

    name: str
    module: nn.Module
    call: int
    output: Tensor


@dataclass
class _Seen:
    """What the hooks saw: calls that put out one tensor, how often each module ran, what other outputs held."""

    calls: list[_Call] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, module: nn.Module, output: Any) -> None:
        call = self.counts.get(name, 0)
        self.counts[name] = call + 1
        tensor = sole_tensor(output)
        if tensor is None:
            self.containers[name] = described(output)
        elif tensor.is_floating_point():
            self.calls.append(_Call(name, module, call, tensor))


def trace_model(
    model: nn.Module,
    run: Callable[[Inputs], Any],
    logits: Callable[[Any], Tensor],
    inputs: Inputs,
    *,
    score: Callable[[Tensor], Tensor] | None = None,
) -> Trace:
    """Trace ``model`` on a small batch (two records are enough).

    ``run`` calls the model and ``logits`` picks the ``(B, C)`` outputs. The score traced is ``score`` of them, by
    default the best output of each record, or the size of the output when there is one only. Raises ``ModelError``: SW-M04 when the outputs are not
    finite, SW-M05 when no input has space or time, SW-M07 when the model cannot be differentiated, SW-M09 when it
    cannot be called on these inputs, SW-M14 when an operation does not exist in its precision, SW-M18 when gradient
    checkpointing forbids partial gradients.
    """
    sizes = _input_sizes(inputs)
    batch = next(iter(inputs.values())).shape[0]
    seen = _Seen()
    with _named_differentiation_errors(), borrowed(model), torch.enable_grad():
        leaves = {name: _leaf(tensor) for name, tensor in inputs.items()}
        with _recording(model, seen):
            outputs = logits(first_call(run, leaves))
        if not bool(torch.isfinite(outputs).all()):
            raise ModelError(
                "SW-M04",
                "the model's outputs on the first records are not finite",
                fix="check the weights and the inputs' mean and std (on the command line data.mean, data.std), or "
                "compute in full precision: model.float() (on the command line precision=32)",
            )
        scores = (score or best_output)(outputs)
        found = _gradients(scores, [*(call.output for call in seen.calls), *leaves.values()])
    gradients, at_inputs = found[: len(seen.calls)], found[len(seen.calls) :]
    depends = dependence(watchable(model), run, inputs, tuple(sizes)) if seen.calls else {}
    calls = _describe(seen.calls, gradients, batch, sizes, depends)
    at_grids = [gradient for gradient, call in zip(gradients, calls, strict=True) if call.grid is not None]
    return Trace(
        calls=tuple(calls),
        input_sizes=sizes,
        output_layer=_layer_of_outputs(seen.calls, outputs) if outputs.ndim == 2 else None,
        pooled_head=_pooled_head(seen.calls, outputs) if outputs.ndim == 2 else None,
        logits=outputs.detach(),
        differentiable=any(gradient is not None for gradient in (*at_inputs, *at_grids)),
        activation=activation_of(outputs),
        call_counts=seen.counts,
        containers=seen.containers,
    )


def first_call(run: Callable[[Inputs], Any], inputs: Inputs) -> Any:
    """Call a model for the first time; what it raises on inputs that do not suit it becomes ``ModelError`` SW-M09."""
    try:
        return run(inputs)
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError, AttributeError) as error:
        if isinstance(error, RuntimeError) and is_in_place_conflict(error):
            raise
        shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
        if "not implemented for" in str(error):
            raise ModelError(
                "SW-M14",
                f"the model uses an operation that does not exist in its precision here: {error}",
                fix="explain a copy in full precision, copy.deepcopy(model).float() (on the command line "
                "precision=32, or bf16)",
            ) from error
        raise ModelError(
            "SW-M09",
            f"the model cannot be called on inputs {shapes}: {type(error).__name__}: {error}",
            fix="give inputs of the size and number of channels the model was made for (on the command line "
            "data.size, model.kwargs)",
        ) from error


@contextmanager
def _named_differentiation_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "heckpoint" in str(error):
            raise ModelError(
                "SW-M18",
                f"gradient checkpointing is on, which allows no gradient at a layer: {error}".partition("\n")[0],
                fix="switch it off for the explanation: model.gradient_checkpointing_disable() or "
                "model.set_grad_checkpointing(False)",
            ) from error
        if not is_in_place_conflict(error):
            raise
        raise ModelError(
            "SW-M07",
            f"the model changes a tensor in place that its gradient needs, so it cannot be differentiated: {error}",
            fix="make that operation out of place",
        ) from error


def is_in_place_conflict(error: RuntimeError) -> bool:
    """Whether autograd raised it because a tensor was changed in place."""
    return "inplace" in str(error) or "in-place" in str(error)


@contextmanager
def _recording(model: nn.Module, seen: _Seen) -> Iterator[None]:
    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, args: Any, output: Any) -> None:
            del args
            seen.note(name, module, output)

        return record

    handles = [module.register_forward_hook(hook_for(name)) for name, module in watchable(model).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def watchable(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that hooks can watch: those inside a traced or scripted module run without them."""
    return {
        name: module
        for name, module in model.named_modules()
        if name and not isinstance(module, torch.jit.ScriptModule)
    }


def _leaf(tensor: Tensor) -> Tensor:
    copy = tensor.detach().clone()
    return copy.requires_grad_() if copy.is_floating_point() else copy


def best_output(outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """The best output of each record, or the size of the output where there is one only."""
    return outputs.amax(dim=1) if outputs.shape[1] > 1 else outputs.abs().squeeze(1)


def _gradients(score: Float[Tensor, " b"], tensors: list[Tensor]) -> list[Tensor | None]:
    wanted = [index for index, tensor in enumerate(tensors) if tensor.requires_grad]
    if not wanted or not score.requires_grad:
        return [None] * len(tensors)
    found = torch.autograd.grad(score.sum(), [tensors[index] for index in wanted], allow_unused=True)
    by_index = dict(zip(wanted, found, strict=True))
    return [by_index.get(index) for index in range(len(tensors))]


def _input_sizes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    sizes = {name: tuple(tensor.shape[2:]) for name, tensor in inputs.items() if tensor.ndim >= 3}
    if not sizes:
        shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
        raise ModelError(
            "SW-M05",
            f"an explanation needs an input with space or time, (B, C, *S), got {shapes}",
            fix="pass image, volume or signal tensors",
        )
    return sizes


@dataclass
class _Place:
    """What the calls on one input have shown so far: the grids seen, and where layers of a shape have channels."""

    size: tuple[int, ...]
    token_grids: list[tuple[int, ...]] = field(default_factory=list)
    told: dict[tuple[int, ...], Channels | None] = field(default_factory=dict)

    def grid(self, entry: _Call, batch: int) -> Grid | None:
        """The grid of a call's output on this input, learning from it."""
        shape = tuple(entry.output.shape)
        if not shape or shape[0] % batch:
            return None
        # A block or an activation lies as the layer inside or before it did, whose kind told.
        channels = self.told[shape] = channels_of(entry.module) or self.told.get(shape)
        if shape[0] == batch:
            grid = grid_of(shape, self.size, token_grids=self.token_grids, channels=channels)
        else:
            grid = frame_grid(shape, batch, self.size, token_grids=self.token_grids, channels=channels)
        if grid is not None and grid.layout != "tokens" and grid.size not in self.token_grids:
            self.token_grids.append(grid.size)
        return grid


def _describe(
    seen: list[_Call],
    gradients: list[Tensor | None],
    batch: int,
    sizes: Mapping[str, tuple[int, ...]],
    depends: Mapping[tuple[str, int], tuple[str, ...]],
) -> list[LayerCall]:
    places = {name: _Place(size) for name, size in sizes.items()}
    calls: list[LayerCall] = []
    for entry, gradient in zip(seen, gradients, strict=True):
        inputs = depends.get((entry.name, entry.call), tuple(sizes)[:1])
        grid, lies_on = _lies_on(entry, batch, places, inputs)
        on_path = gradient is not None and bool(gradient.any())
        reaches = on_path and gradient is not None and bool(_on_grid(gradient, grid).any())
        kind, shape = _kind(entry.module), tuple(entry.output.shape)
        calls.append(LayerCall(entry.name, kind, entry.call, shape, grid, on_path, reaches, inputs, lies_on))
    return calls


def _kind(module: nn.Module) -> str:
    """The name of a layer's class; an empty container does what an identity does."""
    return "Identity" if isinstance(module, nn.Sequential) and not len(module) else type(module).__name__


def _lies_on(
    entry: _Call, batch: int, places: Mapping[str, _Place], inputs: tuple[str, ...]
) -> tuple[Grid | None, tuple[str, ...]]:
    """The grid of a call, and the inputs it lies on: of several sizes, those of the first that it fits."""
    for name in inputs:
        grid = places[name].grid(entry, batch)
        if grid is not None:
            return grid, tuple(other for other in inputs if places[other].size == places[name].size)
    return None, ()


def channels_of(module: nn.Module) -> Channels | None:
    """Where a kind of layer has its channels: first if named ``...2d``, last in linear layers and layer norms."""
    if re.search(r"[123]d", type(module).__name__) or isinstance(module, nn.GroupNorm | _ConvNd):
        return "first"
    return "last" if isinstance(module, nn.LayerNorm | nn.Linear | nn.Embedding) else None


def _on_grid(gradient: Tensor, grid: Grid | None) -> Tensor:
    try:
        return grid.apply(gradient) if grid is not None else gradient
    except LayerError:
        return gradient


def _layer_of_outputs(seen: list[_Call], outputs: Tensor) -> str | None:
    """The linear layer whose output is the outputs themselves, or was until they were read in full precision."""
    for entry in seen:
        if isinstance(entry.module, nn.Linear) and entry.output.numel() == outputs.numel():
            read = entry.output.to(outputs.dtype)
            same = read.data_ptr() == outputs.data_ptr()
            if same or (entry.output.dtype != outputs.dtype and torch.equal(read.reshape(outputs.shape), outputs)):
                return str(entry.name) if entry.call == 0 else f"{entry.name}#{entry.call}"
    return None


def _pooled_head(seen: list[_Call], outputs: Tensor) -> str | None:
    """The convolution whose output, rectified or not, has the outputs as its means over space."""
    for entry in seen:
        if isinstance(entry.module, _ConvNd) and entry.output.shape[:2] == outputs.shape:
            output = entry.output.to(outputs.dtype)
            means = (output.flatten(2).mean(dim=2), output.relu().flatten(2).mean(dim=2))
            if any(torch.allclose(mean, outputs, rtol=1e-3, atol=1e-5) for mean in means):
                return str(entry.name)
    return None
