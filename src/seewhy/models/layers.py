"""Find layers by name, suggest the default one, and say why; nothing is guessed silently."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from seewhy.models.grid import Grid
from seewhy.models.trace import LayerCall, Trace
from seewhy.values import LayerError, nearest

NO_FEATURES = {
    "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "DropPath", "Flatten", "AvgPool1d", "AvgPool2d",
    "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d",
}  # fmt: skip
"""Modules that compute no features of their own: they drop, pool or reshape what came before."""


Side = Literal["input", "output"]


@dataclass(frozen=True)
class Layer:
    """A place in a model: module ``name``, its ``call`` (for a module that runs several times), input or output."""

    name: str
    call: int = 0
    side: Side = "output"

    def __str__(self) -> str:
        return f"{self.name}{f'#{self.call}' if self.call else ''}{'.input' if self.side == 'input' else ''}"


@dataclass(frozen=True)
class Choice:
    """A default and the reason for it, both of which are shown to the user."""

    layer: str
    why: str


def find_layer(model: nn.Module, name: str) -> Layer:
    """Resolve ``layer4``, ``layer4[-1]``, ``blocks.11.norm1``, ``relu#1`` or ``fc.input``.

    Raises ``LayerError`` naming the nearest layers.
    """
    modules = [known for known, _ in model.named_modules() if known]
    stem = name.removesuffix(".input")
    readings: list[tuple[str, Side]] = [(name, "output")] if stem == name else [(name, "output"), (stem, "input")]
    for text, side in readings:
        path, _, call = text.partition("#")
        path = _without_indices(model, path)
        if path in modules and (call.isdigit() or not call):
            return Layer(path, int(call or 0), side)
    if "#" in stem and not stem.partition("#")[2].isdigit():
        raise LayerError("SW-L02", f"the call in {name!r} must be a number", fix="write layer#0, layer#1 ...")
    raise _unknown(stem, modules)


def _unknown(path: str, modules: Iterable[str]) -> LayerError:
    near = nearest(path, (known for known in modules if known))
    fix = "use a name from model.named_modules()"
    return LayerError("SW-L01", f"the model has no layer {path!r}", near=near, fix=fix)


def _without_indices(model: nn.Module, path: str) -> str:
    """``layer4[-1].conv1`` as ``layer4.2.conv1``: indices count a container's children."""
    while match := re.search(r"\[(-?\d+)\]", path):
        container, index = path[: match.start()], int(match.group(1))
        children = [child for child, _ in _module_at(model, container).named_children()]
        if not -len(children) <= index < len(children):
            raise LayerError(
                "SW-L03", f"{container!r} has {len(children)} children, but child {index} was asked for",
                fix=f"use an index from {-len(children)} to {len(children) - 1}",
            )  # fmt: skip
        path = f"{container}.{children[index]}{path[match.end() :]}"
    return path


def _module_at(model: nn.Module, path: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if path not in modules:
        raise _unknown(path, modules)
    return modules[path]


def candidates(trace: Trace) -> list[LayerCall]:
    """The calls a spatial map can be made from, in order of execution.

    Projections inside a token block (``qkv``, MLP layers) do not carry the token stream and are left out.
    """
    return [call for call in trace.calls if _is_candidate(call)]


def _is_candidate(call: LayerCall) -> bool:
    if call.grid is None or call.grid.cells <= 1 or call.kind in NO_FEATURES:
        return False
    projection = call.kind == "Linear" and call.grid.layout != "channels_first"
    return not projection and call.reaches_target


def default_layer(trace: Trace) -> Choice:
    """The last output with a grid on which the score has a gradient away from the prefix tokens.

    Raises ``LayerError`` where there is none, saying whether the score has no gradient at all.
    """
    found = candidates(trace)
    if found:
        last = found[-1]
        size = "×".join(map(str, last.grid.size)) if last.grid else ""
        return Choice(
            str(Layer(last.name, last.call)),
            f"last layer with a spatial grid ({size}) on which the score has a gradient",
        )
    if any(call.grid is not None and call.grid.cells > 1 for call in trace.calls):
        raise LayerError(
            "SW-L04",
            "the model's outputs do not depend on any layer with a spatial grid (a zero-initialised head, or detached "
            "features)",
            near=_spatial_names(trace),
            fix="load trained weights, or remove torch.no_grad()/detach() from the model's forward",
        )
    raise LayerError(
        "SW-L05",
        "the model has no layer with a spatial grid",
        fix="name one with target_layer=..., or use generate_gradcam=false",
    )


def grid_at(trace: Trace, layer: Layer) -> Grid:
    """The grid of a layer's output, which must have run and have more than one cell."""
    if layer.side == "input":
        raise LayerError(
            "SW-L14", f"{layer} is an input; maps are made from outputs", fix="name the layer whose output it is"
        )
    calls = {call.call: call for call in trace.calls if call.name == layer.name}
    if not calls:
        raise LayerError(
            "SW-L07", f"layer {layer.name!r} was not reached in the forward pass, or its output holds no single tensor",
            near=nearest(layer.name, {call.name for call in trace.calls}),
            fix="name a layer that runs; gradient checkpointing can hide layers, switch it off",
        )  # fmt: skip
    if layer.call not in calls:
        raise LayerError(
            "SW-L08", f"layer {layer.name!r} runs {len(calls)} times, but call {layer.call} was asked for",
            fix=f"use {layer.name}#0 to {layer.name}#{max(calls)}",
        )  # fmt: skip
    call = calls[layer.call]
    if call.grid is None or call.grid.cells <= 1:
        raise LayerError(
            "SW-L09", f"layer {layer} puts out {call.shape}, which has no spatial grid",
            near=_spatial_names(trace), fix="choose a layer before pooling",
        )  # fmt: skip
    return call.grid


def _spatial_names(trace: Trace) -> list[str]:
    with_grid: Iterable[str] = (call.name for call in trace.calls if call.grid is not None and call.grid.cells > 1)
    return list(dict.fromkeys(reversed(list(with_grid))))[:3]


def default_embedding(trace: Trace, *, headless: bool) -> Choice:
    """Where the penultimate features are: the head's input, or the outputs of a model without a head."""
    if headless:
        return Choice(OUTPUTS, "the model has no head: its outputs are the features")
    if trace.output_layer is not None:
        return Choice(f"{trace.output_layer}.input", "input of the head: features after pooling, before the logits")
    used = [call for call in trace.calls if call.on_path]
    linear = _linear_heads(trace)
    if len(linear) == 1:
        return Choice(f"{linear[0].name}.input", "input of the layer that makes the logits: features after pooling")
    if trace.pooled_head is not None:
        return Choice(f"{trace.pooled_head}.input", "input of the convolution that makes the logits, mean over space")
    streams = [call for call in used if call.grid is not None and call.kind != "Linear"]
    if streams:
        last = streams[-1]
        return Choice(str(Layer(last.name, last.call)), "no single head was found: last features before the outputs")
    raise LayerError(
        "SW-L10", "no penultimate features were found", fix="name a layer with embedding_layer=..., e.g. fc.input"
    )


def has_head(trace: Trace) -> bool:
    """Whether some layer puts out the logits: one linear layer, several that are combined, or a pooled convolution."""
    return trace.output_layer is not None or trace.pooled_head is not None or bool(_linear_heads(trace))


def _linear_heads(trace: Trace) -> list[LayerCall]:
    return [
        call for call in trace.calls if call.on_path and call.kind == "Linear" and call.shape[1:] == (trace.outputs,)
    ]


OUTPUTS = "outputs"
"""The embedding layer of a model without a head."""
