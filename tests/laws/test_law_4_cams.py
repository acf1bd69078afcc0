"""The CAM family against closed forms, NumPy twins written from the papers, and a full singular value decomposition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles import cam_sum_on_gap_linear, distance, random
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods import cam as cams
from seewhy.models.adapter import Adapter
from seewhy.registry import METHODS
from seewhy.targets import Logit
from toys import GapLinear

Cam = Callable[[Tensor, Tensor], Tensor]


def shifted_gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> np.ndarray:
    """Chattopadhay eq. 19 written out with loops, as printed."""
    a, g = activations.numpy(), gradients.numpy()
    maps = np.zeros((a.shape[0], *a.shape[2:]))
    for b in range(a.shape[0]):
        for k in range(a.shape[1]):
            weight = 0.0
            for place in np.ndindex(a.shape[2:]):
                below = 2 * g[b, k][place] ** 2 + a[b, k].sum() * g[b, k][place] ** 3
                alpha = g[b, k][place] ** 2 / below if below != 0 else 0.0
                weight += alpha * max(g[b, k][place], 0.0)
            maps[b] += weight * a[b, k]
    return maps


def test_gradcam_plus_plus_is_equation_19() -> None:
    activations, gradients = random(2, 3, 4, 5, seed=1).abs(), random(2, 3, 4, 5, seed=2)
    gradients[0, 0] = 0
    found = cams.gradcam_plus_plus(activations, gradients)
    assert distance(found, shifted_gradcam_plus_plus(activations, gradients)) < 1e-12


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6])
def test_gradcam_plus_plus_survives_gradients_of_any_size(scale: float) -> None:
    activations, gradients = random(1, 2, 3, 3, seed=3).abs().float(), random(1, 2, 3, 3, seed=4).float()
    exact = cams.gradcam_plus_plus(activations.double(), gradients.double() * scale)
    found = cams.gradcam_plus_plus(activations, gradients * scale)
    assert float((found - exact).abs().max() / exact.abs().max()) < 1e-5


@pytest.mark.parametrize("cam", [cams.gradcam, cams.hirescam, cams.xgradcam], ids=lambda cam: cam.__name__)
def test_averaging_changes_nothing_before_a_linear_head_on_means(cam: Cam) -> None:
    assert cam_sum_on_gap_linear(cam) < 1e-10


@pytest.mark.parametrize("cam", [cams.hirescam, cams.xgradcam], ids=lambda cam: cam.__name__)
def test_the_map_on_means_is_gradcams_own(cam: Cam) -> None:
    torch.manual_seed(0)
    model = GapLinear(2).double()
    inputs = {"image": random(2, 2, 7, 5)}
    capture = Probe(Adapter(model, inputs), [Logit(1)]).capture(
        inputs, Wants(activations=("conv",), gradients=("conv",))
    )
    activations, gradients = capture.activations["conv"], capture.gradients["conv"][0]
    assert distance(cam(activations, gradients), cams.gradcam(activations, gradients)) < 1e-10


def test_hirescam_before_a_linear_head_on_places_sums_to_the_logit_without_its_bias() -> None:
    torch.manual_seed(0)
    body, head = nn.Conv2d(2, 3, 3).double(), nn.Linear(3 * 4 * 5, 2).double()
    activations = body(random(2, 2, 6, 7)).detach().requires_grad_()
    logit = head(activations.flatten(1))[:, 1]
    (gradients,) = torch.autograd.grad(logit.sum(), activations)
    maps = cams.hirescam(activations.detach(), gradients)
    assert distance(maps.flatten(1).sum(dim=1), (logit - head.bias[1]).detach()) < 1e-10


def test_layercam_and_its_elementwise_neighbour_are_what_they_say() -> None:
    activations, gradients = random(2, 3, 4, 4, seed=5), random(2, 3, 4, 4, seed=6)
    a, g = activations.numpy(), gradients.numpy()
    assert distance(cams.layercam(activations, gradients), (np.maximum(g, 0) * a).sum(axis=1)) < 1e-12
    assert distance(cams.gradcam_elementwise(activations, gradients), np.maximum(g * a, 0).sum(axis=1)) < 1e-12


def test_xgradcam_gives_a_channel_that_cancels_no_weight() -> None:
    activations = torch.tensor([[[[1.0, -1.0]], [[2.0, 2.0]]]], dtype=torch.float64)
    gradients = torch.tensor([[[[5.0, 7.0]], [[1.0, 3.0]]]], dtype=torch.float64)
    assert cams.xgradcam(activations, gradients).tolist() == [[[4.0, 4.0]]]


@pytest.mark.parametrize("shape", [(2, 20, 3, 4), (2, 5, 4, 4), (1, 6, 7), (1, 3, 2, 3, 2)])
def test_the_first_component_is_that_of_a_full_decomposition_with_its_larger_extreme_positive(
    shape: tuple[int, ...],
) -> None:
    activations, gradients = random(*shape, seed=7), random(*shape, seed=8)
    for found, values in (
        (cams.eigencam(activations), activations),
        (cams.eigengradcam(activations, gradients), activations * gradients),
    ):
        places = values.flatten(2).transpose(1, 2)
        _, _, right = torch.linalg.svd(places, full_matrices=False)
        true = (places @ right[:, :1].transpose(1, 2)).squeeze(2)
        sign = torch.where(true.amin(dim=1).abs() > true.amax(dim=1).abs(), -1.0, 1.0).unsqueeze(1)
        assert distance(found.flatten(1), sign * true) < 1e-10


def test_maps_of_nothing_are_zero_and_finite() -> None:
    nothing = torch.zeros(1, 3, 4, 4)
    for name, entry in METHODS.items():
        if "activations" in entry.reads:
            maps = entry.function(*[nothing] * len(entry.reads))
            assert maps.tolist() == torch.zeros(1, 4, 4).tolist(), name
