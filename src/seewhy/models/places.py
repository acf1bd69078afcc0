"""Where on the input the cells of a layer look, found by asking: tokens need not lie in the input's order.

Noise is added to an input three ways: evenly, and with a variance that grows along each axis. A cell that looks at the
place ``u`` in [0, 1] of an axis answers the growing noise with ``u`` times the energy of its answer to the even one, so
the ratio of the two says where the cell looks, without a gradient and whatever the model mixes in from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.models.layer_calls import LayerCall
from seewhy.models.outputs import sole_tensor
from seewhy.ops import generator

Order = Literal["in place", "elsewhere", "everywhere"]
DRAWS = 4
LEAST_CORRELATION = 0.4
"""Between a cell's place on the grid and the place it looks at; ordered layers reach 0.9, shuffled ones 0.3."""
LEAST_SPREAD = 0.5
"""Of the places looked at, relative to the grid's: below it the cells look everywhere."""
_STRENGTH = 0.1

Energies = dict[tuple[str, int], Float[Tensor, "axes *s"]]


def orders_of(
    model: nn.Module, run: Callable[[Inputs], Any], example: Inputs, calls: Sequence[LayerCall]
) -> dict[tuple[str, int], Order]:
    """How the cells of each call (name, number) lie: where the grid has them, elsewhere, or everywhere.

    ``example`` are the traced inputs, whose first record is asked about. Cells that look at all of the input alike, or
    at nothing, have no order to be wrong; nothing is known, "everywhere", where no input is a floating-point one.
    """
    energies = _energies(model, run, example, calls)
    nothing = torch.zeros(1, 1)
    return {place: _order(energies.get(place, nothing)) for place in ((call.name, call.call) for call in calls)}


def _order(energy: Float[Tensor, "axes *s"]) -> Order:
    """``energy[0]`` is the answer to even noise, ``energy[1 + axis]`` the one to noise growing along that axis."""
    even, size = energy[0], energy.shape[1:]
    if not bool((even > 0).all()):
        return "everywhere"
    found = {
        _order_along(energy[1 + axis] / even, _centres(axis, size).to(energy))
        for axis, length in enumerate(size)
        if length > 1
    }
    return next(order for order in ("elsewhere", "everywhere", "in place") if order in found)


def _order_along(places: Float[Tensor, "*s"], centres: Float[Tensor, "*s"]) -> Order:
    """Whether cells look at places of their own, and at those where the grid has them."""
    if float(places.std(correction=0)) < LEAST_SPREAD * float(centres.std(correction=0)):
        return "everywhere"
    return "in place" if _correlation(places, centres) >= LEAST_CORRELATION else "elsewhere"


def _correlation(one: Tensor, other: Tensor) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / (one.norm() * other.norm()).clamp_min(torch.finfo(one.dtype).tiny))


def _centres(axis: int, size: Sequence[int]) -> Float[Tensor, "*s"]:
    """The centre of each cell along an axis, as a fraction of its length."""
    along = (torch.arange(size[axis]) + 0.5) / size[axis]
    return along.reshape([-1 if index == axis else 1 for index in range(len(size))]).expand(*size)


def _energies(model: nn.Module, run: Callable[[Inputs], Any], example: Inputs, calls: Sequence[LayerCall]) -> Energies:
    """The squared change of each cell, summed over channels and draws, for even noise and one kind per axis."""
    rank = max((len(call.grid.size) for call in calls if call.grid), default=0)
    batch = len(next(iter(example.values())))
    records = _perturbed(example, rank)
    count = len(next(iter(records.values())))
    found: dict[tuple[str, int], list[Tensor]] = {}
    for start in range(0, count, batch):
        rows = [min(row, count - 1) for row in range(start, start + batch)]
        with _reading(model, calls, found):
            run({name: tensor[rows] for name, tensor in records.items()})
    return {call: _summed(torch.cat(cells)[:count], rank) for call, cells in found.items()}


def _summed(cells: Float[Tensor, "n c *s"], rank: int) -> Float[Tensor, "axes *s"]:
    changes = (cells[1:] - cells[:1]).square().sum(dim=1)
    return changes.reshape(1 + rank, DRAWS, *changes.shape[1:]).sum(dim=1)


def _perturbed(example: Inputs, rank: int) -> Inputs:
    """The first record as it is, then ``DRAWS`` noisy copies of it for each kind of noise."""
    records = {}
    for position, (name, tensor) in enumerate(example.items()):
        clean = tensor[:1]
        copies = 1 + DRAWS * (1 + rank)
        records[name] = clean.expand(copies, *clean.shape[1:]).clone()
        if clean.is_floating_point() and clean.ndim == rank + 2:
            records[name][1:] += _noise(clean, generator("places", position))
    return records


def _noise(clean: Float[Tensor, "one c *s"], random: torch.Generator) -> Float[Tensor, "n c *s"]:
    size = clean.shape[2:]
    draws = torch.randn(DRAWS, *clean.shape[1:], generator=random).to(clean)
    spread = float(clean.float().std(correction=0)) or 1.0
    growing = [_centres(axis, size).to(clean).sqrt() for axis in range(len(size))]
    return _STRENGTH * spread * torch.cat([draws, *(draws * ramp for ramp in growing)])


@contextmanager
def _reading(
    model: nn.Module, calls: Sequence[LayerCall], found: dict[tuple[str, int], list[Tensor]]
) -> Iterator[None]:
    """Appends the grid of each of ``calls`` to ``found``."""
    grids = {(call.name, call.call): call.grid for call in calls}
    counts: dict[str, int] = {}

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def read(module: nn.Module, args: Any, output: Any) -> None:
            del module, args
            place = (name, counts.get(name, 0))
            counts[name] = place[1] + 1
            grid, tensor = grids.get(place), sole_tensor(output)
            if grid is not None and tensor is not None:
                found.setdefault(place, []).append(grid.apply(tensor.detach()).double())

        return read

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(hook_for(name)) for name in dict.fromkeys(c.name for c in calls)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
