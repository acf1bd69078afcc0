"""RISE: which places, when they are seen, go with a high score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.variants import (
    AS_ASKED,
    Value,
    check_between,
    check_counts,
    fillings,
    in_probabilities,
    masks_at_once,
    scores_of_variants,
    spread_over,
)
from seewhy.registry import method


@method(
    "rise",
    asks=True,
    signed=False,
    cite="Petsiuk, Das and Saenko 2018, arXiv:1806.07421, eq. 6",
)
def rise(
    probe: Probe,
    inputs: Inputs,
    *,
    num_masks: int = 4000,
    cells: int = 8,
    keep: float = 0.5,
    value: Value = 0.0,
    probability: bool = True,
    seed: int = 0,
    chunk_size: int = 64,
) -> Explanation:
    """The score averaged over random masks, each place weighted by how much of it was seen.

    ``S = 1 / (N E[M]) Σ f(x ⊙ Mᵢ) Mᵢ`` with ``E[M] = keep``. A mask is ``cells`` per axis, each kept with probability
    ``keep``, enlarged by linear interpolation and shifted at random by less than a cell. What is hidden fades to
    ``value``: a number in the model's own values (0 is the mean colour of a normalised picture) or a baseline,
    "black", "white", "blur", "mean", "random" or a tensor. The paper takes 4 000 masks for
    a VGG-16 and 8 000 for a ResNet-50; its demonstration keeps 0.1. With ``probability`` a logit is asked for as its
    softmax, as in the paper; a model with one output is asked as it stands. Every record sees the same masks.
    ``measured["standard_error"]`` is the standard error of a place of the map, the root of its mean square over places.
    Of several inputs each is masked alone.

    Raises ``ConfigError`` SW-F50 for a count below one, SW-F51 for ``keep`` outside 0 to 1, SW-F40 to SW-F42 and
    SW-F55 for a ``value`` that cannot be.

    Example:
        >>> from seewhy.methods.ask import Asked
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(1, 3, 8, 8)}
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> probe = Probe(Adapter(model, x), [Logit(0), Logit(1)])
        >>> found = Asked("rise", settings={"num_masks": 100})(probe, x)
        >>> bool(((found.maps["image"].sum(dim=0) - 1).abs() < 0.2).all())  # two probabilities, each mask alike
        True
    """
    check_counts(num_masks=num_masks, cells=cells, chunk_size=chunk_size)
    check_between(0, 1, keep=keep)
    hidden = fillings(probe, inputs, value)
    settled, clean = probe.settled(inputs)
    asked, scored = in_probabilities(settled) if probability else (settled, AS_ASKED)
    found = {
        name: _masked(asked, inputs, name, behind, num_masks, cells, keep, seed, chunk_size)
        for name, behind in hidden.items()
    }
    errors = torch.stack([error.square() for _, error in found.values()]).mean(dim=0).sqrt()
    return Explanation(
        {name: maps for name, (maps, _) in found.items()},
        clean,
        measured={"standard_error": errors},
        facts={"score": scored},
    )


def _masked(
    probe: Probe,
    inputs: Inputs,
    name: str,
    behind: Float[Tensor, "b c *s"],
    num_masks: int,
    cells: int,
    keep: float,
    seed: int,
    chunk_size: int,
) -> tuple[Float[Tensor, "k b *s"], Float[Tensor, "k b"]]:
    """The map of one input, and the root mean square of its standard error."""
    picture = inputs[name].to(probe.adapter.device)
    records, size = picture.shape[0], tuple(picture.shape[2:])
    hidden = behind.to(picture)
    generator = ops.generator(seed, "rise", name)
    total = squares = torch.zeros(())
    for chunk in ops.chunks(num_masks, masks_at_once(chunk_size, records)):
        masks = random_masks(len(chunk), size, cells=cells, keep=keep, generator=generator).to(picture)
        shown = masks[:, None, None] * (picture - hidden) + hidden
        scores = scores_of_variants(probe, inputs, name, shown)
        total = spread_over(scores, masks) + total.to(scores)
        squares = spread_over(scores.square(), masks.square()) + squares.to(scores)
    variance = (squares / num_masks - (total / num_masks).square()).clamp(min=0) / num_masks
    return total / (num_masks * keep), variance.flatten(2).mean(dim=2).sqrt() / keep


def random_masks(
    count: int, size: Sequence[int], *, cells: int, keep: float, generator: torch.Generator
) -> Float[Tensor, "n *s"]:
    """Masks in [0, 1] whose every place is ``keep`` on average, drawn one after the other.

    A grid of ``cells`` per axis is enlarged to one cell more than the input and cut out at a random place, as in
    section 3.2 of the paper.
    """
    cell = [math.ceil(length / cells) for length in size]
    draws = [_draw(len(size), cells, keep, cell, generator) for _ in range(count)]
    grids = torch.stack([grid for grid, _ in draws]).unsqueeze(1)
    enlarged = ops.resize(grids, [(cells + 1) * length for length in cell]).squeeze(1)
    return torch.stack([mask[_window(at, size)] for mask, (_, at) in zip(enlarged, draws, strict=True)])


def _draw(
    rank: int, cells: int, keep: float, cell: Sequence[int], generator: torch.Generator
) -> tuple[Float[Tensor, "*cells"], list[int]]:
    """A grid of kept cells and where to cut."""
    kept = (torch.rand((cells,) * rank, generator=generator) < keep).float()
    return kept, [int(torch.randint(length, (), generator=generator)) for length in cell]


def _window(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(at, at + length) for at, length in zip(start, size, strict=True))
