"""Law 9 for the perturbation family: each mistake one can make in a formula is noticed by an oracle.

The methods are written once more without chunks or shortcuts, with a switch for every mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import perturbation_oracles as oracles
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seewhy import ops
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Inputs, Wants
from seewhy.methods import superpixels, surrogate
from seewhy.methods.rise import random_masks
from seewhy.methods.variants import in_probabilities

NOTICED = 1e-3


def noticed(broken: oracles.Asks, *against: Callable[[oracles.Asks], float]) -> bool:
    """Whether some oracle is off, or answers with no number."""
    return not all(oracle(broken) <= NOTICED for oracle in against)


# Occlusion -----------------------------------------------------------------------------------------------------------


def naive_occlusion(
    probe: Probe, inputs: Inputs, *, window: int, stride: int, value: float, mistake: str = ""
) -> Explanation:
    probe, clean = probe.settled(inputs)
    image = inputs["image"]
    size = image.shape[2:]
    reach = [n - window + (0 if mistake == "border left out" else stride) for n in size]
    total, times = image.new_zeros(len(clean), len(image), *size), image.new_zeros(size)
    for start in product(*(range(0, max(n, 1), stride) for n in reach)):
        covered = torch.zeros(size, dtype=torch.bool)
        covered[tuple(slice(at, at + window) for at in start)] = True
        mask = ~covered if mistake == "window kept" else covered
        perturbed = image.clone()
        perturbed[:, : 1 if mistake == "first channel only" else None, mask] = 0.0 if mistake == "black" else value
        drop = clean - probe.score({"image": perturbed})
        total += (-drop if mistake == "sign swapped" else drop)[..., None, None] * covered
        times += covered
    times = torch.ones_like(times) if mistake == "overlaps summed" else times.clamp(min=1)
    return Explanation({"image": total / times}, clean)


@pytest.mark.parametrize(
    "mistake", ["border left out", "window kept", "first channel only", "black", "sign swapped", "overlaps summed"]
)
def test_a_broken_occlusion_is_noticed(mistake: str) -> None:
    assert noticed(partial(naive_occlusion, mistake=mistake), *oracles.OCCLUSION_ORACLES)


def test_occlusion_without_a_mistake_is_right() -> None:
    assert not noticed(naive_occlusion, *oracles.OCCLUSION_ORACLES)


# RISE ----------------------------------------------------------------------------------------------------------------


def naive_rise(
    probe: Probe,
    inputs: Inputs,
    *,
    num_masks: int,
    cells: int,
    keep: float,
    seed: int,
    value: float = 0.0,
    mistake: str = "",
) -> Explanation:
    probe, clean = probe.settled(inputs)
    asked = probe if mistake == "logits" else in_probabilities(probe)[0]
    image = inputs["image"]
    grids = ops.generator(seed, "rise", "image")
    masks = random_masks(num_masks, image.shape[2:], cells=cells, keep=keep, generator=grids).to(image)
    if mistake == "hard masks":
        masks = masks.round()
    elif mistake == "one cell per place":
        masks = F.interpolate(masks[:, None, :cells, :cells].round(), size=image.shape[2:]).squeeze(1)
    total, squares = torch.zeros(()), torch.zeros(())
    for mask in masks:
        filling = 0.0 if mistake == "black" else value
        scores = asked.score({"image": image * mask + filling * (1 - mask)})[..., None, None]
        share = {"hidden places": 1 - mask, "everywhere": torch.ones_like(mask)}.get(mistake, mask)
        total, squares = total + scores * share, squares + (scores * share) ** 2
    divisor = {"not over E[M]": 1.0, "over 1 - E[M]": 1 - keep}.get(mistake, keep)
    error = ((squares / num_masks - (total / num_masks) ** 2) / num_masks).mean(dim=(2, 3)).sqrt() / keep
    return Explanation({"image": total / num_masks / divisor}, clean, measured={"standard_error": error})


@pytest.mark.parametrize(
    "mistake",
    [
        "logits", "hard masks", "one cell per place", "black", "hidden places", "everywhere", "not over E[M]",
        "over 1 - E[M]",
    ],
)  # fmt: skip
def test_a_broken_rise_is_noticed(mistake: str) -> None:
    assert noticed(partial(naive_rise, mistake=mistake), *oracles.RISE_ORACLES)


def test_rise_without_a_mistake_is_right() -> None:
    assert not noticed(naive_rise, *oracles.RISE_ORACLES)


# Score-CAM -----------------------------------------------------------------------------------------------------------


def naive_scorecam(probe: Probe, inputs: Inputs, *, layer: str, mistake: str = "") -> Explanation:
    capture = probe.capture(inputs, Wants(activations=(layer,)))
    probe, image, channels = probe.asking(capture.targets), inputs["image"], capture.activations[layer]
    varied = channels.amax(dim=(2, 3)) > channels.amin(dim=(2, 3))
    masks = stretched(channels) if mistake == "stretched before enlarging" else channels
    corners = {"align_corners": True} if mistake == "corners aligned" else {}
    nearest = mistake == "nearest neighbour"
    masks = F.interpolate(masks, image.shape[2:], mode="nearest" if nearest else "bilinear", **corners)
    masks = masks if mistake in ("stretched before enlarging", "not stretched") else stretched(masks)
    scores = torch.stack([probe.score({"image": image * masks[:, k : k + 1]}) for k in range(masks.shape[1])], dim=2)
    if mistake != "constant channels count":
        scores = scores.masked_fill(~varied, -torch.inf)
    weights = scores.softmax(dim=1 if mistake == "softmax over records" else 2)
    weights = scores.masked_fill(~varied, 0.0) if mistake == "no softmax" else weights
    shown = stretched(channels) if mistake == "stretched activations" else channels
    return Explanation({"image": torch.einsum("kbc,bchw->kbhw", weights, shown)}, capture.scores)


def stretched(masks: Tensor) -> Tensor:
    low, high = masks.amin(dim=(2, 3), keepdim=True), masks.amax(dim=(2, 3), keepdim=True)
    return (masks - low) / (high - low).clamp(min=1e-12)


@pytest.mark.parametrize(
    "mistake",
    [
        "stretched before enlarging", "corners aligned", "nearest neighbour", "not stretched", "no softmax",
        "softmax over records", "stretched activations", "constant channels count",
    ],
)  # fmt: skip
def test_a_broken_scorecam_is_noticed(mistake: str) -> None:
    assert noticed(partial(naive_scorecam, mistake=mistake), *oracles.SCORECAM_ORACLES)


def test_scorecam_without_a_mistake_is_right() -> None:
    assert not noticed(naive_scorecam, *oracles.SCORECAM_ORACLES)


# Ablation-CAM --------------------------------------------------------------------------------------------------------


def naive_ablationcam(probe: Probe, inputs: Inputs, *, layer: str, mistake: str = "") -> Explanation:
    capture = probe.capture(inputs, Wants(activations=(layer,)))
    probe, grid, y = probe.asking(capture.targets), probe.adapter.grid(layer), capture.scores
    channels = capture.activations[layer]

    def without(output: Tensor, channel: int) -> Tensor:
        left = output.clone()
        place = left.movedim(-1, 1) if mistake == "prefix tokens ablated" else grid.apply(left)
        if mistake != "prefix tokens ablated" or grid.layout == "tokens":
            values = place[:, channel]
            values.fill_(values.mean() if mistake == "mean in place of zero" else -10.0 * (mistake == "far below zero"))
        return left

    left = [probe.score(inputs, edit={layer: partial(without, channel=k)}) for k in range(channels.shape[1])]
    y_without = torch.stack(left, dim=2)
    y = y.unsqueeze(2).mean(dim=1, keepdim=True) if mistake == "another record's score" else y.unsqueeze(2)
    below = {"not relative": 1.0, "over what is left": y_without, "over the size": y.abs()}.get(mistake, y)
    weights = (y_without - y if mistake == "sign swapped" else y - y_without) / below
    weights = weights.relu() if mistake == "losses only" else weights
    return Explanation({"image": torch.einsum("kbc,bc...->kb...", weights, channels)}, capture.scores)


@pytest.mark.parametrize(
    "mistake",
    [
        "prefix tokens ablated", "mean in place of zero", "far below zero", "another record's score", "not relative",
        "over what is left", "over the size", "sign swapped", "losses only",
    ],
)  # fmt: skip
def test_a_broken_ablationcam_is_noticed(mistake: str) -> None:
    assert noticed(partial(naive_ablationcam, mistake=mistake), *oracles.ABLATIONCAM_ORACLES)


def test_ablationcam_without_a_mistake_is_right() -> None:
    assert not noticed(naive_ablationcam, *oracles.ABLATIONCAM_ORACLES)


# KernelSHAP and LIME -------------------------------------------------------------------------------------------------


def without_an_intercept(shown: Tensor, scores: Tensor, weights: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    root = weights.sqrt()
    return torch.linalg.lstsq(shown * root.unsqueeze(1), (scores * root).T).solution.T, scores.new_ones(len(scores))


def without_weights(shown: Tensor, scores: Tensor, weights: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    return true_fit(shown, scores, torch.ones_like(weights), ridge)


def always_pulled_to_zero(shown: Tensor, scores: Tensor, weights: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    return true_fit(shown, scores, weights, 1.0)


def on_what_is_hidden(shown: Tensor, scores: Tensor, weights: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    return true_fit(1 - shown, scores, weights, ridge)


true_fit = surrogate.weighted_fit


@pytest.mark.parametrize("fit", [without_an_intercept, without_weights, always_pulled_to_zero, on_what_is_hidden])
def test_a_broken_fit_is_noticed(fit: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "weighted_fit", fit)
    assert noticed(superpixels.kernel_shap, *oracles.KERNEL_SHAP_ORACLES)


def evenly(count: int, generator: torch.Generator) -> object:
    """Every superpixel shown with probability a half, whatever the kernel says."""
    yield torch.ones(1, count, dtype=torch.long)
    yield torch.zeros(1, count, dtype=torch.long)
    while True:
        shown = torch.randint(2, (1, count), generator=generator)
        yield shown


def test_coalitions_of_wrong_sizes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superpixels, "shapley_coalitions", evenly)
    assert noticed(superpixels.kernel_shap, *oracles.KERNEL_SHAP_ORACLES)
