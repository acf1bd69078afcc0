"""Removing places beside torchcam 0.5.0, grad-cam 1.5.7 and quantus 0.6.0: equal where they are right, and where not.

What the peers give is known by running them. Their own numbers stand in the tests where they are wrong, so that a
release that puts them right is noticed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from cases import case_with
from torch import Tensor, nn

from seewhy.metrics.case import Case
from seewhy.metrics.grading import grade
from seewhy.metrics.imputation import imputed
from seewhy.targets import Logit

BLACK = torch.zeros(1, 1, 1, 1)


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Before the surroundings of the first test are looked at: OpenCV, which comes along, sets variables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for peer in ("torchcam.metrics", "quantus", "pytorch_grad_cam.metrics.road"):
            pytest.importorskip(peer, reason=f"{peer} is not installed")


pytestmark = pytest.mark.slow


class Waves(nn.Module):
    """Two classes, every value with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.25))

    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(1)
        speaks = self.scale * (flat * torch.arange(1, flat.shape[1] + 1, device=flat.device).cos()).sum(dim=1)
        return torch.stack([torch.zeros_like(speaks), speaks], dim=1)


def subject(channels: int = 3) -> tuple[nn.Module, Tensor, Tensor, Case]:
    """A model, pictures, maps in [0, 1] without ties, and their case, asked about class 1."""
    draw = torch.Generator().manual_seed(0)
    image, maps = torch.randn(3, channels, 16, 16, generator=draw), torch.rand(3, 16, 16, generator=draw)
    maps = maps / maps.flatten(1).amax(dim=1).reshape(3, 1, 1)
    model = Waves().eval()
    return model, image, maps, case_with(model, {"image": image}, maps, target=Logit(1))


class Said:
    """An extractor of torchcam's that says given maps."""

    def __init__(self, model: nn.Module, maps: Tensor) -> None:
        self.model, self.maps = model, maps

    def __call__(self, *asked: object, **settings: object) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    @contextmanager
    def _hooks_off(self) -> Iterator[None]:
        yield


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)


def test_deletion_and_insertion_are_torchcam_s() -> None:
    from torchcam.metrics import DeletionInsertionMetric

    model, image, maps, case = subject()
    peer = DeletionInsertionMetric(Said(model, maps), softmax, steps=8, baseline=torch.zeros(1))
    peer.update(image, 1)
    found = peer.summary()
    for name in ("deletion", "insertion"):
        ours = grade(name, case, steps=8, fill=BLACK).values.mean().item()
        (theirs,) = (value for key, value in found.items() if name in key)
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_average_drop_and_increase_are_torchcam_s_up_to_its_epsilon() -> None:
    from torchcam.metrics import ClassificationMetric

    model, image, maps, case = subject()
    peer = ClassificationMetric(Said(model, maps), softmax)
    peer.update(image, 1)
    found = peer.summary()
    drop = grade("average_drop", case, fill=BLACK).values.mean().item()
    assert drop == pytest.approx(found["avg_drop"], abs=1e-5)
    assert grade("increase_in_confidence", case, fill=BLACK).values.mean().item() == pytest.approx(
        found["conf_increase"]
    )


def asked_of_quantus(metric: str, model: nn.Module, image: Tensor, maps: Tensor, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        asked = getattr(quantus, metric)(
            normalise=False, abs=False, disable_warnings=True, display_progressbar=False, **settings
        )
        return asked(
            model=model,
            x_batch=image.numpy().copy(),
            y_batch=np.ones(len(image), dtype=int),
            a_batch=maps[:, None].numpy().copy(),
            softmax=True,
            device="cpu",
        )


def test_pixel_flipping_of_quantus_is_ours_on_one_channel_without_the_first_point() -> None:
    model, image, maps, case = subject(channels=1)
    ours = grade("pixel_flipping", case, steps=8, fill=BLACK).details["curve"]
    theirs = np.array(asked_of_quantus("PixelFlipping", model, image, maps, features_in_step=32, perturb_baseline=0.0))
    assert theirs.shape == (3, 8)
    np.testing.assert_allclose(theirs, ours[:, 1:], atol=1e-6)


def test_pixel_flipping_of_quantus_flips_channel_by_channel_and_takes_as_many_times_the_steps() -> None:
    model, image, maps, _ = subject()
    theirs = np.array(asked_of_quantus("PixelFlipping", model, image, maps, features_in_step=32, perturb_baseline=0.0))
    assert theirs.shape == (3, 3 * 8)
    with pytest.raises(AttributeError, match="trapz"):
        asked_of_quantus("PixelFlipping", model, image, maps, features_in_step=32, return_auc_per_sample=True)


@pytest.mark.parametrize(("name", "order"), [("aopc_morf", "morf"), ("aopc_lerf", "lerf")])
def test_region_perturbation_of_quantus_is_our_falls_without_the_first_and_without_their_mean(
    name: str, order: str
) -> None:
    model, image, maps, case = subject()
    ours = grade(name, case, region=4, steps=6, fill=BLACK)
    theirs = np.array(
        asked_of_quantus(
            "RegionPerturbation",
            model, image, maps, patch_size=4, regions_evaluation=6, perturb_baseline=0.0, order=order,
        )
    )  # fmt: skip
    curve = ours.details["curve"]
    np.testing.assert_allclose(theirs, curve[:, :1] - curve[:, 1:], atol=1e-6)
    np.testing.assert_allclose(theirs.sum(axis=1) / 7, ours.values, atol=1e-6)


def test_irof_of_quantus_has_no_colour_pictures_and_no_area_with_today_s_numpy() -> None:
    model, image, maps, case = subject()
    with pytest.raises(AssertionError, match="mask shape"):
        asked_of_quantus("IROF", model, image, maps)
    assert grade("irof", case).reasons == (None,) * 3


def test_road_of_quantus_has_no_colour_pictures() -> None:
    model, image, maps, case = subject()
    with pytest.raises(IndexError):
        asked_of_quantus("ROAD", model, image, maps, percentages=[20, 50])
    assert grade("road", case).reasons == (None,) * 3


def test_imputation_is_that_of_quantus_and_of_grad_cam_without_noise() -> None:
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer
    from quantus.functions.perturb_func import noisy_linear_imputation

    _, image, maps, _ = subject()
    missing = maps[0] > 0.4
    ours = imputed(image[:1], missing[None])[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SciPy, that the peers' matrices are not in its best format
        places = np.flatnonzero(missing.numpy())
        quantus = noisy_linear_imputation(image[0].numpy().copy(), places, noise=0.0)
        grad_cam = NoisyLinearImputer(noise=0.0)(image[0], (~missing).float())
    np.testing.assert_allclose(ours, np.reshape(quantus, ours.shape), atol=1e-4)
    np.testing.assert_allclose(ours, grad_cam, atol=1e-4)
