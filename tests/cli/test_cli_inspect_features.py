"""inspect_features: every line of the guide, samples across batches, gaze, other models and data, refusals."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.cli.analyze_features import analyze_features
from seewhy.cli.inspect_features import inspect_features, numbers
from seewhy.values import ConfigError

NET = '''
from torch import nn


class Net(nn.Module):
    """The stages of a residual network with few channels, and an LSTM over the frames of a clip."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.conv1, self.backbone.bn1 = nn.Conv2d(3, 4, 7, stride=4), nn.BatchNorm2d(4)
        self.backbone.relu, self.backbone.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        for number, (before, behind) in enumerate([(4, 4), (4, 6), (6, 8), (8, 8)], start=1):
            block = nn.Sequential(nn.Conv2d(before, behind, 3, stride=2, padding=1), nn.ReLU())
            other = nn.Sequential(nn.Conv2d(behind, behind, 1), nn.ReLU())
            setattr(self.backbone, f"layer{number}", nn.Sequential(block, other))
        self.lstm, self.fc = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, frames):
        x = frames.flatten(0, 1)
        for stage in self.backbone.children():
            x = stage(x)
        return self.fc(self.lstm(x.mean(dim=(2, 3)).unflatten(0, frames.shape[:2]))[0][:, -1])
'''

CONFIG = """
defaults:
  - video

root: data/Robofarmer-II
annotations: auto
coordinates: pixels
architecture: guide_net.Net
"""

LAYERS = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "lstm"]
FILE = "feature_maps/features_b0_t0_Robofarmer-II_512.pkl"
USUAL = "--dset Robofarmer-II --size 512"
LINES = f"""
inspect_features --checkpoint model.pth --dset Robofarmer-II --batch_size 4 --size 512 --save_dir my_features
analyze_features my_features/features_b0_t0_Robofarmer-II_512.pkl --save_dir feature_analysis
inspect_features --checkpoint model.pth
inspect_features --checkpoint best_model.pth --size 1024 --batch_size 2 --save_dir features_1024
inspect_features --checkpoint model.pth --batch_idx 1 --timestep 4 --save_dir features_middle
inspect_features --checkpoint model.pth --dense_gaze --save_dir features_dense
analyze_features {FILE}
analyze_features {FILE} --layers layer1 layer2 layer3 layer4 --save_dir analysis_resnet
analyze_features {FILE} --layers conv1 bn1 relu maxpool --save_dir analysis_early_layers
inspect_features --checkpoint model.pth --batch_idx 3 --save_dir features_sample_3
inspect_features --checkpoint model.pth --timestep 7 --save_dir features_time_7
inspect_features --checkpoint model.pth --batch_size 1 --size 256
inspect_features --checkpoint model.pth --batch_size 1 --max_len 2 --size 224
inspect_features --checkpoint best_model.pth {USUAL} --batch_idx 0 --timestep 0 --save_dir experiment_1
inspect_features --checkpoint best_model.pth {USUAL} --batch_idx 0 --timestep 4 --save_dir experiment_1
analyze_features experiment_1/features_b0_t0_Robofarmer-II_512.pkl --save_dir analysis_t0
analyze_features experiment_1/features_b0_t4_Robofarmer-II_512.pkl --save_dir analysis_t4
"""
COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "inspect_features": inspect_features,
    "analyze_features": analyze_features,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four clips of ten frames with a bright square that moves right, where everybody looks; a model, its weights."""
    root = tmp_path / "data" / "Robofarmer-II" / "open"
    rows = ["record_id,frame,x,y,verb"]
    for clip in range(4):
        (root / f"clip_{clip}").mkdir(parents=True)
        for frame in range(10):
            picture = np.full((80, 120, 3), 40 + 10 * clip, np.uint8)
            picture[30:50, 10 + 8 * frame : 30 + 8 * frame] = 250
            Image.fromarray(picture).save(root / f"clip_{clip}" / f"{frame:06d}.png")
            rows += [f"open/clip_{clip},{frame},{20 + 8 * frame + nudge},{40},open" for nudge in (0, 1, 2)]
    (root.parent / "gaze.csv").write_text("\n".join(rows))
    (tmp_path / "configs" / "data").mkdir(parents=True)
    (tmp_path / "configs" / "data" / "Robofarmer-II.yaml").write_text(CONFIG)
    (tmp_path / "guide_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "guide_net", raising=False)
    from guide_net import Net

    torch.save({"model_state_dict": Net().state_dict(), "epoch": 3}, "model.pth")
    torch.save(Net().state_dict(), "best_model.pth")
    yield tmp_path
    sys.modules.pop("guide_net", None)


@pytest.mark.slow
def test_a_frame_is_extracted_and_analysed(project: Path) -> None:
    for line in LINES.strip().splitlines()[:2]:
        name, *words = shlex.split(line)
        assert COMMANDS[name]([*words, *(["--workers", "0"] if name == "inspect_features" else [])]) == 0
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {f"my_features/{layer}_b0_t0.png" for layer in LAYERS} <= files
    assert {f"feature_analysis/{layer}_channel_stats.png" for layer in LAYERS} <= files


@pytest.mark.slow
def test_every_line_of_the_guide_works_one_after_the_other(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in LINES.strip().splitlines():
        name, *words = shlex.split(line)
        words += ["--workers", "0"] if name == "inspect_features" else []
        assert COMMANDS[name](words) == 0, (line, capsys.readouterr().err)
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {f"feature_maps/{layer}_b0_t0.png" for layer in LAYERS} <= files
    plots = ("distribution", "channel_stats", "spatial_patterns")
    assert {f"feature_analysis/{layer}_{plot}.png" for layer in LAYERS for plot in plots} <= files
    assert "feature_analysis/layer_comparison.png" in files
    assert {"features_middle/features_b1_t4_Robofarmer-II_512.pkl", "analysis_t4/layer_comparison.png"} <= files
    assert not {name for name in files if name.startswith("analysis_early_layers/layer1")}


def test_samples_are_numbers_of_the_data_set_across_batches_and_each_pair_has_its_own_file(project: Path) -> None:
    words = ["--checkpoint", "model.pth", "--size", "64", "--workers", "0", "--no_plots"]
    assert inspect_features([*words, "--samples", "0,2-3", "--timesteps", "0-1", "--save_dir", "several"]) == 0
    names = sorted(path.name for path in (project / "several").glob("*.pkl"))
    assert names == [f"features_b{b}_t{t}_Robofarmer-II_64.pkl" for b in (0, 2, 3) for t in (0, 1)]
    assert (
        inspect_features([*words, "--batch_idx", "3", "--timestep", "1", "--batch_size", "1", "--save_dir", "one"]) == 0
    )
    several, one = (
        torch.load(project / folder / "features_b3_t1_Robofarmer-II_64.pkl", weights_only=True)
        for folder in ("several", "one")
    )
    for layer in LAYERS:
        torch.testing.assert_close(several["activations"][layer], one["activations"][layer])
    info = one["batch_info"]
    assert (info["record_id"], info["verb"], info["image_size"]) == ("open/clip_3", "open", 64)
    assert (info["dataset"], info["checkpoint"], info["length"]) == ("Robofarmer-II", "model.pth", 8)


def test_statistics_over_many_inputs_count_every_record_and_step(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--checkpoint", "model.pth", "--size", "64", "--workers", "0", "--no_plots", "--layers", "layer4", "lstm"]
    assert inspect_features([*words, "--records", "all"]) == 0
    told = capsys.readouterr().out
    assert "dead channels: of 32 inputs" in told
    content = torch.load(project / "feature_maps" / "features_b0_t0_Robofarmer-II_64.pkl", weights_only=True)
    assert list(content["activations"]) == ["layer4", "lstm"]
    assert content["population"]["lstm"]["records"] == 32


def test_where_people_looked_is_compared_with_where_layers_respond(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--checkpoint", "model.pth", "--size", "64", "--workers", "0", "--no_plots", "--layers", "layer1"]
    assert inspect_features([*words, "--samples", "0-3", "--timesteps", "0-7"]) == 0
    rows = json.loads((project / "feature_maps" / "gaze_Robofarmer-II_64.json").read_text())
    uniform = {row["metric"]: row for row in rows if row["maps"] == "uniform"}
    assert uniform["auc_judd"]["mean"] == pytest.approx(0.5)
    assert uniform["nss"]["mean"] is None
    assert re.search(r"layer1\s+model\s+\d", capsys.readouterr().out)


def test_pictures_and_a_model_by_its_bare_name_go_through_the_same_command(project: Path) -> None:
    words = ["--dset", "cluttered_digits", "--model", "demo:cnn", "--samples", "0-1", "--workers", "0", "--no_plots"]
    torch.save({}, "nothing.pth")
    from seewhy.demo.models import load

    torch.save(load("cnn").state_dict(), "digits.pth")
    assert inspect_features(["--checkpoint", "digits.pth", "--format", "safetensors", *words]) == 0
    (first, second) = sorted((project / "feature_maps").glob("*.safetensors"))
    assert (first.name, second.name) == (
        "features_b0_t0_cluttered_digits_64.safetensors",
        "features_b1_t0_cluttered_digits_64.safetensors",
    )


@pytest.mark.parametrize(
    ("words", "code", "names"),
    [
        (["--checkpoint", "modle.pth"], "SW-C01", "model.pth"),
        (["--checkpoint", "model.pth", "--dset", "Robofarmer"], "SW-F213", "Robofarmer-II"),
        (["--checkpoint", "model.pth", "--dset", "clips"], "SW-F214", "--model"),
        (["--checkpoint", "model.pth", "--batch_idx", "9"], "SW-F216", "0 to 3"),
        (["--checkpoint", "model.pth", "--timestep", "8"], "SW-F220", "0 to 7"),
        (["--checkpoint", "model.pth", "--layers", "layer9"], "SW-L01", "layer1"),
        (["--checkpoint", "model.pth", "--samples", "5-2"], "SW-F212", "0-7"),
        (["--checkpoint", "model.pth", "--samples", "1", "--batch_idx", "1"], "SW-F217", "--samples"),
        (["--checkpoint", "model.pth", "--batch_idx", "-1"], "SW-F217", "0"),
        (["--checkpoint", "model.pth", "--records", "none"], "SW-F218", "all"),
        (["--checkpoint", "model.pth", "--split", "vall"], "SW-F219", "val"),
        (
            ["--checkpoint", "model.pth", "--dset", "cluttered_digits", "--max_len", "4", "--model", "demo:cnn"],
            "SW-F215",
            "",
        ),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str, names: str
) -> None:
    assert inspect_features([*words, "--size", "64", "--workers", "0"]) == 2
    told = capsys.readouterr().err
    assert f"[{code}]" in told
    assert names in told
    assert not list(project.glob("feature_maps/*"))


@pytest.mark.parametrize(
    "words", [["--batch_size", "-1"], ["--size", "0"], ["--max_len", "0"], ["--num_channels", "0"]]
)
def test_numbers_below_one_are_refused(project: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        inspect_features(["--checkpoint", "model.pth", *words])
    assert ended.value.code == 2
    assert "1 or more" in capsys.readouterr().err


def test_what_reading_says_of_a_clip_is_told_and_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in (project / "data" / "Robofarmer-II" / "open" / "clip_0").glob("00000[5-9].png"):
        frame.unlink()
    words = ["--checkpoint", "model.pth", "--size", "64", "--workers", "0", "--no_plots", "--timestep", "7"]
    assert inspect_features(words) == 0
    assert "note: open/clip_0: 5 frames" in capsys.readouterr().out
    content = torch.load(project / "feature_maps" / "features_b0_t7_Robofarmer-II_64.pkl", weights_only=True)
    assert any("repeat" in note for note in content["batch_info"]["notes"])


def test_a_file_in_place_of_the_folder_is_refused_before_the_work(project: Path) -> None:
    (project / "taken").write_text("")
    assert inspect_features(["--checkpoint", "model.pth", "--size", "64", "--save_dir", "taken"]) == 2


def test_a_film_that_cannot_be_read_fails_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in (project / "data" / "Robofarmer-II" / "open" / "clip_1").iterdir():
        frame.write_bytes(b"no picture")
    words = ["--checkpoint", "model.pth", "--size", "64", "--workers", "0", "--no_plots"]
    assert inspect_features([*words, "--samples", "0-3"]) == 1
    assert "failed: open/clip_1" in capsys.readouterr().err
    assert len(list((project / "feature_maps").glob("*.pkl"))) == 3


def test_lists_of_numbers() -> None:
    assert numbers("0-2,7,1", "--samples") == [0, 1, 2, 7]
    with pytest.raises(ConfigError):
        numbers("a", "--samples")
