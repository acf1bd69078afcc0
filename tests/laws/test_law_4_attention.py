"""The attention family against closed forms, twins written from the papers, networkx, and models opened by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from attention_oracles import (
    DISCARD_ORACLES,
    FLOW_ORACLES,
    LAYERS,
    PATCH_ORACLES,
    RAW_ORACLES,
    RELEVANCE_ORACLES,
    blockwise,
    joint,
    legrad_by_hand,
    read,
    vit,
)
from oracles import distance

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.attention import patch_attention, raw_attention, rollout
from seewhy.methods.attention_flow import attention_flow, attention_maxflow
from seewhy.methods.layered_flow import flow_from_each
from seewhy.methods.legrad import legrad
from seewhy.methods.relevance import attention_relevance
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

EXACT = 1e-10
KERNELS = ("fused", "softmax", "mha")


@pytest.mark.parametrize("oracle", DISCARD_ORACLES)
def test_rollout_with_a_discard_ratio_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(rollout) < EXACT


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("query", ["class token", "mean of tokens"])
def test_rollout_rows_sum_to_one_at_any_ratio(ratio: float, query: str) -> None:
    found = rollout(LAYERS, query=query, prefix=2, discard_ratio=ratio)  # type: ignore[arg-type]
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_record_discards_as_it_does_alone() -> None:
    together = rollout(LAYERS, discard_ratio=0.5)
    for record in range(2):
        alone = rollout([layer[record : record + 1] for layer in LAYERS], discard_ratio=0.5)
        torch.testing.assert_close(alone[0], together[record], rtol=0, atol=0)


@pytest.mark.parametrize("oracle", PATCH_ORACLES)
def test_patch_attention_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(patch_attention) < EXACT


@pytest.mark.parametrize("oracle", RAW_ORACLES)
def test_attention_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(raw_attention) < EXACT


def test_attention_flow_is_patch_attention_and_exactly_the_maximum_flow_when_asked() -> None:
    asked = {"prefix": 2, "target_patch": 3, "layer_idx": -2}
    assert torch.equal(attention_flow(LAYERS, **asked), patch_attention(LAYERS, **asked))
    assert torch.equal(attention_flow(LAYERS, **asked, exact=True), attention_maxflow(LAYERS, **asked))


@pytest.mark.parametrize("oracle", FLOW_ORACLES)
def test_maximum_flow_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(attention_maxflow) < EXACT


def test_maximum_flow_passes_no_cut_around_a_layer() -> None:
    """Out of the token, into the class token, and through the narrowest layer: nothing can exceed these."""
    found = attention_maxflow(LAYERS).numpy()
    out_of_each, into_the_class_token = joint(LAYERS[0]).sum(axis=1), joint(LAYERS[-1])[:, 0].sum(axis=1)
    assert (found <= np.minimum(out_of_each, into_the_class_token[:, None]) + 1e-12).all()


def test_flow_that_cannot_pass_on_turns_back_and_goes_another_way() -> None:
    """Half is sent each way; the first lets 0.1 through, the second 0.9: the rest of the first half must turn round."""
    assert flow_from_each([np.array([[1.0]]), np.array([[0.9], [0.9]]), np.array([[0.1, 0.9]])]).tolist() == [1.0]


def test_a_permutation_of_patches_permutes_the_flow() -> None:
    order = [0, 3, 1, 6, 2, 5, 4]
    moved = [layer[:, :, order][:, :, :, order] for layer in LAYERS]
    torch.testing.assert_close(attention_maxflow(moved), attention_maxflow(LAYERS)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("oracle", RELEVANCE_ORACLES)
def test_relevance_meets_its_oracles(oracle: Callable[..., float]) -> None:
    assert oracle(attention_relevance) < EXACT


@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_relevance_of_a_model_is_that_of_its_attention_opened_by_hand(kernel: str, prefix: int) -> None:
    model, inputs = vit(kernel, prefix)
    attention, behind = blockwise(model, inputs["image"], cut=False)
    found = Asked("attention_relevance")(Probe(Adapter(model, inputs), [Logit(1)]), inputs).maps["image"][0]
    gradients = torch.autograd.grad(read(model, behind[-1], "model")[:, 1].sum(), attention)
    chain = np.eye(6 + prefix)
    for weights, gradient in zip(attention, gradients, strict=True):
        chain = chain + np.maximum(weights.detach().numpy() * gradient.numpy(), 0).mean(axis=1) @ chain
    row = (chain - np.eye(6 + prefix))[:, 0] if prefix else (chain - np.eye(6)).mean(axis=1)
    assert distance(found, row[:, prefix:].reshape(2, 2, 3)) < EXACT


@pytest.mark.parametrize("pooling", ["mean", "model"])
@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_legrad_is_what_the_model_opened_by_hand_gives(kernel: str, prefix: int, pooling: str) -> None:
    assert legrad_by_hand(legrad, kernel, prefix, pooling) < EXACT


def test_legrad_keeps_the_models_own_score_and_the_question_of_the_clean_input() -> None:
    model, inputs = vit("fused", 1)
    logits = model(inputs["image"]).detach()
    found = legrad(Probe(Adapter(model, inputs), [Logit(), Logit(rank=2)]), inputs)
    ranked = logits.sort(dim=1, descending=True)
    assert distance(found.scores, ranked.values[:, [0, 2]].T) < EXACT
    for row, rank in enumerate((0, 2)):
        named = Logit(tuple(ranked.indices[:, rank].tolist()))
        again = legrad(Probe(Adapter(model, inputs), [named]), inputs)
        torch.testing.assert_close(found.maps["image"][row], again.maps["image"][0], rtol=0, atol=1e-14)


def test_rollout_and_attention_of_a_model_are_those_of_its_attention_opened_by_hand() -> None:
    model, inputs = vit("fused", 2)
    attention, _ = blockwise(model, inputs["image"], cut=False)
    by_hand = [weights.detach() for weights in attention]
    probe = Probe(Adapter(model, inputs), [Logit(1), Logit(0)])
    settings = {"layer_idx": -2, "head": 1}
    row = Asked("attention", settings=settings)(probe, inputs).maps["image"]
    assert distance(row, by_hand[1][:, 1, 0, 2:].reshape(2, 2, 3).expand(2, 2, 2, 3)) < EXACT
    row = Asked("rollout", settings={"head_fusion": "max", "discard_ratio": 0.5})(probe, inputs).maps["image"]
    chain = rollout(by_hand, prefix=2, head_fusion="max", discard_ratio=0.5)
    assert distance(row[0], chain[:, 2:].reshape(2, 2, 3)) < EXACT


def test_the_gradient_legrad_takes_is_the_change_of_the_layers_score() -> None:
    """A little more of one attention weight, by hand: the score read from that layer moves as the gradient says."""
    model, inputs = vit("softmax", 1)
    record, head, query, key, step = 1, 0, 2, 4, 1e-6
    nudge = torch.zeros(2, 2, 7, 7, dtype=torch.float64)
    nudge[record, head, query, key] = step
    attention, behind = blockwise(model, inputs["image"], cut=True)
    _, moved = blockwise(model, inputs["image"], cut=True, weighed=lambda weights: weights + nudge)
    score = read(model, behind[0], "mean")[:, 1].sum()
    (gradient,) = torch.autograd.grad(score, attention[0])
    change = (read(model, moved[0], "mean")[:, 1].sum() - score).item() / step
    assert change == pytest.approx(gradient[record, head, query, key].item(), rel=1e-4)


@pytest.mark.parametrize("query", ["class token", "mean of tokens"])
def test_relevance_of_nothing_is_zero(query: str) -> None:
    zero = [torch.zeros(1, 2, 5, 5)] * 2
    assert not attention_relevance(zero, zero, query=query).any()
