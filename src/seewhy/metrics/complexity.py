"""How much a map asks of its reader: in how few places its values are."""

from __future__ import annotations

import math
from typing import Final

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.settings import real, switch
from seewhy.registry import metric
from seewhy.values import ConfigError

ZERO: Final = "the map is zero everywhere"


@metric(
    "gini",
    family="complexity",
    better="neither",
    range=(0.0, 1.0),
    cite="Chalasani et al. 2020, arXiv:1810.06583, section 3 (Hurley and Rickard 2009, arXiv:0811.4706)",
    also=("sparseness",),
)
def gini(evidence: Float[Tensor, "b *s"]) -> Grade:
    """The Gini coefficient of the map's magnitudes: 0 where all ``n`` are equal, ``1 - 1/n`` where only one is not 0.

    Sparse is easy to read, and says nothing of being right. It depends neither on the scale nor on the order of the
    values. NaN for a map that is zero everywhere.

    Example:
        >>> gini(torch.tensor([[0.0, 0.0, -5.0, 0.0], [2.0, 2.0, 2.0, 2.0]])).values.tolist()
        [0.75, 0.0]
    """
    values = evidence.double().abs().flatten(1).sort(dim=1).values
    n = values.shape[1]
    place = torch.arange(1, n + 1, dtype=values.dtype, device=values.device)
    found = ((2 * place - n - 1) * _shares(values)).sum(dim=1) / n
    return graded(found.clamp(0, 1), {ZERO: _zero(values)})


@metric(
    "complexity",
    family="complexity",
    better="neither",
    range=(0.0, math.inf),
    cite="Bhatt et al. 2020, arXiv:2005.00631, definition 3",
    also=("entropy",),
)
def complexity(evidence: Float[Tensor, "b *s"]) -> Grade:
    """The entropy of the map's magnitudes as shares of their sum, in nats: 0 for one place, ``log n`` for ``n`` equal.

    All maps are read at the input's size, so that ``n`` is the same for every method. ``share`` ``(B,)`` is the entropy
    as a part of ``log n``. NaN for a map that is zero everywhere.

    Example:
        >>> complexity(torch.tensor([[0.0, -5.0], [2.0, 2.0]])).values.tolist() == [0.0, math.log(2)]
        True
    """
    values = evidence.double().abs().flatten(1)
    most = math.log(values.shape[1])
    found = torch.special.entr(_shares(values)).sum(dim=1).clamp(0, most)
    return graded(found, {ZERO: _zero(values)}, share=found / most if most else found)


@metric(
    "effective_complexity",
    family="complexity",
    better="neither",
    range=(0.0, math.inf),
    cite="Nguyen and Martínez 2020, arXiv:2007.07584, section 3.4",
)
def effective_complexity(evidence: Float[Tensor, "b *s"], *, epsilon: float = 0.01, relative: bool = True) -> Grade:
    """How many places have a magnitude above ``epsilon``, as a share of the largest or, if not ``relative``, as it is.

    ``share`` ``(B,)`` is their part of all places. The paper counts the features that are needed; this is the count
    that stands for it where the values themselves tell which those are. NaN for a map that is zero everywhere.

    Raises ``ConfigError`` SW-F253 for an epsilon below 0, SW-F265 for a relative one of 1 or more, which leaves none,
    SW-F257 for a ``relative`` that is neither True nor False.

    Example:
        >>> effective_complexity(torch.tensor([[8.0, -1.0, 0.05, 0.0]])).values.tolist()
        [2.0]
    """
    least = real("epsilon", epsilon)
    of_largest = switch("relative", relative)
    if of_largest and least >= 1:
        raise ConfigError("SW-F265", f"epsilon={epsilon!r} of the largest value leaves no place", fix="epsilon=0.01")
    values = evidence.double().abs().flatten(1)
    largest = values.amax(dim=1, keepdim=True)
    found = (values > (least * largest if of_largest else least)).sum(dim=1).double()
    return graded(found, {ZERO: _zero(values)}, share=found / values.shape[1])


def _shares(magnitudes: Float64[Tensor, "b n"]) -> Float64[Tensor, "b n"]:
    """Each as a part of their sum; divided by the largest first, so that neither huge nor tiny maps overflow."""
    scaled = magnitudes / magnitudes.amax(dim=1, keepdim=True)
    return scaled / scaled.sum(dim=1, keepdim=True)


def _zero(magnitudes: Float64[Tensor, "b n"]) -> Bool[Tensor, " b"]:
    return magnitudes.amax(dim=1) == 0
