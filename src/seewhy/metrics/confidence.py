"""Average drop, increase in confidence and average gain: the probability where only what the map shows is left."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from seewhy.metrics.asking import Asking
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.removal import CONSTANT, UNCHANGED, unchanged
from seewhy.registry import metric

CHATTOPADHAY = "Chattopadhay et al. 2018, arXiv:1710.11063, section 4.1"
ROUNDING = 1e-6
"""A probability has risen when it is higher by more than what depends on who else is in the batch."""
Baseline = Callable[[str | Tensor], Float[Tensor, "b c *s"]]


@metric("average_drop", family="faithfulness", better="lower", range=(0.0, 1.0), cite=CHATTOPADHAY)
def average_drop(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    *,
    fill: str | Tensor = "mean",
) -> Grade:
    """The share of the probability that is lost when only what the map shows is left: ``max(0, Y - O) / Y``.

    ``O`` is asked of ``fill + heat · (image - fill)`` with the heat map ``relu(map) / max`` in [0, 1]; with
    ``fill="black"`` that is the paper's product of heat map and pixels, whatever the normalisation. The paper's
    percentage is 100 times the mean over records. A map that is constant hides nothing or everything and has no value,
    nor has one without positive values.

    Raises ``ConfigError`` SW-F40, SW-F41 and SW-F227 for a filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, 3.0, 0.0, 0.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 4, image)
        >>> half = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
        >>> average_drop(half, image, share, lambda fill: torch.zeros_like(image)).values
        tensor([0.2500], dtype=torch.float64)
    """
    clean, left, undefined = _asked(evidence, image, probability, baseline(fill))
    undefined["the clean probability is zero"] = clean == 0
    return graded((clean - left).clamp(min=0) / clean, undefined, clean=clean, left=left)


@metric("increase_in_confidence", family="faithfulness", better="higher", range=(0.0, 1.0), cite=CHATTOPADHAY)
def increase_in_confidence(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    *,
    fill: str | Tensor = "mean",
) -> Grade:
    """Whether the probability is higher, 1, or not, 0, when only what the map shows is left: ``Y < O``.

    Asked as :func:`average_drop` is. The paper's percentage is 100 times the mean over records.

    Raises ``ConfigError`` SW-F40, SW-F41 and SW-F227 for a filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, -1.0]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 2, image)
        >>> increase_in_confidence(image[:, 0], image, share, lambda fill: torch.zeros_like(image)).values
        tensor([1.], dtype=torch.float64)
    """
    clean, left, undefined = _asked(evidence, image, probability, baseline(fill))
    return graded((left > clean + ROUNDING).double(), undefined, clean=clean, left=left)


@metric(
    "average_gain",
    family="faithfulness",
    better="higher",
    range=(0.0, 1.0),
    cite="Zhang et al. 2024, arXiv:2301.07002, section 4.1",
)
def average_gain(
    evidence: Float[Tensor, "b *s"],
    image: Float[Tensor, "b c *s"],
    probability: Asking,
    baseline: Baseline,
    *,
    fill: str | Tensor = "mean",
) -> Grade:
    """The share of the doubt that is gone when only what the map shows is left: ``max(0, O - Y) / (1 - Y)``.

    Asked as :func:`average_drop` is, whose counterpart it is.

    Raises ``ConfigError`` SW-F40, SW-F41 and SW-F227 for a filling that cannot be.

    Example:
        >>> image = torch.tensor([[[1.0, -0.5]]])
        >>> share = Asking.of(lambda images: images.sum(dim=(1, 2)) / 2, image)
        >>> average_gain(image[:, 0], image, share, lambda fill: torch.zeros_like(image)).values
        tensor([0.3333], dtype=torch.float64)
    """
    clean, left, undefined = _asked(evidence, image, probability, baseline(fill))
    undefined["the clean probability is one"] = clean >= 1
    return graded((left - clean).clamp(min=0) / (1 - clean), undefined, clean=clean, left=left)


def heat_of(evidence: Float[Tensor, "b *s"]) -> Float[Tensor, "b *s"]:
    """The positive part of each map as a share of its largest value; zeros where there is none.

    Example:
        >>> heat_of(torch.tensor([[-3.0, 1.0, 2.0]])).tolist()
        [[0.0, 0.5, 1.0]]
    """
    positive = evidence.detach().clamp(min=0)
    largest = positive.flatten(1).amax(dim=1).reshape(-1, *[1] * (evidence.ndim - 1))
    return positive / torch.where(largest > 0, largest, 1.0)


def _asked(
    evidence: Float[Tensor, "b *s"], image: Float[Tensor, "b c *s"], probability: Asking, filling: Tensor
) -> tuple[Float64[Tensor, " b"], Float64[Tensor, " b"], dict[str, Bool[Tensor, " b"]]]:
    heat = heat_of(evidence).to(image).unsqueeze(1)

    def change(row: int, samples: range) -> Float[Tensor, "one c *s"]:
        del samples
        return (filling[row] + heat[row] * (image[row] - filling[row])).unsqueeze(0)

    left = probability.each(1, change).squeeze(1)
    flat = evidence.flatten(1)
    spread, largest = flat.amax(1) - flat.amin(1), flat.abs().amax(1)
    undefined = {
        "the map has no positive value": flat.amax(dim=1) <= 0,
        "the map is constant": spread <= CONSTANT * largest,
        UNCHANGED: unchanged(image, filling),
    }
    return probability.clean.double(), left.double(), undefined
