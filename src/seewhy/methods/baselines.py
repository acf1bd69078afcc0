"""The baseline of every input of a model, from a name or from tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor

from seewhy.baselines import NAMES, Named, check_name, named
from seewhy.capture.probe import Probe
from seewhy.core import Inputs
from seewhy.methods.passes import floating_spatial_inputs
from seewhy.values import ConfigError, nearest

Baseline: TypeAlias = Named | Tensor | Mapping[str, Tensor]


def baselines(probe: Probe, inputs: Inputs, baseline: Baseline, *, blur_sigma: float = 0.1, seed: int = 0) -> Inputs:
    """The baseline of every input that has one, as large as the input ``(B, C, *S)``, in model space.

    Names are defined on pixels in [0, 1]: ``"black"`` is 0, ``"white"`` 1, ``"random"`` uniform and the same for all
    records, ``"mean"`` each record's mean colour, ``"blur"`` the record under a Gaussian whose standard deviation is
    ``blur_sigma`` of its shortest side. They stand for every input with space. A tensor is taken in the space of the
    model's inputs and broadcast; a dict names inputs, and only those get a baseline.

    Raises ``ConfigError`` SW-F40 for a colour where the normalisation is not known, SW-F41 for an unknown name, SW-F42
    for a tensor that does not fit.

    Example:
        >>> import torch
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
