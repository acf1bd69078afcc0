"""How much two readings of one layer agree: what can be told of their shapes, and why the rest cannot."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy.features.similarity import (
    FEWEST_UNBIASED,
    channel_correlation,
    linear_cka,
    places_as_examples,
    vector_correlation,
)
from seewhy.inspection.analysis import size


@dataclass(frozen=True)
class LayerComparison:
    """One layer in both files; a number is NaN where it does not exist, and ``note`` says why.

    ``cka`` and ``unbiased_cka`` are over places. ``correlation`` is the median over channels of the correlation of both
    maps, of which ``constant_channels`` have none; of vectors, the one correlation over their channels.
    ``mean_difference`` is the mean of ``|first - second|`` over all values.
    """

    first_shape: tuple[int, ...]
    second_shape: tuple[int, ...]
    cka: float
    unbiased_cka: float
    correlation: float
    constant_channels: int
    first_mean: float
    second_mean: float
    mean_difference: float
    note: str = ""


def measured(first: Float[Tensor, "c1 *s1"], second: Float[Tensor, "c2 *s2"]) -> tuple[LayerComparison, Tensor | None]:
    """Two readings of a layer in numbers, and the correlation of each channel where channels can be matched."""
    same, notes = first.shape == second.shape, []
    cka = unbiased = correlation = difference = float("nan")
    constant, correlations = 0, None
    if first.shape[1:] != second.shape[1:]:
        notes.append(f"its places differ, {_space(first)} and {_space(second)}, so that no CKA is taken")
    elif first.ndim == 1:
        notes.append("a vector has one place, so that no CKA is taken; the correlation is over its channels")
    else:
        places = places_as_examples(first), places_as_examples(second)
        cka = linear_cka(*places) if len(places[0]) >= 2 else cka
        unbiased = linear_cka(*places, unbiased=True) if len(places[0]) >= FEWEST_UNBIASED else unbiased
    if same and first.ndim == 1:
        correlation = vector_correlation(first, second)
    elif same:
        correlations = channel_correlation(first, second)
        known = correlations[~correlations.isnan()]
        constant = len(correlations) - len(known)
        correlation = float(known.quantile(0.5)) if len(known) else correlation
    elif len(first) != len(second):
        notes.append(f"{len(first)} and {len(second)} channels, which are not matched one by one")
    if same:
        difference = float((first.double() - second.double()).abs().mean())
    lost = int((~torch.isfinite(first)).sum() + (~torch.isfinite(second)).sum())
    notes += [f"{lost} values are not finite"] if lost else []
    means = float(first.double().mean()), float(second.double().mean())
    shapes = tuple(first.shape), tuple(second.shape)
    found = LayerComparison(*shapes, cka, unbiased, correlation, constant, *means, difference, "; ".join(notes))
    return found, correlations


def _space(values: Tensor) -> str:
    return size(values.shape[1:]) or "none"
