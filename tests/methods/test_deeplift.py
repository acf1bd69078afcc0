"""DeepLIFT on the networks people have: reused and in-place ReLUs, pooling with overlap; and what it refuses."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.deeplift import deeplift
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ConfigError, ModelError
from toys import ConvNet, Vit

pytest.importorskip("captum", reason="captum is not installed")
X = {"image": torch.randn(2, 2, 12, 12, generator=torch.Generator().manual_seed(0)).double()}
START = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(1)).double()


def asked(model: nn.Module, **settings: Any) -> Explanation:
    return deeplift(Probe(Adapter(model, X), [Logit(0), Logit(1)]), X, **settings)


class Reused(nn.Module):
    """One in-place ReLU that runs twice, around a residual sum, as in torchvision's ResNet."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.pool = nn.ReLU(inplace=True), pool
        self.head = nn.LazyLinear(3)
        self(torch.zeros(1, 2, 12, 12))

    def forward(self, image: Tensor) -> Tensor:
        x = self.pool(self.relu(self.stem(image)))
        out = self.conv(x)
        out += x
        return self.head(self.relu(out).flatten(1))


POOLS = [nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((2, 3), (1, 2), (0, 1)), nn.AvgPool2d(2)]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_contributions_add_up_to_the_change(pool: nn.Module) -> None:
    torch.manual_seed(0)
    model = Reused(pool).double()
    with unchanged(model, X["image"], START):
        found = asked(model, baseline=START)
    with torch.no_grad():
        change = (model(X["image"]) - model(START.unsqueeze(0))).T[:2]
    total = found.per_channel["image"].flatten(2).sum(dim=2)
    torch.testing.assert_close(total, change, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.measured["completeness_residual"], total - change, rtol=0, atol=1e-10)


def test_captum_loses_the_rule_of_a_pool_behind_an_activation() -> None:
    """It reads the gradient at the activation's output before the pool's rule has replaced it."""
    from captum.attr import DeepLift

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3)).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = DeepLift(model).attribute(X["image"].clone(), START.expand(2, -1, -1, -1), target=1)
    with torch.no_grad():
        change = (model(X["image"]) - model(START.unsqueeze(0)))[:, 1]
    assert ((theirs.flatten(1).sum(dim=1) - change).abs() > 0.02 * change.abs()).any()
    ours = asked(model, baseline=START).per_channel["image"][1]
    torch.testing.assert_close(ours.flatten(1).sum(dim=1), change, rtol=0, atol=1e-10)


def test_equal_to_captum_where_captum_adds_up() -> None:
    from captum.attr import DeepLift

    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 64, 3))
    model = nn.Sequential(*layers).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = DeepLift(model).attribute(X["image"].clone(), START.expand(2, -1, -1, -1), target=1)
    torch.testing.assert_close(asked(model, baseline=START).per_channel["image"][1], theirs, rtol=0, atol=1e-10)


def test_a_linear_model_gives_each_value_its_weight_times_its_change() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(3 * 144, 3)).double()
    (weights,) = torch.autograd.grad(model(leaf := X["image"].clone().requires_grad_())[:, 1].sum(), leaf)
    found = asked(model, baseline={"image": START.expand(2, -1, -1, -1)}).per_channel["image"][1]
    torch.testing.assert_close(found, weights * (X["image"] - START), rtol=0, atol=1e-12)


def test_parts_of_a_batch_are_the_batch() -> None:
    torch.manual_seed(0)
    model = ConvNet().double()
    one, many = asked(model, chunk_size=1), asked(model, chunk_size=2)
    torch.testing.assert_close(one.maps["image"], many.maps["image"], rtol=0, atol=1e-12)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"conv": nn.Conv2d(2, 4, 3)})
        self.act, self.head = nn.ReLU(), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.act(F.gelu(self.block["conv"](image))).mean(dim=(2, 3)))


def test_functional_activations_are_refused_by_name() -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="SW-M16") as caught:
        asked(Functional().double(), baseline=START)
    assert "gelu in the model itself" in caught.value.message
    assert "relu" not in caught.value.message


def test_steps_in_modules_without_a_rule_are_named_by_their_module() -> None:
    torch.manual_seed(0)
    inputs = {"image": torch.randn(1, 2, 16, 16)}
    with pytest.raises(ModelError, match="SW-M16") as caught:
        deeplift(Probe(Adapter(Vit(), inputs), [Logit()]), inputs)
    for step in (
        "layer_norm in blocks.0.norm1",
        "scaled_dot_product_attention in blocks.0.attn",
        "gelu in blocks.0.mlp.1",
        "and 8 more",
    ):
        assert step in caught.value.message


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"baseline": "blank"}, "SW-F41"),
        ({"baseline": torch.zeros(3)}, "SW-F42"),
        ({"baseline": {"picture": START}}, "SW-F42"),
        ({"tolerance": 0.0}, "SW-F68"),
        ({"chunk_size": 0}, "SW-F68"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError, match=code):
        Asked("deeplift", settings=settings)(Probe(Adapter(ConvNet().double(), X), [Logit()]), X)
