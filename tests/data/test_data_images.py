"""From a decoded picture to a model's input, and back to what a person sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.pixels import Normalisation
from seewhy.values import DataError

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def save(pixels: np.ndarray, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def test_the_input_equals_torchvisions_evaluation_preset(tmp_path: Path) -> None:
    path = save(noise(120, 90, 3), tmp_path / "a.png")
    peer = v2.Compose(
        [
            v2.Resize(73),
            v2.CenterCrop(64),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    with Image.open(path) as opened:
        expected = peer(opened)
    ours = Preprocessing.checked(64, IMAGENET_MEAN, IMAGENET_STD).load(path).pixels
    assert float((ours - expected).abs().max()) <= 1.01 / 255 / min(IMAGENET_STD)


def test_gray_is_repeated_and_noted(tmp_path: Path) -> None:
    pixels = noise(16, 16)
    loaded = Preprocessing.checked(16, *PLAIN, crop="none").load(save(pixels, tmp_path / "a.png"))
    for channel in loaded.pixels:
        assert torch.allclose(channel, torch.from_numpy(pixels / 255).float())
    assert loaded.notes == ("gray repeated in 3 channels",)


def test_one_mean_makes_a_gray_input_of_a_colour_picture(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 1] = 200
    loaded = Preprocessing.checked(16, [0.0], [1.0], crop="none").load(save(pixels, tmp_path / "a.png"))
    assert loaded.pixels.shape == (1, 16, 16)
    assert loaded.pixels.mean().item() == pytest.approx(0.587 * 200 / 255, abs=1 / 255)  # ITU-R 601 luma
    assert "colour converted to gray" in loaded.notes


def test_16_bit_gray_is_resized_without_rounding_to_8_bits(tmp_path: Path) -> None:
    levels = np.full((32, 32), 1000, np.uint16)
    levels[:, 16:] = 1100
    loaded = Preprocessing.checked(16, *PLAIN, crop="none").load(save(levels, tmp_path / "a.png"))
    assert loaded.pixels[0, 8, 0].item() == pytest.approx(1000 / 65535, abs=1e-6)
    assert loaded.pixels[0, 8, 15].item() == pytest.approx(1100 / 65535, abs=1e-6)


def test_a_picture_comes_back_as_it_went_in(tmp_path: Path) -> None:
    pixels = noise(32, 32, 3)
    preprocessing = Preprocessing.checked(32, IMAGENET_MEAN, IMAGENET_STD, crop="none")
    loaded = preprocessing.load(save(pixels, tmp_path / "a.png"))
    assert np.array_equal(preprocessing.picture({"image": loaded.pixels}), pixels)


def test_a_crop_that_drops_most_of_a_picture_is_noted(tmp_path: Path) -> None:
    path = save(noise(10, 100, 3), tmp_path / "a.png")
    notes = Preprocessing.checked(10, *PLAIN, crop_ratio=1.0).load(path).notes
    assert notes == ("the centre crop keeps 10% of the picture",)


def test_a_flat_picture_is_noted(tmp_path: Path) -> None:
    path = save(np.full((16, 16, 3), 90, np.uint8), tmp_path / "a.png")
    assert Preprocessing.checked(16, *PLAIN).load(path).notes == ("flat: every pixel has the same value",)


def test_normalising_is_undone_exactly_enough() -> None:
    normalisation = Normalisation((0.2, 0.4), (0.5, 2.0))
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    model_space = normalisation.apply(image)
    assert model_space[1, 0, 0, 0].item() == pytest.approx((image[1, 0, 0, 0].item() - 0.4) / 2)
    assert torch.allclose(normalisation.undo(model_space), image, atol=1e-12)


def test_a_one_channel_input_is_shown_as_gray() -> None:
    shown = Normalisation((0.5,), (0.5,)).picture(torch.tensor([[[-1.0, 0.0, 1.0]]]))
    assert shown.tolist() == [[[0, 0, 0], [128, 128, 128], [255, 255, 255]]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": "224"},
        {"size": True},
        {"size": [224, 224, 3]},
        {"mean": [0.5], "std": [0.5, 0.5]},
        {"std": [0.0, 1.0, 1.0]},
        {"mean": [float("nan"), 0, 0]},
        {"mean": "0.5", "std": "0.5"},
        {"background": 255},
        {"mean": [0.5] * 4, "std": [0.5] * 4},
        {"crop": "centre"},
        {"crop_ratio": 0},
        {"crop_ratio": 1.5},
        {"background": [0, 0, 256]},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    settings = {"size": 224, "mean": [0.5] * 3, "std": [0.5] * 3, **wrong}
    with pytest.raises(DataError) as caught:
        Preprocessing.checked(**settings)
    assert caught.value.code == "SW-D01"


def test_a_misspelt_crop_names_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        Preprocessing.checked(224, *PLAIN, crop="centre")
    assert caught.value.near[0] == "center"


def test_whole_numbers_and_numpy_numbers_normalise_like_floats() -> None:
    assert Normalisation((0, np.float32(0.5)), (1, 2)) == Normalisation((0.0, 0.5), (1.0, 2.0))
    assert [type(value) for value in Normalisation((0,), (1,)).mean] == [float]
