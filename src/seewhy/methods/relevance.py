"""Attention weighted by the gradient of the score: what of the attention speaks for the asked class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.methods.attention import Query, asked_row
from seewhy.registry import method


@method(
    "attention_relevance",
    reads=("attention", "attention_gradients"),
    signed=False,
    cite="Chefer 2021, arXiv:2103.15679, eq. 5 and 6 (self-attention)",
    also=("chefer",),
)
def attention_relevance(
    attention: Sequence[Float[Tensor, "b h n n"]],
    attention_gradients: Sequence[Float[Tensor, "b h n n"]],
    *,
    query: Query = "class token",
    prefix: int = 1,
) -> Float[Tensor, "b n"]:
    """Relevance of every token for the asked class, through positive gradient × attention in all layers.

    ``attention`` and the score's gradients at it hold ``(B, heads, N, N)`` per layer, first layer first. The paper's
    relevance starts as ``R = I`` and grows by ``R ← R + Ā R`` with ``Ā`` the mean over heads of ``(∇A ⊙ A)⁺``; of it
    only the asked row is computed, from the last layer backwards: ``r ← r + r Ā``. Without a class token the mean over
    the patch tokens' rows is taken. The result ``(B, N)``, a row of ``R - I``, includes ``prefix`` tokens and
    is not normalised: what every token starts with for itself says nothing of the class, and would cover all patches
    evenly where they are the query. This is the generic rule of 2103.15679, not the layer-wise propagation of
    2012.09838.

    Example:
        >>> attention, gradient = torch.tensor([[[[0.2, 0.8], [0.5, 0.5]]]]), torch.tensor([[[[1.0, 2.0], [0.0, 0.0]]]])
        >>> attention_relevance([attention], [gradient])
        tensor([[0.2000, 1.6000]])
    """
    start = asked_row(attention[0], query, prefix)
    row = start
    for weights, gradients in zip(reversed(attention), reversed(attention_gradients), strict=True):
        positive = (weights * gradients).relu_().mean(dim=1)
        row = row + torch.einsum("bn,bnm->bm", row, positive)
    return row - start
