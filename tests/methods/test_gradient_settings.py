"""Settings of the gradient family: baselines in pixel space, chunk sizes, draws, and refusals before the model runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from seewhy.baselines import blurred
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.baselines import baselines
from seewhy.methods.passes import grouped
from seewhy.methods.quadrature import RULES, fejer, nested_levels
from seewhy.methods.smooth import Moments, smooth
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit
from seewhy.values import ConfigError
from toys import ConvNet

PIXELS = Normalisation((0.4, 0.5), (0.2, 0.3))


def probe_of(x: Tensor, normalisation: Normalisation | None = PIXELS) -> Probe:
    return Probe(Adapter(ConvNet(x.ndim - 2), {"image": x}, normalisation=normalisation), [Logit(), Logit(1)])


def explained(name: str, x: Tensor, normalisation: Normalisation | None = PIXELS, **settings: Any) -> Explanation:
    torch.manual_seed(0)
    return Asked(name, settings=settings)(probe_of(x, normalisation), {"image": x})


def pixels(values: Tensor) -> Tensor:
    mean, std = (torch.tensor(numbers).reshape(2, 1, 1) for numbers in (PIXELS.mean, PIXELS.std))
    return values * std + mean


# Baselines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "level"), [("black", 0.0), ("white", 1.0)])
def test_colours_are_those_of_pixels(name: Any, level: float) -> None:
    x = torch.randn(3, 2, 6, 5)
    found = baselines(probe_of(x), {"image": x}, name)["image"]
    torch.testing.assert_close(pixels(found), torch.full_like(x, level), rtol=0, atol=1e-6)


def test_the_mean_is_each_pictures_mean_colour() -> None:
    x = torch.randn(3, 2, 6, 5)
    found = pixels(baselines(probe_of(x), {"image": x}, "mean")["image"])
    true = pixels(x).mean(dim=(2, 3), keepdim=True).expand_as(x)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-6)


def test_random_pixels_are_uniform_and_the_same_for_all_records() -> None:
    x = torch.randn(2, 2, 60, 50)
    found = pixels(baselines(probe_of(x), {"image": x}, "random", seed=3)["image"])
    assert torch.equal(found[0], found[1])
    quantiles = torch.quantile(found[0].flatten(), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(quantiles, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]), rtol=0, atol=0.03)
    other = pixels(baselines(probe_of(x), {"image": x}, "random", seed=4)["image"])
    assert not torch.equal(found, other)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_blur_of_a_constant_picture_is_the_picture(rank: int) -> None:
    x = torch.full((2, 2, *(9, 7, 5)[:rank]), 0.7, dtype=torch.float64)
    torch.testing.assert_close(blurred(x, 2.5), x, rtol=0, atol=1e-12)


def test_the_blur_is_a_gaussian() -> None:
    """A point becomes ``exp(-d²/2σ²)`` over the sum, along both axes."""
    x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    x[0, 0, 20, 20] = 1.0
    offsets = np.arange(-20, 21)
    line = np.exp(-0.5 * (offsets / 2.0) ** 2) * (np.abs(offsets) <= 8)
    true = np.outer(line, line) / line.sum() ** 2
    assert np.abs(blurred(x, 2.0)[0, 0].numpy() - true).max() < 1e-12


def test_averages_of_pixels_need_no_normalisation_and_colours_say_that_they_do() -> None:
    x = torch.randn(2, 2, 16, 16)
    known, unknown = (explained("ig", x, pixels, baseline="blur", steps=4) for pixels in (PIXELS, None))
    torch.testing.assert_close(known.maps["image"], unknown.maps["image"], rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"SW-F40(.|\n)*normalisation=Normalisation") as raised:
        explained("ig", x, None)
    assert raised.value.code == "SW-F40"


def test_a_baseline_for_each_record_equals_each_alone() -> None:
    x, start = torch.randn(2, 2, 16, 16), torch.randn(2, 2, 16, 16)
    both = explained("ig", x, baseline=start, steps=5).maps["image"]
    alone = [explained("ig", x[i : i + 1], baseline={"image": start[i]}, steps=5).maps["image"] for i in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-6)


# Rules ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 7, 50])
def test_the_weights_of_every_rule_add_up_to_one(steps: int) -> None:
    assert max(abs(make(steps).weights.sum() - 1) for make in RULES.values()) < 1e-12


@pytest.mark.parametrize("steps", [7, 15, 31])
def test_fejers_rule_is_exact_for_polynomials(steps: int) -> None:
    rule = fejer(steps)
    assert max(abs(rule.weights @ rule.nodes**degree - 1 / (degree + 1)) for degree in range(steps)) < 1e-13


def test_nested_levels_are_the_rules_they_nest() -> None:
    """Summed over levels with each later rule's weights, every level integrates as its own rule does."""
    levels = nested_levels(40)
    assert [level.total for level in levels] == [7, 15, 31]
    assert sum(len(level.nodes) for level in levels) == 31
    for index, level in enumerate(levels):
        nested = sum(
            earlier.weights[index - back] @ np.exp(3 * earlier.nodes)
            for back, earlier in enumerate(levels[: index + 1])
        )
        own = fejer(level.total)
        assert abs(nested - own.weights @ np.exp(3 * own.nodes)) < 1e-13


# Passes and draws ----------------------------------------------------------------------------------------------------

SAMPLED = [
    ("ig", {"steps": 6}),
    ("ig", {"steps": "auto", "max_steps": 15, "tolerance": 1e-9}),
    ("smoothgrad", {"num_samples": 6}),
    ("smoothgrad", {"num_samples": 4, "of": "gradcam"}),
    ("vargrad", {"num_samples": 6}),
    ("gradient_shap", {"num_samples": 6}),
]


@pytest.mark.parametrize(("name", "settings"), SAMPLED)
@pytest.mark.parametrize("chunk_size", [1, 4, 1000])
def test_the_chunk_size_changes_nothing(name: str, settings: dict[str, Any], chunk_size: int) -> None:
    x = torch.randn(3, 2, 16, 16)
    plain, chunked = (explained(name, x, **settings, **size) for size in ({}, {"chunk_size": chunk_size}))
    scale = plain.maps["image"].abs().max().item()
    torch.testing.assert_close(chunked.maps["image"], plain.maps["image"], rtol=0, atol=1e-5 * scale)
    for number in plain.measured:
        torch.testing.assert_close(chunked.measured[number], plain.measured[number], rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("name", ["smoothgrad", "vargrad", "gradient_shap"])
def test_the_seed_decides_the_draws(name: str) -> None:
    x = torch.randn(1, 2, 16, 16)
    first, again, other = (
        explained(name, x, num_samples=3, sigma=0.2, seed=seed).maps["image"]
        if name != "gradient_shap"
        else explained(name, x, num_samples=3, seed=seed).maps["image"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-3 * first.abs().max()


@given(records=st.integers(1, 7), samples=st.integers(1, 9), chunk_size=st.integers(1, 12))
def test_passes_hold_every_sample_of_every_record_once(records: int, samples: int, chunk_size: int) -> None:
    every = [one for group in grouped(range(records), samples, chunk_size) for one in group]
    seen = [(record, sample) for one in every for sample in one.samples for record in one.records]
    assert sorted(seen) == [(record, sample) for record in range(records) for sample in range(samples)]
    assert all(len(one.rows) <= chunk_size for one in every)


def test_streamed_moments_are_those_of_all_samples() -> None:
    samples = torch.randn(2, 11, 3, 5, dtype=torch.float64) + 1e4
    moments = Moments()
    for part in samples.split([4, 1, 6], dim=1):
        moments.add(part)
    torch.testing.assert_close(moments.mean, samples.mean(dim=1), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.variance, samples.var(dim=1), rtol=1e-9, atol=0)


def test_a_smoothed_question_stays_that_of_the_clean_input() -> None:
    """The noise is so strong that predictions change; a map of each copy's own prediction would not be this one."""
    x = torch.randn(2, 2, 16, 16)
    predicted = explained("smoothgrad", x, num_samples=4, sigma=30.0)
    torch.manual_seed(0)
    probe = probe_of(x)
    asked = probe.asking(probe.settled({"image": x})[0].targets)
    named = Asked("smoothgrad", settings={"num_samples": 4, "sigma": 30.0})(asked, {"image": x})
    assert torch.equal(predicted.maps["image"], named.maps["image"])


def test_the_combinator_smooths_what_is_already_smoothed() -> None:
    x = torch.randn(1, 2, 16, 16)
    twice = smooth(smooth(Asked("gradient"), sigma=0.0, num_samples=2), sigma=0.0, num_samples=2)
    found = twice(probe_of(x), {"image": x})
    assert found.facts["of"]["of"]["method"] == "gradient"
    torch.testing.assert_close(found.measured["standard_error"], torch.zeros(2, 1))


def test_a_layer_of_the_smoothed_method_is_one_of_its_settings() -> None:
    x = torch.randn(2, 2, 16, 16)
    smoothed = explained("smoothgrad", x, of="gradcam", of_settings={"layer": "stem"}, sigma=0.0, num_samples=2)
    torch.manual_seed(0)
    plain = Asked("gradcam", "stem")(probe_of(x), {"image": x})
    torch.testing.assert_close(smoothed.maps["image"], plain.maps["image"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "numpys", "plain"),
    [
        ("ig", {"steps": np.int64(3), "chunk_size": np.int32(2)}, {"steps": 3, "chunk_size": 2}),
        ("ig", {"tolerance": np.float32(0.5), "steps": 3}, {"tolerance": 0.5, "steps": 3}),
        ("smoothgrad", {"num_samples": np.int64(2), "sigma": np.float32(0.5)}, {"num_samples": 2, "sigma": 0.5}),
        ("vargrad", {"num_samples": np.uint8(2), "sigma": np.int64(1)}, {"num_samples": 2, "sigma": 1}),
    ],
)
def test_numbers_of_numpy_are_numbers(name: str, numpys: dict[str, Any], plain: dict[str, Any]) -> None:
    x = torch.randn(2, 2, 16, 16)
    found, expected = explained(name, x, **numpys), explained(name, x, **plain)
    assert torch.equal(found.maps["image"], expected.maps["image"])


# Refusals ------------------------------------------------------------------------------------------------------------

WRONG = [
    ("ig", {"baseline": "blakc"}, "SW-F41", "nearest: black"),
    ("ig", {"quadrature": "trapezoidal"}, "SW-F41", "nearest: trapezoid"),
    ("ig", {"steps": 0}, "SW-F43", "steps"),
    ("ig", {"steps": 2.5}, "SW-F43", "steps"),
    ("ig", {"steps": np.float64(3.0)}, "SW-F43", "steps"),
    ("ig", {"steps": True}, "SW-F43", "steps"),
    ("ig", {"tolerance": np.float32("nan")}, "SW-F43", "tolerance"),
    ("ig", {"steps": 1, "quadrature": "trapezoid"}, "SW-F43", "both ends"),
    ("ig", {"steps": "auto", "max_steps": 5}, "SW-F43", "max_steps"),
    ("ig", {"steps": "auto", "quadrature": "trapezoid"}, "SW-F45", "nested"),
    ("ig", {"tolerance": 0.0}, "SW-F43", "tolerance"),
    ("ig", {"chunk_size": 0}, "SW-F43", "chunk_size"),
    ("ig", {"blur_sigma": float("nan")}, "SW-F43", "blur_sigma"),
    ("ig", {"baseline": torch.zeros(3, 4)}, "SW-F42", "does not fit"),
    ("ig", {"baseline": {"imge": torch.zeros(1)}}, "SW-F42", "nearest: image"),
    ("ig", {"baseline": 0}, "SW-F42", "got int"),
    ("smoothgrad", {"num_samples": 0}, "SW-F43", "num_samples"),
    ("smoothgrad", {"noise_level": -0.1}, "SW-F43", "noise_level"),
    ("smoothgrad", {"sigma": float("inf")}, "SW-F43", "sigma"),
    ("smoothgrad", {"of": "gradcm"}, "SW-F10", "gradcam"),
    ("smoothgrad", {"of": Asked("gradcam"), "of_settings": {"layer": "stem"}}, "SW-F46", "by name"),
    ("vargrad", {"num_samples": 1}, "SW-F43", "num_samples"),
    ("gradient_shap", {"baseline": torch.zeros(3, 2, 5, 5)}, "SW-F42", "rows"),
    ("gradient_shap", {"baseline": {"imge": torch.zeros(3, 2, 16, 16)}}, "SW-F42", "no input 'imge'"),
    ("gradient_shap", {"num_samples": 1}, "SW-F43", "num_samples"),
]


@pytest.mark.parametrize(("name", "settings", "code", "says"), WRONG)
def test_a_wrong_setting_is_refused_before_the_model_runs(
    name: str, settings: dict[str, Any], code: str, says: str
) -> None:
    x = torch.randn(2, 2, 16, 16)
    probe = probe_of(x)
    calls: list[nn.Module] = []
    handle = probe.adapter.model.register_forward_hook(lambda module, *_: calls.append(module))
    with pytest.raises(ConfigError) as raised:
        Asked(name, settings=settings)(probe, {"image": x})
    handle.remove()
    assert raised.value.code == code
    assert says in str(raised.value)
    assert calls == []
