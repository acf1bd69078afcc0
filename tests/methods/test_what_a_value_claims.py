"""What the registry says a method's values are, tried on a model whose answer is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.scale import contributes_of
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit

BASELINE = {"baseline": torch.zeros(1, 1, 1)}
SETTINGS: dict[str, dict[str, Any]] = {
    "integrated_gradients": BASELINE,
    "occlusion": {"value": 0.0, "window": 1, "stride": 1},
}


@pytest.mark.parametrize(
    "name",
    [
        "saliency",
        "gradient",
        "smoothgrad",
        "guided_backprop",
        "input_x_gradient",
        "integrated_gradients",
        "deeplift",
        "occlusion",
        "hirescam",
    ],
)
def test_of_twice_the_input_parts_of_a_score_without_bias_are_twice_as_large_and_sensitivities_stay(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 3, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2, False))
    inputs = {"signal": torch.rand(2, 1, 8)}
    probe = Probe(Adapter(model, inputs), [Logit(1)])
    asked = Asked(name, settings=SETTINGS.get(name, {}))
    one, two = (asked(probe, {"signal": k * inputs["signal"]}).maps["signal"] for k in (1, 2))
    grown = 2 if METHODS[name].contributes else 1
    assert torch.allclose(two, grown * one, rtol=1e-4, atol=1e-6)
    assert one.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "settings", "parts"),
    [
        ("smoothgrad", {}, False),
        ("smoothgrad", {"of": "gradcam"}, True),
        ("vargrad", {"of": "gradcam"}, False),
        ("tta", {"of": "saliency"}, False),
        ("mean_of_methods", {"of": ["gradcam", "saliency"]}, False),
        ("captum.Saliency", {}, False),
        ("captum.IntegratedGradients", {}, True),
    ],
)
def test_a_method_over_others_claims_what_they_claim(name: str, settings: dict[str, Any], parts: bool) -> None:
    assert contributes_of(METHODS[name], settings) is parts
