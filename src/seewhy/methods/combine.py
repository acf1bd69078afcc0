"""Explanations made of explanations: the mean of several, the mean over views, the difference to noise.

Each takes anything that explains and gives something that explains; each is also a method that strings can name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Explain, Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.ask import Asked
from seewhy.methods.random_map import random_map
from seewhy.methods.together import ask_together
from seewhy.registry import method
from seewhy.values import ConfigError, Json, nearest

Maps = Float[Tensor, "k b *s"]


def mean(explains: Sequence[Explain], *, scale: str = "peak") -> Explain:
    """The average of several explanations, on the largest of their grids.

    ``scale="peak"`` divides each map by its largest magnitude first, so that none dominates (a map of zeros stays
    one); ``"none"`` averages raw values, which only makes sense for explanations in one unit. Methods that read share
    one pass. Raises ``ConfigError`` SW-F65 for an unknown scale, SW-F66 where there is nothing to average.

    Example:
        >>> import timm
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"image": torch.randn(2, 3, 64, 64)}
        >>> probe = Probe(Adapter(timm.create_model("test_resnet", num_classes=5), x), [Logit(3)])
        >>> maps = mean([Asked("gradcam"), Asked("input_x_gradient")])(probe, x).maps["image"]
        >>> tuple(maps.shape), bool(maps.abs().max() <= 1)
        ((1, 2, 64, 64), True)
    """
    check_some(explains)
    check_choice("scale", scale, ("peak", "none"))
    prepare = to_peak if scale == "peak" else _as_it_is
    return partial(_mean, explains, prepare=prepare, scale=scale)


@method(
    "mean_of_methods",
    asks=True,
    signed=True,
    cite="Rieger and Hansen 2020, arXiv:2003.08747, section 3: an average of explanations on a common scale",
)
def mean_of_methods(
    probe: Probe,
    inputs: Inputs,
    *,
    of: Sequence[str | Explain] = ("gradcam", "hirescam", "layercam"),
    scale: str = "peak",
) -> Explanation:
    """The average of several methods, each scaled to a largest magnitude of one."""
    return mean([to_explain(one) for one in of], scale=scale)(probe, inputs)


def minus_random(explain: Explain, *, seed: int = 0) -> Explain:
    """What an explanation says beyond noise: the map minus a random one of the same largest magnitude.

    The noise is uniform, of both signs where the explanation is signed, and the same for every record.
    """
    return partial(_minus_random, explain, seed=seed)


@method(
    "minus_random",
    asks=True,
    signed=True,
    cite="Adebayo et al. 2018, arXiv:1810.03292: explanations beside random ones",
)
def minus_random_of(probe: Probe, inputs: Inputs, *, of: str | Explain = "gradcam", seed: int = 0) -> Explanation:
    """The difference between a method's map and random noise on the same scale."""
    return minus_random(to_explain(of), seed=seed)(probe, inputs)


def to_explain(of: str | Explain) -> Explain:
    """A method by its name, or something that explains as it is; raises ``ConfigError`` SW-F66 for anything else."""
    if isinstance(of, str):
        return Asked(of)
    if not callable(of):
        raise ConfigError(
            "SW-F66",
            f"a method's name or something that explains was expected, got {of!r}",
            fix="give of='gradcam', or of=Asked('gradcam', layer='layer3')",
        )
    return of


def check_some(explains: Sequence[Explain]) -> None:
    """Raise ``ConfigError`` SW-F66 where there is nothing to combine."""
    if not explains:
        raise ConfigError("SW-F66", "no explanation was given to combine", fix="give at least one method")


def check_choice(setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``ConfigError`` SW-F65 unless the value is one of the choices."""
    if value not in choices:
        raise ConfigError(
            "SW-F65",
            f"{setting} is one of {', '.join(choices)}, got {value!r}",
            near=nearest(str(value), choices),
            fix="use one of these",
        )


def peaks(maps: Maps) -> Float[Tensor, "k b *ones"]:
    """The largest magnitude of each map, with the map's axes kept; one where a map is zero, to divide by."""
    found = maps.flatten(2).abs().amax(dim=2)
    return torch.where(found > 0, found, 1.0).reshape(*found.shape, *[1] * (maps.ndim - 2))


def to_peak(maps: Maps) -> Maps:
    """Each map divided by its largest magnitude."""
    return maps / peaks(maps)


def on_one_grid(
    found: Sequence[Explanation], prepare: Callable[[Maps], Maps]
) -> Mapping[str, Float[Tensor, "n k b *s"]]:
    """Prepared maps of every explanation, resized to the largest of their grids; for the inputs that all speak of."""
    names = [name for name in found[0].maps if all(name in one.maps for one in found)]
    return {name: _stacked([prepare(one.maps[name]) for one in found]) for name in names}


def combined(found: Sequence[Explanation], maps: Mapping[str, Maps], name: str, settings: Json) -> Explanation:
    """The explanation that combined maps make, which says what it was made of."""
    parts = [dict(one.facts) for one in found]
    settings = {"of": [part.get("method") for part in parts], **settings}
    facts = {"method": name, "settings": settings, "of": parts}
    return Explanation(maps, found[0].scores, signed=any(one.signed for one in found), facts=facts)


def _mean(
    explains: Sequence[Explain], probe: Probe, inputs: Inputs, *, prepare: Callable[[Maps], Maps], scale: str
) -> Explanation:
    found = ask_together(explains, probe, inputs)
    maps = {name: stack.mean(dim=0) for name, stack in on_one_grid(found, prepare).items()}
    return combined(found, maps, "mean_of_methods", {"scale": scale})


def _minus_random(explain: Explain, probe: Probe, inputs: Inputs, *, seed: int) -> Explanation:
    found = explain(probe, inputs)
    maps = {}
    for name, given in found.maps.items():
        noise = random_map(given.shape[2:], seed, signed=found.signed).to(given)
        size = torch.where(given.flatten(2).any(dim=2), peaks(given).flatten(1).reshape(given.shape[:2]), 0.0)
        maps[name] = given - size.reshape(*given.shape[:2], *[1] * noise.ndim) * noise / noise.abs().max()
    return replace(combined([found], maps, "minus_random", {"seed": seed}), signed=True)


def _as_it_is(maps: Maps) -> Maps:
    return maps


def _stacked(maps: Sequence[Maps]) -> Float[Tensor, "n k b *s"]:
    size = tuple(max(lengths) for lengths in zip(*(one.shape[2:] for one in maps), strict=True))
    return torch.stack([ops.resize(one, size) for one in maps])
