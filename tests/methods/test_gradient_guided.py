"""Guided backpropagation: its rule written out, and every way a ReLU is called."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ConfigError
from toys import ConvNet, Vit

WAYS = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "functional": F.relu,
    "functional, in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "in-place method": lambda x: x.relu_(),
    "in place on a view": lambda x: _through_a_view(x),
}


def _through_a_view(x: Tensor) -> Tensor:
    x.flatten(1).relu_()
    return x


class TwoLayers(nn.Module):
    """A signal through two convolutions, each followed by the same ReLU, and a head."""

    def __init__(self, relu: object) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = nn.Conv1d(1, 4, 1), nn.Conv1d(4, 4, 1)
        self.head, self.relu = nn.Linear(4 * 6, 3), relu

    def forward(self, signal: Tensor) -> Tensor:
        return self.head(self.relu(self.second(self.relu(self.first(signal)))).flatten(1))


def guided(model: nn.Module, x: Tensor) -> Explanation:
    name = "signal" if x.ndim == 3 else "image"
    return Asked("guided_backprop")(Probe(Adapter(model, {name: x}), [Logit(1)]), {name: x})


@pytest.mark.parametrize("relu", WAYS.values(), ids=WAYS)
def test_the_rule_written_out_whatever_way_relu_is_called(relu: object) -> None:
    """Springenberg's ``R_l = (f_l > 0) · (R_{l+1} > 0) · R_{l+1}`` at each ReLU, weights transposed between."""
    model, x = TwoLayers(relu).double(), torch.randn(2, 1, 6, dtype=torch.float64)
    with torch.no_grad():
        before_first = model.first(x)
        before_second = model.second(before_first.clamp(min=0))
        signal = model.head.weight[1].reshape(1, 4, 6).expand(2, 4, 6)
        signal = (before_second > 0) * (signal > 0) * signal
        signal = torch.einsum("oi,bol->bil", model.second.weight[:, :, 0], signal)
        signal = (before_first > 0) * (signal > 0) * signal
        true = torch.einsum("oi,bol->bil", model.first.weight[:, :, 0], signal)
    with unchanged(model, x):
        found = guided(model, x)
    assert (found.per_channel["signal"][0] - true).abs().max() < 1e-12
    assert found.facts["relus"] == 2


def test_scores_stay_those_of_the_model() -> None:
    model, x = ConvNet().eval(), torch.randn(2, 2, 16, 16)
    assert torch.allclose(guided(model, x).scores[0], model(x)[:, 1], atol=1e-6)


def test_a_model_without_relu_is_refused() -> None:
    with pytest.raises(ConfigError, match="no ReLU runs") as raised:
        guided(Vit(), torch.randn(1, 2, 16, 16))
    assert raised.value.code == "SW-F44"


def test_guided_gradcam_is_the_product_of_its_two_parts() -> None:
    """Where Grad-CAM is negative nothing is left; with a layer of the input's size nothing is resized."""
    model, x = ConvNet(), torch.randn(2, 2, 16, 16)
    model.stem[0].stride = (1, 1)
    probe = Probe(Adapter(model, {"image": x}), [Logit(0), Logit(1)])
    product = Asked("guided_gradcam", "body")(probe, {"image": x}).per_channel["image"]
    cam = Asked("gradcam", "body")(probe, {"image": x}).maps["image"].clamp(min=0).unsqueeze(2)
    back = Asked("guided_backprop")(probe, {"image": x}).per_channel["image"]
    torch.testing.assert_close(product, cam * back)
    assert (product != 0).any()
