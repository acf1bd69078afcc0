"""The gradient family beside captum's, and where captum's trapezoid is wrong."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.methods.smooth import Noise
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

TOLERANCE = 1e-5  # of the answer's scale


class Net(nn.Module):
    """Convolutions, ReLU modules used once each, a head on the flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(2, 6, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(5 * 4 * 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu1(self.conv1(image))
        return self.fc(self.pool(self.relu2(self.conv2(x))).flatten(1))


def captum() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("captum.attr", reason="the package captum is not installed")


def subject() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    return Net().eval(), torch.randn(2, 2, 8, 8)


def ours(name: str, model: nn.Module, x: Tensor, layer: str | None = None, **settings: object) -> Explanation:
    return Asked(name, layer, settings)(Probe(Adapter(model, {"image": x}), [Logit(1)]), {"image": x})


def assert_equal(found: Explanation, theirs: Tensor) -> None:
    scale = theirs.abs().max().item()
    assert scale > 0
    assert (found.per_channel["image"][0] - theirs.detach()).abs().max().item() <= TOLERANCE * scale


@pytest.mark.parametrize(
    ("quadrature", "name"),
    [
        ("gauss_legendre", "gausslegendre"),
        ("riemann_left", "riemann_left"),
        ("riemann_middle", "riemann_middle"),
        ("riemann_right", "riemann_right"),
    ],
)
def test_integrated_gradients_equal_captums(quadrature: str, name: str) -> None:
    model, x = subject()
    start = torch.randn(1, 2, 8, 8)
    theirs = captum().IntegratedGradients(model).attribute(x, baselines=start, target=1, n_steps=20, method=name)
    assert_equal(ours("ig", model, x, quadrature=quadrature, steps=20, baseline=start), theirs)


def test_the_residual_equals_captums_convergence_delta() -> None:
    model, x = subject()
    start = torch.randn(1, 2, 8, 8)
    _, delta = (
        captum()
        .IntegratedGradients(model)
        .attribute(x, baselines=start, target=1, n_steps=6, return_convergence_delta=True)
    )
    found = ours("ig", model, x, steps=6, baseline=start).measured["completeness_residual"][0]
    torch.testing.assert_close(found, delta.to(found), rtol=1e-3, atol=1e-5)


def test_captums_trapezoid_misses_a_panel_and_ours_is_exact() -> None:
    """On a linear model from zero the shares add up to ``F(x)``; captum's weights add up to ``(n-1)/n``."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    score = model(x)[:, 1].detach()
    theirs = captum().IntegratedGradients(model).attribute(x, target=1, n_steps=50, method="riemann_trapezoid")
    found = ours("ig", model, x, quadrature="trapezoid", steps=50, baseline=torch.zeros(1, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(theirs.flatten(1).sum(dim=1), score * 49 / 50, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.maps["image"][0].sum(dim=1), score, rtol=1e-12, atol=0)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_gradients_equal_captums() -> None:
    model, x = subject()
    attr = captum()
    assert_equal(ours("gradient", model, x), attr.Saliency(model).attribute(x.clone(), target=1, abs=False))
    assert_equal(ours("input_x_gradient", model, x), attr.InputXGradient(model).attribute(x.clone(), target=1))
    magnitudes = attr.Saliency(model).attribute(x.clone(), target=1).amax(dim=1)
    torch.testing.assert_close(ours("saliency", model, x).maps["image"][0], magnitudes.detach())


@pytest.mark.parametrize(("name", "kind"), [("smoothgrad", "smoothgrad"), ("vargrad", "vargrad")])
def test_smoothing_equals_captums_tunnel_on_the_same_noise(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = subject()
    samples = 8
    noisy = Noise(0.15, None, 0).added("image", x, range(samples))
    tunnel = captum().NoiseTunnel(captum().Saliency(model))
    module = __import__(type(tunnel).__module__, fromlist=["torch"])
    # captum repeats each record's samples side by side and draws with torch.normal.
    drawn = noisy.transpose(0, 1).flatten(0, 1)
    monkeypatch.setattr(module.torch, "normal", lambda mean, std: drawn - x.repeat_interleave(samples, dim=0))
    theirs = tunnel.attribute(x, nt_type=kind, nt_samples=samples, stdevs=1.0, target=1, abs=False)
    found = ours(name, model, x, num_samples=samples)
    # captum's variance divides by the number of samples, the unbiased one by one less.
    unbiased = samples / (samples - 1) if kind == "vargrad" else 1.0
    scale = theirs.abs().max().item() * unbiased
    assert (found.per_channel["image"][0] - theirs.detach() * unbiased).abs().max().item() <= 1e-4 * scale


def test_expected_gradients_equal_captums_gradient_shap_within_its_error() -> None:
    model, x = subject()
    rows = torch.randn(3, 2, 8, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = captum().GradientShap(model).attribute(x, baselines=rows, target=1, n_samples=3000)
    found = ours("gradient_shap", model, x, baseline=rows, num_samples=1500, chunk_size=500)
    sums = theirs.detach().flatten(1).sum(dim=1)
    error = found.measured["standard_error"][0]
    exact = found.scores[0] - model(rows)[:, 1].mean().detach()
    assert ((sums - exact).abs() < 0.1 * exact.abs().max() + 6 * error).all()
    difference = (found.per_channel["image"][0] - theirs.detach()).norm() / theirs.norm()
    assert difference < 0.2


def test_guided_backprop_equals_captums_on_relu_modules() -> None:
    model, x = subject()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = captum().GuidedBackprop(model).attribute(x.clone(), target=1)
    assert_equal(ours("guided_backprop", model, x), theirs)


def test_guided_gradcam_equals_captums() -> None:
    model, x = subject()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = captum().GuidedGradCam(model, model.conv2)
        theirs = explainer.attribute(x.clone(), target=1, interpolate_mode="bilinear")
    assert_equal(ours("guided_gradcam", model, x, layer="conv2"), theirs)
