"""Whether methods say the same of a record: the correlation of ranks, and the overlap of what they mark most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seewhy import ops
from seewhy.metrics.grade import Grade, graded
from seewhy.metrics.ranks import among_the_highest, average_ranks
from seewhy.metrics.settings import as_real
from seewhy.metrics.similarity import spearman
from seewhy.registry import metric
from seewhy.values import ConfigError


@metric(
    "agreement",
    family="robustness",
    better="neither",
    range=(-1.0, 1.0),
    cite="Krishna et al. 2022, arXiv:2202.01602, section 3.2",
)
def agreement(
    evidence: Float[Tensor, "b *s"], rivals: Mapping[str, Float[Tensor, "b *t"]], *, top: float = 0.1
) -> Grade:
    """The mean rank correlation of the map with those of other methods; that methods agree does not make them right.

    ``rivals`` are read as they are, at the input's size: where magnitudes are the evidence, give magnitudes. Details,
    one column for each rival in their order: ``spearman`` ``(B, R)``, and ``overlap`` ``(B, R)``, of the places among
    the highest share ``top`` of the two maps those of both over those of either; equal places belong in equal parts.

    NaN for a constant map, or where every rival's is; a rival whose map is constant is left out of the mean.

    Raises ``ConfigError`` SW-F266 without a rival, SW-F267 for a ``top`` that is not in (0, 1).

    Example:
        >>> found = agreement(torch.tensor([[1.0, 2.0, 3.0]]), {"other": torch.tensor([[1.0, 2.0, 9.0]])}, top=0.4)
        >>> round(found.values.item(), 6), found.details["overlap"].item()
        (1.0, 1.0)
    """
    if not rivals:
        raise ConfigError("SW-F266", "there is no other method to agree with", fix="compare two methods or more")
    share = as_real(top)
    if not 0 < share < 1:
        raise ConfigError("SW-F267", f"top must be in (0, 1), got {top!r}", fix="top=0.1 for the highest tenth")
    size = tuple(evidence.shape[1:])
    others = [ops.resize(maps.to(evidence)[:, None], size)[:, 0] for maps in rivals.values()]
    found = torch.stack([spearman(evidence, other) for other in others], dim=1)
    flat = evidence.flatten(1)
    undefined = {
        "the map is constant": flat.amin(dim=1) == flat.amax(dim=1),
        "the maps of all other methods are constant": found.isnan().all(dim=1),
    }
    overlap = torch.stack([top_overlap(evidence, other, share) for other in others], dim=1)
    return graded(found.nanmean(dim=1), undefined, spearman=found, overlap=overlap)


def top_overlap(a: Float[Tensor, "b *s"], b: Float[Tensor, "b *s"], top: float = 0.1) -> Float64[Tensor, " b"]:
    """Of the places among the highest share ``top`` of two maps, those of both over those of either, in [0, 1].

    Example:
        >>> top_overlap(torch.tensor([[4.0, 3.0, 2.0, 1.0]]), torch.tensor([[4.0, 1.0, 2.0, 3.0]]), 0.5).item()
        0.3333333333333333
    """
    first, second = a.flatten(1), b.flatten(1)
    count = torch.full((len(first),), max(1, round(top * first.shape[1])), device=first.device)
    one, other = among_the_highest(first, count), among_the_highest(second, count)
    return torch.minimum(one, other).sum(dim=1) / torch.maximum(one, other).sum(dim=1)


def agreement_matrix(
    maps: Mapping[str, Float[Tensor, "b *t"]], size: Sequence[int] | None = None
) -> Float64[Tensor, "b m m"]:
    """The rank correlation of every two methods' maps, record by record, in the methods' order.

    Maps are evidence, each at its own resolution; they are compared at ``size``, by default the largest length of any
    along every axis. NaN for a constant map, with itself too. Raises ``ConfigError`` SW-F266 without a map.

    Example:
        >>> maps = {"a": torch.tensor([[1.0, 2.0, 3.0]]), "b": torch.tensor([[3.0, 2.0, 1.0]])}
        >>> agreement_matrix(maps).round(decimals=6).tolist()
        [[[1.0, -1.0], [-1.0, 1.0]]]
    """
    if not maps:
        raise ConfigError("SW-F266", "there is no map to compare", fix="compare two methods or more")
    given = list(maps.values())
    lengths = zip(*(tuple(one.shape[1:]) for one in given), strict=True)
    common = tuple(max(of_all) for of_all in lengths) if size is None else tuple(size)
    units = torch.stack([_unit_ranks(ops.resize(one.to(given[0])[:, None], common).flatten(1)) for one in given], 1)
    return (units @ units.mT).clamp(-1, 1)


def _unit_ranks(values: Float[Tensor, "b n"]) -> Float64[Tensor, "b n"]:
    """The ranks about their mean, of length 1; NaN where all are equal or a value is not finite."""
    known = values.isfinite().all(dim=1, keepdim=True)
    ranks = average_ranks(torch.where(known, values, 0.0)) - (values.shape[1] + 1) / 2
    return ranks / ranks.square().sum(dim=1, keepdim=True).sqrt()  # 0 / 0 for a constant
