"""FeatureMapInspector: kept maps are the modules' own, files carry them, pages show them, nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from borrowed import unchanged
from features.video_models import ClipNet
from seewhy.inspection.inspector import FeatureMapInspector
from seewhy.inspection.layer_page import evenly_spaced
from seewhy.inspection.layer_plots import plot_activation_distribution
from seewhy.values import CheckpointError, ConfigError, DataError, LayerError

CLIPS = torch.randn(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_eight_layers_of_the_guide_come_from_a_nested_backbone_at_the_last_record_and_a_later_step(
    tmp_path: Path,
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Module()
            self.backbone.rnet = torchvision.models.resnet18(num_classes=4)
            self.lstm = nn.LSTM(4, 3, batch_first=True)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            features = self.backbone.rnet(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            return self.lstm(features)[0][:, -1]

    model, clips = Net().eval(), torch.randn(2, 8, 3, 64, 64)
    inspector = FeatureMapInspector(model, tmp_path)
    inspector.set_target(batch_idx=1, timestep=4)
    with unchanged(model, clips):
        activations = inspector.extract_features({"frames": clips})
    assert list(activations) == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "lstm"]
    expected = model.backbone.rnet.conv1(clips[1, 4][None])[0]
    torch.testing.assert_close(activations["conv1"][0], expected, rtol=1e-4, atol=1e-4)
    vectors = model.backbone.rnet(clips[1])[None]
    torch.testing.assert_close(activations["lstm"][0], model.lstm(vectors)[0][0, 4], rtol=1e-4, atol=1e-4)


def test_many_pairs_come_from_one_run_in_the_order_of_the_targets(tmp_path: Path) -> None:
    model = ClipNet().eval()
    inspector = FeatureMapInspector(model, tmp_path, ["conv1", "lstm"])
    inspector.set_target(batch_idx=[1, 0], timestep=range(4))
    activations = inspector.extract_features(CLIPS)
    assert inspector.targets == tuple((record, step) for record in (1, 0) for step in range(4))
    for place, (record, step) in enumerate(inspector.targets):
        torch.testing.assert_close(activations["conv1"][place], model.backbone.conv1(CLIPS[record, step][None])[0])
    assert inspector.population["conv1"].records == 8
    paths = inspector.save_features({"experiment": "test1"}, suffix="_made_16")
    assert [path.name for path in paths] == [f"features_b{r}_t{s}_made_16.pkl" for r, s in inspector.targets]


def test_a_file_loads_with_weights_only_and_gives_back_every_number(tmp_path: Path) -> None:
    with FeatureMapInspector(ClipNet(), tmp_path, ["conv1"]) as inspector:
        inspector.set_target(1, 2)
        kept = inspector.extract_features(CLIPS)["conv1"][0]
        (path,) = inspector.save_features({"epoch": 3})
    content = torch.load(path, weights_only=True)
    assert (content["batch_idx"], content["timestep"], content["batch_info"]) == (1, 2, {"epoch": 3})
    assert torch.equal(content["activations"]["conv1"][0], kept)
    assert content["layers"]["conv1"] == {"module": "backbone.conv1", "kind": "Conv2d", "layout": "channels_first"}
    again = FeatureMapInspector(ClipNet(), tmp_path, ["conv1"])
    assert again.load_features(path.name)["batch_info"] == {"epoch": 3}
    assert torch.equal(again.activations["conv1"][0], kept)
    assert again.get_feature_statistics()["conv1"]["population_records"] == 8


def test_a_page_is_written_for_each_target_and_for_as_few_channels_as_asked(tmp_path: Path) -> None:
    inspector = FeatureMapInspector(ClipNet(), tmp_path, ["conv1", "lstm"])
    inspector.set_target(0, [0, 3])
    inspector.extract_features(CLIPS)
    for count in (1, 2, 4, 16):
        pages = inspector.visualize_feature_maps("conv1", num_channels=count)
        assert len(pages) == 2
        assert pages[0].dtype == np.uint8
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["conv1_b0_t0.png", "conv1_b0_t3.png"]
    inspector.visualize_feature_maps("lstm", save_plot=False)
    assert not (tmp_path / "lstm_b0_t0.png").exists()
    assert not np.array_equal(*inspector.visualize_feature_maps("conv1", save_plot=False))
    with pytest.raises(ConfigError, match="num_channels"):
        inspector.visualize_feature_maps("conv1", num_channels=0)


def test_statistics_are_of_the_targets_and_deaths_of_all_that_ran(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    pictures = torch.stack([torch.full((1, 2, 2), 3.0), torch.full((1, 2, 2), -1.0)])
    inspector = FeatureMapInspector(model, tmp_path, "1")
    inspector.extract_features(pictures)
    found = inspector.get_feature_statistics()["1"]
    assert (found["shape"], found["mean"], found["std"]) == ((2, 2, 2), 1.5, 1.5)
    assert (found["min"], found["max"], found["num_zero"], found["sparsity"]) == (0.0, 3.0, 4, 0.5)
    assert found["dead_channels"] == (1,)
    assert found["population_dead_channels"] == ()


def test_large_activations_go_to_disk_at_once_and_leave_with_the_inspector(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
    pictures = torch.randn(1, 1, 32, 32)
    inspector = FeatureMapInspector(model, tmp_path / "out", memory=8 * 32 * 32 * 4)
    activations = inspector.extract_features(pictures)
    drawers = list((tmp_path / "out").glob(".kept-*"))
    assert [len(list(drawer.iterdir())) for drawer in drawers] == [1]  # the first layer fits into memory
    torch.testing.assert_close(activations["1"][0], model(pictures)[0])
    (path,) = inspector.save_features()
    inspector.cleanup()
    assert not list((tmp_path / "out").glob(".kept-*"))
    torch.testing.assert_close(torch.load(path, weights_only=True)["activations"]["1"], model(pictures))


def test_asking_too_early_or_for_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    inspector = FeatureMapInspector(ClipNet(), tmp_path)
    for ask in (
        inspector.save_features,
        inspector.get_feature_statistics,
        lambda: inspector.visualize_feature_maps("a"),
    ):
        with pytest.raises(DataError, match="extract_features") as raised:
            ask()
        assert raised.value.code == "SW-D133"
    inspector.extract_features(CLIPS)
    with pytest.raises(LayerError, match="No activations found for layer 'conv9'") as lost:
        inspector.visualize_feature_maps("conv9")
    assert "conv1" in lost.value.near
    inspector.set_target(2, 0)
    with pytest.raises(DataError, match="2 records") as outside:
        inspector.extract_features(CLIPS)
    assert outside.value.code == "SW-D132"
    with pytest.raises(ConfigError):
        inspector.set_target(batch_idx=-1)
    assert not list(tmp_path.iterdir())


def test_channels_are_spread_from_the_first_to_the_last() -> None:
    assert evenly_spaced(256, 16)[0] == 0
    assert evenly_spaced(256, 16)[-1] == 255
    assert evenly_spaced(5, 5) == [0, 1, 2, 3, 4]
    assert evenly_spaced(7, 1) == [0]


def test_other_targets_of_one_batch_add_no_evidence(tmp_path: Path) -> None:
    inspector = FeatureMapInspector(ClipNet(), tmp_path, ["conv1"])
    for step in range(4):
        inspector.set_target(0, step)
        inspector.extract_features(CLIPS)
    assert inspector.population["conv1"].records == 8
    inspector.extract_features(CLIPS.clone())
    assert inspector.population["conv1"].records == 16


def test_facts_for_other_targets_than_there_are_and_targets_that_are_no_pairs_are_refused(tmp_path: Path) -> None:
    inspector = FeatureMapInspector(ClipNet(), tmp_path, ["conv1"])
    inspector.extract_features(CLIPS)
    for info in ([{}, {}], "abc"):
        with pytest.raises(ConfigError) as raised:
            inspector.save_features(info)
        assert raised.value.code == "SW-F221"
    for targets in ([], [(0,)]):
        with pytest.raises(ConfigError) as refused:
            inspector.set_targets(targets)
        assert refused.value.code == "SW-F210"


def test_the_plots_take_the_inspectors_own_maps_of_any_rank(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv3d(1, 6, 1), nn.ReLU(), nn.Conv3d(6, 1, 1))
    inspector = FeatureMapInspector(model, tmp_path, ["0", "2"])
    activations = inspector.extract_features(torch.randn(1, 1, 3, 4, 4))
    assert plot_activation_distribution(activations, "0", tmp_path)["num_channels"] == 6
    assert plot_activation_distribution(activations, "2", tmp_path)["num_channels"] == 1
    with pytest.raises(CheckpointError, match="one target"):
        plot_activation_distribution({"0": [torch.zeros(1, 2), torch.zeros(1, 2)]}, "0", tmp_path)
