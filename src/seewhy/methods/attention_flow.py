"""Attention flow in both meanings of the name: the paper's maximum flow, and one layer's row of one patch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.methods.attention import Query, layer_at, patch_attention, query_row, token_of_patch
from seewhy.methods.layered_flow import flow_from_each
from seewhy.registry import method
from seewhy.values import ConfigError

MOST_EDGES = 12 * 200 * 200
"""What takes seconds for one record: 12 layers of 200 tokens."""


@method(
    "attention_flow",
    reads=("attention",),
    signed=False,
    cite="one row of softmax(QKᵀ/√d); exact: Abnar and Zuidema 2020, arXiv:2005.00928, section 3 (attention flow)",
)
def attention_flow(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    prefix: int = 1,
    target_patch: int = 0,
    layer_idx: int = -1,
    exact: bool = False,
) -> Float[Tensor, "b n"]:
    """One layer's attention from a patch, which some call flow; with exact=True the paper's maximum flow into it.

    Without ``exact`` this is :func:`patch_attention`, the mean over heads. With it, this is :func:`attention_maxflow`
    into the same patch after the same layer. Arguments, result and errors are those of the one it is.

    Example:
        >>> attention_flow([torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])], target_patch=0, exact=True)
        tensor([[0.5000, 0.5000]])
    """
    if exact:
        return attention_maxflow(attention, prefix=prefix, target_patch=target_patch, layer_idx=layer_idx)
    return patch_attention(attention, prefix=prefix, target_patch=target_patch, layer_idx=layer_idx)


@method(
    "attention_maxflow",
    reads=("attention",),
    signed=False,
    cite="Abnar and Zuidema 2020, arXiv:2005.00928, section 3 (attention flow)",
)
def attention_maxflow(
    attention: Sequence[Float[Tensor, "b h n n"]],
    *,
    query: Query = "class token",
    prefix: int = 1,
    target_patch: int | None = None,
    layer_idx: int = -1,
) -> Float[Tensor, "b n"]:
    """The maximum flow from every input token into the class token, or into a patch, through all layers up to one.

    ``attention`` holds ``(B, heads, N, N)`` per layer, first layer first, rows summing to 1. Tokens of neighbouring
    layers are joined by edges of capacity ``A/2 + I/2``, heads averaged. Where the answer is read from the mean of the
    patches, reading it is one more layer, with an edge of capacity 1 / patches from each. ``target_patch`` counts
    patches without ``prefix`` tokens. The result ``(B, N)`` includes ``prefix`` tokens, lies in [0, 1] and is not
    normalised. It is computed on the CPU in float64.

    Raises ``ConfigError`` SW-F62 for a layer and SW-F63 for a patch that do not exist, SW-F64 for more than 12 layers
    of 200 tokens.

    Example:
        >>> attention_maxflow([torch.tensor([[[[0.2, 0.8], [0.5, 0.5]]]])])
        tensor([[0.6000, 0.4000]])
    """
    last = layer_at(attention, layer_idx)
    layers = attention[: range(len(attention))[layer_idx] + 1]
    tokens = last.shape[-1]
    _check_size(len(layers), tokens)
    reading = query_row(tokens, query, prefix).numpy()
    if target_patch is not None:
        reading = np.eye(tokens)[token_of_patch(target_patch, tokens, prefix)]
    joint = np.stack([_joint(weights) for weights in layers], axis=1)
    flows = [flow_from_each(_capacities(record, reading)) for record in joint]
    return torch.from_numpy(np.array(flows).reshape(len(last), tokens)).to(last)


def _joint(weights: Float[Tensor, "b h n n"]) -> Float[np.ndarray, "b n n"]:
    mean = weights.mean(dim=1).double().cpu().numpy()
    return np.asarray(0.5 * mean + 0.5 * np.eye(mean.shape[-1]))


def _capacities(joint: Float[np.ndarray, "l n n"], reading: Float[np.ndarray, " n"]) -> list[np.ndarray]:
    """The network of one record; one token that is read needs its own row of the last layer only."""
    (read,) = np.nonzero(reading)
    if len(read) == 1:
        return [*joint[:-1], joint[-1][read]]
    return [*joint, reading[None]]


def _check_size(layers: int, tokens: int) -> None:
    if layers * tokens**2 > MOST_EDGES:
        raise ConfigError(
            "SW-F64",
            f"exact flow is for networks of up to 12 layers of 200 tokens, got {layers} layers of {tokens} tokens",
            fix="use rollout, or attention_flow without exact; or choose a lower layer_idx or a smaller input",
        )
