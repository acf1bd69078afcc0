"""LIME and KernelSHAP: what each superpixel of a picture adds to the score."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.capture.tail import record_of
from seewhy.core import Explanation, Inputs
from seewhy.methods.surrogate import Surrogate
from seewhy.methods.variants import Value, check_between, check_counts, fillings
from seewhy.registry import method
from seewhy.superpixels import superpixels
from seewhy.values import ConfigError

INFINITE = 1e6
"""The weight of the empty and the full coalition, whose Shapley kernel is infinite."""


@method(
    "lime",
    asks=True,
    signed=True,
    share_by="mean",
    cite="Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3.4; settings of the authors' image explainer",
)
def lime(
    probe: Probe,
    inputs: Inputs,
    *,
    num_samples: int = 1000,
    segments: int = 50,
    compactness: float = 10.0,
    kernel_width: float = 0.25,
    ridge: float = 1.0,
    value: Value = 0.0,
    seed: int = 0,
    chunk_size: int = 64,
) -> Explanation:
    """Coefficients of a regression of the score on which superpixels are shown, samples near the picture counting more.

    Half of the superpixels are shown on average, the rest becomes ``value``: a number in the model's own values or
    a baseline, "black", "white", "blur", "mean", "random" or a tensor. A sample weighs
    ``sqrt(exp(-d² / kernel_width²))`` with ``d`` the cosine distance to the whole picture. ``ridge`` pulls the
    coefficients to zero, the same share whatever the size of the score; 0 is plain least squares.
    ``measured["r2"]`` is the share of the weighted variance that the surrogate explains. Pictures only.

    Raises ``ConfigError`` as :func:`kernel_shap` does; ``MissingExtraError`` without
    captum or scikit-image.
    """
    check_between(0, torch.inf, kernel_width=kernel_width)
    if ridge != 0:
        check_between(0, torch.inf, ridge=ridge)

    def coalitions(count: int) -> Iterator[Tensor]:
        generator = ops.generator(seed, "lime", count)
        while True:
            yield torch.randint(2, (1, count), generator=generator)

    def weight(shown: Tensor) -> float:
        distance = 1 - shown.double().mean().sqrt()
        return float((-((distance / kernel_width) ** 2)).exp().sqrt())

    surrogate = Surrogate(coalitions, weight, num_samples, ridge, chunk_size)
    return _explained(probe, inputs, surrogate, value, segments, compactness)


@method(
    "kernel_shap",
    asks=True,
    signed=True,
    share_by="mean",
    cite="Lundberg and Lee 2017, arXiv:1705.07874, theorem 2",
    also=("kernelshap", "kernel-shap"),
)
def kernel_shap(
    probe: Probe,
    inputs: Inputs,
    *,
    num_samples: int = 1000,
    segments: int = 50,
    compactness: float = 10.0,
    value: Value = 0.0,
    seed: int = 0,
    chunk_size: int = 64,
) -> Explanation:
    """Shapley values of superpixels, estimated by the weighted regression whose solution they are.

    Coalitions are drawn in pairs with the probability of the Shapley kernel, after the full and the empty one, which
    are weighted a million times; so the values add up to the score less that of the picture with everything at
    ``value`` (a number in the model's own values or a baseline, "black", "white", "blur", "mean", "random" or a
    tensor). They are exact on a score in which no more than two superpixels act together. ``segments`` is how many
    superpixels SLIC is asked for. ``measured["r2"]`` is the share of the variance that the surrogate explains. Pictures
    only.

    Raises ``ConfigError`` SW-F50 for a count below one, SW-F51 for a number out of range, SW-F40 to SW-F42 and
    SW-F55 for a ``value`` that cannot be, SW-F56 for an input that is no picture, SW-F57 for fewer
    samples than unknowns; ``MissingExtraError`` without captum or scikit-image.
    """

    def coalitions(count: int) -> Iterator[Tensor]:
        return shapley_coalitions(count, ops.generator(seed, "kernel_shap", count))

    def weight(shown: Tensor) -> float:
        return INFINITE if bool((shown == shown[0, 0]).all()) else 1.0

    surrogate = Surrogate(coalitions, weight, num_samples, 0.0, chunk_size)
    return _explained(probe, inputs, surrogate, value, segments, compactness)


def shapley_coalitions(count: int, generator: torch.Generator) -> Iterator[Int[Tensor, "1 d"]]:
    """All, none, then coalitions of ``s`` of ``d`` with probability proportional to ``(d - 1) / (s (d - s))``.

    Each is followed by its complement, which the kernel makes as likely: what two superpixels do together is then
    shared exactly, and only what three do is left to chance (paired sampling, Covert and Lee 2021, arXiv:2012.01536).
    """
    yield torch.ones(1, count, dtype=torch.long)
    yield torch.zeros(1, count, dtype=torch.long)
    sizes = torch.arange(1, count, dtype=torch.float64)
    by_size = (count - 1) / (sizes * (count - sizes))
    while True:
        size = 1 + int(torch.multinomial(by_size, 1, generator=generator)) if count > 1 else 1
        shown = torch.zeros(1, count, dtype=torch.long)
        shown[0, torch.randperm(count, generator=generator)[:size]] = 1
        yield shown
        yield 1 - shown


def _explained(
    probe: Probe, inputs: Inputs, surrogate: Surrogate, value: Value, segments: int, compactness: float
) -> Explanation:
    """One surrogate per record and input; of several inputs each is explained alone."""
    check_counts(num_samples=surrogate.num_samples, segments=segments, chunk_size=surrogate.chunk_size)
    check_between(0, torch.inf, compactness=compactness)
    hidden = fillings(probe, inputs, value)
    found = {
        name: [_segmented(probe, name, picture, segments, compactness) for picture in inputs[name]] for name in hidden
    }
    for each in found.values():
        _check_samples(surrogate.num_samples, max(int(segmented.max()) + 1 for segmented in each))
    settled, clean = probe.settled(inputs)
    maps, explained = {}, []
    for name, each in found.items():
        fits = [
            surrogate.fit(
                settled.take([record]), record_of(inputs, record), name, hidden[name][record : record + 1], segmented
            )
            for record, segmented in enumerate(each)
        ]
        maps[name] = torch.stack([values for values, _ in fits], dim=1)
        explained.append(torch.stack([share for _, share in fits], dim=1))
    return Explanation(maps, clean, measured={"r2": torch.stack(explained).amin(dim=0)})


def _segmented(
    probe: Probe, name: str, picture: Float[Tensor, "c h w"], segments: int, compactness: float
) -> Int[Tensor, "h w"]:
    if picture.ndim != 3:
        raise ConfigError(
            "SW-F56",
            f"superpixels need (batch, channels, height, width), but the input {name!r} has {picture.ndim + 1} axes",
            fix="use occlusion or rise, which know signals and volumes",
        )
    known = probe.adapter.normalisation_of(name)
    return superpixels(picture, segments=segments, compactness=compactness, normalisation=known)


def _check_samples(samples: int, superpixels: int) -> None:
    if samples < superpixels + 1:
        raise ConfigError(
            "SW-F57",
            f"{superpixels} superpixels and an intercept cannot be fitted to {samples} samples",
            fix=f"set num_samples to several times {superpixels + 1}, or ask for fewer segments",
        )
