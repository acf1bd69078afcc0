"""Law 4: the gradient family against closed forms."""

from __future__ import annotations

import pytest
import torch
from gradient_oracles import (
    INTEGRATED,
    LEVEL,
    PIXELS,
    SAMPLES,
    SIZE,
    Cosines,
    Explain,
    Polynomial,
    asked,
    distance,
    expected_linear,
    random,
    rows,
    smooth_quadratic,
    stacked,
    variance_quadratic,
)

from seewhy.methods.ask import Asked

EXACT = ("gauss_legendre", "trapezoid", "riemann_middle")


@pytest.mark.parametrize("oracle", INTEGRATED)
def test_integrated_gradients_has_its_closed_forms(oracle: object) -> None:
    assert oracle(Asked("integrated_gradients")) < 1e-10  # type: ignore[operator]


@pytest.mark.parametrize("oracle", INTEGRATED)
def test_automatic_steps_have_the_closed_forms(oracle: object) -> None:
    assert oracle(Asked("ig", settings={"steps": "auto", "tolerance": 1e-12})) < 1e-10  # type: ignore[operator]


@pytest.mark.parametrize("quadrature", [*EXACT, "riemann_left", "riemann_right"])
def test_every_rule_is_exact_on_a_linear_model(quadrature: str) -> None:
    assert INTEGRATED[0](Asked("ig", settings={"quadrature": quadrature, "steps": 7})) < 1e-10


@pytest.mark.parametrize("quadrature", EXACT)
def test_symmetric_rules_are_exact_on_a_quadratic(quadrature: str) -> None:
    """The gradient of a quadratic is linear along the path."""
    assert INTEGRATED[1](Asked("ig", settings={"quadrature": quadrature, "steps": 7})) < 1e-10


@pytest.mark.parametrize(("quadrature", "sign"), [("riemann_left", -1.0), ("riemann_right", 1.0)])
def test_one_sided_sums_are_off_by_half_a_panel(quadrature: str, sign: float) -> None:
    """On ``w x²`` from 0 the left sum is ``w x² (1 - 1/n)``, the right one ``w x² (1 + 1/n)``."""
    model, x = Polynomial(2), random(2, *SIZE)
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    explain = Asked("ig", settings={"quadrature": quadrature, "steps": 10, "baseline": zero})
    true = stacked(model, lambda w: w * x.square() * (1 + sign / 10))
    assert distance(asked(explain, model, x).per_channel["image"], true) < 1e-10


def test_the_residual_is_the_sum_minus_the_difference_of_scores() -> None:
    """On ``w x²`` from 0 with the left sum it is ``-F(x)/n``, one n-th of the difference."""
    model, x = Polynomial(2), random(2, *SIZE)
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    found = asked(Asked("ig", settings={"quadrature": "riemann_left", "steps": 10, "baseline": zero}), model, x)
    assert distance(found.measured["completeness_residual"], -found.scores / 10) < 1e-10
    assert distance(found.measured["relative_residual"], torch.full((3, 2), 0.1)) < 1e-6
    assert not found.measured["converged"].any()


def test_automatic_steps_stop_for_each_record_alone() -> None:
    """The second record's path is so short that seven nodes do; the first one's score swings along it many times."""
    model = Cosines(frequency=40.0)
    x = random(2, *SIZE)
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    x[1] *= 0.005
    settings = {"steps": "auto", "baseline": zero, "tolerance": 1e-6}
    found = asked(Asked("ig", settings=settings), model, x, targets=1)
    most, least = found.measured["steps"][0].tolist()
    assert (most > 15, least) == (True, 7.0)
    assert found.measured["converged"].all()
    with_fewer = asked(Asked("ig", settings={**settings, "max_steps": int(most) // 2}), model, x, targets=1)
    assert with_fewer.measured["converged"].tolist() == [[0.0, 1.0]]
    alone = asked(Asked("ig", settings=settings), Cosines(frequency=40.0), x[1:], targets=1)
    assert distance(found.maps["image"][:, 1:], alone.maps["image"]) < 1e-12


def test_automatic_steps_say_when_they_did_not_converge() -> None:
    settings = {"steps": "auto", "tolerance": 1e-9, "max_steps": 20}
    found = asked(Asked("ig", settings=settings), Cosines(frequency=40.0), random(2, *SIZE), targets=1)
    assert found.measured["steps"].tolist() == [[15.0, 15.0]]
    assert not found.measured["converged"].any()
    assert (found.measured["relative_residual"] > 1e-9).all()


def test_smoothgrad_of_a_quadratic_is_its_gradient() -> None:
    assert (
        smooth_quadratic(
            Asked("smoothgrad", settings={"noise_level": LEVEL, "num_samples": SAMPLES, "chunk_size": 500})
        )
        < 1
    )


def test_vargrad_of_a_quadratic_is_the_noise_through_its_gradient() -> None:
    assert (
        variance_quadratic(Asked("vargrad", settings={"noise_level": LEVEL, "num_samples": SAMPLES, "chunk_size": 500}))
        < 1
    )


@pytest.mark.parametrize("of", ["gradient", "input_x_gradient", "saliency"])
def test_smoothgrad_without_noise_is_the_method_itself(of: str) -> None:
    x = random(2, *SIZE)
    smoothed = asked(Asked("smoothgrad", settings={"of": of, "sigma": 0.0, "num_samples": 3}), Cosines(), x)
    plain = asked(Asked(of), Cosines(), x)
    assert distance(smoothed.maps["image"], plain.maps["image"]) < 1e-12
    assert distance(smoothed.per_channel["image"], plain.per_channel["image"]) < 1e-12


def expected(**settings: object) -> Explain:
    return Asked("gradient_shap", settings=settings)


def test_expected_gradients_of_a_linear_model_are_exact() -> None:
    assert expected_linear(expected(baseline=rows()[:1], num_samples=4)) < 1e-10


def test_expected_gradients_add_up_within_four_standard_errors() -> None:
    x = random(2, *SIZE)
    found = asked(expected(baseline=rows(), num_samples=400, chunk_size=200), Cosines(), x)
    error = found.measured["standard_error"]
    assert (found.measured["completeness_residual"].abs() < 4 * error).all()
    assert (error > 0).all()
    assert (error < 0.1 * found.maps["image"].flatten(2).abs().sum(dim=2)).all()


def test_expected_gradients_are_integrated_gradients_averaged_over_the_rows() -> None:
    """Within five standard errors of each value: the spread of one sample is at most that of its extreme values."""
    x, model = random(1, *SIZE), Polynomial(2)
    found = asked(expected(baseline=rows(), num_samples=4000, chunk_size=1000), model, x).per_channel["image"]
    true = stacked(model, lambda w: (w * (x - rows()) * (x + rows())).mean(dim=0, keepdim=True))
    # A sample is 2 w (x - r) (r + α (x - r)): for each value no further than this from its mean.
    ends = [2 * (x - rows()) * values for values in (rows(), x.expand(3, *SIZE))]
    spread = torch.cat(ends).amax(dim=0) - torch.cat(ends).amin(dim=0)
    bound = stacked(model, lambda w: w.abs() * spread / 2)[:, None]
    assert ((found - true).abs() < 5 * bound / 4000**0.5).all()


def test_pixels_of_the_oracles_are_those_of_the_normalisation() -> None:
    assert distance(PIXELS.apply(torch.zeros(2, 1, 1, dtype=torch.float64)).flatten(), [-2.0, -5 / 3]) < 1e-12
