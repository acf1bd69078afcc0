"""What a metric says: one number per record, or NaN and the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


@dataclass(frozen=True)
class Grade:
    """The values ``(B,)`` of a metric for B records, float64 on the CPU; made by :func:`graded`.

    ``reasons`` ``(B,)`` say why a value is NaN, None where it is not. ``details[name]`` ``(B, ...)`` are what the value
    was made of, such as the scores of a deletion curve.
    """

    values: Float64[Tensor, " b"]
    reasons: tuple[str | None, ...]
    details: Mapping[str, Float64[Tensor, "b ..."]] = field(default_factory=dict)


def graded(
    values: Float[Tensor, " b"],
    undefined: Mapping[str, Bool[Tensor, " b"]] | None = None,
    **details: Float[Tensor, "b ..."],
) -> Grade:
    """A grade whose value is NaN where a reason of ``undefined`` holds; of several reasons the first is told.

    A value that is not finite without a reason is NaN too, and the reason says that it came out so.

    Example:
        >>> graded(torch.tensor([0.5, 2.0]), {"the map is constant": torch.tensor([False, True])}).reasons
        (None, 'the map is constant')
    """
    found = values.detach().cpu().double()
    known = {why: rows.detach().cpu() for why, rows in (undefined or {}).items()}
    known["the value came out infinite or NaN"] = ~found.isfinite()
    reasons = tuple(next((why for why, rows in known.items() if bool(rows[row])), None) for row in range(len(found)))
    without = torch.tensor([reason is not None for reason in reasons], dtype=torch.bool)
    kept = {name: detail.detach().cpu().double() for name, detail in details.items()}
    return Grade(found.masked_fill(without, math.nan), reasons, kept)
