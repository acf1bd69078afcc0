"""Baselines: the input that stands for "nothing there", defined as colours of pixels rather than as model values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.methods.passes import floating_spatial_inputs
from seewhy.pixels import Normalisation
from seewhy.values import ConfigError, nearest

Named = Literal["black", "white", "blur", "mean", "random"]
Baseline: TypeAlias = Named | Tensor | Mapping[str, Tensor]
NAMES: tuple[str, ...] = get_args(Named)
COLOURS = ("black", "white", "random")
"""Those that are colours of pixels: what they are in model space only the normalisation tells."""


def baselines(probe: Probe, inputs: Inputs, baseline: Baseline, *, blur_sigma: float = 0.1, seed: int = 0) -> Inputs:
    """The baseline of every input that has one, as large as the input ``(B, C, *S)``, in model space.

    Names are defined on pixels in [0, 1]: ``"black"`` is 0, ``"white"`` 1, ``"random"`` uniform and the same for all
    records, ``"mean"`` each record's mean colour, ``"blur"`` the record under a Gaussian whose standard deviation is
    ``blur_sigma`` of its shortest side. They stand for every input with space. A tensor is taken in the space of the
    model's inputs and broadcast; a dict names inputs, and only those get a baseline.

    Raises ``ConfigError`` SW-F40 for a colour where the normalisation is not known, SW-F41 for an unknown name, SW-F42
    for a tensor that does not fit.

    Example:
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.pixels import Normalisation
        >>> x = {"image": torch.rand(2, 1, 4, 4)}
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 4), torch.nn.Flatten())
        >>> probe = Probe(Adapter(model, x, normalisation=Normalisation((0.5,), (0.25,))), [])
        >>> baselines(probe, x, "white")["image"].unique()
        tensor([2.])
    """
    names = floating_spatial_inputs(probe, inputs)
    if isinstance(baseline, str):
        check_name(baseline)
        known = probe.adapter.normalisation_of
        return {name: named(baseline, inputs[name], known(name), blur_sigma, (seed, name)) for name in names}
    given = baseline if isinstance(baseline, Mapping) else _for_the_only_input(baseline, names)
    return {name: _fitted(name, values, inputs) for name, values in given.items()}


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


def _for_the_only_input(baseline: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    if not isinstance(baseline, Tensor) or len(names) != 1:
        raise ConfigError(
            "SW-F42",
            f"a baseline is one of {', '.join(NAMES)}, a tensor for the only input, or a dict of tensors; "
            f"got {type(baseline).__name__} for the inputs {', '.join(names)}",
            fix=f"give a dict: baseline={{{next(iter(names), 'image')!r}: tensor}}",
        )
    return {names[0]: baseline}


def _fitted(name: str, given: Tensor, inputs: Inputs) -> Tensor:
    if name not in inputs or not inputs[name].is_floating_point():
        floating = [known for known, values in inputs.items() if values.is_floating_point()]
        raise ConfigError(
            "SW-F42",
            f"there is no floating-point input {name!r} to give a baseline",
            near=nearest(name, floating),
            fix=f"name one of {', '.join(floating)}",
        )
    values = inputs[name]
    fits = given.ndim <= values.ndim and all(
        own in (1, wanted) for own, wanted in zip(reversed(given.shape), reversed(values.shape), strict=False)
    )
    if not fits:
        raise ConfigError(
            "SW-F42",
            f"the baseline {tuple(given.shape)} does not fit the input {name!r} {tuple(values.shape)}",
            fix="give one baseline for all records (1, C, *S), or one for each",
        )
    return given.to(values).expand_as(values)
