"""The measures of where people look, asked of the object: its mask stands for where they looked."""

from __future__ import annotations

import math

from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics import human_attention
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.masks import EMPTY, FULL, NO_EVIDENCE, empty, fitting
from seewhy.registry import metric

BYLINSKII = "Bylinskii et al. 2018, arXiv:1604.03605"


@metric(
    "localization_auc",
    family="localization",
    better="higher",
    range=(0.0, 1.0),
    cite=f"Judd et al. 2009, Learning to predict where humans look; {BYLINSKII}",
    also=("auc",),
)
def localization_auc(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """How likely a place on the object has more evidence than one beside it; equal ones count half, chance has 0.5.

    The exact area under the ROC curve: :func:`seewhy.metrics.human_attention.auc_judd`. NaN for a mask that marks
    nothing or everything. Raises ``ConfigError`` SW-F263 for a mask of another shape.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[True, True, False, False]])
        >>> localization_auc(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), mask).values.tolist()
        [0.75]
    """
    return graded(human_attention.auc_judd(*_lines(evidence, mask)), {EMPTY: empty(mask), FULL: empty(~mask.bool())})


@metric("kld", family="localization", better="lower", range=(0.0, math.inf), cite=f"{BYLINSKII}, 'KL'")
def kld(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """The Kullback-Leibler divergence of the positive evidence from a uniform distribution on the object, in nats.

    NaN for an empty mask and for a map without a positive value. Raises ``ConfigError`` SW-F263 for a mask of another
    shape.

    Example:
        >>> import torch
        >>> found = kld(torch.tensor([[1.0, 1.0, 2.0, -1.0]]), torch.tensor([[True, True, False, False]]))
        >>> round(found.values.item(), 4)  # log 2
        0.6931
    """
    found = human_attention.kld(*_lines(evidence, mask)).clamp(min=0)
    return graded(found, _without_evidence(evidence, mask))


@metric("sim", family="localization", better="higher", range=(0.0, 1.0), cite=f"{BYLINSKII}, 'SIM'")
def sim(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """What the positive evidence and a uniform distribution on the object have in common, both summing to 1.

    NaN and errors as for ``kld``.

    Example:
        >>> import torch
        >>> sim(torch.tensor([[3.0, 1.0, 0.0, 0.0]]), torch.tensor([[True, True, False, False]])).values.tolist()
        [0.75]
    """
    return graded(human_attention.sim(*_lines(evidence, mask)).clamp(0, 1), _without_evidence(evidence, mask))


@metric("nss", family="localization", better="higher", range=(-math.inf, math.inf), cite=f"{BYLINSKII}, 'NSS'")
def nss(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> Grade:
    """The mean evidence on the object, in standard deviations of the map from its mean; 0 by chance.

    NaN for an empty mask and for a constant map. Raises ``ConfigError`` SW-F263 for a mask of another shape.

    Example:
        >>> import torch
        >>> nss(torch.tensor([[4.0, 4.0, 0.0, 0.0]]), torch.tensor([[True, False, False, False]])).values.tolist()
        [1.0]
    """
    flat = evidence.flatten(1)
    undefined = {EMPTY: empty(mask), "the map is constant": flat.amin(dim=1) == flat.amax(dim=1)}
    return graded(human_attention.nss(*_lines(evidence, mask)), undefined)


def _lines(
    evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]
) -> tuple[Float64[Tensor, "b 1 n"], Float64[Tensor, "b 1 n"]]:
    """Maps and masks of any rank as pictures of one line, which is all the same to measures without neighbours."""
    inside = fitting(mask, evidence)
    return evidence.double().flatten(1).unsqueeze(1), inside.double().flatten(1).unsqueeze(1)


def _without_evidence(evidence: Float[Tensor, "b *s"], mask: Bool[Tensor, "b *s"]) -> dict[str, Bool[Tensor, " b"]]:
    return {EMPTY: empty(mask), NO_EVIDENCE: (evidence <= 0).flatten(1).all(dim=1)}
