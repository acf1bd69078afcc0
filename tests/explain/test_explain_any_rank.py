"""Volumes, clips and signals: the evidence lies where it was planted, in every file that is written."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from seewhy.data.volume_input import Window
from seewhy.explain.clips import explain_clip
from seewhy.explain.signals import explain_signal
from seewhy.explain.volumes import explain_volume
from seewhy.values import SeewhyError
from toys import FramesNet

PREPARED = {"size": 32, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "crop": "none"}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class Brightness(nn.Module):
    """Class 1 is the mean brightness, class 0 its opposite: Grad-CAM of class 1 is the input itself, scaled."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__()
        self.conv = CONV[rank](channels, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 1 / channels)
        self.pool = POOL[rank](1)
        self.head = nn.Linear(1, 2, bias=False)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.conv(x)).flatten(1))


def volume() -> NDArray[np.float32]:
    values = np.zeros((6, 10, 8), np.float32)
    values[4, 2, 5] = 1.0
    return values


def test_the_heat_map_of_a_brightness_model_is_the_volume() -> None:
    values = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    result = explain_volume(Brightness(3, 1), values, target_class=1, scaling=Window(0, 1))
    np.testing.assert_allclose(result["heatmap"], values / values.max(), atol=1e-6)
    np.testing.assert_allclose(result["raw"], values / values.size, rtol=1e-5)


def test_a_nifti_map_lies_on_its_source_in_world_coordinates(tmp_path: Path) -> None:
    stored = np.zeros((8, 10, 6), np.float32)
    stored[5, 2, 4] = 1.0
    affine = np.array(
        [[-2.0, 0, 0, 10], [0, 0, 3.0, -7], [0, 1.5, 0, 4], [0, 0, 0, 1]]
    )  # two axes swapped, one flipped
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "scan.nii.gz")
    result = explain_volume(
        Brightness(3, 1),
        tmp_path / "scan.nii.gz",
        target_class=1,
        scaling=Window(0, 1),
        save_path=tmp_path / "map.nii.gz",
    )
    written = nibabel.load(tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(written.affine, affine)
    np.testing.assert_allclose(written.get_fdata(), stored, atol=1e-6)
    assert any("PSL" in note or "read as" in note for note in result["notes"])


def test_a_stack_of_pages_is_hot_where_the_volume_is(tmp_path: Path) -> None:
    result = explain_volume(
        Brightness(3, 1), volume(), target_class=1, scaling=Window(0, 1), colormap="gray", alpha=1.0
    )
    with Image.open(result.save(tmp_path / "map.tiff")) as pages:
        assert pages.n_frames == 6
        shown = np.stack([_page(pages, number) for number in range(6)])
    assert np.argwhere(shown[..., 0] > 128).tolist() == [[4, 2, 5]]


def _page(pages: Image.Image, number: int) -> NDArray[np.uint8]:
    pages.seek(number)
    return np.asarray(pages)


def test_a_model_without_evidence_says_so_and_paints_nothing(tmp_path: Path) -> None:
    result = explain_volume(Brightness(3, 1), volume(), target_class=0, scaling=Window(0, 1))
    assert not result["heatmap"].any()
    assert result["shares"] == {"volume": 0.0}
    assert any("no positive evidence" in note for note in result["notes"])
    result.save(tmp_path / "sheet.png")
    overlays = result.stack.overlays(result.look)
    np.testing.assert_array_equal(overlays, result.stack.pictures)


def clip() -> NDArray[np.uint8]:
    frames = np.zeros((6, 32, 32, 3), np.uint8)
    frames[4, 8:12, 20:24] = 255
    return frames


@pytest.mark.parametrize("frames_first", [None, True, False])
def test_the_frame_with_the_evidence_is_found_however_the_model_takes_clips(frames_first: bool | None) -> None:
    model = FramesNet(Brightness(2, 3)) if frames_first is not False else Brightness(3, 3)
    result = explain_clip(model, clip(), target_class=1, frames_first=frames_first, preprocessing=PREPARED)
    np.testing.assert_allclose(result["heatmap"], clip()[..., 0] / 255, atol=1e-6)


def test_a_film_can_be_written_and_its_hottest_frame_is_the_planted_one(tmp_path: Path) -> None:
    result = explain_clip(Brightness(3, 3), clip(), target_class=1, preprocessing=PREPARED, colormap="gray", alpha=1.0)
    for ending in ("gif", "mp4"):
        assert result.save(tmp_path / f"map.{ending}").stat().st_size > 0
    with Image.open(tmp_path / "map.gif") as film:
        brightest = [int(np.asarray(_rgb(film, number)).max()) for number in range(film.n_frames)]
    assert int(np.argmax(brightest)) in (1, 4)  # equal black frames are merged into one that is shown longer


def _rgb(film: Image.Image, number: int) -> Image.Image:
    film.seek(number)
    return film.convert("RGB")


def test_what_a_crop_left_out_is_told_and_drawn_dark(tmp_path: Path) -> None:
    """Of 48 columns the 32 in the middle are seen; black of the colour map at alpha 0 leaves the frames alone."""
    frames = np.full((4, 32, 48, 3), 200, np.uint8)
    cropped = {**PREPARED, "crop": "center", "crop_ratio": 1.0}
    result = explain_clip(Brightness(3, 3), frames, target_class=1, preprocessing=cropped, alpha=0.0)
    seen = np.zeros((32, 48), bool)
    seen[:, 8:40] = True
    np.testing.assert_array_equal(result["valid_mask"], seen)
    shown = np.broadcast_to(np.where(seen, 200, 80)[..., None], (4, 32, 48, 3))
    np.testing.assert_array_equal(result.stack.overlays(result.look), shown)
    np.testing.assert_array_equal(result["heatmap"][:, ~seen], 0)
    assert "the centre crop keeps 67% of each frame" in result["notes"]
    assert "what the model did not see is drawn dark" in result["notes"]
    assert frames.min() == 200


def test_a_clip_that_is_seen_whole_is_drawn_as_it_is() -> None:
    result = explain_clip(Brightness(3, 3), clip(), target_class=1, preprocessing=PREPARED)
    assert result["valid_mask"].all()
    np.testing.assert_array_equal(result.stack.pictures, clip())
    assert not [note for note in result["notes"] if "crop" in note or "dark" in note]


def test_as_many_frames_as_channels_must_be_told_apart() -> None:
    with pytest.raises(SeewhyError, match="SW-F141"):
        explain_clip(Brightness(3, 3), clip()[:3], preprocessing=PREPARED)


def test_the_heat_of_a_signal_is_the_mean_of_its_leads() -> None:
    signal = np.abs(np.random.default_rng(1).normal(size=(3, 50)))
    result = explain_signal(Brightness(1, 3), signal, target_class=1, leads=["I", "II", "III"], sampling_rate=100)
    mean = signal.mean(axis=0)
    np.testing.assert_allclose(result["heatmap"], mean / mean.max(), atol=1e-5)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda: explain_volume(Brightness(3, 1), np.zeros((4, 4))), "SW-D56"),
        (lambda: explain_volume(Brightness(3, 1), np.full((4, 4, 4), np.nan)), "SW-D56"),
        (lambda: explain_signal(Brightness(1, 1), np.zeros(5)), "SW-D58"),
        (lambda: explain_clip(Brightness(3, 3), np.zeros((4, 8, 8, 3))), "SW-D57"),
        (lambda: explain_volume(Brightness(3, 1), volume(), scaling=Window(0, 1)).save("map.bmp"), "SW-F140"),
        (lambda: explain_signal(Brightness(1, 1), np.ones((1, 9))).save("map.tiff"), "SW-F140"),
        (lambda: explain_clip(Brightness(3, 3), clip(), preprocessing=PREPARED).save("map.nii.gz"), "SW-F140"),
    ],
)
def test_what_cannot_be_explained_or_written_is_refused(ask, code: str) -> None:
    with pytest.raises(SeewhyError, match=code):
        ask()
