"""The README, followed to the letter: its configuration, its commands and its Python, on photographs made here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from source_tree import ROOT

from seewhy.cli.analyze_features import analyze_features
from seewhy.cli.compare_features import compare_features
from seewhy.cli.generate import generate_artifacts
from seewhy.cli.gradcam import gradcam
from seewhy.cli.inspect_features import inspect_features
from seewhy.cli.main import seewhy
from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify

README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(program: str = "generate_artifacts") -> list[list[str]]:
    """The words of every line in the README's bash blocks that calls the program."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(f"{program} ")]


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the README's reader has it: photographs, checkpoints and the configuration, copied."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "photos" / split / kind
            folder.mkdir(parents=True)
            Image.fromarray(generator.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(folder / "0001.jpg")
    model = timm.create_model("resnet18", num_classes=2)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    for path in ("path/to/model.ckpt", "logs/epoch=3-step=10.ckpt", "logs/epoch=9-step=30.ckpt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": weights, "epoch": 3}, tmp_path / path)
    config = tmp_path / "configs" / "experiment" / "embeddings" / "my_experiment.yaml"
    config.parent.mkdir(parents=True)
    text, replaced = re.subn(r"num_workers: 4", "num_workers: 0", blocks("yaml")[0])
    assert replaced == 1
    config.write_text(text)
    return tmp_path


def test_every_command_of_the_readme_works_one_after_the_other(newcomer: Path) -> None:
    assert len(commands()) >= 9
    assert [generate_artifacts(words) for words in commands()] == [0] * len(commands())
    run = newcomer / "artifacts" / "embeddings" / "my_experiment"
    pictures = sorted(path.relative_to(run).as_posix() for path in run.glob("gradcam/test+cat+0001/*.png"))
    assert pictures == ["gradcam/test+cat+0001/class_0.png", "gradcam/test+cat+0001/class_1.png"]
    assert [len(RunReader(run).records(split)) for split in ("train", "val", "test")] == [2, 2, 2]
    assert torch.load(run / "embeddings" / "train_embeddings.pt", weights_only=True).shape == (2, 512)
    assert verify(run) == verify(newcomer / "path" / "to" / "custom" / "dir") == []
    assert (run / "0" / "manifest.json").is_file()
    assert (run / "1" / "manifest.json").is_file()


def test_every_friendly_command_of_the_readme_works(newcomer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed = [line for line in commands() if {"output_dir=look", "output_dir=big", "output_dir=shared"} & set(line)]
    assert [generate_artifacts(line) for line in needed] == [0] * 4
    words = ["explain", "layers", "selftest", "evaluate", "metrics", "similar", "project", "report", "render", "merge"]
    assert [line[0] for line in commands("seewhy")] == words
    assert [seewhy(line) for line in commands("seewhy")] == [0] * 10
    assert len({path.parent for path in (newcomer / "big" / "gradcam").glob("*/*.png")}) == 4
    assert [len(RunReader(newcomer / "shared").records(split)) for split in ("train", "val", "test")] == [2, 2, 2]
    assert verify(newcomer / "big") == verify(newcomer / "shared") == []
    written = sorted(path.name for path in (newcomer / "explanations").iterdir())
    assert written == ["0001_gradcam.png", "0001_integrated_gradients.png"]
    told = capsys.readouterr()
    assert "target layer     layer4" in told.out
    assert "edges (control)" in told.out + told.err
    graded = sorted(path.name for path in (newcomer / "evaluation" / "metrics").iterdir())
    assert graded == ["summary.json", "test_metrics.csv", "verdict.json", "verdict.md"]
    assert "test_00003" in told.out
    assert (newcomer / "look" / "report" / "index.html").is_file()
    assert verify(newcomer / "look") == []


@pytest.mark.filterwarnings("ignore:no positive evidence:UserWarning")
def test_the_python_of_the_readme_runs(newcomer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    told = capsys.readouterr().out
    assert "test_00000 (2, 2) (64, 64)" in told
    assert "Predicted class: " in told
    assert [tuple(names[name].shape) for name in ("evidence", "signed", "smooth")] == [(90, 120), (1, 7, 7), (90, 120)]
    pictures = [
        "boxes.png",
        "comparison.png",
        "explanation.png",
        "features.png",
        "field.png",
        "regions.png",
        "volume.png",
    ]
    assert sorted(path.name for path in newcomer.glob("*.png")) == pictures
    assert "://" not in (newcomer / "report.html").read_text("utf-8")
    assert (newcomer / "eyes" / "patient_001_gradcam_visualization.png").is_file()
    assert sorted(path.name for path in (newcomer / "my_features").iterdir()) == [
        "features_b0_t0.pkl",
        "features_b1_t0.pkl",
        "layer2_b0_t0.png",
        "layer2_b1_t0.png",
    ]


def test_the_commands_that_look_inside_work_one_after_the_other(newcomer: Path) -> None:
    called = {
        "inspect_features": lambda words: inspect_features([*words, "--workers", "0"]),
        "analyze_features": analyze_features,
        "compare_features": compare_features,
    }
    for name, command in called.items():
        assert [command(words) for words in commands(name)] == [0], name
    assert (newcomer / "feature_analysis" / "layer4_distribution.png").is_file()
    assert (newcomer / "feature_comparison" / "comparison_layer1.png").is_file()


@pytest.mark.slow
def test_the_gradcam_commands_of_the_readme_work(newcomer: Path) -> None:
    assert [gradcam(words) for words in commands("gradcam")] == [0, 0]
    assert (newcomer / "eyes" / "batch" / "summary_visualization.png").is_file()
    (session,) = (newcomer / "eyes" / "sessions").iterdir()
    statistics = json.loads((session / "reports" / "overall_statistics.json").read_text())
    assert statistics["splits"]["val"]["samples_processed"] == 4


def test_the_readme_counts_metrics_right() -> None:
    import seewhy.metrics  # noqa: F401  (importing the room registers every metric)
    from seewhy.registry import METRICS

    (told,) = re.findall(r"any of (\d+) metrics", README)
    assert int(told) == len(METRICS)
