"""Infidelity: how far the score moves otherwise than a map claims when something is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Asking
from seewhy.metrics.claims import Baseline, Drops, Fill, Parts, replaced
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.nearby import NO_UNIT
from seewhy.metrics.settings import real, seeded, side, whole
from seewhy.registry import metric
from seewhy.values import ConfigError, nearest

Perturbation = Literal["square", "noise"]
NOT_OF_NOISE = "the map's values are parts of the score, which say nothing of noise that takes none of them away"


@metric(
    "infidelity",
    family="faithfulness",
    better="lower",
    range=(0.0, float("inf")),
    cite="Yeh et al. 2019, arXiv:1901.09392, definition of infidelity; scaled as in the authors' code",
)
def infidelity(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    parts: Parts,
    baseline: Baseline,
    per_channel: Float[Tensor, "b _ *s"],
    contributes: bool,
    unit: Float[Tensor, "b c"],
    ids: Sequence[str],
    *,
    perturbation: Perturbation = "square",
    samples: int = 50,
    patch: int | None = None,
    sigma: float = 0.1,
    fill: Fill = "blur",
    seed: int = 0,
) -> Grade:
    """The mean squared difference between what a map claims of a perturbation and what it does to the score.

    ``E[(Iᵀφ − (f(x) − f(x − I)))²]`` over ``samples`` independent draws. ``"square"`` replaces a square of ``patch``
    places a side (None for a quarter of the shortest side; an axis shorter than that is replaced whole), anywhere
    within the input, by the baseline ``fill``; ``"noise"`` is Gaussian with standard deviation ``sigma`` in pixels' 0
    to 1, or in deviations of the record where nobody knows how its values came from pixels. ``Iᵀφ`` is the sum of the
    map where something was replaced, or, of a map of sensitivities, each value times what was taken from it.

    The value has the unit of the score squared, and maps of another scale compare by ``scaled`` in the details: the
    same for the map times the one number that suits it best. Which perturbations are drawn depends on ``seed`` and the
    record's id alone, so methods are asked the same. NaN for noise on a map of parts of the score, and for noise where
    the record is constant and its unit unknown.

    Raises ``ConfigError`` SW-F250 for the patch, SW-F252 for no samples or a seed that is none, SW-F253 for ``sigma``,
    SW-F255 for another perturbation.

    Example:
        >>> image, weights = torch.rand(1, 1, 6, 6), torch.randn(6, 6)
        >>> linear = Asking.of(lambda images: (images * weights).sum(dim=(1, 2, 3)), image)
        >>> found = infidelity(image, linear, lambda base: ((image - base) * weights).sum(dim=1).double() / 2,
        ...                    lambda fill: torch.zeros_like(image), weights[None, None], True, torch.ones(1, 1), ["a"])
        >>> bool(found.values > 1e-4), bool(found.details["scaled"] < 1e-9)
        (True, True)
    """
    samples, seed = whole("samples", samples, 1), seeded(seed)
    deviation = real("sigma", sigma)
    if not isinstance(perturbation, str) or perturbation not in get_args(Perturbation):
        raise ConfigError(
            "SW-F255",
            f"there is no perturbation {perturbation!r}; there are {', '.join(get_args(Perturbation))}",
            near=nearest(str(perturbation), get_args(Perturbation)),
            fix="use one of these",
        )
    if perturbation == "square":
        squares = _squares(image.shape[2:], patch, samples, ids, seed)
        claimed, drops = _of_squares(image, score, parts, baseline(fill), squares)
        return _compared(claimed, drops)
    if contributes:
        every = torch.ones(len(image), dtype=torch.bool)
        return graded(torch.full((len(image),), torch.nan), {NOT_OF_NOISE: every})
    claimed, drops = _of_noise(image, score, per_channel, deviation * unit, samples, ids, seed)
    return _compared(claimed, drops, {NO_UNIT: (unit <= 0).any(dim=1)})


def _compared(
    claimed: Float64[Tensor, "b n"],
    drops: Float64[Tensor, "b n"],
    undefined: dict[str, Bool[Tensor, " b"]] | None = None,
) -> Grade:
    """The mean squared difference, and that of the claims times the factor that makes it smallest."""
    energy = claimed.square().mean(dim=1)
    factor = torch.where(energy > 0, (claimed * drops).mean(dim=1) / energy, 0.0)
    return graded(
        (claimed - drops).square().mean(dim=1),
        undefined,
        scaled=(factor.unsqueeze(1) * claimed - drops).square().mean(dim=1),
        claimed=claimed,
        drops=drops,
    )


Squares = list[list[tuple[slice, ...]]]
"""For each record and sample, where along each axis."""


def _of_squares(
    image: Float[Tensor, "b c *s"], score: Asking, parts: Parts, base: Float[Tensor, "b c *s"], squares: Squares
) -> tuple[Float64[Tensor, "b n"], Float64[Tensor, "b n"]]:
    def where(row: int, drawn: range) -> Bool[Tensor, "n 1 *s"]:
        found = torch.zeros((len(drawn), 1, *image.shape[2:]), dtype=torch.bool, device=image.device)
        for one, number in zip(found, drawn, strict=True):
            one[(slice(None), *squares[row][number])] = True
        return found

    answers = score.each(
        len(squares[0]) if squares else 0,
        lambda row, drawn: replaced(image[row], base[row], where(row, drawn)),
    )
    claims = parts(base)
    claimed = [torch.stack([claims[row][square].sum() for square in drawn]) for row, drawn in enumerate(squares)]
    return torch.stack(claimed), Drops.of(score, answers).values


def _squares(size: Sequence[int], patch: int | None, samples: int, ids: Sequence[str], seed: int) -> Squares:
    """Corners drawn evenly among those with which the square lies within the input."""
    wanted = max(min(size) // 4, 1) if patch is None else side(patch)
    sides = [min(wanted, length) for length in size]
    free = torch.tensor([length - long + 1 for length, long in zip(size, sides, strict=True)])
    squares = []
    for record in ids:
        drawn = torch.rand((samples, len(sides)), generator=ops.generator(seed, "infidelity", record))
        corners = (drawn * free).long().clamp(max=free - 1).tolist()
        squares.append([tuple(slice(at, at + long) for at, long in zip(one, sides, strict=True)) for one in corners])
    return squares


def _of_noise(
    image: Float[Tensor, "b c *s"],
    score: Asking,
    per_channel: Float[Tensor, "b _ *s"],
    deviation: Float[Tensor, "b c"],
    samples: int,
    ids: Sequence[str],
    seed: int,
) -> tuple[Float64[Tensor, "b n"], Float64[Tensor, "b n"]]:
    def noisy(row: int, drawn: range) -> Float[Tensor, "n c *s"]:
        return torch.stack([image[row] - _noise(image[row], deviation[row], ids[row], one, seed) for one in drawn])

    def claim(row: int, one: int) -> Float64[Tensor, ""]:
        """Of what the copy lacks after rounding, which is what the model saw."""
        taken = image[row].double() - noisy(row, range(one, one + 1))[0].double()
        return (taken * per_channel[row].double()).sum()

    answers = score.each(samples, noisy)
    claimed = [torch.stack([claim(row, one) for one in range(samples)]) for row in range(len(image))]
    return torch.stack(claimed), Drops.of(score, answers).values


def _noise(
    record: Float[Tensor, "c *s"], deviation: Float[Tensor, " c"], name: str, sample: int, seed: int
) -> Float[Tensor, "c *s"]:
    drawn = torch.randn(record.shape, generator=ops.generator(seed, "infidelity noise", name, sample))
    return drawn.to(record) * deviation.reshape(-1, *[1] * (record.ndim - 1))
