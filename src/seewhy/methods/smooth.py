"""SmoothGrad and VarGrad: the mean and the variance of an explanation under Gaussian noise on the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Explain, Probe
from seewhy.core import Explanation, Inputs
from seewhy.methods.ask import Asked
from seewhy.methods.combine import to_explain
from seewhy.methods.passes import Pass, floating_spatial_inputs, grouped, real, whole
from seewhy.registry import method
from seewhy.values import ConfigError, Json

Maps = Float[Tensor, "k b ..."]


def smooth(
    explain: Explain,
    *,
    statistic: Literal["mean", "variance"] = "mean",
    noise_level: float = 0.15,
    num_samples: int = 50,
    seed: int = 0,
    chunk_size: int = 16,
    sigma: float | None = None,
) -> Explain:
    """The mean (or the variance) of an explanation over noisy copies of the input; the question is the clean input's.

    The noise has standard deviation ``noise_level`` times each record's range (largest value minus smallest), or
    ``sigma`` in the input's own units. Every record sees the same draws, which ``seed`` and the number of the sample
    decide. All inputs with space are noisy together; nothing is clipped. Maps are averaged raw, with their sign. The
    variance (unbiased) is summed over channels where the explanation tells them apart. Samples are streamed (Welford),
    ``chunk_size`` rows at once.

    ``measured["standard_error"]`` is that of the mean map, as the root mean square over the map; numbers that the
    explanation measures of itself are averaged. Raises ``ConfigError`` SW-F43 for a number out of range.

    Example:
        >>> from seewhy.models.adapter import Adapter
        >>> from seewhy.targets import Logit
        >>> x = {"signal": torch.tensor([[[1.0, 2.0, 4.0]]])}
        >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3, bias=False), torch.nn.Flatten())
        >>> _ = torch.nn.init.constant_(model[0].weight, 3.0)
        >>> smooth(Asked("gradient"), num_samples=4)(Probe(Adapter(model, x), [Logit(0)]), x).maps["signal"]
        tensor([[[3., 3., 3.]]])
    """
    whole("num_samples", num_samples, 1 if statistic == "mean" else 2)
    whole("chunk_size", chunk_size, 1)
    noise = Noise(real("noise_level", noise_level), None if sigma is None else real("sigma", sigma), seed)
    give = _mean if statistic == "mean" else _variance
    return partial(_smoothed, explain, noise=noise, samples=num_samples, chunk_size=chunk_size, give=give)


@method(
    "smoothgrad",
    asks=True,
    signed=True,
    linear=True,
    share_by="sum",
    contributes=False,
    cite="Smilkov et al. 2017, arXiv:1706.03825, section 3: the mean of signed maps; of='saliency' for magnitudes",
    also=("smooth_grad",),
)
def smoothgrad(
    probe: Probe,
    inputs: Inputs,
    *,
    of: str | Explain = "gradient",
    of_settings: Mapping[str, Any] | None = None,
    noise_level: float = 0.15,
    num_samples: int = 50,
    seed: int = 0,
    chunk_size: int = 16,
    sigma: float | None = None,
) -> Explanation:
    """The mean of a method's maps over noisy copies of the input, by default of the gradient.

    The noise and the statistics are those of :func:`smooth`.

    ``of`` is a method's name or anything that explains, ``of_settings`` are the named method's settings and its
    ``layer``. Raises ``ConfigError`` SW-F43 for a number out of range, SW-F46 for settings without a name.
    """
    return smooth(
        explain_of(of, of_settings),
        noise_level=noise_level,
        num_samples=num_samples,
        seed=seed,
        chunk_size=chunk_size,
        sigma=sigma,
    )(probe, inputs)


@method(
    "vargrad",
    asks=True,
    signed=False,
    share_by="sum",
    contributes=False,
    cite="Adebayo et al. 2018, arXiv:1810.03292, appendix B, and Seo et al. 2018, arXiv:1806.03000: unbiased variance",
    also=("var_grad",),
)
def vargrad(
    probe: Probe,
    inputs: Inputs,
    *,
    of: str | Explain = "gradient",
    of_settings: Mapping[str, Any] | None = None,
    noise_level: float = 0.15,
    num_samples: int = 50,
    seed: int = 0,
    chunk_size: int = 16,
    sigma: float | None = None,
) -> Explanation:
    """The variance of a method's maps over noisy copies of the input, by default of the gradient.

    The noise and the statistics are those of :func:`smooth`.

    Settings and errors are those of ``smoothgrad``; at least two samples are needed.
    """
    return smooth(
        explain_of(of, of_settings),
        statistic="variance",
        noise_level=noise_level,
        num_samples=num_samples,
        seed=seed,
        chunk_size=chunk_size,
        sigma=sigma,
    )(probe, inputs)


def explain_of(of: str | Explain, settings: Mapping[str, Any] | None) -> Explain:
    """A method by name with its settings, among them its ``layer``; anything else that explains as it is."""
    if not settings:
        return to_explain(of)
    if not isinstance(of, str):
        raise ConfigError(
            "SW-F46",
            f"of_settings belong to a method given by name, got {of!r}",
            fix="put the settings into what explains: of=Asked('gradcam', layer='layer3')",
        )
    given = dict(settings)
    return Asked(of, given.pop("layer", None), given)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise that depends on the seed, the input's name and the number of the sample only."""

    level: float
    sigma: float | None
    seed: int

    def deviation(self, values: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The standard deviation of each record's noise, to be broadcast over it."""
        if self.sigma is not None:
            return values.new_tensor(self.sigma)
        flat = values.flatten(1)
        span = flat.amax(dim=1) - flat.amin(dim=1)
        return self.level * span.reshape(-1, *[1] * (values.ndim - 1))

    def added(self, name: str, values: Float[Tensor, "r ..."], samples: range) -> Float[Tensor, "s r ..."]:
        """Noisy copies of the records, one per sample."""
        deviation = self.deviation(values)
        copies = values.new_empty((len(samples), *values.shape))
        for copy, sample in zip(copies, samples, strict=True):
            source = ops.generator(self.seed, "smooth", name, sample)
            drawn = torch.randn(values.shape[1:], generator=source).to(values)
            torch.addcmul(values, drawn, deviation, out=copy)
        return copies


class Moments:
    """Mean and sum of squared deviations of samples that come in parts (Chan, Golub and LeVeque 1979, eq. 2.1)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.squares: Tensor = torch.zeros(())

    def add(self, part: Float[Tensor, "k s b ..."]) -> None:
        """Take in ``s`` samples more."""
        new, mean = part.shape[1], part.mean(dim=1)
        squares = (part - mean.unsqueeze(1)).square_().sum(dim=1)
        if not self.count:
            self.count, self.mean, self.squares = new, mean, squares
            return
        total = self.count + new
        step = mean - self.mean
        self.mean = self.mean + step * (new / total)
        self.squares = self.squares + squares + step.square() * (self.count * new / total)
        self.count = total

    @property
    def variance(self) -> Float[Tensor, "k b ..."]:
        """The unbiased variance; never negative."""
        return self.squares / (self.count - 1)


Key = tuple[str, str]
"""What a tensor of an explanation is (``maps``, ``per_channel``, ``measured``) and its name."""


def _smoothed(
    explain: Explain,
    probe: Probe,
    inputs: Inputs,
    *,
    noise: Noise,
    samples: int,
    chunk_size: int,
    give: Callable[[dict[Key, Moments]], dict[Key, Maps]],
) -> Explanation:
    settled, scores = probe.settled(inputs)
    parts: list[dict[Key, Maps]] = []
    for group in grouped(range(scores.shape[1]), samples, chunk_size):
        found: dict[Key, Moments] = {}
        for one in group:
            told = explain(one.asked(settled), one.inputs(inputs, _noisy(settled, inputs, one, noise)))
            for key, answers in _tensors(told).items():
                found.setdefault(key, Moments()).add(one.unfold(answers))
        parts.append(give(found))
    joined = {key: torch.cat([part[key] for part in parts], dim=1) for key in parts[0]}
    maps, per_channel, measured = ({name: joined[key, name] for key, name in joined if key == kind} for kind in KINDS)
    facts: dict[str, Json] = {"of": dict(told.facts)}
    return Explanation(maps, scores, told.signed, per_channel, measured, facts)


KINDS = ("maps", "per_channel", "measured")


def _noisy(probe: Probe, inputs: Inputs, one: Pass, noise: Noise) -> Inputs:
    records = list(one.records)
    names = floating_spatial_inputs(probe, inputs)
    return {name: noise.added(name, inputs[name][records], one.samples) for name in names}


def _tensors(explanation: Explanation) -> dict[Key, Maps]:
    return {(kind, name): values for kind in KINDS for name, values in getattr(explanation, kind).items()}


def _mean(found: Mapping[Key, Moments]) -> dict[Key, Maps]:
    given = {key: moments.mean for key, moments in found.items()}
    errors = [_standard_error(moments) for (kind, _), moments in found.items() if kind == "maps"]
    if next(iter(found.values())).count > 1:
        given["measured", "standard_error"] = torch.stack(errors).mean(dim=0)
    return given


def _variance(found: Mapping[Key, Moments]) -> dict[Key, Maps]:
    given = {key: moments.variance for key, moments in found.items() if key[0] != "measured"}
    for kind, name in list(given):
        if kind == "per_channel":
            given["maps", name] = given[kind, name].sum(dim=2)
    return given


def _standard_error(moments: Moments) -> Float[Tensor, "k b"]:
    """Of the mean map: the root of its mean variance over the map, divided by the number of samples."""
    return (moments.squares / max(moments.count - 1, 1) / moments.count).flatten(2).mean(dim=2).sqrt()
