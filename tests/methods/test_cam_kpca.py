"""KPCA-CAM beside scikit-learn, EigenCAM and grad-cam."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from seewhy.methods.cam import eigencam
from seewhy.methods.kpca import MOST_PLACES, kpca_cam
from seewhy.values import ConfigError


def activations(seed: int = 0) -> Tensor:
    return torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(seed)).double()


def up_to_sign(found: Tensor, true: Tensor) -> float:
    sign = torch.where((found * true).flatten(1).sum(dim=1) < 0, -1.0, 1.0).reshape(-1, 1, 1)
    return float((found - sign * true).abs().max() / true.abs().max())


@pytest.mark.parametrize("kernel", ["sigmoid", "rbf", "poly", "cosine", "linear"])
@pytest.mark.parametrize("gamma", [None, 0.05])
def test_equal_to_scikit_learn_up_to_sign(kernel: str, gamma: float | None) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is not installed")
    given = activations()
    places = given.flatten(2).transpose(1, 2)
    centred = (places - places.mean(dim=1, keepdim=True)).numpy()
    peer = decomposition.KernelPCA(n_components=1, kernel=kernel, gamma=gamma)
    true = torch.from_numpy(np.stack([peer.fit_transform(one)[:, 0] for one in centred])).reshape(2, 4, 5)
    assert up_to_sign(kpca_cam(given, kernel=kernel, gamma=gamma), true) < 1e-9


def test_equal_to_grad_cam_up_to_sign() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = "pytorch_grad_cam.utils.svd_on_activations"
        peer = pytest.importorskip(name, reason="the package grad-cam is not installed")
    given = activations(3).float()
    true = torch.from_numpy(peer.get_2d_projection_kernel(given.numpy())).double()
    assert up_to_sign(kpca_cam(given).double(), true) < 1e-5


def test_the_linear_kernel_is_eigencam_of_centred_activations() -> None:
    given = activations(1)
    given = given - given.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(kpca_cam(given, kernel="linear"), eigencam(given), rtol=0, atol=1e-10)


def test_a_constant_layer_has_no_component() -> None:
    assert kpca_cam(torch.full((1, 3, 2, 2), 5.0)).tolist() == torch.zeros(1, 2, 2).tolist()


@pytest.mark.parametrize(
    ("settings", "code"), [({"kernel": "sigmoyd"}, "SW-F65"), ({"gamma": 0.0}, "SW-F68"), ({"gamma": -1.0}, "SW-F68")]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigError, match=code):
        kpca_cam(activations(), **settings)  # type: ignore[arg-type]


def test_a_layer_with_too_many_places_is_refused() -> None:
    with pytest.raises(ConfigError, match="SW-F69"):
        kpca_cam(torch.zeros(1, 1, MOST_PLACES + 1))
