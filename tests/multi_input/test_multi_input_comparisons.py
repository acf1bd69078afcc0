"""Several methods about one class, and figures of inputs that are no plain pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from multi_input.branch_models import LAYERS, SIZES, SumOfBranches, pages_of, some_inputs
from seewhy.multi_input import (
    AllMethodsComparison,
    ComparisonVisualizer,
    GradCAMVisualizer,
    SmoothGradVisualizer,
    VarGradVisualizer,
)
from seewhy.multi_input.pictures import as_picture, drawing_of
from seewhy.pixels import Normalisation
from seewhy.values import ConfigError, DataError


def test_a_comparison_is_both_methods_asked_alone() -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    cam, cam_pp = ComparisonVisualizer(model, target_layers=LAYERS).compare_methods(inputs, 1)
    for method, found in (("gradcam", cam), ("gradcam++", cam_pp)):
        alone = GradCAMVisualizer(model, method=method, target_layers=LAYERS).analyze_sample(inputs, 1)
        for name in SIZES:
            np.testing.assert_array_equal(found[name], alone[name])


def test_all_methods_are_each_asked_alone(tmp_path) -> None:
    model, inputs = SumOfBranches(), some_inputs(1)
    noise = {"n_samples": 3, "noise_level": 0.1}
    found = AllMethodsComparison(model, **noise).compare_all_methods(inputs, 0, tmp_path / "all.png")
    assert list(found) == ["gradcam", "gradcam++", "smoothgrad", "vargrad"]
    smooth = SmoothGradVisualizer(model, **noise).analyze_sample(inputs, 0)
    variance = VarGradVisualizer(model, **noise).analyze_sample(inputs, 0)
    for name in SIZES:
        np.testing.assert_array_equal(found["smoothgrad"][name], smooth[name])
        np.testing.assert_array_equal(found["vargrad"][name], variance[name])
    _, height, width, _ = pages_of(tmp_path / "all.png").shape
    assert height > width  # the inputs and four rows of three


def test_files_of_a_comparison_carry_the_method_in_their_folder(tmp_path) -> None:
    found = ComparisonVisualizer(SumOfBranches()).analyze_sample_comparison(some_inputs(1), 1, tmp_path, "eye")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "eye_comparison.png", "eye_gradcam_heatmaps", "eye_gradcampp_heatmaps",
    ]  # fmt: skip
    assert (found["sample_id"], found["target_class"]) == ("eye", 1)
    assert set(found["shares"]) == {"gradcam", "gradcam++"}


def test_names_of_a_single_method(tmp_path) -> None:
    for method in ("gradcam", "gradcam++"):
        GradCAMVisualizer(SumOfBranches(), method=method).analyze_sample(some_inputs(1), save_dir=tmp_path)
    SmoothGradVisualizer(SumOfBranches(), n_samples=2).analyze_sample(some_inputs(1), save_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sample_gradcam_visualization.png",
        "sample_gradcamplusplus_visualization.png",
        "sample_gradcampp_heatmaps",
        "sample_heatmaps",
        "sample_smoothgrad_heatmaps",
        "sample_smoothgrad_visualization.png",
    ]


def test_another_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="Unsupported method") as caught:
        GradCAMVisualizer(SumOfBranches(), method="gradcam+")
    assert (caught.value.code, caught.value.near[0]) == ("SW-F121", "gradcam++")
    assert caught.value.fix == "choose gradcam or gradcam++"


def test_a_volume_is_drawn_at_the_slice_with_the_most_evidence_and_saved_as_pages(tmp_path) -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv3d(1, 1, 1, bias=False)
            self.body.weight.data.fill_(1.0)

        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            pooled = self.body(volume).mean((2, 3, 4))
            return torch.cat([pooled, -pooled], 1)

    scan = torch.zeros(1, 1, 6, 8, 8)
    scan[0, 0, 4] = 1.0
    visualizer = GradCAMVisualizer(Volume(), target_layers=["body"], input_names=["volume"])
    heat = visualizer.analyze_sample([scan], 0, tmp_path)["volume"]
    np.testing.assert_array_equal(heat, scan[0, 0].numpy())
    pages = pages_of(tmp_path / "sample_heatmaps" / "sample_volume.tiff")
    full = (pages == (128, 0, 0)).all(axis=-1)  # the last colour of jet
    np.testing.assert_array_equal(full, scan[0, 0].numpy() == 1)


def test_of_a_volume_the_slice_with_the_most_evidence_is_drawn() -> None:
    scan = torch.stack([torch.full((4, 4), step / 10) for step in range(6)])[None]
    heat = np.zeros((6, 4, 4), np.float32)
    heat[3] = 1.0
    found = drawing_of("s", "", {"volume": scan}, {"gradcam": {"volume": heat}}, {"gradcam": {"volume": 1.0}})
    assert list(found.pictures) == ["volume 4 / 6"]
    assert (found.pictures["volume 4 / 6"] == round(0.3 * 255)).all()
    assert (found.heats["gradcam"]["volume 4 / 6"] == 1).all()


def test_signals_have_maps_and_no_figure(tmp_path) -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    visualizer = GradCAMVisualizer(model, input_names=["signal"])
    signal = torch.rand(1, 1, 32)
    assert visualizer.analyze_sample([signal])["signal"].shape == (32,)
    with pytest.raises(DataError) as caught:
        visualizer.analyze_sample([signal], save_dir=tmp_path)
    assert caught.value.code == "SW-D99"


def test_pictures_undo_the_normalisation_they_are_told_of() -> None:
    grey = torch.tensor([[[-1.0, 0.0, 1.0]]])
    assert as_picture(grey, Normalisation((0.5,), (0.5,)))[0, :, 0].tolist() == [0, 128, 255]
    assert as_picture(torch.tensor([[[0.2, 0.4]]]))[0, :, 0].tolist() == [51, 102]
    assert as_picture(torch.tensor([[[0.0, 510.0, 255.0]]]))[0, :, 0].tolist() == [0, 255, 128]
