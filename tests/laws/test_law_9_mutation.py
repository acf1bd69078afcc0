"""Law 9: a deliberately broken variant of each formula is noticed by at least one oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from oracles import CAM_ORACLES, ROLLOUT_ORACLES, distance, random, random_attention
from torch import Tensor

from seewhy.capture.attention import scaled_dot_product_weights
from seewhy.methods.attention import attention_heads, rollout
from seewhy.methods.cam import gradcam

NOTICED = 1e-3

BROKEN_CAMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradient not averaged": lambda a, g: (a * g).sum(dim=1),
    "gradient summed": lambda a, g: gradcam(a, g) * a[0, 0].numel(),
    "sign swapped": lambda a, g: -gradcam(a, g),
    "negative evidence cut": lambda a, g: gradcam(a, g).relu(),
    "roles swapped": lambda a, g: gradcam(g, a),
    "channels averaged": lambda a, g: gradcam(a, g) / a.shape[1],
    "absolute gradient": lambda a, g: gradcam(a, g.abs()),
    "places flipped": lambda a, g: gradcam(a, g).flip(-1),
    "records mixed": lambda a, g: gradcam(a, g.mean(dim=0, keepdim=True).expand_as(g)),
}


@pytest.mark.parametrize("broken", BROKEN_CAMS.values(), ids=BROKEN_CAMS)
def test_a_broken_gradcam_is_noticed(broken: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert max(oracle(broken) for oracle in CAM_ORACLES) > NOTICED


def chained(
    attention: Sequence[Tensor],
    *,
    residual: float = 1.0,
    normalised: bool = True,
    last_first: bool = True,
    row: int | slice = 0,
    columns: bool = False,
    fuse: Callable[[Tensor], Tensor] = lambda weights: weights.mean(dim=1),
    **_: object,
) -> Tensor:
    """Rollout with whole matrices and a switch for every mistake one can make."""
    tokens = attention[0].shape[-1]
    chain = torch.eye(tokens, dtype=torch.float64)
    for layer in attention:
        mixed = fuse(layer) + residual * torch.eye(tokens, dtype=torch.float64)
        mixed = mixed / mixed.sum(dim=-1, keepdim=True) if normalised else mixed
        chain = mixed @ chain if last_first else chain @ mixed
    found = chain.transpose(-1, -2) if columns else chain
    return found[:, row] if isinstance(row, int) else found[:, row].mean(dim=1)


def with_wrong_prefix(attention: Sequence[Tensor], *, prefix: int = 1, **settings: object) -> Tensor:
    return rollout(attention, prefix=prefix - 1, **settings)  # type: ignore[arg-type]


BROKEN_ROLLOUTS: dict[str, Callable[..., Tensor]] = {
    "no residual": lambda attention, **_: chained(attention, residual=0.0),
    "rows not normalised": lambda attention, **_: chained(attention, normalised=False),
    "layers in reverse": lambda attention, **_: chained(attention, last_first=False),
    "a patch token's row": lambda attention, **_: chained(attention, row=1),
    "the class token's column": lambda attention, **_: chained(attention, columns=True),
    "heads maximised": lambda attention, **_: chained(attention, fuse=lambda weights: weights.amax(dim=1)),
    "first head only": lambda attention, **_: chained(attention, fuse=lambda weights: weights[:, 0]),
    "first layer left out": lambda attention, **settings: rollout(attention[1:] or attention, **settings),
    "a prefix token kept as a patch": with_wrong_prefix,
}


@pytest.mark.parametrize("broken", BROKEN_ROLLOUTS.values(), ids=BROKEN_ROLLOUTS)
def test_a_broken_rollout_is_noticed(broken: Callable[..., Tensor]) -> None:
    assert max(oracle(broken) for oracle in ROLLOUT_ORACLES) > NOTICED


def test_the_switchboard_without_a_mistake_is_right() -> None:
    attention = [random_attention(2, 3, 7, 7, seed=layer) for layer in range(4)]
    assert distance(chained(attention), rollout(attention)) < 1e-12


def test_broken_weights_are_noticed() -> None:
    query, key = random(1, 2, 5, 8, seed=1), random(1, 2, 5, 8, seed=2)
    true = scaled_dot_product_weights(query, key)
    unscaled = (query @ key.transpose(-2, -1)).softmax(dim=-1)
    over_queries = (query @ key.transpose(-2, -1) / 8**0.5).softmax(dim=-2)
    swapped = scaled_dot_product_weights(key, query)
    assert min(distance(wrong, true) for wrong in (unscaled, over_queries, swapped)) > NOTICED


def test_a_column_in_place_of_a_row_is_noticed_in_heads() -> None:
    attention = random_attention(1, 2, 5, 5)
    assert distance(attention_heads(attention), attention[:, :, :, 0]) > NOTICED
