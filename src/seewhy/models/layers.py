"""Suggest the layers to read, and say why; nothing is guessed silently."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from torch import nn

from seewhy.models.layer_calls import LayerCall
from seewhy.models.naming import Layer as Layer
from seewhy.models.naming import find_layer as find_layer
from seewhy.models.trace import Trace
from seewhy.values import LayerError, nearest

NO_FEATURES = {
    "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "DropPath", "Flatten", "AvgPool1d", "AvgPool2d",
    "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d",
}  # fmt: skip
"""Modules that compute no features of their own: they drop, pool or reshape what came before."""


@dataclass(frozen=True)
class Choice:
    """A default and the reason for it, both of which are shown to the user."""

    layer: str
    why: str


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


def default_layer(trace: Trace, input_name: str | None = None, *, without: Collection[tuple[str, int]] = ()) -> Choice:
    """The last output with a grid on which the score has a gradient away from the prefix tokens.

    Of several inputs, it is the last that depends on ``input_name`` alone, or where there is none the last that depends
    on it. ``without`` are calls (name, number) that are out of the question. Raises ``LayerError`` where there is none:
    SW-L04 and SW-L05, SW-L15 where the outputs carry no gradient at all, SW-L18 where no layer can be watched, SW-L19
    where all are in ``without``.
    """
    possible = [call for call in candidates(trace) if input_name is None or input_name in call.lies_on]
    found = [call for call in possible if (call.name, call.call) not in without]
    if found:
        last = ([call for call in found if len(call.inputs) == 1] or found)[-1]
        size = "×".join(map(str, last.grid.size)) if last.grid else ""
        skipped = " and whose cells lie as on the input" if without else ""
        seen = "" if len(trace.input_sizes) == 1 else f" of {', '.join(last.inputs)}"
        return Choice(
            str(Layer(last.name, last.call)),
            f"last layer with a spatial grid{seen} ({size}) on which the score has a gradient{skipped}",
        )
    if not possible and (unmoved := _without_gradient(trace, input_name)) is not None:
        return unmoved
    if possible:
        raise shuffled(", ".join(dict.fromkeys(name for name, _ in without)))
    raise _no_default(trace, input_name)


def _without_gradient(trace: Trace, input_name: str | None) -> Choice | None:
    """The last layer of one of several inputs that does not move the score, so that its map is zero; else None."""
    own = [call for call in trace.calls if call.inputs == (input_name,) and call.grid and call.grid.cells > 1]
    if not own or not candidates(trace):
        return None
    return Choice(
        str(Layer(own[-1].name, own[-1].call)), f"last layer of {input_name}; the score has no gradient there"
    )


def last_inside(trace: Trace, layer: Layer) -> Layer:
    """The layer itself where its output has a grid, else the last layer inside it that a map can be made from.

    Example: ``backbone1``, which puts out pooled features, stands for ``backbone1.layer4``.
    """
    calls = [call for call in trace.calls if (call.name, call.call) == (layer.name, layer.call)]
    if layer.side == "input" or any(call.grid is not None and call.grid.cells > 1 for call in calls):
        return layer
    inside = [call for call in candidates(trace) if call.name.startswith(f"{layer.name}.") and call.call == layer.call]
    return Layer(inside[-1].name, inside[-1].call) if inside else layer


def _no_default(trace: Trace, input_name: str | None) -> LayerError:
    if input_name is not None and candidates(trace):
        return LayerError(
            "SW-L21",
            f"no layer with a spatial grid of the input {input_name!r} has a gradient of the score",
            near=_spatial_names(trace),
            fix="name a layer that sees this input, or leave the input out of the question",
        )
    if not trace.call_counts:
        return unwatched()
    if not trace.differentiable:
        return LayerError(
            "SW-L15",
            "the model's outputs have no gradient at its inputs or at a layer with a spatial grid (quantised layers, "
            "detached features, or no_grad in its forward)",
            near=_spatial_names(trace),
            fix="use a method that only asks for scores: occlusion, rise, or scorecam at a named layer",
        )
    if any(call.grid is not None and call.grid.cells > 1 for call in trace.calls):
        return LayerError(
            "SW-L04",
            "the model's outputs do not depend on any layer with a spatial grid (a zero-initialised head, or detached "
            "features)",
            near=_spatial_names(trace),
            fix="load trained weights, or remove torch.no_grad()/detach() from the model's forward",
        )
    return LayerError(
        "SW-L05",
        "the model has no layer with a spatial grid",
        fix="name one with target_layer=..., or use generate_gradcam=false",
    )


def shuffled(layer: str, near: Collection[str] = ()) -> LayerError:
    """The error for tokens that are not in the input's order."""
    return LayerError(
        "SW-L19",
        f"the tokens of {layer} do not lie in the input's order, so a map of them would be scrambled",
        near=tuple(near),
        fix="choose another layer, or a method at the input such as integrated_gradients",
    )


def unwatched() -> LayerError:
    """The error for layers that no hook can watch."""
    return LayerError(
        "SW-L18",
        "no layer of the model can be watched: it was traced, scripted or exported, or has none",
        fix="give the original module; methods at the input (saliency, integrated_gradients, occlusion) still work",
    )


def call_at(trace: Trace, layer: Layer) -> LayerCall:
    """The traced call of a layer, which must have run and have a grid of more than one cell.

    Raises ``LayerError``: SW-L07 not reached, SW-L08 no such call, SW-L09 no grid, SW-L12 several tensors, SW-L14 an
    input.
    """
    if layer.side == "input":
        raise LayerError(
            "SW-L14", f"{layer} is an input; maps are made from outputs", fix="name the layer whose output it is"
        )
    calls = {call.call: call for call in trace.calls if call.name == layer.name}
    if not calls:
        raise _not_traced(trace, layer)
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
    return call


def _not_traced(trace: Trace, layer: Layer) -> LayerError:
    if not trace.call_counts:
        return unwatched()
    if layer.name in trace.containers:
        return several_tensors(layer, trace.containers[layer.name])
    return LayerError(
        "SW-L07",
        f"layer {layer.name!r} was not reached in the forward pass",
        near=nearest(layer.name, {call.name for call in trace.calls}),
        fix="name a layer that runs; gradient checkpointing can hide layers, switch it off",
    )


def several_tensors(layer: Layer, held: str) -> LayerError:
    """The error for a layer that puts out a container with none or several tensors, described by ``held``."""
    return LayerError(
        "SW-L12",
        f"layer {layer} puts out a {held}, where one tensor is needed",
        fix="choose a layer with one tensor: one inside it, or the next one",
    )


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


def has_head(trace: Trace, model: nn.Module) -> bool:
    """Whether some layer puts out the logits: one linear layer, several that are combined, or a pooled convolution.

    Encoders end in pooled convolutions, too: one is a head where it looks at one place at a time, as linear layers do.
    """
    pooled = trace.pooled_head
    pointwise = pooled is not None and set(model.get_submodule(pooled).kernel_size) == {1}  # type: ignore[arg-type]
    return pointwise or trace.output_layer is not None or bool(_linear_heads(trace))


def _linear_heads(trace: Trace) -> list[LayerCall]:
    return [
        call for call in trace.calls if call.on_path and call.kind == "Linear" and call.shape[1:] == (trace.outputs,)
    ]


OUTPUTS = "outputs"
"""The embedding layer of a model without a head."""
