"""Law 9: a broken variant of each formula of the attention family is noticed by one of its oracles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from attention_oracles import (
    DISCARD_ORACLES,
    FLOW_ORACLES,
    PATCH_ORACLES,
    RAW_ORACLES,
    RELEVANCE_ORACLES,
    blockwise,
    layer_maps,
    legrad_by_hand,
    read,
)
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.attention import patch_attention, raw_attention, rollout
from seewhy.methods.attention_flow import attention_maxflow
from seewhy.methods.layered_flow import flow_from_each
from seewhy.methods.relevance import attention_relevance

NOTICED = 1e-3


def worst(oracles: Sequence[Callable[..., float]], broken: Callable[..., object]) -> float:
    return max(oracle(broken) for oracle in oracles)


def discarding(
    attention: Sequence[Tensor],
    *,
    discard_ratio: float = 0.0,
    whole_matrix: bool = False,
    keep_class: bool = True,
    normalise: bool = True,
    columns: bool = False,
    first_record_only: bool = False,
    one_more: int = 0,
    ties_dropped: bool = False,
    **_: object,
) -> Tensor:
    """Rollout of the class token by whole matrices, with a switch for every mistake one can make in discarding."""
    tokens = attention[0].shape[-1]
    chain = torch.eye(tokens, dtype=torch.float64)
    for layer in attention:
        fused = layer.mean(dim=1)
        values = fused.flatten(1) if whole_matrix else fused.transpose(1, 2) if columns else fused
        discarded = min(int(discard_ratio * values.shape[-1]) + one_more, values.shape[-1] - 1)
        threshold = values.kthvalue(discarded + 1, dim=-1, keepdim=True).values
        low = (values <= threshold if ties_dropped else values < threshold).reshape(fused.shape)
        low = low.transpose(1, 2) if columns else low
        if keep_class:
            low[:, 0, 0] = False
        if first_record_only:
            low[1:] = False
        mixed = fused.masked_fill(low, 0.0) + torch.eye(tokens, dtype=torch.float64)
        chain = (mixed / mixed.sum(dim=-1, keepdim=True) if normalise else mixed) @ chain
    return chain[:, 0]


BROKEN_DISCARDS: dict[str, dict[str, object]] = {
    "over the whole matrix": {"whole_matrix": True},
    "the class token's own weight dropped": {"keep_class": False},
    "rows not normalised after it": {"normalise": False},
    "columns in place of rows": {"columns": True},
    "first record only": {"first_record_only": True},
    "one weight too many": {"one_more": 1},
    "ties dropped": {"ties_dropped": True},
}


@pytest.mark.parametrize("mistake", BROKEN_DISCARDS.values(), ids=BROKEN_DISCARDS)
def test_broken_discarding_is_noticed(mistake: dict[str, object]) -> None:
    def broken(attention: Sequence[Tensor], **settings: object) -> Tensor:
        return discarding(attention, **{**settings, **mistake})  # type: ignore[arg-type]

    assert worst(DISCARD_ORACLES, broken) > NOTICED


def test_the_switchboard_of_discarding_without_a_mistake_is_right() -> None:
    assert worst(DISCARD_ORACLES, discarding) < 1e-12


def test_a_ratio_that_is_not_used_is_noticed() -> None:
    assert worst(DISCARD_ORACLES, lambda attention, **_: rollout(attention)) > NOTICED


def column_of_a_patch(
    attention: Sequence[Tensor], *, prefix: int, target_patch: int, layer_idx: int = -1, head: int | None = None
) -> Tensor:
    transposed = [layer.transpose(-1, -2) for layer in attention]
    return patch_attention(transposed, prefix=prefix, target_patch=target_patch, layer_idx=layer_idx, head=head)


BROKEN_PATCHES: dict[str, Callable[..., Tensor]] = {
    "prefix not counted": lambda attention, prefix, **settings: patch_attention(attention, prefix=0, **settings),
    "always the last layer": lambda attention, layer_idx, **settings: patch_attention(attention, **settings),
    "always the mean over heads": lambda attention, head=0, **settings: patch_attention(attention, **settings),
    "always the first head": lambda attention, head=0, **settings: patch_attention(attention, head=0, **settings),
    "a column in place of the row": column_of_a_patch,
}


@pytest.mark.parametrize("broken", BROKEN_PATCHES.values(), ids=BROKEN_PATCHES)
def test_a_broken_row_of_a_patch_is_noticed(broken: Callable[..., Tensor]) -> None:
    assert worst(PATCH_ORACLES, broken) > NOTICED


BROKEN_RAW: dict[str, Callable[..., Tensor]] = {
    "query not minded": lambda attention, query="", **settings: raw_attention(attention, **settings),
    "prefix averaged in": lambda attention, prefix=1, **settings: raw_attention(attention, prefix=0, **settings),
    "layers from the end": lambda attention, **settings: raw_attention(attention[::-1], **settings),
    "all heads": lambda attention, head=0, **settings: raw_attention(attention, **settings),
}


@pytest.mark.parametrize("broken", BROKEN_RAW.values(), ids=BROKEN_RAW)
def test_a_broken_row_of_a_layer_is_noticed(broken: Callable[..., Tensor]) -> None:
    assert worst(RAW_ORACLES, broken) > NOTICED


def flowing(
    attention: Sequence[Tensor],
    *,
    query: str = "class token",
    prefix: int = 1,
    target_patch: int | None = None,
    layer_idx: int = -1,
    residual: float = 0.5,
    backwards: bool = False,
    columns: bool = False,
    widest_way: bool = False,
    unlimited_reading: bool = False,
) -> Tensor:
    """Maximum flow with a switch for every mistake one can make in building the network."""
    layers = list(attention)[: range(len(attention))[layer_idx] + 1]
    tokens = layers[0].shape[-1]
    weight = 1.0 - residual if residual else 1.0
    joint = [(weight * layer.mean(dim=1) + residual * torch.eye(tokens)).numpy() for layer in layers]
    joint = [matrix.transpose(0, 2, 1) for matrix in joint] if columns else joint
    joint = joint[::-1] if backwards else joint
    token = 0 if target_patch is None else prefix + target_patch
    flows = []
    for record in range(len(layers[0])):
        network = [matrix[record] for matrix in joint]
        if query == "class token":
            network[-1] = network[-1][token : token + 1]
        else:
            reading = np.zeros((1, tokens))
            reading[:, prefix:] = 1.0 if unlimited_reading else 1.0 / (tokens - prefix)
            network.append(reading)
        flows.append(widest(network) if widest_way else flow_from_each(network))
    return torch.from_numpy(np.stack(flows))


def widest(network: Sequence[np.ndarray]) -> np.ndarray:
    """The best single way in place of the flow over all ways."""
    width = network[-1][0]
    for capacity in reversed(network[:-1]):
        width = np.minimum(capacity, width[:, None]).max(axis=0)
    return width


BROKEN_FLOWS: dict[str, Callable[..., Tensor]] = {
    "no residual": lambda attention, **settings: flowing(attention, **settings, residual=0.0),
    "layers in reverse": lambda attention, **settings: flowing(attention, **settings, backwards=True),
    "columns in place of rows": lambda attention, **settings: flowing(attention, **settings, columns=True),
    "one way only": lambda attention, **settings: flowing(attention, **settings, widest_way=True),
    "reading without a limit": lambda attention, **settings: flowing(attention, **settings, unlimited_reading=True),
    "first layer left out": lambda attention, **settings: flowing(attention[1:] or attention, **settings),
    "target not minded": lambda attention, target_patch=0, **settings: flowing(attention, **settings),
    "layer not minded": lambda attention, layer_idx=0, **settings: flowing(attention, **settings),
    "rollout in its place": lambda attention, target_patch=0, layer_idx=0, **settings: rollout(attention, **settings),
    "first head only": lambda attention, **settings: flowing([layer[:, :1] for layer in attention], **settings),
}


@pytest.mark.parametrize("broken", BROKEN_FLOWS.values(), ids=BROKEN_FLOWS)
def test_a_broken_flow_is_noticed(broken: Callable[..., Tensor]) -> None:
    assert worst(FLOW_ORACLES, broken) > NOTICED


def test_the_switchboard_of_flow_without_a_mistake_is_right() -> None:
    assert worst(FLOW_ORACLES, flowing) < 1e-12
    assert worst(FLOW_ORACLES, attention_maxflow) < 1e-12


def without_turning_back(capacities: Sequence[np.ndarray]) -> np.ndarray:
    """One pass upwards in which what cannot go on is lost."""
    arrived = []
    for source in range(capacities[0].shape[1]):
        amount = capacities[0][:, source]
        for capacity in capacities[1:]:
            amount = (capacity * np.minimum(1.0, amount / capacity.sum(axis=0).clip(min=1e-300))).sum(axis=1)
        arrived.append(amount[0])
    return np.array(arrived)


def test_flow_that_never_turns_back_is_noticed() -> None:
    network = [np.array([[1.0]]), np.array([[0.9], [0.9]]), np.array([[0.1, 0.9]])]
    assert flow_from_each(network)[0] - without_turning_back(network)[0] > NOTICED


def propagated(
    attention: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    query: str = "class token",
    prefix: int = 1,
    positive: Callable[[Tensor], Tensor] = lambda product: product.clamp(min=0),
    residual: bool = True,
    last_first: bool = True,
    weighed: bool = True,
    heads_first: bool = False,
    columns: bool = False,
    start_left_out: bool = True,
) -> Tensor:
    """Relevance with whole matrices and a switch for every mistake one can make."""
    tokens = attention[0].shape[-1]
    chain = torch.eye(tokens, dtype=torch.float64)
    for weights, gradient in zip(attention, gradients, strict=True):
        product = weights * gradient if weighed else gradient
        kept = positive(product.mean(dim=1)) if heads_first else positive(product).mean(dim=1)
        grown = kept @ chain if last_first else chain @ kept
        chain = chain + grown if residual else grown
    grown = chain - torch.eye(tokens, dtype=torch.float64) if start_left_out else chain
    found = grown.transpose(-1, -2) if columns else grown
    return found[:, 0] if query == "class token" else found[:, prefix:].mean(dim=1)


BROKEN_RELEVANCES: dict[str, dict[str, object]] = {
    "negative evidence kept": {"positive": lambda product: product},
    "absolute values": {"positive": torch.abs},
    "no start of its own": {"residual": False},
    "layers in reverse": {"last_first": False},
    "gradient alone": {"weighed": False},
    "heads averaged before the cut": {"heads_first": True},
    "a column in place of the row": {"columns": True},
    "the start kept": {"start_left_out": False},
}


@pytest.mark.parametrize("mistake", BROKEN_RELEVANCES.values(), ids=BROKEN_RELEVANCES)
def test_a_broken_relevance_is_noticed(mistake: dict[str, object]) -> None:
    def broken(*given: object, **settings: object) -> Tensor:
        return propagated(*given, **settings, **mistake)  # type: ignore[arg-type]

    assert worst(RELEVANCE_ORACLES, broken) > NOTICED


def test_the_switchboard_of_relevance_without_a_mistake_is_right() -> None:
    assert worst(RELEVANCE_ORACLES, propagated) < 1e-12


def test_a_query_that_relevance_does_not_mind_is_noticed() -> None:
    def broken(*given: object, query: str = "", **settings: object) -> Tensor:
        return attention_relevance(*given, **settings)  # type: ignore[arg-type]

    assert worst(RELEVANCE_ORACLES, broken) > NOTICED


def uncut(model: object, image: Tensor, target: int, pooling: str) -> list[Tensor]:
    """Every layer's score differentiated at all layers before it too."""
    attention, behind = blockwise(model, image, cut=False)  # type: ignore[arg-type]
    total = sum(read(model, tokens, pooling)[:, target].sum() for tokens in behind)  # type: ignore[arg-type]
    return list(torch.autograd.grad(total, attention))  # type: ignore[arg-type]


def models_own_score(model: object, image: Tensor, target: int, pooling: str) -> list[Tensor]:
    attention, behind = blockwise(model, image, cut=False)  # type: ignore[arg-type]
    return list(torch.autograd.grad(read(model, behind[-1], pooling)[:, target].sum(), attention))  # type: ignore[arg-type]


def average(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0).mean(dim=(1, 2))


def other_pooling(model: object, image: Tensor, target: int, pooling: str) -> list[Tensor]:
    return layer_maps(model, image, target, "model" if pooling == "mean" else "mean")  # type: ignore[arg-type]


LeGradParts = tuple[Callable[..., list[Tensor]], Callable[[Tensor], Tensor]]

BROKEN_LEGRADS: dict[str, LeGradParts] = {
    "blocks not cut": (uncut, average),
    "the model's own score": (models_own_score, average),
    "the other pooling": (other_pooling, average),
    "negative gradients kept": (layer_maps, lambda gradient: gradient.mean(dim=(1, 2))),
    "absolute gradients": (layer_maps, lambda gradient: gradient.abs().mean(dim=(1, 2))),
    "queries summed": (layer_maps, lambda gradient: gradient.clamp(min=0).mean(dim=1).sum(dim=1)),
    "keys averaged in place of queries": (layer_maps, lambda gradient: gradient.clamp(min=0).mean(dim=(1, 3))),
    "cut after averaging": (layer_maps, lambda gradient: gradient.mean(dim=(1, 2)).clamp(min=0)),
    "class token's query only": (layer_maps, lambda gradient: gradient.clamp(min=0).mean(dim=1)[:, 0]),
    "last layer only": (lambda *given: layer_maps(*given)[-1:], average),
}


@pytest.mark.parametrize("parts", BROKEN_LEGRADS.values(), ids=BROKEN_LEGRADS)
def test_a_broken_legrad_is_noticed(parts: LeGradParts) -> None:
    assert legrad_by_hand(by_parts(parts)) > NOTICED


def test_the_parts_of_legrad_without_a_mistake_are_right() -> None:
    assert legrad_by_hand(by_parts((layer_maps, average))) < 1e-12


def by_parts(parts: LeGradParts) -> Callable[..., Explanation]:
    layers_of, averaged = parts

    def legrad(probe: Probe, inputs: dict[str, Tensor], *, pooling: str) -> Explanation:
        model, image = probe.adapter.model, inputs["image"]
        maps = [
            torch.stack([averaged(gradient) for gradient in layers_of(model, image, target, pooling)]).mean(dim=0)
            for target in (0, 2)
        ]
        grid = torch.stack(maps)[:, :, model.prefix :].reshape(2, 2, 2, 3)
        return Explanation({"image": grid}, torch.zeros(2, 2))

    return legrad
