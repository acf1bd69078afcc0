"""Closed forms and twins of the attention family: each takes an implementation and returns how far off it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import networkx
import numpy as np
import torch
import torch.nn.functional as F
from oracles import distance, random, random_attention
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import Vit

Method = Callable[..., Tensor]
LAYERS = [random_attention(2, 3, 7, 7, seed=layer) for layer in range(4)]
GRADIENTS = [random(2, 3, 7, 7, seed=10 + layer) for layer in range(4)]


# Rollout with a discard ratio ----------------------------------------------------------------------------------------


def discarding_against_loops(rollout: Method) -> float:
    """Row by row: sort, set the lowest share to zero but not the class token's own weight, add I, normalise, chain."""
    tokens, ratio = 7, 0.6
    chain = np.broadcast_to(np.eye(tokens), (2, tokens, tokens))
    for layer in LAYERS:
        kept = layer.numpy().mean(axis=1)
        for record, row in np.ndindex(2, tokens):
            for lowest in np.argsort(kept[record, row])[: int(ratio * tokens)]:
                kept[record, row, lowest] = kept[record, 0, 0] if row == lowest == 0 else 0.0
        mixed = kept + np.eye(tokens)
        chain = mixed / mixed.sum(axis=-1, keepdims=True) @ chain
    return distance(rollout(LAYERS, discard_ratio=ratio), chain[:, 0])


def discarding_of_uniform(rollout: Method) -> float:
    """Where all weights are equal none is the lowest: uniform attention stays what it is at any ratio."""
    uniform = torch.full((1, 2, 6, 6), 1 / 6, dtype=torch.float64)
    true = 0.25 * np.eye(6)[:1] + 0.75 / 6
    return distance(rollout([uniform] * 2, discard_ratio=0.9), true)


def discarding_of_a_faint_class_token(rollout: Method) -> float:
    """The class token attends evenly but for one patch, the others to themselves: it still says which patch.

    Its row is ``(1 − d) / 8`` everywhere and ``d`` more at the end; of 8 weights 7 are discarded, but its own stays.
    """
    tokens, more = 8, 0.05
    attention = torch.eye(tokens, dtype=torch.float64)
    attention[0] = (1 - more) / tokens
    attention[0, -1] += more
    own, most = attention[0, 0].item(), attention[0, -1].item()
    true = np.zeros((1, tokens))
    true[0, 0], true[0, -1] = (1 + own) / (1 + own + most), most / (1 + own + most)
    return distance(rollout([attention.expand(1, 1, tokens, tokens)], discard_ratio=0.99), true)


# One row of one layer ------------------------------------------------------------------------------------------------


def row_of_a_patch(patch_attention: Method) -> float:
    """With two prefix tokens, patch 3 is token 5; the last layer but one; heads averaged."""
    found = patch_attention(LAYERS, prefix=2, target_patch=3, layer_idx=-2)
    return distance(found, LAYERS[2].numpy()[:, :, 5].mean(axis=1))


def row_of_a_patch_in_one_head(patch_attention: Method) -> float:
    found = patch_attention(LAYERS, prefix=1, target_patch=0, layer_idx=1, head=2)
    return distance(found, LAYERS[1].numpy()[:, 2, 1])


def row_of_the_class_token(raw_attention: Method) -> float:
    return distance(raw_attention(LAYERS, layer_idx=0, head=1), LAYERS[0].numpy()[:, 1, 0])


def row_of_the_patches(raw_attention: Method) -> float:
    found = raw_attention(LAYERS, query="mean of tokens", prefix=2)
    return distance(found, LAYERS[-1].numpy()[:, :, 2:].mean(axis=(1, 2)))


# Maximum flow --------------------------------------------------------------------------------------------------------


def joint(layer: Tensor) -> np.ndarray:
    """Abnar and Zuidema: half attention, half residual."""
    return 0.5 * layer.numpy().mean(axis=1) + 0.5 * np.eye(layer.shape[-1])


def flow_by_networkx(layers: Sequence[Tensor], reading: np.ndarray, record: int, source: int) -> float:
    """Edmonds and Karp on the layered graph; what is read of the last layer runs into one sink."""
    graph = networkx.DiGraph()
    for depth, layer in enumerate(layers):
        for above, below in np.ndindex(layer.shape[-2:]):
            graph.add_edge((depth, below), (depth + 1, above), capacity=joint(layer)[record, above, below])
    for token, share in enumerate(reading):
        if share:
            graph.add_edge((len(layers), token), "sink", capacity=share)
    algorithm = networkx.algorithms.flow.edmonds_karp
    return float(networkx.maximum_flow_value(graph, (0, source), "sink", flow_func=algorithm))


def flow_against_networkx(maxflow: Method) -> float:
    """Peaked attention of three layers, where flows compete for edges; the class token reads without a limit."""
    layers = [random(2, 2, 6, 6, seed=layer).mul(4).softmax(dim=-1) for layer in range(3)]
    reading = np.where(np.eye(6)[0], np.inf, 0.0)
    true = [[flow_by_networkx(layers, reading, record, source) for source in range(6)] for record in range(2)]
    return distance(maxflow(layers), true)


def flow_into_the_patches_against_networkx(maxflow: Method) -> float:
    layers = [random(1, 2, 6, 6, seed=layer).mul(4).softmax(dim=-1) for layer in range(2)]
    reading = np.array([0, 0, 0.25, 0.25, 0.25, 0.25])
    true = [[flow_by_networkx(layers, reading, 0, source) for source in range(6)]]
    return distance(maxflow(layers, query="mean of tokens", prefix=2), true)


def flow_of_one_layer(maxflow: Method) -> float:
    """One layer is one edge from each token: its capacity is the flow."""
    return distance(maxflow(LAYERS[:1]), joint(LAYERS[0])[:, 0])


def flow_of_two_layers(maxflow: Method) -> float:
    """Ways over different tokens share no edge: the flow is the sum over them of the narrower of both edges."""
    first, second = joint(LAYERS[0]), joint(LAYERS[1])
    true = np.minimum(first, second[:, 0][:, :, None]).sum(axis=1)
    return distance(maxflow(LAYERS[:2]), true)


def flow_of_identity(maxflow: Method) -> float:
    """Tokens that attend to themselves only: all of the class token flows into it, nothing of any other."""
    return distance(maxflow([torch.eye(5, dtype=torch.float64).expand(1, 2, 5, 5)] * 3), np.eye(5)[:1])


def flow_into_a_patch(maxflow: Method) -> float:
    """Patch 1 behind two prefix tokens is token 3; after the first layer only that layer's edges count."""
    return distance(maxflow(LAYERS, prefix=2, target_patch=1, layer_idx=0), joint(LAYERS[0])[:, 3])


# Relevance -----------------------------------------------------------------------------------------------------------


def relevance_against_matrices(relevance: Method, query: str = "class token", prefix: int = 1) -> float:
    """Chefer 2021b, eq. 5 and 6, with whole matrices: ``R = I``; ``R = R + E_h((∇A ⊙ A)⁺) R``; less that start."""
    chain = np.broadcast_to(np.eye(7), (2, 7, 7))
    for weights, gradients in zip(LAYERS, GRADIENTS, strict=True):
        chain = chain + np.maximum(weights.numpy() * gradients.numpy(), 0).mean(axis=1) @ chain
    grown = chain - np.eye(7)
    true = grown[:, 0] if query == "class token" else grown[:, prefix:].mean(axis=1)
    return distance(relevance(LAYERS, GRADIENTS, query=query, prefix=prefix), true)


def relevance_of_the_patches(relevance: Method) -> float:
    return relevance_against_matrices(relevance, "mean of tokens", 2)


def relevance_of_evidence_against(relevance: Method) -> float:
    """Where every gradient is negative nothing speaks for the class."""
    against = [-gradients.abs() for gradients in GRADIENTS]
    return distance(relevance(LAYERS, against), np.zeros((2, 7)))


def relevance_of_one_layer(relevance: Method) -> float:
    """A gradient of 1 everywhere: the class token's mean attention."""
    ones = torch.ones(2, 3, 7, 7, dtype=torch.float64)
    return distance(relevance(LAYERS[:1], [ones]), LAYERS[0].numpy()[:, :, 0].mean(axis=1))


# By hand, on a model -------------------------------------------------------------------------------------------------


def vit(kernel: str, prefix: int) -> tuple[Vit, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = Vit((8, 12), kernel=kernel, prefix=prefix).double().eval()  # type: ignore[arg-type]
    return model, {"image": random(2, 2, 8, 12, seed=5)}


def blockwise(
    model: Vit, image: Tensor, *, cut: bool, weighed: Callable[[Tensor], Tensor] = lambda weights: weights
) -> tuple[list[Tensor], list[Tensor]]:
    """The attention of every block as a tensor of the graph, and the tokens behind it.

    Nothing of the package takes part. ``cut`` starts every block's graph anew.
    """
    tokens = torch.cat([model.extra.expand(len(image), -1, -1), model.patch(image).flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + model.position
    attention, behind = [], []
    for block in model.blocks:
        mha = block.attn.mha
        normed = block.norm1(tokens.detach() if cut else tokens)
        packed = F.linear(normed, mha.in_proj_weight, mha.in_proj_bias)
        q, k, v = packed.reshape(*normed.shape[:2], 3, 2, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
        attention.append(weights)
        mixed = (weighed(weights) @ v).transpose(1, 2).reshape(normed.shape)
        tokens = (tokens.detach() if cut else tokens) + mha.out_proj(mixed)
        tokens = tokens + block.mlp(block.norm2(tokens))
        behind.append(tokens)
    return attention, behind


def read(model: Vit, tokens: Tensor, pooling: str) -> Tensor:
    """The logits from a layer's tokens: of their mean, or of what the model itself reads."""
    if pooling == "mean":
        return model.head(model.norm(tokens.mean(dim=1)))
    normed = model.norm(tokens)
    return model.head(normed[:, 0] if model.prefix else normed.mean(dim=1))


def layer_maps(model: Vit, image: Tensor, target: int, pooling: str) -> list[Tensor]:
    """LeGrad's gradients, one layer at a time."""
    attention, behind = blockwise(model, image, cut=True)
    scores = [read(model, tokens, pooling)[:, target].sum() for tokens in behind]
    return [torch.autograd.grad(score, weights)[0] for score, weights in zip(scores, attention, strict=True)]


def legrad_by_hand(legrad: Method, kernel: str = "fused", prefix: int = 2, pooling: str = "mean") -> float:
    """Bousselham 2024: mean over layers, heads and queries of the positive gradients; two classes, a 2 × 3 grid."""
    model, inputs = vit(kernel, prefix)
    found = legrad(Probe(Adapter(model, inputs), [Logit(0), Logit(2)]), inputs, pooling=pooling)
    true = []
    for target in (0, 2):
        maps = [
            gradient.clamp(min=0).mean(dim=(1, 2)) for gradient in layer_maps(model, inputs["image"], target, pooling)
        ]
        true.append(torch.stack(maps).mean(dim=0)[:, prefix:].reshape(2, 2, 3))
    scale = torch.stack(true).abs().max().item()
    return distance(found.maps["image"], torch.stack(true)) / scale


DISCARD_ORACLES = (discarding_against_loops, discarding_of_uniform, discarding_of_a_faint_class_token)
PATCH_ORACLES = (row_of_a_patch, row_of_a_patch_in_one_head)
RAW_ORACLES = (row_of_the_class_token, row_of_the_patches)
FLOW_ORACLES = (
    flow_against_networkx,
    flow_into_the_patches_against_networkx,
    flow_of_one_layer,
    flow_of_two_layers,
    flow_of_identity,
    flow_into_a_patch,
)
RELEVANCE_ORACLES = (
    relevance_against_matrices,
    relevance_of_the_patches,
    relevance_of_evidence_against,
    relevance_of_one_layer,
)
