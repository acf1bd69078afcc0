"""Class activation maps beside those of grad-cam, torchcam and captum; where one is wrong, the identity that says so.

The sign of principal components, which grad-cam leaves to chance, is not compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.bias_terms import fixed_bias
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods import cam as cams
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ConfigError


def peer_readout(name: str, activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """What grad-cam adds up before it cuts, resizes and stretches for display."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pytorch_grad_cam", reason="the package grad-cam is not installed")
    explainer: Any = object.__new__(getattr(package, name))
    explainer.activations_and_grads = _Released()
    explainer.uses_gradients = True
    image: np.ndarray = explainer.get_cam_image(None, None, None, activations, gradients, False)
    return image


class _Released:
    def release(self) -> None:
        """grad-cam's destructor asks for it."""


@pytest.mark.parametrize(
    ("name", "ours", "tolerance"),
    [
        ("GradCAM", cams.gradcam, 1e-6),
        ("HiResCAM", cams.hirescam, 1e-6),
        ("LayerCAM", cams.layercam, 1e-6),
        ("XGradCAM", cams.xgradcam, 1e-4),  # grad-cam divides by the sum plus 1e-7
        ("GradCAMElementWise", cams.gradcam_elementwise, 1e-6),
    ],
)
def test_equal_to_grad_cams_sum(name: str, ours: Any, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(2, 5, 6, 4, generator=generator)
    gradients = torch.randn(2, 5, 6, 4, generator=generator)
    theirs = peer_readout(name, activations.numpy(), gradients.numpy())
    found = ours(activations, gradients).numpy()
    assert np.abs(found - theirs).max() <= tolerance * np.abs(theirs).max()


def test_eigencam_is_grad_cams_on_centred_activations_up_to_sign() -> None:
    """grad-cam centres over places, the paper does not: on activations without a mean both are one."""
    generator = torch.Generator().manual_seed(1)
    activations = torch.randn(2, 7, 5, 4, generator=generator)
    activations = activations - activations.mean(dim=(2, 3), keepdim=True)
    theirs = torch.from_numpy(peer_readout("EigenCAM", activations.numpy(), activations.numpy())).float()
    found = cams.eigencam(activations)
    sign = torch.where((found * theirs).sum(dim=(1, 2)) < 0, -1.0, 1.0).reshape(-1, 1, 1)
    assert (found - sign * theirs).abs().max() <= 1e-4 * found.abs().max()


class PeerNet(nn.Module):
    """convolution → in-place ReLU → convolution → one ReLU for two calls → mean → linear."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.relu, self.head = nn.ReLU(), nn.Linear(6, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.first(image))
        return self.head(self.relu(self.second(x)).mean(dim=(2, 3)))


def whole(seed: int = 0) -> tuple[PeerNet, dict[str, Tensor]]:
    torch.manual_seed(seed)
    return PeerNet().eval(), {"image": torch.randn(2, 2, 7, 9)}


def ours(name: str, model: nn.Module, inputs: dict[str, Tensor], layer: str) -> Tensor:
    return Asked(name, layer=layer)(Probe(Adapter(model, inputs), [Logit(1)]), inputs).maps["image"][0]


TORCHCAM = [("GradCAM", "gradcam"), ("XGradCAM", "xgradcam"), ("LayerCAM", "layercam")]


@pytest.mark.parametrize(("theirs", "name"), TORCHCAM)
def test_equal_to_torchcam_after_its_relu(theirs: str, name: str) -> None:
    methods = pytest.importorskip("torchcam.methods", reason="torchcam is not installed")
    model, inputs = whole()
    with getattr(methods, theirs)(model, "second", input_shape=(2, 7, 9)) as extractor:
        scores = model(inputs["image"].clone().requires_grad_())
        peer = extractor([1, 1], scores, normalized=False)[0].detach()
    found = ours(name, model, inputs, "second").relu()
    assert peer.abs().max() > 0
    torch.testing.assert_close(found, peer, rtol=1e-4, atol=1e-6 * float(peer.max()))


def test_torchcams_gradcam_plus_plus_divides_nothing() -> None:
    """Its weights are Σ g² relu(g) exactly, which equation 19 divides by 2 g² + g³ ΣA."""
    methods = pytest.importorskip("torchcam.methods", reason="torchcam is not installed")
    model, inputs = whole()
    with methods.GradCAMpp(model, "second", input_shape=(2, 7, 9)) as extractor:
        scores = model(inputs["image"].clone().requires_grad_())
        weights = extractor._get_weights([1, 1], scores)[0].detach().flatten(1)
        gradients = extractor.hook_g[0].detach()
    undivided = (gradients**2 * gradients.relu()).flatten(2).sum(dim=2)
    torch.testing.assert_close(weights, undivided, rtol=1e-6, atol=0)
    capture = Probe(Adapter(model, inputs), [Logit(1)]).capture(inputs, Wants(("second",), ("second",)))
    total = capture.activations["second"].flatten(2).sum(dim=2)[..., None, None]
    below = 2 * gradients**2 + gradients**3 * total
    true = torch.where(below != 0, gradients**2 / below * gradients.relu(), 0.0).flatten(2).sum(dim=2)
    assert (weights - true).abs().max() > 0.9 * true.abs().max()


def test_grad_cams_epsilon_decides_grad_cam_plus_plus_where_gradients_are_small() -> None:
    """Gradients a thousand times smaller scale every weight of equation 19 alike; grad-cam's share shrinks."""
    generator = torch.Generator().manual_seed(2)
    activations = torch.rand(1, 3, 5, 5, generator=generator)
    gradients = torch.randn(1, 3, 5, 5, generator=generator) * 1e-2 / 25
    factor = float(activations.flatten(2).sum(dim=2).max() * gradients.abs().max())
    assert factor < 0.1
    size = []
    for scale in (1.0, 1e-2):
        theirs = peer_readout("GradCAMPlusPlus", activations.numpy(), (scale * gradients).numpy())
        true = cams.gradcam_plus_plus(activations, scale * gradients).numpy()
        size.append(np.abs(theirs).max() / np.abs(true).max())
    assert size[1] < 0.01 * size[0]


def test_grad_cam_reads_activations_that_a_later_operation_has_overwritten() -> None:
    """A layer before an in-place ReLU: its stored output has no negative value left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pytorch_grad_cam", reason="the package grad-cam is not installed")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 35, 3)).eval()
    image = torch.randn(1, 2, 7, 9)
    with torch.no_grad():
        true = model[0](image)
    peer = package.activations_and_gradients.ActivationsAndGradients(model, [model[0]], None)
    peer(image)
    stored = peer.activations[0]
    peer.release()
    assert true.min() < -0.1
    assert torch.equal(stored, true.relu())
    capture = Probe(Adapter(model, {"image": image}), [Logit(1)]).capture({"image": image}, Wants(("0",), ("0",)))
    torch.testing.assert_close(capture.activations["0"], true)


def test_grad_cam_explains_the_first_call_of_a_shared_layer() -> None:
    """Ours is asked for a call by its number; grad-cam's map of a shared ReLU is that of call 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pytorch_grad_cam", reason="the package grad-cam is not installed")
        model, inputs = whole()
        targets = [package.utils.model_targets.ClassifierOutputTarget(1)] * 2
        with package.GradCAM(model, [model.relu]) as explainer:
            explainer(inputs["image"], targets)
            held = explainer.activations_and_grads
            stored, gradients = held.activations[0].numpy(), held.gradients[0].numpy()
            assert len(held.activations) == 2
    theirs = torch.from_numpy((gradients.mean(axis=(2, 3), keepdims=True) * stored).sum(axis=1))
    torch.testing.assert_close(ours("gradcam", model, inputs, "relu#0"), theirs, rtol=1e-4, atol=1e-7)
    assert (ours("gradcam", model, inputs, "relu#1") - theirs).abs().max() > 1e-3


def test_grad_cam_centres_before_eigencam() -> None:
    """Activations with a mean: the paper's component is not grad-cam's, whose map sums to zero."""
    generator = torch.Generator().manual_seed(1)
    activations = torch.rand(1, 7, 5, 4, generator=generator)
    theirs = torch.from_numpy(peer_readout("EigenCAM", activations.numpy(), activations.numpy())).float()
    assert theirs.sum().abs() < 1e-4 * theirs.abs().sum()
    found = cams.eigencam(activations)
    true = torch.linalg.svd(activations[0].flatten(1).T, full_matrices=False)
    torch.testing.assert_close(found.flatten().abs(), (true.S[0] * true.U[:, 0]).abs(), rtol=1e-4, atol=1e-5)
    assert found.min() > 0


@pytest.mark.parametrize("layer", ["first", "second"])
def test_equal_to_captums_layer_grad_cam(layer: str) -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    model, inputs = whole()
    theirs = attr.LayerGradCam(model, getattr(model, layer)).attribute(inputs["image"], target=1).squeeze(1).detach()
    torch.testing.assert_close(ours("gradcam", model, inputs, layer), theirs, rtol=1e-4, atol=1e-7)


def test_fullgrad_has_the_terms_of_grad_cams_fullgrad() -> None:
    """grad-cam stretches every channel by its own minimum and maximum; before that its biases are ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pytorch_grad_cam", reason="the package grad-cam is not installed")
        explainer = object.__new__(package.FullGrad)
    explainer.activations_and_grads = _Released()
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    torch.testing.assert_close(fixed_bias(norm), explainer.get_bias_data(norm))


def test_the_authors_variant_divides_place_weights_by_their_sum() -> None:
    """Grad_CAM_plus_plus (misc/utils.py): α is divided by its sum over places with a positive gradient."""
    generator = torch.Generator().manual_seed(5)
    a = torch.rand(2, 3, 4, 5, generator=generator).double().numpy()
    g = torch.randn(2, 3, 4, 5, generator=generator).double().numpy()
    g[0, 1] = -np.abs(g[0, 1])
    alpha = g**2 / (2 * g**2 + g**3 * a.sum(axis=(2, 3), keepdims=True))
    sums = np.where(g > 0, alpha, 0).sum(axis=(2, 3), keepdims=True)
    weights = (alpha / np.where(sums != 0, sums, 1) * np.maximum(g, 0)).sum(axis=(2, 3), keepdims=True)
    found = cams.gradcam_plus_plus(torch.from_numpy(a), torch.from_numpy(g), variant="authors_code")
    np.testing.assert_allclose(found, (weights * a).sum(axis=1), rtol=1e-9, atol=1e-12)
    with pytest.raises(ConfigError, match="SW-F65"):
        cams.gradcam_plus_plus(torch.from_numpy(a), torch.from_numpy(g), variant="theirs")
