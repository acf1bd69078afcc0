"""The read-out of every class activation map beside grad-cam's, on the same activations and gradients.

Not compared: Grad-CAM++ (grad-cam adds 1e-6 to a denominator of the size of g², which decides small gradients; equation
19 is checked in tests/laws) and the sign of principal components, which grad-cam leaves to chance.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from seewhy.methods import cam as cams


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
