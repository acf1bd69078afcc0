"""Attention as an explanation: how much of each token flows into the one the model reads its answer from."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.ops import placed
from seewhy.registry import method
from seewhy.values import ConfigError, nearest

Query = Literal["class token", "mean of tokens"]
HeadFusion = Literal["mean", "max", "min"]


@method(
    "rollout",
    reads=("attention",),
    signed=False,
    cite="Abnar and Zuidema 2020, arXiv:2005.00928, section 3 (attention rollout)",
    also=("attention_rollout",),
)
def rollout(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    query: Query = "class token",
    prefix: int = 1,
    head_fusion: HeadFusion = "mean",
    discard_ratio: float = 0.0,
) -> Float[Tensor, "b n"]:
    """Attention of the class token followed back through all layers, residual paths included.

    ``attention`` holds ``(B, heads, N, N)`` per layer, first layer first, rows summing to 1. Each layer becomes
    ``(A + I) / row sum``; only the asked row of their product is computed, from the last layer backwards. Without a
    class token the mean over the patch tokens' rows is taken. The result ``(B, N)`` includes ``prefix`` tokens and sums
    to 1.

    ``discard_ratio`` sets that share of the lowest weights of every row to 0 before the rows are normalised; weights
    equal to the lowest kept one stay, and so does the class token's weight on itself. This and the fusion of heads by
    ``max`` or ``min`` are no part of the paper. Raises ``ConfigError`` SW-F60 for a ratio outside [0, 1), SW-F61 for an
    unknown fusion.

    Example:
        >>> rollout([torch.eye(3).expand(1, 2, 3, 3)])
        tensor([[1., 0., 0.]])
    """
    _check_ratio(discard_ratio)
    row = asked_row(attention[0], query, prefix)
    for weights in reversed(attention):
        fused = _without_lowest(_fuse(weights, head_fusion), discard_ratio, query)
        scaled = row / (fused.sum(dim=2) + 1.0)
        row = torch.einsum("bn,bnm->bm", scaled, fused) + scaled
    return row


@method(
    "attention",
    reads=("attention",),
    signed=False,
    cite="Vaswani 2017, arXiv:1706.03762, eq. 1: softmax(QKᵀ/√d) of one layer",
    also=("raw_attention",),
)
def raw_attention(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    query: Query = "class token",
    prefix: int = 1,
    layer_idx: int = -1,
    head: int | None = None,
) -> Float[Tensor, "b n"]:
    """What the class token attends to in one layer, by one head or on average over heads.

    ``attention`` holds ``(B, heads, N, N)`` per layer, first layer first; ``layer_idx`` counts layers in order of
    execution, from the end where negative. Without a class token the mean over the patch tokens' rows is taken. The
    result ``(B, N)`` includes ``prefix`` tokens and sums to 1. Raises ``ConfigError`` SW-F62 for a layer or head that
    does not exist.

    Example:
        >>> raw_attention([torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])])
        tensor([[0.5000, 0.5000]])
    """
    return one_head(attention_heads(layer_at(attention, layer_idx), query=query, prefix=prefix), head)


@method(
    "patch_attention",
    reads=("attention",),
    signed=False,
    cite="Vaswani 2017, arXiv:1706.03762, eq. 1: one row of softmax(QKᵀ/√d)",
)
def patch_attention(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    prefix: int = 1,
    target_patch: int = 0,
    layer_idx: int = -1,
    head: int | None = None,
) -> Float[Tensor, "b n"]:
    """What one patch attends to in one layer, by one head or on average over heads.

    ``target_patch`` counts patches in the order of the grid, last axis fastest, without ``prefix`` tokens; the rest is
    as in :func:`raw_attention`. Raises ``ConfigError`` SW-F62 for a layer or head that does not exist, SW-F63 for a
    patch outside the grid.

    Example:
        >>> patch_attention([torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])], prefix=1, target_patch=0)
        tensor([[1., 0.]])
    """
    weights = layer_at(attention, layer_idx)
    return one_head(weights[:, :, token_of_patch(target_patch, weights.shape[-1], prefix)], head)


def attention_heads(
    attention: Float[Tensor, "b h n n"], *, query: Query = "class token", prefix: int = 1
) -> Float[Tensor, "b h n"]:
    """What each head of one layer attends to: the class token's row, or the mean over the patch tokens' rows.

    The result ``(B, heads, N)`` includes ``prefix`` tokens; each row sums to 1.
    """
    return attention[:, :, 0] if query == "class token" else attention[:, :, prefix:].mean(dim=2)


def query_row(tokens: int, query: Query, prefix: int) -> Float[Tensor, " n"]:
    """How much the answer is read from each token: all from the class token, or evenly from the patches; float64."""
    row = torch.zeros(tokens, dtype=torch.float64)
    if query == "class token":
        row[0] = 1.0
    else:
        row[prefix:] = 1.0 / (tokens - prefix)
    return row


def asked_row(weights: Float[Tensor, "b h n n"], query: Query, prefix: int) -> Float[Tensor, "b n"]:
    """:func:`query_row` for every record, where the weights are and in their type."""
    row = query_row(weights.shape[-1], query, prefix).to(weights.dtype)
    return placed(row, weights).expand(len(weights), -1)


def layer_at(attention: Sequence[Float[Tensor, "b h n n"]], layer_idx: int) -> Float[Tensor, "b h n n"]:
    """The weights of one layer; raises ``ConfigError`` SW-F62 where there is no such layer."""
    layers = len(attention)
    if not isinstance(layer_idx, Integral) or not -layers <= layer_idx < layers:
        raise ConfigError(
            "SW-F62",
            f"layer_idx={layer_idx!r} was asked for, but the model has {layers} attention layers",
            fix=f"use a whole number from {-layers} to {layers - 1}; -1 is the last layer",
        )
    return attention[layer_idx]


def one_head(rows: Float[Tensor, "b h n"], head: int | None) -> Float[Tensor, "b n"]:
    """One head's rows, or the mean over heads; raises ``ConfigError`` SW-F62 where there is no such head."""
    heads = rows.shape[1]
    if head is None:
        return rows.mean(dim=1)
    if not isinstance(head, Integral) or not 0 <= head < heads:
        raise ConfigError(
            "SW-F62",
            f"head={head!r} was asked for, but the layer has {heads} heads",
            fix=f"use a whole number from 0 to {heads - 1}, or leave it out for their mean",
        )
    return rows[:, head]


def token_of_patch(target_patch: int, tokens: int, prefix: int) -> int:
    """The number of a patch among all tokens; raises ``ConfigError`` SW-F63 outside the grid."""
    patches = tokens - prefix
    if not isinstance(target_patch, Integral) or not 0 <= target_patch < patches:
        raise ConfigError(
            "SW-F63",
            f"target_patch={target_patch!r} was asked for, but the input has {patches} patches",
            fix=f"use a whole number from 0 to {patches - 1}, counted row by row without prefix tokens",
        )
    return prefix + target_patch


def _check_ratio(discard_ratio: float) -> None:
    if not 0.0 <= discard_ratio < 1.0:
        raise ConfigError(
            "SW-F60",
            f"discard_ratio is a share of each row's weights, 0 <= ratio < 1, got {discard_ratio!r}",
            fix="use 0 to keep all, or for example 0.9 to keep the largest tenth",
        )


def _fuse(weights: Float[Tensor, "b h n n"], head_fusion: HeadFusion) -> Float[Tensor, "b n n"]:
    if head_fusion == "mean":
        return weights.mean(dim=1)
    if head_fusion == "max":
        return weights.amax(dim=1)
    if head_fusion == "min":
        return weights.amin(dim=1)
    raise ConfigError(
        "SW-F61",
        f"head_fusion={head_fusion!r} is no way to fuse heads",
        near=nearest(str(head_fusion), get_args(HeadFusion)),
        fix=f"use one of {', '.join(get_args(HeadFusion))}",
    )


def _without_lowest(fused: Float[Tensor, "b n n"], discard_ratio: float, query: Query) -> Float[Tensor, "b n n"]:
    """Row by row, because a threshold over the whole matrix can erase the class token's row."""
    discarded = int(discard_ratio * fused.shape[2])
    if discarded == 0:
        return fused
    lowest_kept = fused.kthvalue(discarded + 1, dim=2, keepdim=True).values
    kept = fused.where(fused >= lowest_kept, fused.new_zeros(()))
    if query == "class token":
        kept[:, 0, 0] = fused[:, 0, 0]
    return kept
