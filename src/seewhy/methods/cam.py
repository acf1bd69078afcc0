"""Class activation maps: activations of a layer, weighted by what the score's gradient says of them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.registry import method


@method(
    "gradcam",
    reads=("activations", "gradients"),
    signed=True,
    linear=True,
    cite="Selvaraju et al. 2017, arXiv:1610.02391, eq. 1-2, before the ReLU",
)
def gradcam(activations: Float[Tensor, "b c *s"], gradients: Float[Tensor, "b c *s"]) -> Float[Tensor, " b *s"]:
    """Sum of activation channels, each weighted by its spatially averaged gradient.

    Both arguments are ``(B, C, *S)`` of the same layer; the result is raw and signed. The paper's ReLU is a decision of
    rendering.

    Example:
        >>> gradcam(torch.ones(1, 2, 3, 3), torch.full((1, 2, 3, 3), 0.5))[0, 0, 0]
        tensor(1.)
    """
    return torch.einsum("bc,bc...->b...", gradients.flatten(2).mean(dim=2), activations)
