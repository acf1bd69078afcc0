"""Does the answer grow as the patches come back, from the least important to the most."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.claims import CONSTANT_MAP, CONSTANT_SCORE, ROUNDING, Baseline, Fill, Parts, replaced, says_nothing
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.patches import Patches
from seewhy.registry import metric


@metric(
    "monotonicity",
    family="faithfulness",
    better="higher",
    range=(0.0, 1.0),
    cite="Arya et al. 2019, arXiv:1909.03012, monotonicity, after Luss et al. 2019; as a share of the steps",
)
def monotonicity(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    *,
    patch: int | None = None,
    fill: Fill = "blur",
) -> Grade:
    """The share of steps that move the score as the map says, when patches come back in increasing order.

    From the baseline ``fill`` the patches of ``patch`` places a side (None for the smallest of which 100 cover the
    input) are put back one after another, the lowest value first. A step agrees if the score does not fall where
    the map gives the patch 0 or more, and does not rise where it gives less; the paper knows no negative values. Of
    equal patches the earlier one, row by row, comes first. ``always`` in the details is the paper's yes or no: 1 where
    the score never falls.

    NaN where the map makes no difference between patches, or the score never changes. Raises ``ConfigError``
    SW-F250 and SW-F251 for the patch.

    Example:
        >>> image, weights = torch.ones(1, 1, 4), torch.tensor([3.0, -1.0, 2.0, 4.0])
        >>> linear = Asking.of(lambda images: (images * weights).sum(dim=(1, 2)), image)
        >>> found = monotonicity(image, linear, lambda base: weights[None].double(),
        ...                      lambda fill: torch.zeros_like(image))
        >>> found.values, found.details["always"]
        (tensor([1.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    base, patches = baseline(fill), Patches.of(image.shape[2:], patch, image.device)
    claims = parts(base)
    claimed = patches.sums(claims)
    order = claimed.sort(dim=1, stable=True).indices
    turn = order.argsort(dim=1)

    def back(row: int, drawn: range) -> Float[Tensor, "n c *s"]:
        """The first so many patches are back; of none, the baseline."""
        known = torch.arange(drawn.start, drawn.stop, device=image.device)
        return replaced(base[row], image[row], patches.where(turn[row] < known.unsqueeze(1)))

    answers = score.each(patches.count + 1, back)
    rounding = ROUNDING * torch.finfo(answers.dtype).eps * answers.double().abs().amax(dim=1, keepdim=True)
    steps = answers.double().diff(dim=1)
    speaks_for = claimed.gather(1, order) >= 0
    agrees = torch.where(speaks_for, steps >= -rounding, steps <= rounding)
    still = (steps.abs() <= rounding).all(dim=1)
    return graded(
        agrees.double().mean(dim=1),
        {CONSTANT_MAP: says_nothing(claims, claimed), CONSTANT_SCORE: still},
        always=(steps >= -rounding).all(dim=1).double(),
        scores=answers,
    )
