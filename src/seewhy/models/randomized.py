"""Copies of a model with some of its blocks drawn afresh: one after the other, or each alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seewhy.models.adapter import Adapter
from seewhy.models.blocks_in_order import Block
from seewhy.models.borrow import borrowed
from seewhy.models.reinitialize import copied, fresh_weights
from seewhy.models.running_statistics import renew_statistics, with_statistics

Order = Literal["cascading", "independent"]


def randomized(
    adapter: Adapter, blocks: Sequence[Block], order: Order = "cascading", seed: int = 0
) -> Iterator[nn.Module]:
    """A copy of the model for every block: with it and all blocks before it drawn afresh, or with it alone.

    It is one copy that changes from turn to turn; the model itself is never written to. Running statistics inside
    blocks drawn afresh are estimated on noise, those elsewhere stay. Raises ``ConfigError`` SW-F270 for a model that
    cannot be copied.

    Example:
        >>> from seewhy.models.blocks_in_order import blocks_in_order
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
        >>> adapter = Adapter(model, {"image": torch.ones(2, 1, 4, 4)})
        >>> kept = lambda other: [bool((other[k].weight == model[k].weight).all()) for k in (0, 3)]
        >>> [kept(copy) for copy in randomized(adapter, blocks_in_order(adapter))]
        [[True, False], [False, False]]
        >>> [kept(copy) for copy in randomized(adapter, blocks_in_order(adapter), "independent")]
        [[True, False], [False, True]]
    """
    model = adapter.model
    fresh = fresh_weights(model, seed)
    changing = adapter.on(copied(model))
    norms = with_statistics(model)
    drawn: list[Block] = []
    for block in blocks:
        if order == "independent":
            _put_back(changing.model, model)
            drawn = []
        drawn.append(block)
        _put(changing.model, {name: fresh[name] for name in block.tensors})
        renew_statistics(changing, [name for name in norms if any(one.holds(name) for one in drawn)], seed)
        yield changing.model


def _put(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    with borrowed(model), torch.no_grad():
        for name, value in values.items():
            model.get_parameter(name).copy_(value)


def _put_back(changing: nn.Module, model: nn.Module) -> None:
    """Every parameter and buffer as in the model; tensors that only one of them has stay."""
    known = dict(model.named_parameters()) | dict(model.named_buffers())
    own = dict(changing.named_parameters()) | dict(changing.named_buffers())
    with borrowed(changing), torch.no_grad():
        for name, tensor in own.items():
            if name in known and known[name].shape == tensor.shape:
                tensor.copy_(known[name])
