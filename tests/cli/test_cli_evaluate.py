"""``seewhy evaluate`` and ``generate_metrics=true``: what they print stands in the files, and no value stands alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import TINY_VIT
from PIL import Image

from seewhy.cli.grade_table import table
from seewhy.cli.main import seewhy
from seewhy.cli.metrics_table import range_of
from seewhy.metrics.gradebook import Gradebook
from seewhy.registry import METRICS

QUICK = ["evaluate", "--model", "demo:cnn", "--splits", "test", "--metrics", "gini,pointing_game"]


def values_in(path: Path) -> dict[tuple[str, str], list[float]]:
    """Values by method and metric."""
    found: dict[tuple[str, str], list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["method"], row["metric"]), []).append(float(row["value"]))
    return found


def test_a_data_set_is_graded_printed_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert seewhy([*QUICK, "--max-records", "3"]) == 0
    said = capsys.readouterr()
    found = values_in(Path("evaluation/metrics/test_metrics.csv"))
    assert {who for who, _ in found} == {"gradcam", "random", "centre", "edges"}
    for (who, metric), values in found.items():
        (line,) = [one for one in said.out.splitlines() if one.split()[:1] == [who]]
        assert f"{np.mean(values):.2f} [" in line, (who, metric)
    assert "test: 3 records" in said.out
    verdict = json.loads(Path("evaluation/metrics/verdict.json").read_text(encoding="utf-8"))
    assert set(verdict["test"]) == {"image"}
    assert seewhy([*QUICK, "--max-records", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["selected"], told["computed"], told["reused"]) == (5, 2, 3)
    image = told["grades"]["splits"]["test"]["image"]
    assert set(image["metrics"]["gini"]["all"]) == {"gradcam", "random", "centre", "edges"}
    assert (
        told["verdict"]["test"]["image"]
        == json.loads(Path("evaluation/metrics/verdict.json").read_text(encoding="utf-8"))["test"]["image"]
    )


def test_pictures_are_graded_too_and_those_without_a_mask_have_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        Image.new("RGB", (90, 70), (200, 30, len(name) * 9)).save(f"{name}.png")
    Path("broken.png").write_bytes(b"no picture")
    words = ["one.png", "two.png", "broken.png", "--model", "demo:cnn", "--methods", "ig", "--set", "ig.steps=4"]
    assert seewhy(["evaluate", *words, "--metrics", "complexity,pointing_game", "--output-dir", "mine"]) == 1
    said = capsys.readouterr()
    assert "pointing_game: no value for 2 of 2 records: the record has no mask or box" in said.out
    assert "broken" in said.err
    assert (tmp_path / "mine/metrics/images_metrics.csv").is_file()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--model", "demo:cnn", "--metrics", "deltion"], "SW-F223"),
        (["--model", "demo:cnn", "--methods", "gradcm"], "SW-F10"),
        (["--model", "demo:cnn", "--metrics", "deletion", "--set", "deletion.step=3"], "SW-F222"),
        (["--model", "demo:cnn", "--set", "steps=3"], "SW-F84"),
        (["--model", "demo:cnn", "--metrics", "gini", "--set", "deletion.steps=3"], "SW-F282"),
        (["--model", "demo:cnn", "--methods", "edges"], "SW-F10"),
        (["--model", "demo:cnn", "--methods", "random"], "SW-F283"),
        (["--model", "demo:cnn", "--splits", "tset", "--metrics", "gini"], "SW-F06"),
        (["--model", "demo:cnn", "--max-records", "0"], "SW-F02"),
        (["--model", "demo:cnn", "--data", "cluttered_digit"], "SW-F213"),
        (["--model", "demo:cnn", "--data-arg", "size"], "SW-F82"),
        (["--model", "timm:resnet18"], "SW-F287"),
        (["--model", "timm:resnet18", "x.png"], "SW-F85"),
        (["--model", "demo:cnn", "x.png", "--data", "image_folder"], "SW-F287"),
        (["--model", "demo:cnn", "nowhere/*.png"], "SW-F87"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert seewhy(["evaluate", *words]) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_metric_without_a_control_is_not_shown() -> None:
    book = Gradebook(("a", "b"), {"gradcam": {"gini": np.array([0.5, 0.7]), "deletion": np.array([0.1, 0.1])}})
    assert table(book) == ["not shown without a control beside it: gini, deletion"]


def test_the_list_of_metrics_is_that_of_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["metrics", "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(told) == set(METRICS)
    assert told["deletion"]["settings"]["steps"] == METRICS["deletion"].settings["steps"]
    assert range_of(METRICS["gini"]) == "0 … 1"
    assert seewhy(["metrics"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(METRICS) + 1


WORDS = [
    "experiment=embeddings/my_experiment", "ckpt_path=path/to/model.ckpt", "splits=test", "generate_embeddings=false",
    "generate_gradcam=false", "generate_attention=false", "generate_metrics=true",
]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["metrics.settings={deletion:{steps:4},ig:{steps:4}}"],
        ["metrics.settings.deletion.steps=4", "metrics.settings.ig.steps=4"],
    ],
)
def test_generate_artifacts_grades_with_settings_written_either_way(
    project: Path, command: Callable[..., Any], words: list[str]
) -> None:
    ended = command(*WORDS, "metrics.methods=[ig]", "metrics.names=[deletion,gini]", *words)
    assert ended.code == 0, ended.err
    root = project / "artifacts/embeddings/my_experiment"
    found = values_in(root / "metrics/test_metrics.csv")
    assert {who for who, _ in found} == {"integrated_gradients", "random", "centre", "edges"}
    questions = json.loads((root / "manifest.json").read_text(encoding="utf-8"))["questions"]
    assert questions["deletion(integrated_gradients)"]["metric settings"]["steps"] == 4
    assert questions["deletion(integrated_gradients)"]["method settings"]["steps"] == 4
    assert "random (control)" in ended.err


def test_an_experiment_may_hold_metrics(project: Path, command: Callable[..., Any]) -> None:
    path = project / "configs/experiment/embeddings/my_experiment.yaml"
    path.write_text(
        path.read_text(encoding="utf-8") + "generate_metrics: true\nmetrics:\n  names: [gini]\n  target: label\n",
        encoding="utf-8",
    )
    ended = command("experiment=embeddings/my_experiment", "ckpt_path=path/to/model.ckpt", "splits=val")
    assert ended.code == 0, ended.err
    root = project / "artifacts/embeddings/my_experiment"
    found = values_in(root / "metrics/val_metrics.csv")
    assert ("rollout", "gini") in found
    assert (root / "embeddings/val_embeddings.pt").is_file()


def test_the_experiment_of_metrics_grades_and_does_nothing_else(project: Path, command: Callable[..., Any]) -> None:
    ended = command(
        "experiment=metrics", "model=timm", "data=cluttered_digits", "model.name=vit_tiny_patch16_224",
        "model.num_classes=10", "ckpt_path=path/to/model.ckpt", "data.size=32", "data.counts={test:2}",
        "data.num_workers=0", "output_dir=graded", "metrics.names=[gini]", "metrics.methods=[rollout]",
        *(f"model.kwargs.{name}={value}" for name, value in TINY_VIT.items()),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    made = {path.relative_to("graded").parts[0] for path in Path("graded").rglob("*") if path.is_file()}
    assert made == {
        ".lock",
        ".receipt.json",
        "about.json",
        "failures.json",
        "manifest.json",
        "metrics",
        "report",
        "shards",
    }


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("metrics.names=[deletoin]", "SW-F223"),
        ("metrics.target=truth", "SW-F23"),
        ("metrics=3", "SW-F21"),
        ("generate_metrics=3", "SW-F21"),
        ("+metrics.name=[deletion]", "SW-F280"),
        ("metrics.settings={deletion:{stepz:4}}", "SW-F222"),
    ],
)
def test_settings_that_cannot_be_are_refused(project: Path, command: Callable[..., Any], word: str, code: str) -> None:
    ended = command(*WORDS, word)
    assert ended.code == 2
    assert f"[{code}]" in ended.err
