"""Does every patch matter as much as the map says: one patch at a time is replaced."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
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
    replaced,
    says_nothing,
)
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.patches import Patches
from seewhy.metrics.settings import seeded, whole
from seewhy.metrics.similarity import spearman
from seewhy.registry import metric


@metric(
    "faithfulness_estimate",
    family="faithfulness",
    better="higher",
    range=(-1.0, 1.0),
    cite="Alvarez-Melis and Jaakkola 2018, arXiv:1806.07538, faithfulness: drops and relevance of single features",
)
def faithfulness_estimate(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    *,
    patch: int | None = None,
    fill: Fill = "blur",
) -> Grade:
    """The correlation between what a map claims of each patch and how far the score falls without it.

    Pearson's, over all patches of ``patch`` places a side (None for the smallest of which 100 cover the input), each
    replaced alone by the baseline ``fill``. The paper watches the probability; here it is the score that was explained,
    which is a probability where that was the question. A map of sensitivities claims its values times what is taken
    away. NaN where the map or the score makes no difference between patches.

    Raises ``ConfigError`` SW-F250 and SW-F251 for the patch.

    Example:
        >>> image, weights = torch.rand(1, 1, 6), torch.randn(6)
        >>> linear = Asking.of(lambda images: (images * weights).sum(dim=(1, 2)), image)
        >>> faithfulness_estimate(image, linear, lambda base: ((image - base) * weights).sum(dim=1).double(),
        ...                       lambda fill: torch.zeros_like(image)).values.round(decimals=4)
        tensor([1.], dtype=torch.float64)
    """
    base, patches = baseline(fill), Patches.of(image.shape[2:], patch, image.device)
    single = torch.eye(patches.count, dtype=torch.bool, device=image.device)
    answers = score.each(
        patches.count,
        lambda row, drawn: replaced(image[row], base[row], patches.where(single[drawn.start : drawn.stop])),
    )
    claims, drops = parts(base), Drops.of(score, answers)
    claimed = patches.sums(claims)
    return graded(
        drops.correlation(claimed),
        {CONSTANT_MAP: says_nothing(claims, claimed), CONSTANT_SCORE: drops.constant},
        claimed=claimed,
        drops=drops.values,
    )


@metric(
    "monotonicity_correlation",
    family="faithfulness",
    better="higher",
    range=(-1.0, 1.0),
    cite="Nguyen and Martínez 2020, arXiv:2007.07584, monotonicity",
)
def monotonicity_correlation(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    ids: Sequence[str],
    *,
    samples: int = 4,
    patch: int | None = None,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The rank correlation between a patch's magnitude and how much the score depends on what is there.

    Spearman's, over patches of ``patch`` places a side (None for the smallest of which 100 cover the input), between
    the magnitude that the map gives to a patch (of sensitivities: times the distance to the baseline ``fill``) and the
    mean squared change of the score when the patch shows something else. That is what the record shows at places
    drawn at random, ``samples`` times; which places, ``seed`` and the record's id decide alone.

    NaN where the map or the score makes no difference between patches. Raises ``ConfigError`` SW-F250 and SW-F251
    for the patch, SW-F252 for no samples or a seed that is none.

    Example:
        >>> image = torch.arange(6.0).reshape(1, 1, 6)
        >>> weights = torch.tensor([1.0, -20.0, 0.0, 400.0, 0.0, 0.0])
        >>> linear = Asking.of(lambda images: (images * weights).sum(dim=(1, 2)), image)
        >>> monotonicity_correlation(image, linear, lambda base: weights[None].double(),
        ...                          lambda fill: torch.zeros_like(image), ["a"], samples=8).values.round(decimals=4)
        tensor([1.], dtype=torch.float64)
    """
    samples, seed = whole("samples", samples, 1), seeded(seed)
    patches = Patches.of(image.shape[2:], patch, image.device)
    single = torch.eye(patches.count, dtype=torch.bool, device=image.device)

    def change(row: int, drawn: range) -> Float[Tensor, "n c *s"]:
        shown = torch.stack([_elsewhere(image[row], ids[row], number, seed) for number in drawn])
        return torch.where(patches.where(single[[number // samples for number in drawn]]), shown, image[row])

    claims, drops = parts(baseline(fill)), Drops.of(score, score.each(patches.count * samples, change))
    claimed, effect = patches.sums(claims), _mean_square(drops.values, samples)
    silent, deaf = says_nothing(claims, claimed), drops.constant
    return graded(spearman(claimed.abs(), effect), {CONSTANT_MAP: silent, CONSTANT_SCORE: deaf}, effect=effect)


def _elsewhere(record: Float[Tensor, "c *s"], name: str, number: int, seed: int) -> Float[Tensor, "c *s"]:
    """The record with its places in random order, all channels of a place together."""
    flat = record.flatten(1)
    source = ops.generator(seed, "monotonicity_correlation", name, number)
    return flat[:, torch.randperm(flat.shape[1], generator=source).to(flat.device)].reshape(record.shape)


def _mean_square(drops: Float64[Tensor, "b n"], samples: int) -> Float64[Tensor, "b patches"]:
    return drops.square().reshape(len(drops), -1, samples).mean(dim=2)
