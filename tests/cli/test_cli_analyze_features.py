"""``analyze_features`` and ``compare_features``: the guide's lines, what they print, what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seewhy.cli.analyze_features import analyze_features
from seewhy.cli.analyze_features import parser as analyze_parser
from seewhy.cli.compare_features import compare_features
from seewhy.inspection import save_feature_file

NAME = "features_b0_t{}_Robofarmer-II_512.pkl"
LAYERS = ("conv1", "layer1", "layer2")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two time steps of one clip, in the working directory."""
    monkeypatch.chdir(tmp_path)
    maps = torch.tensor([[[0.0, 1.0], [0.0, 3.0]], [[0.0, 0.0], [2.0, 2.0]]])[None]
    for step in (0, 4):
        activations = dict.fromkeys(LAYERS, (1 + step) * maps)
        content = {"activations": activations, "batch_idx": 0, "timestep": step, "batch_info": {"record_id": "clip7"}}
        save_feature_file(tmp_path / NAME.format(step), content)
    return [NAME.format(0), NAME.format(4)]


def test_the_defaults_are_those_of_the_guide() -> None:
    asked = analyze_parser().parse_args(["features.pkl"])
    assert (asked.feature_file, asked.save_dir, asked.layers) == (
        Path("features.pkl"),
        Path("feature_analysis"),
        ["all"],
    )


def test_the_line_of_the_guide_writes_its_files_and_prints_the_table(features: list[str], capsys: Captured) -> None:
    assert analyze_features([features[0], "--layers", "conv1", "layer1", "--save_dir", "analysis_t0"]) == 0
    written = {entry.name for entry in Path("analysis_t0").iterdir()}
    kinds = ("distribution", "channel_stats", "spatial_patterns")
    assert written == {
        *(f"{layer}_{kind}.png" for layer in ("conv1", "layer1") for kind in kinds),
        *("layer_comparison.png", "statistics.json", "statistics.csv"),
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{features[0]}: record clip7 · time step 0"
    assert " ".join(lines[2].split()) == "Layer Shape Mean Std Sparsity Channels Near zero Dead Verdict"
    assert lines[3].split()[:6] == ["conv1", "2×2×2", "1", "1.118", "50.0%", "2"]
    assert lines[-1] == "9 files written to analysis_t0"


@pytest.mark.slow
def test_without_layers_every_one_is_analysed(features: list[str], capsys: Captured) -> None:
    assert analyze_features([features[0]]) == 0
    assert all((Path("feature_analysis") / f"{layer}_distribution.png").exists() for layer in LAYERS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.pkl"], "SW-C31"),
        (["{}", "--layers", "layer11"], "No activations found for layer layer11"),
        (["notes.txt"], "SW-C32"),
        (["{}", "--save_dir", "notes.txt"], "SW-F161"),
    ],
)
def test_what_is_wrong_is_told_on_one_line_and_exits_with_two(
    words: list[str], said: str, features: list[str], capsys: Captured
) -> None:
    Path("notes.txt").write_text("nothing to see")
    assert analyze_features([word.replace("{}", features[0]) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error [SW-")
    assert said in captured.err


def test_two_time_steps_are_compared(features: list[str], capsys: Captured) -> None:
    assert compare_features([*features, "--layers", "layer1"]) == 0
    assert {entry.name for entry in Path("feature_comparison").iterdir()} == {
        "comparison_layer1.png",
        "comparison.json",
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"1: time step 0 ({features[0]})", f"2: time step 4 ({features[1]})"]
    # the second is five times the first
    row = dict(
        zip(lines[3].replace("Mean 1", "Mean1").replace("Mean 2", "Mean2").split(), lines[4].split(), strict=True)
    )
    assert (row["CKA"], row["Correlation"], row["Mean1"], row["Mean2"]) == ("1", "1", "1", "5")
    assert row["|Difference|"] == "4"


def test_a_comparison_is_refused_with_two(features: list[str], capsys: Captured) -> None:
    assert compare_features([features[0], "missing.pkl"]) == 2
    assert "SW-C31" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyze_features", "compare_features"])
def test_help_is_shown_without_importing_torch(command: str) -> None:
    code = (
        f"import sys\nfrom seewhy.cli.{command} import {command}\ntry:\n    {command}(['--help'])\n"
        "except SystemExit as done:\n    sys.exit(1 if 'torch' in sys.modules else done.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert "--save_dir" in done.stdout
