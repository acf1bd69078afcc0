"""Which inputs each layer's output depends on, found by changing one input at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.outputs import sole_tensor
from seewhy.ops import generator

SAME = 1e-6
"""Moments of an output that differ by less than this share are the same."""
Place = tuple[str, int]
Moments = dict[Place, tuple[float, float]]


def dependence(
    modules: Mapping[str, nn.Module], run: Callable[[Inputs], Any], inputs: Inputs, spatial: tuple[str, ...]
) -> dict[Place, tuple[str, ...]]:
    """The inputs among ``spatial`` that each call (layer, number) depends on; the first of them if there is only one.

    The model runs once as it is and once for each input with that input changed, every time with the same random
    numbers; a call whose output has other moments depends on that input.
    """
    if len(spatial) < 2:
        return {}
    clean = _moments(modules, run, inputs)
    found: dict[Place, tuple[str, ...]] = dict.fromkeys(clean, ())
    for name in spatial:
        other = _moments(modules, run, changed(inputs, name))
        for place, moments in clean.items():
            if not same(moments, other.get(place)):
                found[place] += (name,)
    return found


def changed(inputs: Inputs, name: str) -> Inputs:
    """The inputs with ``name`` changed everywhere: noise as strong as it varies, or ones for zeros."""
    return inputs | {name: _noisy(name, inputs[name])}


def moments_of(tensor: Tensor) -> tuple[float, float]:
    """What tells a tensor from another: the sums of its values and of their squares."""
    values = tensor.detach().double()
    return float(values.sum()), float(values.square().sum())


def same(one: tuple[float, float], other: tuple[float, float] | None) -> bool:
    """Whether moments are those of one tensor, up to rounding."""
    return other is not None and all(abs(a - b) <= SAME * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True))


def _noisy(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return (tensor == 0).to(tensor.dtype)
    spread = float(tensor.float().std(correction=0)) or 1.0
    noise = torch.randn(tensor.shape, generator=generator("dependence", name))
    return tensor + (spread * noise).to(tensor)


def _moments(modules: Mapping[str, nn.Module], run: Callable[[Inputs], Any], inputs: Inputs) -> Moments:
    found: Moments = {}
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _reading(modules, found):
        torch.manual_seed(0)
        run(inputs)
    return found


@contextmanager
def _reading(modules: Mapping[str, nn.Module], found: Moments) -> Iterator[None]:
    counts: dict[str, int] = {}

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def read(module: nn.Module, args: Any, output: Any) -> None:
            del module, args
            call = counts.get(name, 0)
            counts[name] = call + 1
            tensor = sole_tensor(output)
            if tensor is not None and tensor.is_floating_point():
                found[name, call] = moments_of(tensor)

        return read

    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
