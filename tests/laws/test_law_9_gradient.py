"""Law 9: a deliberately broken variant of each formula of the gradient family is noticed by an oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from gradient_oracles import (
    INTEGRATED,
    LEVEL,
    SAMPLES,
    Explain,
    expected_linear,
    rows,
    smooth_quadratic,
    variance_quadratic,
)
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked

NOTICED = 1e-3


def changed(explain: Explain, change: Callable[[Tensor, Tensor], Tensor]) -> Explain:
    """The explanation with each answer per channel changed, knowing the input; maps are made of it again."""

    def broken(probe: Probe, inputs: dict[str, Tensor]) -> Explanation:
        found = explain(probe, inputs)
        per_channel = {name: change(answer, inputs[name]) for name, answer in found.per_channel.items()}
        return replace(found, per_channel=per_channel, maps={n: a.sum(dim=2) for n, a in per_channel.items()})

    return broken


def integrated(**settings: object) -> Explain:
    return Asked("integrated_gradients", settings=settings)


def without_the_difference(answer: Tensor, x: Tensor) -> Tensor:
    black = torch.tensor([-2.0, -5 / 3], dtype=x.dtype).reshape(2, 1, 1)
    return answer / (x - black)


BROKEN_INTEGRATED: dict[str, Explain] = {
    "baseline of zeros in model space": integrated(baseline=torch.zeros(1, 1, 1, dtype=torch.float64)),
    "white for black": integrated(baseline="white"),
    "gradient not multiplied by the way": changed(integrated(), without_the_difference),
    "gradient multiplied by the input": changed(integrated(), lambda a, x: without_the_difference(a, x) * x),
    "sign swapped": changed(integrated(), lambda a, _: -a),
    "magnitudes": changed(integrated(), lambda a, _: a.abs()),
    "weights that add up to (n-1)/n": changed(integrated(), lambda a, _: a * 49 / 50),
    "the gradient at the end only": integrated(quadrature="riemann_right", steps=1),
    "the gradient at the baseline only": integrated(quadrature="riemann_left", steps=1),
    "records mixed": changed(integrated(), lambda a, _: a.mean(dim=1, keepdim=True).expand_as(a)),
    "targets mixed": changed(integrated(), lambda a, _: a.flip(0)),
}


@pytest.mark.parametrize("broken", BROKEN_INTEGRATED.values(), ids=BROKEN_INTEGRATED)
def test_broken_integrated_gradients_are_noticed(broken: Explain) -> None:
    assert max(oracle(broken) for oracle in INTEGRATED) > NOTICED


def sampled(name: str, **settings: object) -> Explain:
    return Asked(name, settings={"noise_level": LEVEL, "num_samples": SAMPLES, "chunk_size": 500, **settings})


BROKEN_SMOOTH: dict[str, Explain] = {
    "of magnitudes": changed(sampled("smoothgrad"), lambda a, _: a.abs()),
    "of gradient times input": sampled("smoothgrad", of="input_x_gradient"),
    "a sum": changed(sampled("smoothgrad"), lambda a, _: a * SAMPLES),
    "one sample": sampled("smoothgrad", num_samples=1),
    "clamped": changed(sampled("smoothgrad"), lambda a, x: a * ((x > 0) & (x < 1))),
}


@pytest.mark.parametrize("broken", BROKEN_SMOOTH.values(), ids=BROKEN_SMOOTH)
def test_a_broken_smoothgrad_is_noticed(broken: Explain) -> None:
    assert smooth_quadratic(broken) > 1


BROKEN_VARIANCE: dict[str, Explain] = {
    "the deviation": changed(sampled("vargrad"), lambda a, _: a.sqrt()),
    "an absolute sigma": sampled("vargrad", sigma=LEVEL),
    "the second moment": changed(sampled("vargrad"), lambda a, x: a + sampled_mean_square(x)),
    "of one noise for all samples": changed(sampled("vargrad"), lambda a, _: a * 0),
    "divided by the number of samples once more": changed(sampled("vargrad"), lambda a, _: a / SAMPLES),
}


def sampled_mean_square(x: Tensor) -> Tensor:
    return (2 * x).square()


@pytest.mark.parametrize("broken", BROKEN_VARIANCE.values(), ids=BROKEN_VARIANCE)
def test_a_broken_vargrad_is_noticed(broken: Explain) -> None:
    assert variance_quadratic(broken) > 1


BROKEN_EXPECTED: dict[str, Explain] = {
    "another row": Asked("gradient_shap", settings={"baseline": rows()[1:2], "num_samples": 4}),
    "black": Asked("gradient_shap", settings={"baseline": "black", "num_samples": 4}),
    "a sum": changed(Asked("gradient_shap", settings={"baseline": rows()[:1], "num_samples": 4}), lambda a, _: 4 * a),
}


@pytest.mark.parametrize("broken", BROKEN_EXPECTED.values(), ids=BROKEN_EXPECTED)
def test_broken_expected_gradients_are_noticed(broken: Explain) -> None:
    assert expected_linear(broken) > NOTICED
