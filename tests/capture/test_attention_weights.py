"""``softmax(QKᵀ·scale + mask)`` beside the fused kernel: the weights with which it mixes V."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from seewhy.capture.attention import AttentionRecorder, scaled_dot_product_weights

N = 6
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scale": {"scale": 0.3},
    "causal": {"is_causal": True},
    "boolean mask": {"attn_mask": torch.rand(N, N, generator=torch.Generator().manual_seed(3)) > 0.3},
    "boolean mask per head": {"attn_mask": torch.eye(N, dtype=torch.bool).roll(1, 0).expand(2, 4, N, N)},
    "added mask": {"attn_mask": torch.linspace(-2, 2, N * N, dtype=torch.float64).reshape(1, 1, N, N)},
    "mask of minus infinity": {"attn_mask": torch.zeros(N, N).double().index_fill(1, torch.tensor(2), -math.inf)},
    "dropout of zero": {"dropout_p": 0.0},
}  # fmt: skip


def qkv(heads: int = 4, key_heads: int = 4, keys: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shapes = ((2, heads, N, 8), (2, key_heads, keys, 8), (2, key_heads, keys, keys))
    query, key, value = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    value[:] = torch.eye(keys, dtype=torch.float64)  # with V = I the kernel's output is the weights themselves
    return query, key, value


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_weights_equal_those_of_the_kernel(settings: dict[str, Any]) -> None:
    query, key, value = qkv()
    expected = F.scaled_dot_product_attention(query, key, value, **settings)
    found = scaled_dot_product_weights(query, key, value, **settings)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 4, N, dtype=torch.float64), rtol=0, atol=1e-12)


def test_grouped_queries_share_keys_as_in_the_kernel() -> None:
    query, key, value = qkv(heads=4, key_heads=2)
    expected = F.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    torch.testing.assert_close(scaled_dot_product_weights(query, key, enable_gqa=True), expected, rtol=0, atol=1e-12)


def test_causal_attention_to_longer_keys_is_aligned_as_in_the_kernel() -> None:
    query, key, value = qkv(keys=N + 3)
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(scaled_dot_product_weights(query, key, is_causal=True), expected, rtol=0, atol=1e-12)


def test_half_precision_is_computed_in_float32() -> None:
    query, key, _ = (tensor.bfloat16() for tensor in qkv())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = scaled_dot_product_weights(query, key)
    expected = (query.double() @ key.double().transpose(-2, -1) / math.sqrt(8)).softmax(dim=-1)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def recorded(ask: Any, *, batch: int = 2, tokens: int | None = None) -> AttentionRecorder:
    with AttentionRecorder(batch=batch, tokens=tokens) as recorder:
        ask()
    return recorder


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_recorder_sees_the_fused_call_and_leaves_its_result_alone(settings: dict[str, Any]) -> None:
    query, key, value = qkv()
    results = []
    recorder = recorded(lambda: results.append(F.scaled_dot_product_attention(query, key, value, **settings)))
    assert torch.equal(results[0], F.scaled_dot_product_attention(query, key, value, **settings))
    torch.testing.assert_close(recorder.weights[0], results[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("ask", [
    lambda scores: scores.softmax(dim=-1), lambda scores: scores.softmax(3), lambda scores: torch.softmax(scores, 3),
    lambda scores: F.softmax(scores, dim=-1), torch.nn.Softmax(dim=-1),
])  # fmt: skip
def test_every_spelling_of_softmax_is_seen(ask: Any) -> None:
    scores = torch.randn(2, 3, 5, 5)
    (seen,) = recorded(lambda: ask(scores)).weights
    assert torch.equal(seen, scores.softmax(dim=-1))


def test_what_is_changed_in_place_afterwards_was_kept_before() -> None:
    scores = torch.randn(2, 3, 5, 5)
    (seen,) = recorded(lambda: scores.softmax(dim=-1).zero_()).weights
    assert torch.equal(seen, scores.softmax(dim=-1))


def test_a_matrix_per_record_counts_as_one_head() -> None:
    scores = torch.randn(2, 5, 5)
    (seen,) = recorded(lambda: scores.softmax(dim=-1)).weights
    assert torch.equal(seen, scores.softmax(dim=-1)[:, None])


def test_softmax_over_another_axis_is_no_attention() -> None:
    scores = torch.randn(2, 3, 5, 5)
    assert recorded(lambda: (scores.softmax(dim=1), scores.softmax(dim=-2))).weights == []


def test_other_token_counts_and_oblong_weights_are_left_out() -> None:
    def ask() -> None:
        torch.randn(2, 3, 5, 5).softmax(dim=-1)
        torch.randn(2, 3, 7, 7).softmax(dim=-1)
        torch.randn(2, 3, 7, 5).softmax(dim=-1)

    assert [tuple(seen.shape) for seen in recorded(ask, tokens=7).weights] == [(2, 3, 7, 7)]


def test_windows_folded_into_the_batch_are_told() -> None:
    recorder = recorded(lambda: torch.randn(8, 3, 5, 5).softmax(dim=-1))
    assert recorder.windowed
    assert recorder.weights == []


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_multi_head_attention_answers_its_caller_as_before(
    batch_first: bool, need_weights: bool, average: bool
) -> None:
    module = torch.nn.MultiheadAttention(8, 2, batch_first=batch_first).eval()
    x = torch.randn(2, 5, 8) if batch_first else torch.randn(5, 2, 8)
    settings = {"need_weights": need_weights, "average_attn_weights": average}
    with torch.no_grad():
        output, weights = module(x, x, x, **settings)
        answers: list[Any] = []
        (seen,) = recorded(lambda: answers.append(module(x, x, x, **settings))).weights
        _, expected = module(x, x, x, need_weights=True, average_attn_weights=False)
    torch.testing.assert_close(answers[0][0], output, rtol=0, atol=1e-6)
    assert (answers[0][1] is None) == (weights is None)
    if weights is not None:
        torch.testing.assert_close(answers[0][1], weights, rtol=0, atol=1e-6)
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-6)
