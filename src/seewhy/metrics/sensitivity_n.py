"""Do patches that a map gives more to matter more, removed together: correlation over random sets of patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Asking
from seewhy.metrics.claims import (
    CONSTANT_MAP,
    CONSTANT_SCORE,
    Baseline,
    Drops,
    Fill,
    Parts,
    constant,
    replaced,
    says_nothing,
)
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.patches import Patches
from seewhy.metrics.settings import as_real, as_whole, listed, seeded, whole
from seewhy.registry import metric
from seewhy.values import ConfigError

Amount = int | float
"""So many patches, or (below 1) that share of them."""


@metric(
    "sensitivity_n",
    family="faithfulness",
    better="higher",
    range=(-1.0, 1.0),
    cite="Ancona et al. 2018, arXiv:1711.06104, sensitivity-n",
)
def sensitivity_n(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    n: Amount | Sequence[Amount] = (0.1, 0.3, 0.5),
    samples: int = 50,
    patch: int | None = None,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The correlation between what a map claims of n random patches and how far the score falls without them.

    Pearson's, over ``samples`` sets of ``n`` patches that are replaced by the baseline ``fill`` together; the mean over
    several ``n``, each a number of patches or a share of them. The paper's features are values; here they are patches
    of ``patch`` places a side, None for the smallest of which 100 cover the input. A map of sensitivities claims its
    values times what is taken away. Which patches are drawn depends on ``seed`` and the record's id alone.

    NaN where the map or the score makes no difference between the sets for any ``n``; those where one does are
    averaged. The details hold the correlation for each ``n``, ``(B, n)``.

    Raises ``ConfigError`` SW-F250 and SW-F251 for the patch, SW-F252 for fewer than 2 samples or a seed that is
    none, SW-F254 for an ``n`` that is none.

    Example:
        >>> image, weights = torch.rand(2, 1, 4, 4), torch.randn(4, 4)
        >>> linear = Asking.of(lambda images: (images * weights).sum(dim=(1, 2, 3)), image)
        >>> kept = sensitivity_n(image, linear, lambda base: ((image - base) * weights).sum(dim=1).double(),
        ...                      lambda fill: torch.zeros_like(image), ["a", "b"])
        >>> kept.values.round(decimals=4)
        tensor([1., 1.], dtype=torch.float64)
    """
    amounts = listed(n) or [n]
    found, reasons = _correlations(image, score, parts, baseline(fill), ids, amounts, samples, patch, seed)
    return graded(found.nanmean(dim=1), reasons, correlations=found)


@metric(
    "faithfulness_correlation",
    family="faithfulness",
    better="higher",
    range=(-1.0, 1.0),
    cite="Bhatt et al. 2020, arXiv:2005.00631, faithfulness correlation",
)
def faithfulness_correlation(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    size: Amount = 0.2,
    samples: int = 100,
    patch: int | None = None,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The correlation between what a map claims of random sets of one size and how far the score falls without them.

    Sensitivity-n of a single ``size`` of sets, which is how both papers define it; see :func:`sensitivity_n` for the
    settings. The score is the one the question asks for, a logit rather than a probability unless asked so. NaN where
    the map or the score makes no difference between the sets.

    Raises ``ConfigError`` SW-F250 and SW-F251 for the patch, SW-F252 for fewer than 2 samples or a seed that is
    none, SW-F254 for a ``size`` that is none.

    Example:
        >>> image = torch.rand(1, 1, 9)
        >>> total = Asking.of(lambda images: images.sum(dim=(1, 2)), image)
        >>> opposite = faithfulness_correlation(image, total, lambda base: (base - image).sum(dim=1).double(),
        ...                                     lambda fill: torch.zeros_like(image), ["a"])
        >>> opposite.values.round(decimals=4)
        tensor([-1.], dtype=torch.float64)
    """
    found, reasons = _correlations(image, score, parts, baseline(fill), ids, (size,), samples, patch, seed)
    return graded(found[:, 0], reasons)


def _correlations(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    base: Float[Tensor, "b c *s"],
    ids: Sequence[str],
    amounts: Sequence[object],
    samples: int,
    patch: int | None,
    seed: int,
) -> tuple[Float64[Tensor, "b n"], dict[str, Bool[Tensor, " b"]]]:
    """One correlation for each amount, and why there is none."""
    samples, seed = whole("samples", samples, 2), seeded(seed)
    patches = Patches.of(image.shape[2:], patch, image.device)
    counts = [_count(amount, patches.count) for amount in amounts]
    chosen = torch.stack([_drawn(one, counts, samples, patches.count, seed) for one in ids]).to(image.device)
    answers = score.each(
        len(counts) * samples,
        lambda row, drawn: replaced(image[row], base[row], patches.where(chosen[row, drawn.start : drawn.stop])),
    )
    claims = parts(base)
    claimed = torch.einsum("bnp,bp->bn", chosen.double(), patches.sums(claims))
    drops = Drops.of(score, answers)
    of_each = [slice(start, start + samples) for start in range(0, claimed.shape[1], samples)]
    found = torch.stack([drops.part(one).correlation(claimed[:, one]) for one in of_each], dim=1)
    silent = torch.stack([constant(claimed[:, one]) for one in of_each]).all(dim=0)
    deaf = torch.stack([drops.part(one).constant for one in of_each]).all(dim=0)
    return found, {CONSTANT_MAP: silent | says_nothing(claims, claimed), CONSTANT_SCORE: deaf}


def _drawn(
    record: str, counts: Sequence[int], samples: int, patches: int, seed: int
) -> Bool[Tensor, "samples patches"]:
    """Sets of so many patches, the samples of each count together."""
    sets = []
    for count in counts:
        order = torch.rand((samples, patches), generator=ops.generator(seed, "sensitivity_n", record, count))
        sets.append(
            torch.zeros((samples, patches), dtype=torch.bool).scatter_(1, order.argsort(dim=1)[:, :count], True)
        )
    return torch.cat(sets)


def _count(amount: object, patches: int) -> int:
    """How many patches that is; raises ``ConfigError`` SW-F254 unless some are left and some are taken."""
    number, share = as_whole(amount), as_real(amount)
    if number is not None and 1 <= number < patches:
        return number
    if 0 < share < 1:
        return min(max(round(share * patches), 1), patches - 1)
    raise ConfigError(
        "SW-F254",
        f"of {patches} patches {amount!r} cannot be taken",
        fix=f"give a whole number from 1 to {patches - 1}, or a share between 0 and 1",
    )
