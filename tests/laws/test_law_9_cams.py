"""Law 9 for FullGrad, KPCA-CAM, fusion, means, test-time augmentation and DeepLIFT: broken formulas are noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from cam_oracles import (
    FULLGRAD_ORACLES,
    deeplift_against_definition,
    fullgrad_adds_up,
    fullgrad_place_by_place,
    fusion_against_definition,
    kpca_against_definition,
    kpca_by_definition,
    mean_against_definition,
    tta_against_definition,
)
from torch import Tensor, nn

import seewhy.capture.bias_terms as bias_terms
from seewhy.capture.probe import Probe
from seewhy.core import Explanation, Wants
from seewhy.methods import combine, fusion, tta
from seewhy.methods.ask import Asked
from seewhy.methods.deeplift import deeplift
from seewhy.methods.fullgrad import fullgrad
from seewhy.methods.kpca import kpca_cam

NOTICED = 1e-3
Inputs = dict[str, Tensor]


@pytest.mark.parametrize("oracle", FULLGRAD_ORACLES)
def test_fullgrad_is_right(oracle: Callable[..., float]) -> None:
    assert oracle(fullgrad) < 1e-10


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU(inplace=True), nn.ReLU6(inplace=True), nn.Tanh()], ids=str)
def test_fullgrad_knows_the_bias_of_any_activation(activation: nn.Module) -> None:
    assert fullgrad_place_by_place(fullgrad, activation) < 1e-10


TRUE_BIAS = bias_terms.fixed_bias
BROKEN_BIASES: dict[str, Callable[[nn.Module], Tensor | None]] = {
    "no biases": lambda module: None,
    "batch norm's bias as it is stored": lambda module: module.bias.detach(),
    "batch norm's mean not scaled": lambda module: (
        module.bias.detach() - module.running_mean if isinstance(module, nn.BatchNorm2d) else TRUE_BIAS(module)
    ),
    "biases added twice": lambda module: 2 * TRUE_BIAS(module),
}


@pytest.mark.parametrize("broken", BROKEN_BIASES.values(), ids=BROKEN_BIASES)
def test_a_wrong_bias_is_noticed(broken: Callable[..., Tensor | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias_terms, "fixed_bias", broken)
    assert max(oracle(fullgrad) for oracle in FULLGRAD_ORACLES) > NOTICED


def edited(change: Callable[[Tensor], Tensor]) -> Callable[[Probe, Inputs], Explanation]:
    def explain(probe: Probe, inputs: Inputs) -> Explanation:
        found = fullgrad(probe, inputs)
        return replace(found, maps={"image": change(found.maps["image"])})

    return explain


BROKEN_FULLGRADS: dict[str, Callable[..., Explanation]] = {
    "magnitudes": lambda probe, inputs: fullgrad(probe, inputs, psi="absolute"),
    "sign swapped": edited(torch.neg),
    "places flipped": edited(lambda maps: maps.flip(-1)),
    "records mixed": edited(lambda maps: maps.roll(1, dims=1)),
    "questions mixed": edited(lambda maps: maps.roll(1, dims=0)),
}


@pytest.mark.parametrize("broken", BROKEN_FULLGRADS.values(), ids=BROKEN_FULLGRADS)
def test_a_broken_fullgrad_is_noticed(broken: Callable[..., Explanation]) -> None:
    assert max(fullgrad_place_by_place(broken), fullgrad_adds_up(broken)) > NOTICED


KERNELS = ("sigmoid", "rbf", "poly", "cosine", "linear")


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_pca_is_right(kernel: str) -> None:
    assert kpca_against_definition(kpca_cam, kernel) < 1e-10


BROKEN_KPCA: dict[str, Callable[..., Tensor]] = {
    "sign left to chance": lambda a, **_: -kpca_cam(a, **_),
    "another width": lambda a, kernel, gamma: kpca_cam(a, kernel=kernel, gamma=2 * gamma),
    "width left out": lambda a, kernel, gamma: kpca_cam(a, kernel=kernel),
    "another kernel": lambda a, kernel, gamma: kpca_cam(a, kernel="linear", gamma=gamma),
    "places in another order": lambda a, kernel, gamma: torch.from_numpy(
        kpca_by_definition(a.transpose(2, 3).numpy(), kernel, gamma)
    ).reshape(a.shape[0], *a.shape[2:]),
    "not scaled by the eigenvalue": lambda a, **_: kpca_cam(a, **_) / kpca_cam(a, **_).norm(),
}


@pytest.mark.parametrize("broken", BROKEN_KPCA.values(), ids=BROKEN_KPCA)
def test_a_broken_kernel_pca_is_noticed(broken: Callable[..., Tensor]) -> None:
    assert max(kpca_against_definition(broken, kernel) for kernel in ("sigmoid", "rbf")) > NOTICED


def test_fusion_and_means_are_right() -> None:
    assert fusion_against_definition(fusion.fuse) < 1e-10
    assert mean_against_definition(combine.mean) < 1e-10


BROKEN_FUSIONS: dict[str, Callable[..., object]] = {
    "mean in place of maximum": lambda said: fusion.fuse(said, how="mean"),
    "not scaled": lambda said: fusion.fuse(said, scale="none"),
    "scaled without tanh": lambda said: fusion.fuse(said, scale="peak"),
    "another gamma": lambda said: fusion.fuse(said, gamma=1.0),
    "last layer left out": lambda said: fusion.fuse(said[1:]),
}


@pytest.mark.parametrize("broken", BROKEN_FUSIONS.values(), ids=BROKEN_FUSIONS)
def test_a_broken_fusion_is_noticed(broken: Callable[..., object]) -> None:
    assert fusion_against_definition(broken) > NOTICED  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "broken",
    [lambda said: combine.mean(said, scale="none"), lambda said: fusion.fuse(said, scale="peak")],
    ids=["not scaled", "maximum in place of mean"],
)
def test_a_broken_mean_is_noticed(broken: Callable[..., object]) -> None:
    assert mean_against_definition(broken) > NOTICED  # type: ignore[arg-type]


GRADIENT = Asked("gradient")


def test_augmentation_is_right() -> None:
    assert tta_against_definition(tta.tta, GRADIENT) < 1e-10


BROKEN_VIEWS: dict[str, Callable[..., object]] = {
    "no flip": lambda explain, flips, brightness: tta.tta(explain, flips=(), brightness=brightness),
    "no brightness": lambda explain, flips, brightness: tta.tta(explain, flips=flips, brightness=(1.0,)),
    "another axis": lambda explain, flips, brightness: tta.tta(explain, flips=(-2,), brightness=brightness),
}


@pytest.mark.parametrize("broken", BROKEN_VIEWS.values(), ids=BROKEN_VIEWS)
def test_a_broken_augmentation_is_noticed(broken: Callable[..., object]) -> None:
    assert tta_against_definition(broken, GRADIENT) > NOTICED  # type: ignore[arg-type]


def test_maps_that_are_not_flipped_back_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stays(tta.View):
        def undo(self, maps: Tensor) -> Tensor:
            return maps

        def look(self, values: Tensor, normalisation: object) -> Tensor:
            seen = tta.brightened(values, self.brightness, normalisation)  # type: ignore[arg-type]
            return seen.flip(self.flips) if self.flips else seen

    monkeypatch.setattr(tta, "View", Stays)
    assert tta_against_definition(tta.tta, GRADIENT) > NOTICED


def test_brightness_of_normalised_values_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tta, "brightened", lambda values, factor, normalisation: values * factor)
    assert tta_against_definition(tta.tta, GRADIENT) > NOTICED


def test_deeplift_is_right() -> None:
    pytest.importorskip("captum", reason="captum is not installed")
    assert deeplift_against_definition(deeplift) < 1e-10


def gradient_times_change(probe: Probe, inputs: Inputs, *, baseline: Tensor) -> Explanation:
    capture = probe.capture(inputs, Wants(input_gradients=True))
    answer = capture.input_gradients["image"] * (inputs["image"] - baseline)
    return Explanation({}, capture.scores, per_channel={"image": answer})


BROKEN_DEEPLIFTS: dict[str, Callable[..., Explanation]] = {
    "the slope at the input": gradient_times_change,
    "another baseline": lambda probe, inputs, baseline: deeplift(probe, inputs),
    "baseline and input exchanged": lambda probe, inputs, baseline: deeplift(
        probe, {"image": baseline.expand_as(inputs["image"])}, baseline=inputs["image"]
    ),
}


@pytest.mark.parametrize("broken", BROKEN_DEEPLIFTS.values(), ids=BROKEN_DEEPLIFTS)
def test_a_broken_deeplift_is_noticed(broken: Callable[..., Explanation]) -> None:
    pytest.importorskip("captum", reason="captum is not installed")
    assert deeplift_against_definition(broken) > NOTICED
