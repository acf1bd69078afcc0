"""One small forward and backward through a model, recording what every module call puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from seewhy.core import Inputs
from seewhy.memory import is_out_of_memory
from seewhy.models.borrow import borrowed
from seewhy.models.dependence import dependence
from seewhy.models.endings import Activation, activation_of
from seewhy.models.layer_calls import Call, LayerCall, described_calls
from seewhy.models.outputs import described, sole_tensor
from seewhy.values import ModelError


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
class _Seen:
    """What the hooks saw: calls that put out one tensor, how often each module ran, what other outputs held."""

    calls: list[Call] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, module: nn.Module, output: Any) -> None:
        call = self.counts.get(name, 0)
        self.counts[name] = call + 1
        tensor = sole_tensor(output)
        if tensor is None:
            self.containers[name] = described(output)
        elif tensor.is_floating_point():
            self.calls.append(Call(name, module, call, tensor))


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
    default the best output of each record, or the size of the output when there is one only. Raises ``ModelError``:
    SW-M04 when the outputs are not finite, SW-M05 when no input has space or time, SW-M07 when the model cannot be
    differentiated, SW-M09 when it cannot be called on these inputs, SW-M14 when an operation does not exist in its
    precision, SW-M18 when gradient checkpointing forbids partial gradients.
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
    calls = described_calls(seen.calls, gradients, batch, sizes, depends)
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
        if is_out_of_memory(error) or (isinstance(error, RuntimeError) and is_in_place_conflict(error)):
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
            fix="give the inputs that forward takes, of the size, axes and number of channels the model was made for "
            "(on the command line data.size, model.kwargs)",
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


def _layer_of_outputs(seen: list[Call], outputs: Tensor) -> str | None:
    """The linear layer whose output is the outputs themselves, or was until they were read in full precision."""
    for entry in seen:
        if isinstance(entry.module, nn.Linear) and entry.output.numel() == outputs.numel():
            read = entry.output.to(outputs.dtype)
            same = read.data_ptr() == outputs.data_ptr()
            if same or (entry.output.dtype != outputs.dtype and torch.equal(read.reshape(outputs.shape), outputs)):
                return str(entry.name) if entry.call == 0 else f"{entry.name}#{entry.call}"
    return None


def _pooled_head(seen: list[Call], outputs: Tensor) -> str | None:
    """The convolution whose output, rectified or not, has the outputs as its means over space."""
    for entry in seen:
        if isinstance(entry.module, _ConvNd) and entry.output.shape[:2] == outputs.shape:
            output = entry.output.to(outputs.dtype)
            means = (output.flatten(2).mean(dim=2), output.relu().flatten(2).mean(dim=2))
            if any(torch.allclose(mean, outputs, rtol=1e-3, atol=1e-5) for mean in means):
                return str(entry.name)
    return None
