"""Closed forms and NumPy twins: each oracle takes an implementation and returns how far it is from the truth.

They take the function under test as an argument so that law 9 can show that a broken one is noticed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import GapLinear

Cam = Callable[[Tensor, Tensor], Tensor]
Rollout = Callable[..., Tensor]
Matrix = NDArray[np.float64]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_attention(*shape: int, seed: int = 0) -> Tensor:
    return random(*shape, seed=seed).softmax(dim=-1)


def distance(found: Tensor, true: Tensor | Matrix) -> float:
    return float(np.abs(found.numpy() - np.asarray(true)).max())


# Grad-CAM ------------------------------------------------------------------------------------------------------------


def cam_sum_on_gap_linear(cam: Cam, rank: int = 2) -> float:
    """On conv → mean over space → linear, the raw map sums to the logit without its bias.

    With ``y = b + Σ_k w_k · (1/Z) Σ_ij A_kij`` the gradient is ``w_k / Z`` everywhere, so is its mean, and
    ``Σ_ij L_ij = Σ_ij Σ_k (w_k / Z) A_kij = y − b``.
    """
    torch.manual_seed(0)
    model = GapLinear(rank).double()
    inputs = {"image": random(2, 2, *(7, 5, 4)[:rank])}
    capture = Probe(Adapter(model, inputs), [Logit(k) for k in range(3)]).capture(
        inputs, Wants(activations=("conv",), gradients=("conv",))
    )
    maps = torch.stack([cam(capture.activations["conv"], gradients) for gradients in capture.gradients["conv"]])
    return distance(maps.flatten(2).sum(dim=2), (capture.outputs - model.fc.bias.detach()).T)


def cam_against_definition(cam: Cam) -> float:
    """Selvaraju eq. 1 and 2 written out with loops, on gradients that differ from place to place."""
    activations, gradients = random(2, 3, 4, 5, seed=1), random(2, 3, 4, 5, seed=2)
    true = np.zeros((2, 4, 5))
    for record in range(2):
        for channel in range(3):
            weight = gradients[record, channel].numpy().sum() / (4 * 5)
            true[record] += weight * activations[record, channel].numpy()
    return distance(cam(activations, gradients), true)


# Rollout -------------------------------------------------------------------------------------------------------------


def rollout_of_identity(rollout: Rollout) -> float:
    """Tokens that attend to themselves only keep everything: the class token's row is the class token."""
    identity = torch.eye(5, dtype=torch.float64).expand(1, 2, 5, 5)
    return distance(rollout([identity] * 3), np.eye(5)[:1])


def rollout_of_uniform(rollout: Rollout) -> float:
    """With ``U = 1/N`` everywhere, ``(U/2 + I/2)^L = 2^-L I + (1 − 2^-L) U`` since ``U U = U``."""
    tokens, layers = 6, 3
    uniform = torch.full((1, 2, tokens, tokens), 1 / tokens, dtype=torch.float64)
    kept = 0.5**layers
    return distance(rollout([uniform] * layers), kept * np.eye(tokens)[:1] + (1 - kept) / tokens)


def rollout_of_one_layer(rollout: Rollout) -> float:
    """One layer: the class token's row of ``A/2 + I/2``."""
    attention = random_attention(2, 1, 5, 5)
    return distance(rollout([attention]), 0.5 * attention[:, 0, 0].numpy() + 0.5 * np.eye(5)[0])


def rollout_against_matrix_chain(
    rollout: Rollout, head_fusion: str = "mean", query: str = "class token", prefix: int = 1
) -> float:
    """Abnar and Zuidema's recursion with whole matrices in NumPy, later layers multiplied from the left."""
    attention = [random_attention(2, 3, 7, 7, seed=layer) for layer in range(4)]
    fuse = {"mean": np.mean, "max": np.max, "min": np.min}[head_fusion]
    chain = np.broadcast_to(np.eye(7), (2, 7, 7))
    for layer in attention:
        mixed = fuse(layer.numpy(), axis=1) + np.eye(7)
        chain = mixed / mixed.sum(axis=-1, keepdims=True) @ chain
    true = chain[:, 0] if query == "class token" else chain[:, prefix:].mean(axis=1)
    return distance(rollout(attention, head_fusion=head_fusion, query=query, prefix=prefix), true)


def rollout_of_the_patch_tokens(rollout: Rollout) -> float:
    """Without a class token the rows behind the prefix are averaged."""
    return rollout_against_matrix_chain(rollout, query="mean of tokens", prefix=2)


CAM_ORACLES: tuple[Callable[[Cam], float], ...] = (cam_sum_on_gap_linear, cam_against_definition)
ROLLOUT_ORACLES: tuple[Callable[[Rollout], float], ...] = (
    rollout_of_identity,
    rollout_of_uniform,
    rollout_of_one_layer,
    rollout_against_matrix_chain,
    rollout_of_the_patch_tokens,
)
