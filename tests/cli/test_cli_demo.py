"""The demonstration: its presets are its models, its score is right, and the command says what it did."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from seewhy.cli.demo import score
from seewhy.cli.generate import generate_artifacts
from seewhy.cli.main import seewhy
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.demo.models import ARCHITECTURES, CLASSES, KINDS, Kind
from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify


@pytest.mark.parametrize("kind", KINDS)
def test_the_preset_is_the_shipped_architecture(kind: Kind) -> None:
    preset = OmegaConf.to_container(OmegaConf.load(str(resources.files("seewhy.conf") / "model" / f"demo_{kind}.yaml")))
    kwargs = {key: list(v) if isinstance(v, tuple) else v for key, v in ARCHITECTURES[kind].kwargs.items()}
    assert preset == {"kind": "timm", "name": ARCHITECTURES[kind].name, "num_classes": CLASSES, "kwargs": kwargs}


def test_the_demo_experiment_finds_its_weights_and_is_graded_against_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate_artifacts(["experiment=embeddings/demo", "data.counts={test:40}", "shard_size=16"]) == 0
    run = tmp_path / "artifacts" / "embeddings" / "demo" / "demo_cnn"
    assert verify(run) == []
    graded = score(RunReader(run))
    rows = list(RunReader(run).rows("test"))
    right = [row for row in rows if row.predicted == row.label]
    digits = ClutteredDigits(counts={"train": 20, "val": 20, "test": 40})
    hits = 0
    for row in right:
        answer = row.answers[next(key for key in row.answers if key.startswith("gradcam"))]
        values = answer.values[answer.classes.index(row.predicted)]
        y, x = (np.array(np.unravel_index(values.argmax(), values.shape)) + 0.5) * 64 / np.array(values.shape)
        x0, y0, x1, y1 = digits.read(row.position).box
        hits += x0 <= x < x1 and y0 <= y < y1
    assert graded.records == 40
    assert graded.accuracy == len(right) / 40 >= 0.9
    assert graded.gradcam == pytest.approx(hits / len(right))
    assert graded.gradcam >= 0.8
    assert graded.rollout is None


def test_verify_names_a_flipped_byte_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["experiment=embeddings/demo", "model=demo_vit", "data.counts={test:2}", "output_dir=run"]
    assert generate_artifacts(words) == 0
    assert seewhy(["verify", "run"]) == 0
    assert "every file is as it was written" in capsys.readouterr().out
    picture = tmp_path / "run" / "attention_maps" / "test_00000_attention.png"
    data = bytearray(picture.read_bytes())
    data[100] ^= 1
    picture.write_bytes(data)
    assert seewhy(["verify", "run"]) == 1
    assert "damaged: attention_maps/test_00000_attention.png" in capsys.readouterr().out


def test_a_path_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["verify", str(tmp_path)]) == 2
    assert "SW-S17" in capsys.readouterr().err
