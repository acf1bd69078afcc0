"""Closed forms and NumPy twins of the perturbation family; each takes an implementation and returns how far it is off.

They take the method under test as an argument so that law 9 can show that a broken one is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from oracles import distance, random
from torch import Tensor, nn

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.rise import random_masks
from seewhy.models.adapter import Adapter
from seewhy.superpixels import superpixels
from seewhy.targets import Logit
from toys import ConvNet, GapLinear, Vit

Asks = Callable[..., Explanation]
Array = NDArray[np.float64]


def probed(model: nn.Module, inputs: dict[str, Tensor], *classes: int) -> Probe:
    return Probe(Adapter(model, inputs), [Logit(index) for index in classes])


# Occlusion -----------------------------------------------------------------------------------------------------------


def linear_model(*size: int, classes: int = 2, seed: int = 0) -> tuple[nn.Module, Array]:
    """A linear layer on all values, and its weights ``(classes, C, *S)``."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(size)), classes)).double()
    return model, model[1].weight.detach().reshape(classes, *size).numpy()


def occlusion_of_a_linear_model(
    occlusion: Asks, window: int = 3, stride: int = 2, size: tuple[int, ...] = (6, 8)
) -> float:
    """A covered window of a linear model costs ``Σ w (x − value)`` over it; a place has the mean over its windows."""
    model, weights = linear_model(2, *size)
    x, value = random(3, 2, *size), 0.5
    found = occlusion(probed(model, {"image": x}, 1), {"image": x}, window=window, stride=stride, value=value)
    parts = (weights[1] * (x.numpy() - value)).sum(axis=1)
    true, times = np.zeros_like(parts), np.zeros_like(parts)
    for start in product(*(range(0, stride * ceil(max(n - window, 0) / stride) + 1, stride) for n in size)):
        place = (slice(None), *(slice(at, at + window) for at in start))
        true[place] += parts[place].reshape(3, -1).sum(axis=1).reshape(3, *[1] * len(size))
        times[place] += 1
    return distance(found.maps["image"][0], true / times)


def occlusion_side_by_side_sums_to_the_score(occlusion: Asks) -> float:
    """Windows side by side on a linear model: each counted once, they add up to ``f(x) − f(value)``."""
    model, weights = linear_model(2, 6, 8)
    x = random(2, 2, 6, 8)
    found = occlusion(probed(model, {"image": x}, 0), {"image": x}, window=2, stride=2, value=1.0)
    return distance(found.maps["image"][0].sum(dim=(1, 2)) / 4, (weights[0] * (x.numpy() - 1)).sum(axis=(1, 2, 3)))


# RISE ----------------------------------------------------------------------------------------------------------------


def rise_with_the_same_masks(rise: Asks) -> float:
    """Petsiuk eq. 6 written out, on the probability of a class."""
    torch.manual_seed(0)
    model, x, value = ConvNet(2).double().eval(), random(2, 2, 9, 11, seed=1), 0.3
    found = rise(probed(model, {"image": x}, 2), {"image": x}, num_masks=13, cells=3, keep=0.4, value=value, seed=5)
    masks = random_masks(13, (9, 11), cells=3, keep=0.4, generator=ops.generator(5, "rise", "image")).double()
    true = np.zeros((2, 9, 11))
    for record in range(2):
        for mask in masks:
            with torch.no_grad():
                outputs = model((x[record] * mask + value * (1 - mask)).unsqueeze(0))[0].numpy()
            true[record] += np.exp(outputs[2]) / np.exp(outputs).sum() * mask.numpy()
    return distance(found.maps["image"][0], true / (13 * 0.4))


class MeanOf(nn.Module):
    """The mean over a region of the picture, as one output."""

    def __init__(self, region: Tensor) -> None:
        super().__init__()
        self.register_buffer("share", region / region.sum())

    def forward(self, image: Tensor) -> Tensor:
        return (image[:, :1] * self.share).flatten(1).sum(dim=1, keepdim=True)


def interpolation(cells: int, enlarged: int) -> Array:
    """Linear interpolation of ``cells`` values to ``enlarged`` with cell centres aligned, as a matrix."""
    weights = np.zeros((enlarged, cells))
    for place in range(enlarged):
        at = min(max((place + 0.5) * cells / enlarged - 0.5, 0.0), cells - 1.0)
        low = min(int(at), cells - 2)
        weights[place, low], weights[place, low + 1] = 1 - (at - low), at - low
    return weights


def expected_products(size: int, cells: int) -> Array:
    """``E_shift Σ_c a_c(r) a_c(λ)`` along one axis: how much two places share their cells, over all shifts."""
    cell = ceil(size / cells)
    weights = interpolation(cells, (cells + 1) * cell)
    return np.stack([weights[at : at + size] @ weights[at : at + size].T for at in range(cell)]).mean(axis=0)


def expected_rise(region: Array, cells: int, keep: float) -> Array:
    """The expectation on a picture of ones: ``Σ_r E[M_r M_λ] / (p |R|)``, ``E[M_r M_λ] = p² + p (1 − p) Σ_c a_c a_c``.

    A cell's weight is the product of those along the axes, and so is the expectation over independent shifts.
    """
    rows, columns = (expected_products(length, cells) for length in region.shape)
    shared = np.einsum("ij,ia,jb->ab", region / region.sum(), rows, columns)
    return keep + (1 - keep) * shared


def rise_expectation(rise: Asks) -> float:
    """The largest deviation from the expectation, in standard errors less five; 0 within them."""
    region = np.zeros((8, 12))
    region[2:5, 7:11] = 1
    model, x = MeanOf(torch.from_numpy(region)).double(), torch.ones(1, 1, 8, 12, dtype=torch.float64)
    found = rise(probed(model, {"image": x}, 0), {"image": x}, num_masks=4000, cells=4, keep=0.3, seed=1)
    error = float(found.measured["standard_error"])
    return max(0.0, distance(found.maps["image"][0, 0], expected_rise(region, 4, 0.3)) / error - 5)


# Score-CAM -----------------------------------------------------------------------------------------------------------


def scorecam_by_the_paper(scorecam: Asks) -> float:
    """Algorithm 1 with loops: enlarge, stretch, mask, score less that of a baseline, softmax over channels, add up."""
    torch.manual_seed(3)
    model = ConvNet(2).double().eval()
    with torch.no_grad():
        model.stem[0].weight[2] = 0  # a channel that is the same everywhere
        model.stem[0].bias[2] = model.stem[1].running_mean[2] + 1
    x = 3 * random(2, 2, 9, 14, seed=4)
    found = scorecam(probed(model, {"image": x}, 1), {"image": x}, layer="stem")
    with torch.no_grad():
        activations = model.stem(x).numpy()
        baseline = model(torch.zeros_like(x))[0, 1].item()
    rows, columns = interpolation(5, 9), interpolation(7, 14)
    true = np.zeros((2, 5, 7))
    for record in range(2):
        scores = {}
        for channel, low in enumerate(activations[record]):
            if low.max() > low.min():
                mask = rows @ low @ columns.T
                mask = (mask - mask.min()) / (mask.max() - mask.min())
                with torch.no_grad():
                    scores[channel] = model(x[record : record + 1] * torch.from_numpy(mask))[0, 1].item() - baseline
        total = sum(np.exp(score) for score in scores.values())
        for channel, score in scores.items():
            true[record] += np.exp(score) / total * activations[record, channel]
    return distance(found.maps["image"][0], true)


# Ablation-CAM --------------------------------------------------------------------------------------------------------


def ablationcam_on_gap_linear(ablationcam: Asks) -> float:
    """Without channel ``k`` a linear head on means loses ``w_k`` times its mean."""
    torch.manual_seed(0)
    model, x = GapLinear(2).double(), random(3, 2, 7, 5)
    found = ablationcam(probed(model, {"image": x}, 2), {"image": x}, layer="conv")
    with torch.no_grad():
        activations, score = model.conv(x), model(x)[:, 2]
        weights = model.fc.weight[2] * activations.mean(dim=(2, 3)) / score.unsqueeze(1)
    return distance(found.maps["image"][0], torch.einsum("bc,bchw->bhw", weights, activations))


def ablationcam_by_the_paper(ablationcam: Asks) -> float:
    """Equation 3 and 4 with loops, where a nonlinear tail follows the layer."""
    torch.manual_seed(1)
    model, x = ConvNet(2).double().eval(), random(2, 2, 9, 8, seed=2)
    found = ablationcam(probed(model, {"image": x}, 1), {"image": x}, layer="stem")
    true = np.zeros((2, 5, 4))
    with torch.no_grad():
        for record in range(2):
            layer = model.stem(x[record : record + 1])
            score = _after_stem(model, layer)
            for channel in range(layer.shape[1]):
                without = layer.clone()
                without[:, channel] = 0
                true[record] += (score - _after_stem(model, without)) / score * layer[0, channel].numpy()
    return distance(found.maps["image"][0], true)


def _after_stem(model: nn.Module, layer: Tensor) -> float:
    return model.head(model.body(layer).flatten(2).mean(dim=2))[0, 1].item()


def ablationcam_of_tokens(ablationcam: Asks) -> float:
    """Between two blocks of a transformer; the class token is no part of the map and stays."""
    torch.manual_seed(2)
    model, x = Vit((8, 12), prefix=1).double().eval(), random(2, 2, 8, 12, seed=3)
    found = ablationcam(probed(model, {"image": x}, 0), {"image": x}, layer="blocks.1")
    true = np.zeros((2, 2, 3))
    with torch.no_grad():
        patches = model.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([model.extra.expand(2, -1, -1), patches], dim=1) + model.position
        tokens = model.blocks[1](model.blocks[0](tokens))
        scores = model.head(model.norm(model.blocks[2](tokens))[:, 0])[:, 0]
        for channel in range(tokens.shape[2]):
            without = tokens.clone()
            without[:, 1:, channel] = 0
            left = model.head(model.norm(model.blocks[2](without))[:, 0])[:, 0]
            share = ((scores - left) / scores).reshape(2, 1, 1)
            true += (share * tokens[:, 1:, channel].reshape(2, 2, 3)).numpy()
    return distance(found.maps["image"][0], true)


# Superpixels ---------------------------------------------------------------------------------------------------------


def patchwork(records: int) -> Tensor:
    """Pictures of 3 by 4 squares in colours of their own, slightly grained, so that there is something to segment."""
    squares = random(records, 3, 3, 4, seed=5).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return squares + 0.01 * random(records, 3, 12, 16, seed=6)


def surrogate_of_an_additive_score(explain: Asks, **settings: float) -> float:
    """Where the score is a sum over values, a superpixel is worth ``Σ w (x − value)`` over it."""
    model, weights = linear_model(3, 12, 16, seed=4)
    x, value = patchwork(2), 0.25
    found = explain(probed(model, {"image": x}, 1), {"image": x}, num_samples=60, segments=12, value=value, **settings)
    parts = (weights[1] * (x.numpy() - value)).sum(axis=1)
    true = np.zeros_like(parts)
    for record in range(2):
        segments = superpixels(x[record], segments=12).numpy()
        for number in range(segments.max() + 1):
            true[record][segments == number] = parts[record][segments == number].sum()
    return distance(found.maps["image"][0], true)


class Interacting(nn.Module):
    """The products of neighbouring quarters' means: superpixels are worth more together."""

    def forward(self, image: Tensor) -> Tensor:
        quarters = image.flatten(2).unflatten(2, (4, -1)).mean(dim=(1, 3))
        return (quarters * quarters.roll(1, dims=1) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum(dim=1, keepdim=True)


def shapley_values_of_interacting_superpixels(explain: Asks) -> float:
    """A product of two is shared between them by halves: Shapley's value of a quarter, by symmetry."""
    picture = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64).repeat_interleave(4)
    x = picture.reshape(16, 1).expand(1, 3, 16, 16).clone()
    found = explain(
        probed(Interacting().double(), {"image": x}, 0), {"image": x}, num_samples=40, segments=4, compactness=0.01
    )
    values, factors = picture[::4].numpy(), np.array([1.0, 2.0, 3.0, 4.0])
    products = factors * values * np.roll(values, 1)
    true = (products + np.roll(products, -1)) / 2
    return distance(found.maps["image"][0, 0, ::4, 0], true)


class AllTogether(nn.Module):
    """The product of the four quarters' means: worth something only while all are shown."""

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(2).unflatten(2, (4, -1)).mean(dim=(1, 3)).prod(dim=1, keepdim=True)


def shapley_values_add_up(explain: Asks) -> float:
    """Local accuracy: whatever the game, the values add up to the score less that of nothing shown, here zero."""
    x = (
        torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
        .repeat_interleave(4)
        .reshape(16, 1)
        .expand(1, 3, 16, 16)
    )
    inputs = {"image": x.clone()}
    found = explain(probed(AllTogether().double(), inputs, 0), inputs, num_samples=40, segments=4, compactness=0.01)
    return distance(found.maps["image"][0, 0, ::4, 0].sum(), np.array(1.0 * -2.0 * 3.0 * 0.5))


OCCLUSION_ORACLES = (
    occlusion_of_a_linear_model,
    occlusion_side_by_side_sums_to_the_score,
)
RISE_ORACLES = (rise_with_the_same_masks, rise_expectation)
SCORECAM_ORACLES = (scorecam_by_the_paper,)
KERNEL_SHAP_ORACLES = (
    surrogate_of_an_additive_score,
    shapley_values_of_interacting_superpixels,
    shapley_values_add_up,
)
ABLATIONCAM_ORACLES = (ablationcam_on_gap_linear, ablationcam_by_the_paper, ablationcam_of_tokens)
