"""One map of several layers: fine places from shallow layers, meaning from deep ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from seewhy.capture.probe import Explain, Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.ask import Asked, joined, only
from seewhy.methods.combine import Maps, check_choice, check_some, combined, on_one_grid, to_peak
from seewhy.methods.together import ask_together
from seewhy.models.adapter import Adapter
from seewhy.models.layers import Layer, candidates
from seewhy.registry import method
from seewhy.values import ConfigError

HOW = ("max", "mean")
SCALES = ("tanh", "peak", "none")


def fuse(explains: Sequence[Explain], *, how: str = "max", scale: str = "tanh", gamma: float = 2.0) -> Explain:
    """One explanation of several, usually of one method at several layers, on the largest of their grids.

    Each map ``L`` is scaled to ``tanh(γ L / max|L|)`` (or with ``scale="peak"`` to ``L / max|L|``, or not at all),
    then resized; the fused map is the largest value at each place, or the mean. LayerCAM's fusion is the default, with
    the sign kept. Methods that read share one pass; ask them one by one, or with
    :func:`~seewhy.methods.together.ask_together`, for the maps per layer. Raises ``ConfigError`` SW-F65 for an unknown
    choice, SW-F66 where there is nothing to fuse, SW-F68 for a ``gamma`` that is not positive.

    Source: Jiang et al. 2021, IEEE TIP 30, LayerCAM, section III-D.

    Example:
        >>> import timm
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(1, 3, 64, 64)}
        >>> probe = Probe(Adapter(timm.create_model("test_resnet", num_classes=5), x), [Logit(3)])
        >>> layers = [Asked("layercam", layer=f"layer{stage}") for stage in (2, 4)]
        >>> tuple(fuse(layers)(probe, x).maps["image"].shape)
        (1, 1, 8, 8)
    """
    check_some(explains)
    check_choice("how", how, HOW)
    check_choice("scale", scale, SCALES)
    if not gamma > 0:
        raise ConfigError("SW-F68", f"gamma must be positive, got {gamma}", fix="the paper uses gamma=2")
    return partial(_fused, explains, how=how, scale=scale, gamma=gamma)


@method(
    "layer_fusion",
    asks=True,
    signed=True,
    cite="Jiang et al. 2021, IEEE TIP 30, LayerCAM, section III-D: scaled by tanh, fused by the maximum",
    also=("fusion",),
)
def layer_fusion(
    probe: Probe,
    inputs: Inputs,
    *,
    of: str | Asked = "layercam",
    layers: Sequence[str] | None = None,
    how: str = "max",
    scale: str = "tanh",
    gamma: float = 2.0,
) -> Explanation:
    """One map of a method at several layers, by default the last layer of every resolution the model has.

    ``of`` is a method that explains through a layer; ConfigError SW-F66 for another.
    """
    asked = Asked(of) if isinstance(of, str) else of
    if not isinstance(asked, Asked) or not asked.method.needs_layer:
        raise ConfigError(
            "SW-F66",
            f"layers are fused of a method that explains through a layer, got {of!r}",
            fix="use of='layercam', 'gradcam' or another class activation map",
        )
    if layers is not None and not layers:
        raise ConfigError("SW-F66", "no layer was given to fuse", fix="name layers, or leave them out for every stage")
    named = stages(probe.adapter) if layers is None else by_input(probe.adapter, layers)
    fused = []
    for name, some in named.items():
        at_layers = [Asked(asked.name, layer, asked.settings) for layer in some]
        fused.append(only(fuse(at_layers, how=how, scale=scale, gamma=gamma)(probe, inputs), [name]))
    return joined(fused)


def stages(adapter: Adapter) -> dict[str, tuple[str, ...]]:
    """For each input the last layer of every grid size a map can be made at, in order of execution.

    Layers that see other inputs too are left out where an input has layers of its own.
    """
    return {name: _stages_of(name, adapter) for name in adapter.spatial_inputs}


def _stages_of(name: str, adapter: Adapter) -> tuple[str, ...]:
    calls = [call for call in candidates(adapter.trace) if name in call.lies_on]
    own = [call for call in calls if len(call.inputs) == 1] or calls
    last = {call.grid.size: str(Layer(call.name, call.call)) for call in own if call.grid}
    order = [str(Layer(call.name, call.call)) for call in own]
    return tuple(sorted(last.values(), key=order.index))


def by_input(adapter: Adapter, layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The named layers by the input they lie on."""
    found: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for name, place in adapter.layers_for(layer).items():
            found[name] = (*found.get(name, ()), place)
    return found


def _fused(
    explains: Sequence[Explain], probe: Probe, inputs: Inputs, *, how: str, scale: str, gamma: float
) -> Explanation:
    found = ask_together(explains, probe, inputs)

    def prepare(maps: Maps) -> Maps:
        if scale == "none":
            return maps
        return torch.tanh(gamma * to_peak(maps)) if scale == "tanh" else to_peak(maps)

    maps = {
        name: stack.amax(dim=0) if how == "max" else stack.mean(dim=0)
        for name, stack in on_one_grid(found, prepare).items()
    }
    settings = {"layers": [one.facts.get("layer") for one in found], "how": how, "scale": scale, "gamma": gamma}
    return combined(found, maps, "layer_fusion", settings)
