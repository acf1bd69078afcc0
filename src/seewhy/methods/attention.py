"""Attention as an explanation: how much of each token flows into the one the model reads its answer from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.registry import method

Query = Literal["class token", "mean of tokens"]
HeadFusion = Literal["mean", "max", "min"]


@method(
    "rollout",
    reads=("attention",),
    signed=False,
    cite="Abnar and Zuidema 2020, arXiv:2005.00928, section 3 (attention rollout)",
)
def rollout(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    query: Query = "class token",
    prefix: int = 1,
    head_fusion: HeadFusion = "mean",
) -> Float[Tensor, "b n"]:
    """Attention of the class token followed back through all layers, residual paths included.

    ``attention`` holds ``(B, heads, N, N)`` per layer, first layer first, rows summing to 1. Each layer becomes
    ``(A + I) / row sum``; only the asked row of their product is computed, from the last layer backwards. Without a
    class token the mean over the patch tokens' rows is taken. The result ``(B, N)`` includes ``prefix`` tokens and sums
    to 1.

    Example:
        >>> rollout([torch.eye(3).expand(1, 2, 3, 3)])
        tensor([[1., 0., 0.]])
    """
    batch, _, tokens, _ = attention[0].shape
    row = attention[0].new_zeros(batch, tokens)
    if query == "class token":
        row[:, 0] = 1.0
    else:
        row[:, prefix:] = 1.0 / (tokens - prefix)
    for weights in reversed(attention):
        fused = _fuse(weights, head_fusion)
        scaled = row / (fused.sum(dim=2) + 1.0)
        row = torch.einsum("bn,bnm->bm", scaled, fused) + scaled
    return row


def attention_heads(
    attention: Float[Tensor, "b h n n"], *, query: Query = "class token", prefix: int = 1
) -> Float[Tensor, "b h n"]:
    """What each head of one layer attends to: the class token's row, or the mean over the patch tokens' rows.

    The result ``(B, heads, N)`` includes ``prefix`` tokens; each row sums to 1.
    """
    return attention[:, :, 0] if query == "class token" else attention[:, :, prefix:].mean(dim=2)


def _fuse(weights: Float[Tensor, "b h n n"], head_fusion: HeadFusion) -> Float[Tensor, "b n n"]:
    if head_fusion == "mean":
        return weights.mean(dim=1)
    return weights.amax(dim=1) if head_fusion == "max" else weights.amin(dim=1)
