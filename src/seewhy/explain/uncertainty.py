"""How sure a model is of each place, in units of their own: never rescaled by what else is in the picture."""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from seewhy.values import ConfigError, nearest

Uncertainty = Literal["entropy", "margin"]
UNCERTAINTIES: Final[tuple[str, ...]] = get_args(Uncertainty)


def require_uncertainty(kind: str) -> None:
    """Raise ``ConfigError`` SW-F115 for what is no measure of uncertainty."""
    if kind not in UNCERTAINTIES:
        raise ConfigError(
            "SW-F115",
            f"uncertainty_method is one of {', '.join(UNCERTAINTIES)}, got {kind!r}",
            near=nearest(str(kind), UNCERTAINTIES),
            fix="use one of these",
        )


def uncertainty(logits: Float[Tensor, "b c *s"], kind: str) -> Float[Tensor, "b *s"]:
    """:func:`entropy` or :func:`margin`, by name; raises ``ConfigError`` SW-F115 for another."""
    require_uncertainty(kind)
    return entropy(logits) if kind == "entropy" else margin(logits)


def largest_uncertainty(classes: int, kind: str) -> float:
    """What the measure is where nothing is known: ``log C`` nats of entropy (``log 2`` for one channel), a margin of 1.

    >>> largest_uncertainty(4, "margin")
    1.0
    """
    require_uncertainty(kind)
    return float(torch.tensor(max(classes, 2), dtype=torch.float64).log()) if kind == "entropy" else 1.0


def entropy(logits: Float[Tensor, "b c *s"]) -> Float[Tensor, "b *s"]:
    """Entropy of the classes' probabilities in nats, from 0 to ``log C``; of a single channel, to ``log 2``.

    Source: Shannon 1948, section 6.

    Example:
        >>> entropy(torch.zeros(1, 4, 1)).exp()
        tensor([[4.]])
    """
    if logits.shape[1] == 1:
        logit = logits[:, 0]
        return -(logit.sigmoid() * F.logsigmoid(logit) + (-logit).sigmoid() * F.logsigmoid(-logit))
    logarithms = logits.log_softmax(dim=1)
    probabilities = logarithms.exp()
    return -(probabilities * logarithms.where(probabilities > 0, 0.0)).sum(dim=1)


def margin(logits: Float[Tensor, "b c *s"]) -> Float[Tensor, "b *s"]:
    """One minus the lead of the best class's probability over the second's: 0 where sure, 1 at a tie.

    Computed as the probability of all but the best plus that of the second, which loses nothing where it is small.

    Source: Scheffer et al. 2001, margin sampling.

    Example:
        >>> margin(torch.tensor([[[5.0], [5.0], [-100.0]]]))
        tensor([[1.]])
    """
    if logits.shape[1] == 1:
        return 2 * (-logits[:, 0].abs()).sigmoid()
    probabilities = logits.softmax(dim=1)
    best = logits.argmax(dim=1, keepdim=True)
    others = probabilities.scatter(1, best, 0.0)
    return others.sum(dim=1) + others.amax(dim=1)
