"""Integrated Gradients and SmoothGrad as objects: completeness, both sides of the map, averages over other objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from friendly_models import PLAIN, Brightness, noise

from seewhy import GradCAM, InputXGradient, IntegratedGradients, Saliency, SmoothGrad, VarGrad
from seewhy.explain.explained import scale_of
from seewhy.methods.ask import Asked
from seewhy.registry import METHODS


def test_on_a_linear_model_the_attributions_are_the_score_s_change_from_black() -> None:
    picture = noise(64, 64)
    explainer = IntegratedGradients(Brightness(), preprocessing=PLAIN)
    checked = explainer.check_completeness(picture, 0)
    brighter_than_black = float((picture / 127.5).mean())
    assert checked["score_difference"] == pytest.approx(brighter_than_black, abs=1e-4)
    assert checked["attribution_sum"] == pytest.approx(brighter_than_black, abs=1e-4)
    assert checked["completeness_score"] == pytest.approx(0, abs=1e-4)
    assert checked["is_satisfied"] is True
    given = explainer.attribute([picture], 0)
    assert explainer.get_completeness_score(picture, given) == pytest.approx(
        explainer.get_completeness_score(picture, target_class=0), abs=1e-6
    )


def test_too_few_steps_on_a_curved_model_are_told() -> None:
    class Curved(Brightness):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) ** 5 * 50

    explainer = IntegratedGradients(Curved(), baseline="white", preprocessing=PLAIN, quadrature="riemann_left", steps=2)
    picture = np.full((64, 64, 3), 200, np.uint8)
    coarse = explainer.check_completeness(picture, 0)
    fine = explainer.check_completeness(picture, 0, n_steps=400)
    assert not coarse["is_satisfied"]
    assert fine["is_satisfied"]
    level = 200 / 127.5 - 1
    assert fine["score_difference"] == pytest.approx(50 * (level**5 - 1), rel=1e-3)


def test_both_forms_of_the_polarity_picture_show_the_same() -> None:
    picture = noise(64, 96)
    explainer = IntegratedGradients(Brightness(), preprocessing=PLAIN)
    of_image = explainer.visualize_polarity(picture, 0)
    of_attribution = explainer.visualize_polarity(explainer.attribute([picture], 0), picture)
    titles = ["Original", "Positive", "Negative", "Combined"]
    for figure in (of_image, of_attribution):
        assert [axes.get_title() for axes in figure.axes] == titles
    for one, other in zip(of_image.axes, of_attribution.axes, strict=True):
        assert np.array_equal(one.images[0].get_array(), other.images[0].get_array())


def test_without_noise_smoothing_an_object_is_that_object() -> None:
    picture = noise(64, 64)
    base = GradCAM(Brightness(), preprocessing=PLAIN)
    smooth = SmoothGrad(base, noise_level=0.0, num_samples=3)
    assert smooth.model is base.model
    assert smooth.recipe is base.recipe
    assert np.allclose(smooth.explain(picture, 0), base.explain(picture, 0), atol=1e-6)
    assert np.allclose(
        SmoothGrad(InputXGradient(Brightness(), preprocessing=PLAIN), noise_level=0.0, num_samples=2).explain(
            picture, 0
        ),
        InputXGradient(Brightness(), preprocessing=PLAIN).explain(picture, 0),
        atol=1e-6,
    )


def test_the_gradient_of_a_linear_model_is_the_same_under_any_noise() -> None:
    model, picture = Brightness(), noise(64, 64)
    smooth = SmoothGrad(model, preprocessing=PLAIN).explain(picture, n_samples=4, noise_level=0.3)
    assert np.allclose(smooth, Saliency(model, preprocessing=PLAIN).explain(picture), atol=1e-5)
    variance = VarGrad(model, num_samples=4, preprocessing=PLAIN).attribute([picture])
    assert float(variance.map.abs().max()) == pytest.approx(0, abs=1e-12)


def test_a_method_over_another_is_drawn_as_that_one() -> None:
    assert scale_of(METHODS["smoothgrad"]) == "magnitude"
    assert scale_of(METHODS["smoothgrad"], {"of": Asked("gradcam")}) == "positive"
    assert scale_of(METHODS["tta"]) == "positive"
    assert scale_of(METHODS["mean_of_methods"], {"of": ["gradcam", "gradient"]}) == "magnitude"
