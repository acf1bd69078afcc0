"""What must hold for every model that is explained without a word of configuration."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, attention_of
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

COARSEST = 64


def awakened(model: nn.Module) -> nn.Module:
    """The model with heads that start at zero drawn anew: such a head makes every logit 0, whatever the picture."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.02)
    return model


def complaints(model: nn.Module, pictures: Tensor) -> list[str]:
    """What is wrong with the default Grad-CAM (and rollout, where it applies) of a model; empty if nothing is."""
    inputs = {"image": pictures}
    adapter = Adapter(awakened(model), inputs)
    probe = Probe(adapter, [Logit()])
    layer = adapter.target_layer.layer
    maps = Asked("gradcam")(probe, inputs).maps["image"][0]
    found = [f"Grad-CAM at {layer}: {what}" for what in _wrong_maps(maps, tuple(pictures.shape[2:]))]
    found += [f"{layer}: {what}" for what in _wrong_places(adapter, layer, pictures)]
    attention = attention_of(adapter)
    if isinstance(attention, GlobalAttention):
        rollout = Asked("rollout")(probe, inputs).maps["image"][0]
        found += [f"rollout: {what}" for what in _wrong_maps(rollout, tuple(pictures.shape[2:]))]
    return found


def _wrong_maps(maps: Tensor, size: tuple[int, ...]) -> list[str]:
    """Not finite, zero for a record, or of a grid that is not the input shrunk evenly."""
    grid = tuple(maps.shape[1:])
    found = [] if torch.isfinite(maps).all() else ["not finite"]
    found += [] if all(one.any() for one in maps) else ["zero everywhere"]
    shrink = max(size) / max(grid)
    even = len(grid) == len(size) and all(abs(cells - n / shrink) <= 1 for cells, n in zip(grid, size, strict=True))
    if not even or not 1 <= shrink <= COARSEST or torch.Size(grid).numel() < 2:
        found.append(f"a grid of {grid} for an input of {size}")
    return found


def _wrong_places(adapter: Adapter, layer: str, pictures: Tensor) -> list[str]:
    """Noise on one half of the picture must change the cells of that half more than those of the other half.

    Cells that change alike wherever the noise is (an attention that averages everything) are allowed, and so are grids
    of less than four cells along an axis, each of which may see all of the picture.
    """
    clean = pictures[:1]
    before = _activation(adapter, layer, clean)
    noise = torch.randn(4, *clean.shape[1:])
    found = []
    for axis, name in ((2, "vertically"), (3, "horizontally")):
        if before.shape[axis] < 4:
            continue
        own = across = 0.0
        for here, there in ((0, 1), (1, 0)):
            change = _activation(adapter, layer, clean + noise * _half(clean, axis, here)) - before
            own += _energy(change, axis, here)
            across += _energy(change, axis, there)
        if own < 0.8 * across:
            found.append(f"the grid lies wrong {name}: {own:.2g} in place, {across:.2g} out of place")
    return found


def _activation(adapter: Adapter, layer: str, pictures: Tensor) -> Tensor:
    return Probe(adapter, []).capture({"image": pictures}, Wants(activations=(layer,))).activations[layer]


def _half(tensor: Tensor, axis: int, which: int) -> Tensor:
    """1 on the first or second half along an axis, 0 elsewhere; a middle row belongs to neither."""
    length = tensor.shape[axis]
    mask = torch.zeros(length)
    mask[slice(length // 2) if which == 0 else slice(length - length // 2, None)] = 1
    return mask.reshape([-1 if index == axis else 1 for index in range(tensor.ndim)])


def _energy(change: Tensor, axis: int, which: int) -> float:
    return float((change * _half(change, axis, which)).square().sum())
