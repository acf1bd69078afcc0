"""Side by side with released peers, on layers without in-place neighbours (where peers read what ReLU overwrote)."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest
import timm
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import GapLinear

TOLERANCE = 1e-5  # of the map's scale


def peer(name: str, package: str) -> ModuleType:
    """A released peer, or a skip; peers warn while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"the package {package} is not installed")


def ours(model: nn.Module, layer: str, x: Tensor, classes: tuple[int, ...]) -> Tensor:
    wants = Wants(activations=(layer,), gradients=(layer,))
    capture = Probe(Adapter(model, {"image": x}), [Logit(k) for k in classes]).capture({"image": x}, wants)
    return torch.stack([gradcam(capture.activations[layer], gradient) for gradient in capture.gradients[layer]])


class Plain(nn.Module):
    """Convolutions, out-of-place activations, a head on the flattened map: gradients differ from place to place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 5, 3, padding=1)
        self.relu, self.pool, self.fc = nn.ReLU(), nn.MaxPool2d(2), nn.Linear(5 * 6 * 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.pool(self.two(self.relu(self.one(image)))).flatten(1).sigmoid())


MODELS = {
    "plain": (Plain, ("one", "relu", "two"), (2, 12, 8)),
    "closed form": (GapLinear, ("conv",), (2, 12, 8)),
    "resnet": (lambda: timm.create_model("test_resnet", num_classes=3), ("layer4",), (3, 64, 64)),
    "convnext": (lambda: timm.create_model("convnext_atto", num_classes=3), ("stages.2", "stages"), (3, 64, 64)),
}
CASES = [(name, layer) for name, (_, layers, _) in MODELS.items() for layer in layers]


def assert_maps_equal(found: Tensor, expected: Tensor) -> None:
    scale = expected.abs().max().item()
    assert scale > 0
    assert (found - expected).abs().max().item() <= TOLERANCE * scale


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_equal_to_captum(name: str, layer: str) -> None:
    attr = peer("captum.attr", "captum")
    build, _, shape = MODELS[name]
    model, x = build().eval(), torch.randn(2, *shape)
    explainer = attr.LayerGradCam(model, model.get_submodule(layer))
    theirs = [explainer.attribute(x.clone(), target=k)[:, 0].detach() for k in (0, 2)]
    assert_maps_equal(ours(model, layer, x, (0, 2)), torch.stack(theirs))


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_equal_to_grad_cam(name: str, layer: str) -> None:
    package = peer("pytorch_grad_cam", "grad-cam")
    targets = peer("pytorch_grad_cam.utils.model_targets", "grad-cam")
    build, _, shape = MODELS[name]
    model, x = build().eval(), torch.randn(2, *shape)
    found = ours(model, layer, x, (0, 2))
    with package.GradCAM(model=model, target_layers=[model.get_submodule(layer)]) as explainer:
        theirs = []
        for k in (0, 2):
            explainer.forward(x.clone(), [targets.ClassifierOutputTarget(k)] * 2)
            seen = explainer.activations_and_grads
            activations, gradients = seen.activations[0].numpy(), seen.gradients[0].numpy()
            # What grad-cam adds up before it cuts, resizes and stretches for display.
            theirs.append(torch.from_numpy(explainer.get_cam_image(x, None, None, activations, gradients)))
    assert_maps_equal(found, torch.stack(theirs))


class CaptumsConvNet(nn.Module):
    """The network for which captum's own tests state Grad-CAM's values (``BasicModel_ConvNet_One_Conv``)."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(1, 2, 3), nn.ReLU(inplace=inplace)
        self.fc1, self.relu2 = nn.Linear(8, 4), nn.ReLU(inplace=inplace)
        self.conv1.weight = nn.Parameter(torch.ones(2, 1, 3, 3))
        self.conv1.bias = nn.Parameter(torch.tensor([-50.0, -75.0]))
        self.fc1.weight = nn.Parameter(torch.cat([torch.ones(4, 5), -torch.ones(4, 3)], dim=1))
        self.fc1.bias = nn.Parameter(torch.zeros(4))

    def forward(self, image: Tensor) -> Tensor:
        return self.relu2(self.fc1(self.relu1(self.conv1(image)).view(-1, 8)))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("layer", "added", "values"),
    [
        ("conv1", 0.0, [[11.25, 13.5], [20.25, 22.5]]),
        ("relu1", 0.0, [[0.0, 4.0], [28.0, 32.5]]),
        ("conv1", 1.0, [[14.5, 19.0], [32.5, 37.0]]),
    ],
)
def test_the_values_captum_states(layer: str, added: float, values: list[list[float]], inplace: bool) -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4) + added
    assert ours(CaptumsConvNet(inplace=inplace), layer, x, (0,))[0, 0].tolist() == values
