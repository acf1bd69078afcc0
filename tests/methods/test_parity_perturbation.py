"""Occlusion, Score-CAM, Ablation-CAM, LIME and KernelSHAP beside released peers, and where a peer is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.scorecam import channel_masks
from seewhy.models.adapter import Adapter
from seewhy.superpixels import superpixels
from seewhy.targets import Logit
from toys import ConvNet, GapLinear


def ours(
    name: str, model: nn.Module, image: Tensor, target: int, *, layer: str | None = None, **settings: Any
) -> Tensor:
    inputs = {"image": image}
    return Asked(name, layer, settings)(Probe(Adapter(model, inputs), [Logit(target)]), inputs).maps["image"][0]


@contextmanager
def peer(package: str) -> Iterator[Any]:
    """A peer's module, with its warnings and its draws from global generators kept away from ours."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        yield pytest.importorskip(package, reason=f"the package {package} is not installed")


def relative(found: Tensor, theirs: Tensor) -> float:
    return float((found - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3), ((3, 6), (2, 5))])
def test_occlusion_is_captums(window: Any, stride: Any) -> None:
    model, image = ConvNet(2).eval(), torch.randn(2, 2, 13, 17)
    both = [size if isinstance(size, tuple) else (size, size) for size in (window, stride)]
    with peer("captum.attr") as captum:
        theirs = captum.Occlusion(model).attribute(
            image, target=1, sliding_window_shapes=(2, *both[0]), strides=(2, *both[1]), baselines=0.2
        )
    found = ours("occlusion", model, image, 1, window=window, stride=stride, value=0.2)
    assert relative(found, theirs[:, 0].detach()) < 1e-5


def grad_cam(name: str, model: nn.Module, layer: nn.Module, image: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """The activations and the channel weights by grad-cam's class of that name."""
    seen: list[Tensor] = []
    with peer("pytorch_grad_cam") as package, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TQDM_DISABLE", "1")
        explainer = getattr(package, name)(model, [layer])
        handle = layer.register_forward_hook(lambda module, args, output: seen.append(output.detach().clone()))
        model(image)
        handle.remove()
        targets = [lambda output: output[target]] * len(image)
        weights = explainer.get_cam_weights(image, layer, targets, seen[0].numpy(), None)
        explainer.activations_and_grads.release()
    return seen[0], torch.from_numpy(np.asarray(weights))


def rectified() -> ConvNet:
    return ConvNet(2).eval()


def test_ablationcam_is_grad_cams_where_every_activation_is_positive_or_zero() -> None:
    model, image = rectified(), torch.randn(1, 2, 12, 12)
    activations, weights = grad_cam("AblationCAM", model, model.stem, image, 1)
    theirs = torch.einsum("bc,bchw->bhw", weights, activations)
    assert relative(ours("ablationcam", model, image, 1, layer="stem"), theirs) < 1e-4


def test_grad_cams_ablationcam_of_negative_activations_is_not_the_papers() -> None:
    """grad-cam sets the channel ten million below the smallest activation in place of zero: on a linear head on means
    the paper's weight is ``w_k mean(A_k) / y``, and grad-cam's is larger by orders of magnitude.
    """
    model, image = GapLinear(2).eval(), torch.randn(1, 2, 8, 8)
    activations, weights = grad_cam("AblationCAM", model, model.conv, image, 0)
    paper = (model.fc.weight[0] * activations.mean(dim=(2, 3)) / model(image)[:, :1]).detach()
    found = ours("ablationcam", model, image, 0, layer="conv")
    assert relative(found, torch.einsum("bc,bchw->bhw", paper, activations)) < 1e-4
    assert relative(weights, paper) > 1e4


def test_scorecam_is_grad_cams_but_for_the_place_of_cell_centres() -> None:
    """grad-cam enlarges with ``align_corners=True``, which moves every cell but the middle one; at a layer of the
    input's size nothing is enlarged, and the two are one.
    """
    same_size = GapLinear(2).eval()
    image = 4 * torch.randn(1, 2, 8, 8)
    activations, weights = grad_cam("ScoreCAM", same_size, same_size.conv, image, 1)
    theirs = torch.einsum("bc,bchw->bhw", weights.float(), activations)
    assert relative(ours("scorecam", same_size, image, 1, layer="conv"), theirs) < 1e-4

    smaller = rectified()
    activations, weights = grad_cam("ScoreCAM", smaller, smaller.stem, image, 1)
    theirs = torch.einsum("bc,bchw->bhw", weights.float(), activations)
    assert relative(ours("scorecam", smaller, image, 1, layer="stem"), theirs) > 1e-3


def test_aligned_corners_do_not_lie_on_the_input() -> None:
    """The identity that proves it: averaging an enlarged ramp over each cell gives the ramp back, or does not."""
    ramp = torch.arange(8.0).reshape(1, 1, 8)
    back = {
        aligned: nn.functional.interpolate(ramp, 32, mode="linear", align_corners=aligned)
        .unflatten(2, (8, 4))
        .mean(dim=3)
        for aligned in (False, True)
    }
    inner = slice(1, 7)
    assert (back[False] - ramp)[..., inner].abs().max() < 1e-6
    assert (back[True] - ramp)[..., inner].abs().max() > 0.2


def test_torchcams_scorecam_stretches_before_it_enlarges() -> None:
    """Its masks need not reach 0 and 1, which the paper's do; at a layer of the input's size the order is the same."""
    image = 4 * torch.randn(1, 2, 12, 12)
    same_size, smaller = GapLinear(2).eval(), rectified()
    found = ours("scorecam", same_size, image, 1, layer="conv").relu()
    assert relative(found, torchcams_scorecam(same_size, "conv", image)) < 1e-4
    found = ours("scorecam", smaller, image, 1, layer="stem").relu()
    assert relative(found, torchcams_scorecam(smaller, "stem", image)) > 1e-4


def torchcams_scorecam(model: nn.Module, layer: str, image: Tensor) -> Tensor:
    with peer("torchcam.methods") as torchcam, torch.no_grad():
        explainer = torchcam.ScoreCAM(model, layer)
        found: Tensor = explainer(1, model(image), normalized=False)[0]
        explainer.remove_hooks()
    return found


def test_a_mask_stretched_before_it_is_enlarged_need_not_reach_one() -> None:
    peak = torch.zeros(1, 1, 6)
    peak[..., 3] = 5.0
    assert channel_masks(peak, (12,)).amax() == 1
    assert ops.resize(peak / 5.0, (12,)).amax() == 0.75


@pytest.mark.parametrize("name", ["kernel_shap", "lime"])
def test_on_an_additive_score_captum_agrees(name: str) -> None:
    """Both find a superpixel's share exactly; captum is given plain least squares in place of its lasso."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 12, 2))
    image = torch.randn(1, 3, 2, 3).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    segments = superpixels(image[0], segments=6)
    assert int(segments.max()) == 5
    with peer("captum.attr") as captum:
        linear = pytest.importorskip("captum._utils.models.linear_model").SkLearnLinearRegression
        explainer = captum.KernelShap(model) if name == "kernel_shap" else captum.Lime(model, linear())
        theirs = explainer.attribute(
            image, target=1, feature_mask=segments[None, None], n_samples=60, baselines=0.1, perturbations_per_eval=20
        )
    plain = {"ridge": 0.0} if name == "lime" else {}
    found = ours(name, model, image, 1, segments=6, num_samples=60, value=0.1, **plain)
    assert relative(found, theirs[:, 0]) < 1e-3
