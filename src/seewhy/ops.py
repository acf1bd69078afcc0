"""Pure tensor maths that several rooms need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def resize(maps: Float[Tensor, "b c *s"], size: Sequence[int]) -> Float[Tensor, "b c *t"]:
    """Linear interpolation of 1-D, 2-D or 3-D maps to ``size``, cell centres aligned (``align_corners=False``)."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode=_LINEAR[len(size)], align_corners=False)


def chunks(count: int, size: int) -> Iterator[range]:
    """``range(count)`` in consecutive parts of at most ``size``.

    >>> list(chunks(5, 2))
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def placed(values: Tensor, like: Tensor) -> Tensor:
    """A small tensor of the host where ``like`` is; the host waits for no GPU.

    A plain copy to a GPU waits until all that was asked of it before is done; one from page-locked memory does not.

    >>> placed(torch.tensor([1, 2]), torch.zeros(3)).dtype
    torch.int64
    """
    if like.device.type != "cuda":
        return values.to(like.device)
    return values.pin_memory().to(like.device, non_blocking=True)


def generator(*key: object) -> torch.Generator:
    """A private random generator whose numbers depend on ``key`` alone, never on what was drawn elsewhere.

    It lives on the CPU, so that a GPU draws the same; global generators are untouched.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
