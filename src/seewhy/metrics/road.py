"""ROAD: remove and debias; what is removed is imputed from its neighbors, so that its shape tells nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from seewhy import ops
from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.imputation import imputed
from seewhy.metrics.removal import CONSTANT, ranks
from seewhy.metrics.settings import as_real, listed, real, seeded
from seewhy.registry import metric
from seewhy.values import ConfigError

RONG = "Rong et al. 2022, arXiv:2202.00449, sections 4.2 and 5"
PERCENTAGES = (10, 20, 30, 40, 50, 70, 90)
"""Those of the paper's benchmark."""
FLAT = "the image is constant, and so is what is imputed"


@metric("road", family="faithfulness", better="higher", range=(-0.5, 0.5), cite=RONG, also=("road_combined",))
def road(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    ids: Sequence[str],
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
) -> Grade:
    """Half of what more of the probability is left without the least relevant places than without the most relevant.

    The mean of ``(LeRF - MoRF) / 2`` over ``percentages``: both orders of :func:`road_morf` in one number, 0 for a map
    that says nothing. ``morf`` and ``lerf`` ``(B, n)`` are the probabilities.

    Raises ``ConfigError`` as :func:`road_morf` does.

    Example:
        >>> image = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
        >>> second = Asking.of(lambda images: images[:, 0, 1], image)
        >>> road(image[:, 0], image, second, ("",), percentages=[25], noise=0).values
        tensor([0.5000], dtype=torch.float64)
    """
    gone = _gone(evidence, percentages)
    grain = _grain(image, ids, real("noise", noise), seed)
    orders = torch.stack([ranks(evidence, ids, seed), ranks(-evidence, ids, seed)], dim=1)
    morf, lerf = _probabilities(image, orders, probability, gone, grain).unbind(dim=1)
    return graded((lerf - morf).mean(dim=1) / 2, {FLAT: _flat(image)}, morf=morf, lerf=lerf)


@metric("road_morf", family="faithfulness", better="lower", range=(0.0, 1.0), cite=RONG)
def road_morf(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    ids: Sequence[str],
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
) -> Grade:
    """The probability that is left on average when the most relevant places are imputed from their neighbors.

    At each of ``percentages`` that share of places, at least none and at most all but one, becomes the weighted mean
    of their neighbors (1/6 beside, 1/12 across; signals and volumes alike), plus noise whose standard deviation is
    ``noise`` times the range of the image's values, drawn by ``seed`` and id. ``curve`` ``(B, n)`` are the
    probabilities. Signals, pictures and volumes.

    Raises ``ConfigError`` SW-F240 for percentages that are not increasing or not between 0 and 100, SW-F252 for a
    seed that is no whole number, SW-F253 for ``noise`` below 0, SW-F243 for inputs with more than three axes of places.

    Example:
        >>> image = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
        >>> second = Asking.of(lambda images: images[:, 0, 1], image)
        >>> road_morf(image[:, 0], image, second, ("",), percentages=[25], noise=0).values
        tensor([0.], dtype=torch.float64)
    """
    return _one_order(evidence, image, probability, ids, percentages, noise, seed)


@metric("road_lerf", family="faithfulness", better="higher", range=(0.0, 1.0), cite=RONG)
def road_lerf(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    ids: Sequence[str],
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
) -> Grade:
    """The probability that is left on average when the least relevant places are imputed from their neighbors.

    As :func:`road_morf` in the opposite order. Raises ``ConfigError`` as it does.

    Example:
        >>> image = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
        >>> second = Asking.of(lambda images: images[:, 0, 1], image)
        >>> road_lerf(image[:, 0], image, second, ("",), percentages=[25, 75], noise=0).values
        tensor([1.], dtype=torch.float64)
    """
    return _one_order(-evidence, image, probability, ids, percentages, noise, seed)


def _one_order(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    ids: Sequence[str],
    percentages: Sequence[float],
    noise: float,
    seed: int,
) -> Grade:
    gone = _gone(evidence, percentages)
    grain = _grain(image, ids, real("noise", noise), seed)
    orders = ranks(evidence, ids, seed).unsqueeze(1)
    curve = _probabilities(image, orders, probability, gone, grain)[:, 0]
    return graded(curve.mean(dim=1), {FLAT: _flat(image)}, curve=curve)


def _probabilities(
    image: Float[Tensor, "b c *s"],
    orders: Int[Tensor, "b k *s"],
    probability: Asking,
    gone: Sequence[int],
    grain: Float[Tensor, "b c *s"],
) -> Float64[Tensor, "b k n"]:
    """The answers for all records, orders and shares; images are imputed and asked about in the same parts."""
    records, kinds = orders.shape[:2]
    answers = []
    for part in ops.chunks(records * kinds * len(gone), probability.chunk_size):
        rows = [number // (kinds * len(gone)) for number in part]
        order = torch.stack([orders[number // len(gone) // kinds, number // len(gone) % kinds] for number in part])
        limit = torch.tensor([gone[number % len(gone)] for number in part], device=order.device)
        missing = order < limit.reshape(-1, *[1] * (order.ndim - 1))
        copies = imputed(image[rows], missing)
        answers.append(probability(torch.where(missing.unsqueeze(1), copies + grain[rows], copies), rows))
    return torch.cat(answers).double().reshape(records, kinds, len(gone))


def _gone(evidence: Float[Tensor, "b *s"], percentages: Sequence[float]) -> list[int]:
    """How many places go at each percentage; at least one stays."""
    if evidence.ndim > 4:
        raise ConfigError(
            "SW-F243",
            f"places are imputed in signals, pictures and volumes, and these maps have {evidence.ndim - 1} axes",
            fix="use deletion, which knows any input",
        )
    known = [as_real(one) for one in listed(percentages)]
    if not known or not all(0 < one < 100 for one in known) or sorted(set(known)) != known:
        raise ConfigError(
            "SW-F240",
            f"percentages must be increasing numbers above 0 and below 100, got {percentages!r}",
            fix="percentages=(20, 40, 60, 80)",
        )
    places = evidence[0].numel()
    return [min(round(one / 100 * places), places - 1) for one in known]


def _grain(image: Float[Tensor, "b c *s"], ids: Sequence[str], noise: float, seed: int) -> Float[Tensor, "b c *s"]:
    """Noise for every place of each record."""
    flat = image.flatten(1)
    deviation = noise * (flat.amax(dim=1) - flat.amin(dim=1)).reshape(-1, *[1] * (image.ndim - 1))
    number = seeded(seed)
    drawn = torch.stack([torch.randn(image.shape[1:], generator=ops.generator(number, "road", key)) for key in ids])
    return deviation * drawn.to(image)


def _flat(image: Float[Tensor, "b c *s"]) -> Bool[Tensor, " b"]:
    flat = image.flatten(2)
    spread = (flat.amax(dim=2) - flat.amin(dim=2)).amax(dim=1)
    return spread <= CONSTANT * image.abs().flatten(1).amax(dim=1)
