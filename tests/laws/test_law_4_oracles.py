"""Law 4: closed forms in float64 to 1e-10, and twins written from the papers in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles import (
    CAM_ORACLES,
    ROLLOUT_ORACLES,
    cam_sum_on_gap_linear,
    random,
    random_attention,
    rollout_against_matrix_chain,
)

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, find_attention
from seewhy.core import Wants
from seewhy.methods.attention import attention_heads, rollout
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from toys import Vit

EXACT = 1e-10


@pytest.mark.parametrize("oracle", CAM_ORACLES)
def test_gradcam_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(gradcam) < EXACT


@pytest.mark.parametrize("rank", [1, 3])
def test_gradcam_sums_to_the_logit_without_its_bias_in_other_ranks(rank: int) -> None:
    assert cam_sum_on_gap_linear(gradcam, rank) < EXACT


def test_gradcam_of_evidence_against_a_class_is_negative() -> None:
    activations, gradients = torch.ones(1, 2, 2, 2), torch.full((1, 2, 2, 2), -0.25)
    assert gradcam(activations, gradients).tolist() == [[[-0.5, -0.5], [-0.5, -0.5]]]


@pytest.mark.parametrize("oracle", ROLLOUT_ORACLES)
def test_rollout_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(rollout) < EXACT


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("query", ["class token", "mean of tokens"])
def test_rollout_equals_the_full_matrix_chain(head_fusion: str, query: str) -> None:
    assert rollout_against_matrix_chain(rollout, head_fusion, query, prefix=2) < EXACT


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
def test_permuting_heads_changes_nothing(head_fusion: str) -> None:
    attention = [random_attention(2, 4, 6, 6, seed=layer) for layer in range(3)]
    shuffled = [layer[:, [2, 0, 3, 1]] for layer in attention]
    torch.testing.assert_close(
        rollout(shuffled, head_fusion=head_fusion), rollout(attention, head_fusion=head_fusion), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("head_fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("query", ["class token", "mean of tokens"])
def test_rollout_rows_sum_to_one(head_fusion: str, query: str) -> None:
    attention = [random_attention(3, 4, 9, 9, seed=layer) for layer in range(5)]
    total = rollout(attention, head_fusion=head_fusion, query=query, prefix=2).sum(dim=1)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)


def test_permuting_patch_tokens_permutes_the_rollout() -> None:
    attention = [random_attention(1, 2, 6, 6, seed=layer) for layer in range(3)]
    order = [0, 4, 2, 5, 1, 3]
    moved = [layer[:, :, order][:, :, :, order] for layer in attention]
    torch.testing.assert_close(rollout(moved), rollout(attention)[:, order], rtol=0, atol=1e-14)


def test_heads_show_the_class_tokens_row_or_the_mean_behind_the_prefix() -> None:
    attention = random(1, 2, 4, 4)
    numbers = attention.numpy()
    assert np.array_equal(attention_heads(attention).numpy(), numbers[:, :, 0])
    found = attention_heads(attention, query="mean of tokens", prefix=2).numpy()
    np.testing.assert_allclose(found, (numbers[:, :, 2] + numbers[:, :, 3]) / 2, rtol=0, atol=1e-15)


@pytest.mark.parametrize("kernel", ["fused", "softmax", "mha"])
def test_a_one_layer_transformer_against_numpy(kernel: str) -> None:
    """Tokens, projections, softmax and residual written out from the weights."""
    model = Vit((8, 12), depth=1, kernel=kernel).double()
    inputs = {"image": random(2, 2, 8, 12)}
    adapter = Adapter(model, inputs)
    found = find_attention(adapter, inputs)
    assert isinstance(found, GlobalAttention)
    capture = Probe(adapter, [], tokens=found.tokens).capture(inputs, Wants(attention=True, heads_of=(0,)))

    seen: list[torch.Tensor] = []
    handle = model.blocks[0].norm1.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        model(inputs["image"])
    handle.remove()
    tokens, projection = seen[0].numpy(), model.blocks[0].attn.mha
    packed = tokens @ projection.in_proj_weight.detach().numpy().T + projection.in_proj_bias.detach().numpy()
    query, key, _ = np.moveaxis(packed.reshape(2, 7, 3, 2, 4), (2, 3), (0, 2))
    scores = np.exp(query @ np.swapaxes(key, -1, -2) / np.sqrt(4))
    true = scores / scores.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(capture.attention[0].numpy(), true, rtol=0, atol=EXACT)
    expected = 0.5 * true.mean(axis=1)[:, 0] + 0.5 * np.eye(7)[0]
    np.testing.assert_allclose(rollout(capture.attention).numpy(), expected, rtol=0, atol=EXACT)
