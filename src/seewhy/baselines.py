"""Baselines: the input that stands for "nothing there", defined as colours of pixels rather than as model values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.pixels import Normalisation
from seewhy.values import ConfigError, nearest

Named = Literal["black", "white", "blur", "mean", "random"]
NAMES: tuple[str, ...] = get_args(Named)
COLOURS = ("black", "white", "random")
"""Those that are colours of pixels: what they are in model space only the normalisation tells."""


def named(
    name: str,
    values: Float[Tensor, "b c *s"],
    normalisation: Normalisation | None,
    blur_sigma: float = 0.1,
    key: Sequence[object] = (0,),
) -> Float[Tensor, "b c *s"]:
    """A named baseline of one input; ``key`` seeds the random one.

    The mean colour and the blurred picture are averages of pixels, and an average goes through the normalisation
    unchanged: they are the same computed on values.
    """
    if name == "mean":
        return values.flatten(2).mean(dim=2).reshape(*values.shape[:2], *[1] * (values.ndim - 2)).expand_as(values)
    if name == "blur":
        return blurred(values, blur_sigma * min(values.shape[2:]))
    return _of_pixels(_colour(name, values, key), values, normalisation, name).expand_as(values)


def check_name(name: str) -> None:
    """Raise ``ConfigError`` SW-F41 for a baseline nobody knows."""
    if name not in NAMES:
        raise ConfigError(
            "SW-F41",
            f"there is no baseline {name!r}; there are {', '.join(NAMES)}",
            near=nearest(name, NAMES),
            fix="use one of these, or give a tensor in the space of the model's inputs",
        )


def blurred(values: Float[Tensor, "b c *s"], sigma: float) -> Float[Tensor, "b c *s"]:
    """Convolved with a Gaussian of ``sigma`` cells along every spatial axis; beyond the border the edge goes on."""
    if sigma == 0:
        return values
    radius = math.ceil(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(values).reshape(1, 1, -1)
    for axis in range(2, values.ndim):
        lines = values.movedim(axis, -1)
        padded = F.pad(lines.reshape(-1, 1, lines.shape[-1]), (radius, radius), mode="replicate")
        values = F.conv1d(padded, kernel).reshape(lines.shape).movedim(-1, axis)
    return values


def _colour(name: str, values: Float[Tensor, "b c *s"], key: Sequence[object]) -> Float[Tensor, "c *s"]:
    shape = values.shape[1:]
    if name == "random":
        return torch.rand(shape, generator=ops.generator("random baseline", *key)).to(values)
    return torch.full(shape, 1.0 if name == "white" else 0.0, dtype=values.dtype, device=values.device)


def _of_pixels(
    pixels: Float[Tensor, "c *s"], values: Tensor, normalisation: Normalisation | None, name: str
) -> Float[Tensor, "c *s"]:
    if normalisation is None or len(normalisation.mean) != values.shape[1]:
        known = "nobody told" if normalisation is None else f"told for {len(normalisation.mean)} channels"
        raise ConfigError(
            "SW-F40",
            f"the baseline {name!r} is a colour of pixels, and how this input's {values.shape[1]} channels came from "
            f"pixels is {known}",
            fix="say baseline='mean' or 'blur', give a tensor as the baseline, or tell "
            "normalisation=Normalisation(mean, std), by input name where there are several",
        )
    return normalisation.apply(pixels)
