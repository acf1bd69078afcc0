"""Running statistics of norms, estimated anew on noise: those of a trained model do not fit fresh weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seewhy import ops
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import borrowed

RECORDS: Final = 4
"""Records of noise that pass through the model."""


def with_statistics(model: nn.Module) -> tuple[str, ...]:
    """The norms that scale by a running mean and variance: batch norm, and instance norm where it tracks them."""
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(getattr(module, "running_mean", None), Tensor)
        and isinstance(getattr(module, "running_var", None), Tensor)
    )


def renew_statistics(adapter: Adapter, norms: Collection[str], seed: int = 0) -> None:
    """Set running mean and variance of these norms to those of what reaches them from noise, in one forward.

    In the order in which they run, so that each sees what the renewed ones before it put out: no activation can grow
    from layer to layer, however the weights were drawn. The noise has the size of what the model was traced on and
    depends on nothing else. **The model given is changed**; it is meant to be a copy.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 2)).eval()
        >>> renew_statistics(Adapter(model, {"image": torch.zeros(2, 1, 4, 4)}), ["1"])
        >>> bool((model[1].running_var - model[0].weight.flatten() ** 2).abs().max() < 0.3)
        True
    """
    if not norms:
        return
    inputs = {name: noise_like(tensor, (seed, "statistics", name)) for name, tensor in adapter.example.items()}
    with borrowed(adapter.model), _measuring([adapter.model.get_submodule(name) for name in norms]):
        adapter.call(inputs)


def noise_like(example: Tensor, key: object) -> Tensor:
    """As many records of noise as :data:`RECORDS`, of the example's shape: half fine, half coarse as pictures are.

    What is no floating-point number is zero.
    """
    if not example.is_floating_point():
        return example.new_zeros((RECORDS, *example.shape[1:]))
    generator = ops.generator("noise", key)
    shape = (RECORDS, *example.shape[1:])
    fine = torch.randn(shape, generator=generator)
    if example.ndim < 3 or example.ndim > 5:
        return fine.to(example)
    coarse = torch.randn(*shape[:2], *(-(-side // 16) for side in shape[2:]), generator=generator)
    found: Float[Tensor, "n c *s"] = (fine + ops.resize(coarse, shape[2:])) / 2**0.5
    return found.to(example)


@contextmanager
def _measuring(norms: Collection[nn.Module]) -> Iterator[None]:
    handles = [module.register_forward_pre_hook(_measure) for module in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _measure(module: nn.Module, given: tuple[Any, ...]) -> None:
    """Before it runs: the mean and variance of every channel over records and places."""
    if not given or not isinstance(given[0], Tensor) or given[0].ndim < 2:
        return
    values = given[0].detach().transpose(0, 1).flatten(1).float()
    mean, variance = module.get_buffer("running_mean"), module.get_buffer("running_var")
    if values.shape[0] == mean.shape[0] and bool(values.isfinite().all()):
        mean.copy_(values.mean(dim=1))
        variance.copy_(values.var(dim=1, correction=0))
