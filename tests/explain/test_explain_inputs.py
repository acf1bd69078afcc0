"""Several inputs at once: shares that mean something, colours only where somebody told them, and words otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seewhy
from seewhy.data.volume_input import Window, ZScore
from seewhy.explain.explainers import explainer_class
from seewhy.pixels import Normalisation
from seewhy.render.frames import chosen_slices
from seewhy.values import SeewhyError
from toys import Branches, ConvNet, FramesNet


class Mean(nn.Module):
    """Class 0 is ``weights`` times the means of two inputs of other sizes, read through a convolution each."""

    def __init__(self, of_small: float, of_large: float) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
        self.small.weight.data.fill_(1.0)
        self.large.weight.data.fill_(1.0)
        self.of_small, self.of_large = of_small, of_large

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        logit = self.of_small * self.small(small).mean((1, 2, 3)) + self.of_large * self.large(large).mean((1, 2, 3))
        return torch.stack([logit, -logit], dim=1)


INPUTS = {"small": torch.ones(1, 1, 28, 28), "large": torch.ones(1, 1, 56, 56)}


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "input_x_gradient", "occlusion", "fullgrad"])
def test_shares_are_those_of_the_logit_whatever_the_sizes(method: str) -> None:
    """The logit is 3 + 1: three quarters come from the small input."""
    explainer = explainer_class(method)(Mean(3.0, 1.0))
    (found,) = explainer.explain_inputs(INPUTS, 0)
    assert found.shares == pytest.approx({"small": 0.75, "large": 0.25}, abs=1e-5)


@pytest.mark.parametrize("method", ["scorecam", "rise", "random"])
def test_maps_with_a_unit_of_their_own_have_no_share_and_say_so(method: str) -> None:
    settings = {"num_masks": 4} if method == "rise" else {}
    explainer = explainer_class(method)(Mean(3.0, 1.0), **settings)
    (found,) = explainer.explain_inputs(INPUTS, 0)
    assert found.shares == {}
    assert any("no share is told" in note for note in found.notes)


def test_inputs_that_one_layer_sees_together_have_no_share_and_say_so() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = ConvNet(2, channels=2)

        def forward(self, t1: Tensor, t2: Tensor) -> Tensor:
            return self.net(torch.cat([t1, t2], dim=1))

    given = {"t1": torch.randn(1, 1, 12, 12), "t2": torch.randn(1, 1, 12, 12)}
    (found,) = seewhy.GradCAM(Early()).explain_inputs(given)
    assert found.shares == {}
    assert any("sees several inputs at once" in note for note in found.notes)
    (apart,) = seewhy.InputXGradient(Early()).explain_inputs(given)
    assert sum(apart.shares.values()) == pytest.approx(1)


def test_a_colour_is_no_baseline_where_nobody_told_how_values_came_from_pixels() -> None:
    given = {"image": torch.rand(1, 2, 12, 10), "second": torch.rand(1, 3, 9, 7)}
    model = Branches(ConvNet(2), ConvNet(2, channels=3))
    (unknown,) = seewhy.IntegratedGradients(model).explain_inputs(given)
    (mean,) = seewhy.IntegratedGradients(model, baseline="mean").explain_inputs(given)
    np.testing.assert_array_equal(unknown.raw["second"], mean.raw["second"])
    assert any("baseline='mean'" in note for note in unknown.notes)
    told = {"image": Normalisation((0.0,) * 2, (1.0,) * 2), "second": Normalisation((0.0,) * 3, (1.0,) * 3)}
    (black,) = seewhy.IntegratedGradients(model, normalisation=told).explain_inputs(given)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in given.items()}
    (by_hand,) = seewhy.IntegratedGradients(model, baseline=zeros).explain_inputs(given)
    np.testing.assert_allclose(black.raw["second"], by_hand.raw["second"], atol=1e-6)


def test_evenly_spread_evidence_has_one_colour_on_a_fine_grid_and_on_a_coarse_one() -> None:
    given = {"small": torch.ones(1, 1, 4, 4), "large": torch.ones(1, 1, 16, 16)}
    for of_small, of_large in ((1.0, 1.0), (2.0, 1.0), (1.0, 4.0)):
        (found,) = seewhy.GradCAM(Mean(of_small, of_large)).explain_inputs(given, 0)
        largest, heats = max(of_small, of_large), found.heats()
        np.testing.assert_allclose(heats["small"], of_small / largest, atol=1e-6)
        np.testing.assert_allclose(heats["large"], of_large / largest, atol=1e-6)
        assert found.shares["small"] == pytest.approx(of_small / (of_small + of_large))


@pytest.mark.parametrize("method", ["gradcam", "smoothgrad", "occlusion"])
def test_an_input_that_does_not_matter_has_no_share_of_the_evidence(method: str) -> None:
    model = Branches(ConvNet(2), ConvNet(2, channels=3))
    model.head.weight.data[:, 3:] = 0
    given = {"image": torch.rand(1, 2, 12, 10), "second": torch.rand(1, 3, 9, 7)}
    (found,) = explainer_class(method)(model).explain_inputs(given)
    assert found.shares == pytest.approx({"image": 1.0, "second": 0.0}, abs=1e-6)


def test_inputs_without_space_are_named_in_a_note() -> None:
    class WithAge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.age = ConvNet(2), nn.Linear(1, 3)

        def forward(self, image: Tensor, age: Tensor) -> Tensor:
            return self.net(image) + self.age(age)

    (found,) = seewhy.GradCAM(WithAge()).explain_inputs({"image": torch.rand(1, 2, 12, 10), "age": torch.ones(1, 1)})
    assert any("without a map or a share: age" in note for note in found.notes)


def test_a_volume_of_few_slices_is_no_clip_and_a_short_clip_is_one() -> None:
    volume = torch.randn(1, 2, 3, 6, 5)  # two channels, three slices
    maps = seewhy.Saliency(ConvNet(3)).attribute(volume, 0).maps["image"]
    assert maps.shape == (1, 3, 6, 5)
    clip = torch.randn(1, 3, 2, 9, 8)  # three frames of two channels
    maps = seewhy.Saliency(FramesNet(ConvNet(2))).attribute(clip, 0).maps["image"]
    assert maps.shape == (1, 3, 9, 8)
    with pytest.raises(SeewhyError, match="SW-F141"):
        seewhy.Saliency(ConvNet(3)).attribute(torch.randn(1, 2, 2, 6, 5), 0)
    told = seewhy.Saliency(ConvNet(3), frames_first=())
    assert told.attribute(torch.randn(1, 2, 2, 6, 5), 0).maps["image"].shape == (1, 2, 6, 5)


def test_a_batch_of_signals_is_no_picture() -> None:
    assert seewhy.GradCAM(ConvNet(1, channels=12)).attribute(torch.rand(2, 12, 50), 0).maps["signal"].shape == (2, 25)


def test_a_model_made_in_inference_mode_is_refused_in_words() -> None:
    with torch.inference_mode():
        model = ConvNet(2)
    with pytest.raises(SeewhyError, match="inference mode"):
        seewhy.GradCAM(model).attribute(torch.rand(1, 2, 12, 10), 0)


def test_memory_that_does_not_suffice_is_not_blamed_on_the_inputs() -> None:
    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = ConvNet(2)

        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    with pytest.raises(RuntimeError, match="allocate memory"):
        seewhy.GradCAM(Short()).attribute(torch.rand(1, 2, 12, 10), 0)


class Lowest(nn.Module):
    """Remembers the lowest value it was asked about."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__()
        self.net = ConvNet(rank, channels=channels)
        self.lowest = float("inf")

    def forward(self, x: Tensor) -> Tensor:
        self.lowest = min(self.lowest, float(x.detach().min()))
        return self.net(x)


def test_integrated_gradients_of_a_volume_in_the_unit_range_never_leaves_it() -> None:
    model = Lowest(3, 3)
    seewhy.explain_volume(model, np.random.default_rng(0).random((3, 6, 8, 8)), "ig", scaling=Window(0, 1))
    assert model.lowest >= 0


@pytest.mark.parametrize("method", ["ig", "gradient_shap", "occlusion", "smoothgrad", "gradcam"])
def test_every_kind_of_method_works_by_default_on_volumes_and_signals(method: str) -> None:
    volume = np.random.default_rng(0).normal(size=(6, 8, 8))
    result = seewhy.explain_volume(ConvNet(3, channels=1), volume, method, scaling=ZScore())
    assert result["heatmap"].shape == (6, 8, 8)
    signal = np.random.default_rng(1).normal(size=(12, 60))
    found = seewhy.explain_signal(ConvNet(1, channels=12), signal, method)
    assert found["heatmap"].shape == (60,)
    if method == "ig":
        assert any("baseline='mean'" in note for note in (*result["notes"], *found["notes"]))
        assert found["settings"]["baseline"] == "mean"


def test_a_layer_for_each_input_can_be_named_by_input() -> None:
    model = Branches(ConvNet(2), ConvNet(2, channels=3))
    given = {"image": torch.rand(1, 2, 12, 10), "second": torch.rand(1, 3, 9, 7)}
    explainer = seewhy.GradCAM(model, target_layer={"second": "of_second.stem", "image": "of_image"})
    (found,) = explainer.explain_inputs(given)
    assert found.attribution.facts["layer"] == {"image": "of_image.body", "second": "of_second.stem"}


def test_the_slice_with_the_evidence_is_always_shown() -> None:
    heat = np.zeros((200, 4, 4))
    heat[22] = 1
    shown = chosen_slices(heat, 12)
    assert 22 in shown
    assert len(shown) == 12
