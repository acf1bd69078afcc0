"""A Gaussian in the middle: where people look, and what they photograph, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float64
from torch import Tensor

SPREAD: Final = 0.25
"""The deviation of the Gaussian, as a share of every axis."""


def centred_bell(size: Sequence[int], spread: float = SPREAD) -> Float64[Tensor, "*s"]:
    """A Gaussian in the middle of cells of any rank, summing to 1; ``spread`` is its deviation as a share of each axis.

    Example:
        >>> centred_bell((3,)).tolist() == centred_bell((3,)).flip(0).tolist()
        True
    """
    bell = torch.ones((), dtype=torch.float64)
    for length in size:
        places = (torch.arange(length, dtype=torch.float64) + 0.5) / length - 0.5
        along = torch.exp(-0.5 * (places / spread) ** 2)
        bell = bell[..., None] * (along / along.sum())
    return bell
