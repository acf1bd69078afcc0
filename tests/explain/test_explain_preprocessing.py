"""How pictures become inputs: on the model's own word where it has one, by a stated assumption elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from friendly_models import PLAIN, Brightness, noise
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.transforms import v2

import seewhy
from seewhy import GradCAM, load_model
from seewhy.data.geometry import centre_crop
from seewhy.explain.learnt_transform import LearntTransform
from seewhy.explain.prepared import prepare
from seewhy.explain.recipe import find_recipe
from seewhy.values import ConfigError, DataError

TO_TENSOR = (v2.ToImage(), v2.ToDtype(torch.float32, scale=True))


def prepared(model: nn.Module, image: object, given: object = None) -> Tensor:
    return prepare(image, find_recipe(model, given)).pixels


@pytest.mark.parametrize("name", ["test_resnet", "resnet18", "vit_tiny_patch16_224"])
def test_a_timm_model_is_fed_as_timm_feeds_it(name: str) -> None:
    model = timm.create_model(name)
    picture = Image.fromarray(noise(300, 400)).resize((800, 600), Image.Resampling.BICUBIC)
    theirs = create_transform(**resolve_model_data_config(model), is_training=False)(picture)
    ours = prepared(model, picture)
    assert ours.shape == theirs.shape
    two_levels = 2 / 255 / min(model.pretrained_cfg["std"])
    assert (ours - theirs).abs().max() <= two_levels


def test_settings_of_a_wrapped_timm_model_are_found() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = timm.create_model("vit_tiny_patch16_224", num_classes=2)

        def forward(self, image: Tensor) -> Tensor:
            return self.backbone(image)

    recipe = find_recipe(Wrapper())
    assert not recipe.assumed
    assert recipe.normalisation.mean == (0.5, 0.5, 0.5)
    assert str(recipe).startswith("timm's settings of the model")


def test_the_input_size_a_model_is_built_for_is_heeded() -> None:
    assert prepared(timm.create_model("vit_tiny_patch16_224", img_size=96), noise(120, 130)).shape == (3, 96, 96)


def test_what_building_a_model_told_is_remembered() -> None:
    with pytest.warns(UserWarning, match="random weights"):
        model = load_model(model="torchvision:resnet18", num_classes=3)
    recipe = find_recipe(model)
    assert (recipe.assumed, recipe.how.size, str(recipe).split(":")[0]) == (False, (224, 224), "torchvision's settings")


def test_what_nobody_tells_is_assumed_and_said() -> None:
    recipe = find_recipe(resnet18())
    assert recipe.assumed
    assert "assumed" in str(recipe)
    explainer = GradCAM(resnet18())
    with pytest.warns(UserWarning, match="assumed"):
        explainer.explain(noise(60, 60))
    explainer.explain(torch.randn(3, 64, 64))


def test_settings_of_the_caller_go_over_those_of_the_model() -> None:
    model = timm.create_model("resnet18")
    recipe = find_recipe(model, {"size": 100, "crop": 0.5})
    assert recipe.how.size == (100, 100)
    assert recipe.how.crop_ratio == 0.5
    assert recipe.normalisation.mean == model.pretrained_cfg["mean"]


def test_a_gray_model_gets_one_channel_and_a_colour_model_three() -> None:
    gray = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert find_recipe(gray).channels == 1
    plane = noise(64, 64)[..., 0]
    for image in (plane, np.repeat(plane[..., None], 3, axis=2)):
        assert torch.allclose(
            prepared(gray, image, {"size": 64, "mean": [0.0], "std": [1.0], "crop_ratio": 1.0})[0],
            torch.from_numpy(plane / 255.0).float(),
            atol=1 / 255,
        )
    found = GradCAM(Brightness(), preprocessing=PLAIN).explained(plane)
    assert "gray repeated in 3 channels" in found.notes


def test_a_model_of_channels_no_picture_has_is_refused_unless_given_tensors() -> None:
    model = nn.Sequential(nn.Conv2d(5, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert "values as they are" in str(find_recipe(model))
    explainer = seewhy.InputXGradient(model)
    prepared = torch.randn(5, 9, 11)
    signed = explainer.explain(prepared, 1, normalize=False)
    np.testing.assert_allclose(signed, explainer.attribute(prepared[None], 1).map[0].numpy(), atol=1e-7)
    with pytest.raises(ConfigError, match="SW-F74"):
        explainer.explain(np.zeros((20, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"sise": 3}, "SW-F73"),
        (7, "SW-F73"),
        ({"size": 0}, "SW-D01"),
        ({"std": [0.0] * 3}, "SW-D01"),
        (lambda picture: picture, "SW-F70"),
        (lambda picture: torch.zeros(3, 8, 8), "SW-F70"),
        (v2.Compose([*TO_TENSOR, v2.RandomHorizontalFlip(0.5), v2.GaussianNoise()]), "SW-F71"),
    ],
)
def test_preprocessing_that_cannot_be_used_is_refused(given: object, code: str) -> None:
    with pytest.raises((ConfigError, DataError)) as raised:
        find_recipe(Brightness(), given)
    assert raised.value.code == code


@pytest.mark.parametrize("size", [(300, 400), (427, 640), (100, 90), (500, 333)])
def test_a_transform_is_learnt_by_looking(size: tuple[int, int]) -> None:
    learnt = LearntTransform(ResNet18_Weights.DEFAULT.transforms())
    assert learnt.normalisation.mean == (0.485, 0.456, 0.406)
    assert learnt.normalisation.std == (0.229, 0.224, 0.225)
    found, truth = learnt.geometry(size), centre_crop(size, (224, 224), 224 / 256)
    for corner in ((0, 0), (224, 0), (0, 224), (224, 224)):
        there, expected = found.to_original(corner), truth.to_original(corner)
        assert np.allclose(there, expected, atol=1.5 / min(truth.scale))


def test_a_stretching_transform_is_learnt_exactly() -> None:
    learnt = LearntTransform(v2.Compose([v2.Resize((64, 96)), *TO_TENSOR, v2.Normalize([0.5] * 3, [0.25] * 3)]))
    geometry = learnt.geometry((128, 480))
    assert geometry.scale == (0.5, 0.2)
    assert geometry.offset == (0.0, 0.0)


def test_a_transform_that_mirrors_is_not_followed_and_the_map_lies_on_the_input() -> None:
    mirror = v2.Compose([v2.Resize((64, 64)), v2.RandomHorizontalFlip(1.0), *TO_TENSOR])
    picture = noise(80, 100)
    found = GradCAM(Brightness(), preprocessing=mirror).explained(picture, 0)
    assert found.heat.shape == (64, 64)
    assert any("could not be followed" in note for note in found.notes)
    pixels = mirror(Image.fromarray(picture))
    assert np.allclose(found.prepared.draw() / 255.0, pixels.permute(1, 2, 0), atol=1 / 255)


def test_the_model_s_own_preprocess_method_is_used() -> None:
    class Own(Brightness):
        def preprocess(self, picture: Image.Image) -> Tensor:
            return v2.Compose([v2.Resize((32, 32)), *TO_TENSOR])(picture)[None]

    assert "own preprocess method" in str(find_recipe(Own()))
    picture = noise(64, 128)
    expected = v2.Compose([v2.Resize((32, 32)), *TO_TENSOR])(Image.fromarray(picture))
    assert torch.equal(prepared(Own(), picture), expected)


def test_an_image_processor_of_transformers_is_understood() -> None:
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 48})
    recipe = find_recipe(Brightness(), processor)
    assert recipe.normalisation.mean == (0.5, 0.5, 0.5)
    picture = noise(64, 96)
    assert torch.equal(
        prepared(Brightness(), picture, processor),
        processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"][0],
    )
    assert recipe.how.geometry((64, 96)).scale == (0.5, 0.5)


def test_an_extreme_shape_says_how_much_the_crop_keeps() -> None:
    found = GradCAM(Brightness(), preprocessing=PLAIN).explained(noise(16, 160))
    assert "the centre crop keeps 10% of the picture" in found.notes
