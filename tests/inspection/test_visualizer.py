"""FeatureVisualizer: the modules' own numbers, pictures as the explainers prepare them, figures that nothing holds."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

from borrowed import unchanged
from seewhy.explain.explainers import GradCAM
from seewhy.features.channel_order import channel_scores, highest
from seewhy.inspection.visualizer import FeatureVisualizer
from seewhy.render.plots_page import page_figure
from seewhy.values import ConfigError, DataError, LayerError, ModelError, SeewhyError

PLAIN = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "size": 32, "crop": "none"}
RANDOM = np.random.default_rng(0)
PICTURES = [RANDOM.integers(0, 256, (40, 48, 3), dtype=np.uint8) for _ in range(3)]


class Known(nn.Module):
    """Channels whose maps are the red channel, its negative, a constant of 2, and twice the red channel, then a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.mix = nn.Conv2d(3, 4, 1)
        self.backbone.mix.weight.data.zero_()
        self.backbone.mix.weight.data[:, 0, 0, 0] = torch.tensor([1.0, -1.0, 0.0, 2.0])
        self.backbone.mix.bias.data = torch.tensor([0.0, 0.0, 2.0, 0.0])
        self.relu, self.forwards = nn.ReLU(inplace=True), 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += 1
        return self.relu(self.backbone.mix(x)).mean(dim=(2, 3))


def red(rows: int = 4, columns: int = 6) -> Tensor:
    """A prepared picture whose red runs from 0 on, with one value that stands out."""
    picture = torch.zeros(3, rows, columns)
    picture[0] = torch.arange(rows * columns).reshape(rows, columns) / 10
    return picture


def visualizer(model: nn.Module | None = None) -> FeatureVisualizer:
    return FeatureVisualizer(model or Known().eval(), preprocessing=PLAIN)


def test_features_are_the_modules_own_for_one_picture_and_for_a_batch() -> None:
    model = Known().eval()
    found = visualizer(model).get_features(red(), "backbone.mix")
    assert torch.equal(found, model.backbone.mix(red()[None]))
    assert torch.equal(found[0, 3], 2 * red()[0])
    batch = torch.stack([red(), red() + 1])
    assert torch.equal(visualizer(model).get_features(batch, "mix"), model.backbone.mix(batch))


def test_pictures_are_prepared_as_the_explainers_prepare_them(tmp_path: Path) -> None:
    model = timm.create_model("test_resnet", num_classes=5).eval()
    seen: list[Tensor] = []
    handle = model.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    path = tmp_path / "picture.png"
    Image.fromarray(PICTURES[0]).save(path)
    for image in (path, str(path), Image.fromarray(PICTURES[0]), PICTURES[0]):
        FeatureVisualizer(model).get_features(image, "layer2")
    GradCAM(model).explain(path)
    handle.remove()
    assert all(torch.equal(one, seen[0]) for one in seen[1:4])
    assert any(torch.equal(one, seen[0]) for one in seen[4:])
    assert seen[0].min() < -0.5  # normalised, unlike pixels in [0, 1]


def test_statistics_are_those_of_the_values_in_hand() -> None:
    found = visualizer().get_feature_statistics(red(), "relu")
    maps = torch.stack([red()[0], torch.zeros(4, 6), torch.full((4, 6), 2.0), 2 * red()[0]])
    assert found["mean"] == pytest.approx(maps.mean().item())
    assert found["std"] == pytest.approx(maps.std(correction=0).item())
    assert (found["min"], found["max"]) == (0.0, pytest.approx(4.6))
    assert found["sparsity"] == (24 + 2) / 96  # the second channel, and where red is 0
    assert found["near_zero"] == found["sparsity"]
    assert (found["num_channels"], found["active_channels"], found["dead_channels"]) == (4, 3, (1,))
    assert (found["spatial_size"], found["records"]) == ((4, 6), 1)


def test_statistics_of_several_pictures_are_those_of_all_their_values_also_of_several_sizes() -> None:
    pictures = [red(), red(2, 3) + 1, red() * 3]
    found = visualizer().get_feature_statistics(pictures, "mix")
    values = torch.cat([Known().backbone.mix(one[None]).flatten() for one in pictures])
    assert found["mean"] == pytest.approx(values.mean().item(), rel=1e-6)
    assert found["std"] == pytest.approx(values.std(correction=0).item(), rel=1e-6)
    assert (found["records"], found["spatial_size"]) == (3, None)


def test_layers_are_compared_from_one_forward(tmp_path: Path) -> None:
    model = Known().eval()
    chart = tmp_path / "sub" / "layers.png"
    found = visualizer(model).compare_layers(red(), ["backbone.mix", "relu"], save_path=chart)
    assert model.forwards == 1
    assert list(found) == ["backbone.mix", "relu"]
    assert found["relu"] == visualizer().get_feature_statistics(red(), "relu")
    assert found["backbone.mix"]["min"] == pytest.approx(-2.3)
    with Image.open(chart) as picture:
        assert picture.size[0] > 800
    assert list(visualizer(model).compare_layers(red())) == ["mix", "relu"]


def test_the_most_active_channels_have_the_highest_means() -> None:
    found = visualizer().get_top_activating_features(red(), "mix", top_k=3)
    assert [channel for channel, _ in found] == [3, 2, 0]
    assert [mean for _, mean in found] == pytest.approx([2.3, 2.0, 1.15])
    assert len(visualizer().get_top_activating_features(red(), "mix", top_k=50)) == 4
    both = visualizer().get_top_activating_features([red(), -red()], "mix", top_k=4)
    assert [mean for _, mean in both] == pytest.approx([2.0, 0.0, 0.0, 0.0])


def test_the_most_common_channels_are_counted_over_pictures_of_any_size() -> None:
    pictures = [red(), red(2, 2), -red()]
    # means: red 2.3, 2, 1.15 · small 0.3, 2, 0.15 · negative -2.3, 2, -1.15 and 1.15 for the second
    assert visualizer().most_common_features(pictures, "mix", top_k=2) == [(2, 3), (3, 2), (1, 1)]


def test_channels_come_in_the_order_asked_for() -> None:
    maps = Known().backbone.mix(red()[None])[0].detach()
    orders: dict[str, Any] = {"activation": [3, 2, 0, 1], "variance": [3, 0, 1, 2], "l1": [3, 2, 0, 1]}
    for sort_by, order in orders.items():
        assert highest(channel_scores(maps, sort_by), 4) == order, sort_by
    assert highest(channel_scores(maps, lambda given: given.flatten(1).amin(dim=1)), 4) == [2, 0, 3, 1]
    random = [highest(channel_scores(torch.zeros(64, 2), "random", seed=seed), 64) for seed in (0, 0, 1)]
    assert random[0] == random[1] != random[2]
    assert sorted(random[0]) == list(range(64))


BROKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "lowest first": lambda maps: -maps.mean(dim=(1, 2)),
    "largest value": lambda maps: maps.amax(dim=(1, 2)) * torch.tensor([1, 1, 9, 1]),
    "magnitudes for activation": lambda maps: maps.abs().mean(dim=(1, 2)) + torch.tensor([0, 0, 9, 0]),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_order_is_noticed(broken: Callable[[Tensor], Tensor]) -> None:
    assert highest(broken(Known().backbone.mix(red()[None])[0]), 4) != [3, 2, 0, 1]


def drawn(figure: Any) -> np.ndarray:
    """The only picture in a figure."""
    return np.asarray(figure.axes[0].images[0].get_array())


def test_the_figure_holds_the_page_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pages" / "features.png"
    figure = visualizer().plot_feature_maps(red(), "mix", num_features=2, save_path=path)
    assert type(figure).__module__ == "matplotlib.figure"
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), drawn(figure))
    same = visualizer().plot_feature_maps(red(), "mix", num_features=2, sort_by="activation")
    other = visualizer().plot_feature_maps(red(), "mix", num_features=2, sort_by="variance")
    assert np.array_equal(drawn(same), drawn(figure))
    assert not np.array_equal(drawn(other), drawn(figure))
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    known = weakref.ref(figure)
    del figure
    gc.collect()
    assert known() is None


def test_a_page_as_a_figure_is_the_page_pixel_for_pixel(tmp_path: Path) -> None:
    page = RANDOM.integers(0, 256, (83, 117, 3), dtype=np.uint8)
    page_figure(page).savefig(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB")), page)


@pytest.mark.parametrize("count", [1, 3, 4, 16])
@pytest.mark.parametrize("layer", ["mix", "relu"])
def test_any_number_of_channels_is_drawn_and_more_than_there_are_is_all_of_them(count: int, layer: str) -> None:
    figure = visualizer().plot_feature_maps(red(), layer, num_features=count)
    few = drawn(visualizer().plot_feature_maps(red(), layer, num_features=min(count, 4)))
    assert drawn(figure).shape[1] == few.shape[1]


def test_a_page_is_fitted_into_a_size_and_written_in_other_formats(tmp_path: Path) -> None:
    figure = visualizer().plot_feature_maps(
        red(), "mix", figsize=(3, 2), save_path=tmp_path / "small.png", sort_by="random"
    )
    assert figure.get_size_inches().tolist() == [3.0, 2.0]
    with Image.open(tmp_path / "small.png") as picture:
        assert picture.size == (300, 200)
    visualizer().plot_feature_maps(red(), "mix", save_path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_vector_and_tokens_are_drawn_too() -> None:
    model = timm.create_model("test_vit", img_size=64, num_classes=4).eval()
    asked = FeatureVisualizer(model)
    picture = torch.randn(3, 64, 64)
    assert asked.get_features(picture, "head").shape == (1, 4)
    side = 64 // model.patch_embed.patch_size[0]
    assert asked.get_feature_statistics(picture, "blocks.1")["spatial_size"] == (side, side)
    for layer in ("head", "blocks.1"):
        assert drawn(asked.plot_feature_maps(picture, layer, num_features=4)).ndim == 3


def test_the_receptive_field_lies_on_the_prepared_picture_and_keeps_its_sign(tmp_path: Path) -> None:
    model = Known().eval()
    path = tmp_path / "field.png"
    found = visualizer(model).visualize_receptive_field(
        red(), "mix", 1, position=(1, 2), save_path=path, method="both", patch=1, stride=1
    )
    expected = np.zeros((4, 6), np.float32)
    expected[1, 2] = -red()[0, 1, 2].item()  # a negative weight on red: covering raises the activation
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32
    slope = visualizer(model).visualize_receptive_field(red(), "mix", 3, (1, 2), method="gradient")
    assert slope[1, 2] == 2
    assert np.count_nonzero(slope) == 1
    with Image.open(path) as page:
        assert page.size[0] > 600
    of_file = visualizer(model).visualize_receptive_field(PICTURES[0], "mix", 0, patch=16, stride=16)
    assert of_file.shape == (32, 32)


def test_covered_pixels_take_the_colour_asked_for() -> None:
    picture = torch.ones(3, 4, 4)
    asked = visualizer()
    # red has weight 2; white is (1 - 0.5) / 0.25 = 2, black -2, the mean of ones 1
    for baseline, value in {"white": 2.0, "black": -2.0, "mean": 1.0, "blur": 1.0, 0.5: 0.5}.items():
        found = asked.visualize_receptive_field(picture, "mix", 3, (0, 0), patch=4, stride=4, baseline=baseline)
        np.testing.assert_allclose(found, 2 * (1 - value), atol=1e-6)


def test_the_model_is_given_back_as_it_was_also_in_training_mode_and_after_an_error() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)).train()
    asked = FeatureVisualizer(model, use_cuda=True, preprocessing=PLAIN)
    with unchanged(model):
        asked.plot_feature_maps(PICTURES[0], "2", sort_by="random")
        asked.compare_layers(PICTURES, ["0", "2"])
        asked.visualize_receptive_field(PICTURES[0], "2", 0, method="both")
        for broken in ({"layer_name": "9"}, {"channel": 4}, {"position": (99, 0)}):
            with pytest.raises(SeewhyError):
                asked.visualize_receptive_field(PICTURES[0], **{"layer_name": "2", "channel": 0, **broken})


def plotted(**settings: Any) -> Any:
    return lambda: visualizer().plot_feature_maps(**{"image": red(), "layer_name": "mix", **settings})


def field(**settings: Any) -> Any:
    given = {"image": red(), "layer_name": "mix", "channel": 0, **settings}
    return lambda: visualizer().visualize_receptive_field(**given)


BAD: dict[str, tuple[type[SeewhyError], str, str, Any]] = {
    "order": (ConfigError, "SW-F200", "Unknown sort_by: size", plotted(sort_by="size")),
    "number": (ConfigError, "SW-F201", "num_features", plotted(num_features=0)),
    "order of its own": (ConfigError, "SW-F207", "4 channels", plotted(sort_by=lambda maps: maps)),
    "figure size": (ConfigError, "SW-F92", "figsize", plotted(figsize=3)),
    "layer": (LayerError, "SW-L01", "Layer mx not found", plotted(layer_name="mx")),
    "pattern": (LayerError, "SW-L30", r"Layer mx\* not found", plotted(layer_name="mx*")),
    "several pictures": (DataError, "SW-D52", "one image", plotted(image=[red(), red()])),
    "channel": (ConfigError, "SW-F202", "channels 0 to 3", field(channel=4)),
    "position": (ConfigError, "SW-F203", "4 × 6", field(position=(4, 0))),
    "method": (ConfigError, "SW-F208", "occlusion, gradient, both", field(method="saliency")),
    "baseline": (ConfigError, "SW-F41", "baseline", field(baseline="grey")),
    "top": (ConfigError, "SW-F201", "top_k", lambda: visualizer().get_top_activating_features(red(), "mix", 0)),
    "model": (ModelError, "SW-M20", "model", lambda: FeatureVisualizer("resnet18")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("kind", "code", "words", "call"), BAD.values(), ids=BAD)
def test_what_cannot_be_asked_is_said(kind: type[SeewhyError], code: str, words: str, call: Any) -> None:
    with pytest.raises(kind, match=words) as raised:
        call()
    assert raised.value.code == code


def test_names_near_to_one_that_is_not_there_are_told() -> None:
    with pytest.raises(LayerError) as raised:
        visualizer().compare_layers(red(), ["relu", "backbone.mxi"])
    assert raised.value.near[0] == "backbone.mix"
