"""``seewhy render``: pictures of a finished run, with its data set or without, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_samples import pictures, rows
from PIL import Image
from torch import nn

import seewhy
from seewhy.cli.main import seewhy as run_words
from seewhy.cli.signals import Stop
from seewhy.data.image_folder import ImageFolder
from seewhy.data.picture_list import PictureList
from seewhy.store.lock import DirectoryLock
from seewhy.store.verify import verify

NAMES = ("cat/0", "cat/1", "dog/0", "dog/1")
GIVEN = {"generate_report": False, "target_classes": [0, 1], "shard_size": 2}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos/``, and of them the runs ``whole`` and ``bare``, which drew nothing."""
    home = tmp_path_factory.mktemp("made")
    draw = np.random.default_rng(0)
    for name in NAMES:
        path = home / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(path)
    for root, render in (("whole", "all"), ("bare", "none")):
        seewhy.run(net(), ImageFolder(home / "photos", size=(20, 30)), home / root, render=render, **GIVEN)
    return home


@pytest.fixture
def undrawn(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "bare", tmp_path / "run"))


def bytes_of(root: Path) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in pictures(root)}


def test_with_the_data_set_the_pictures_are_those_of_the_run(
    made: Path, undrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_words(["render", str(undrawn), f"data.root={made / 'photos'}", "--threads", "3"]) == 0
    assert "8 pictures of 4 records drawn" in capsys.readouterr().out
    assert len(bytes_of(undrawn)) == 8
    assert bytes_of(undrawn) == bytes_of(made / "whole")
    assert run_words(["verify", str(undrawn)]) == 0
    assert run_words(["render", str(undrawn), "--data-root", str(made / "photos")]) == 0
    assert "0 pictures of 0 records drawn" in capsys.readouterr().out


def test_without_it_they_are_drawn_over_the_previews_which_is_said(
    made: Path, undrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_words(["render", str(undrawn)]) == 0
    said = capsys.readouterr().out
    assert "the data set is not at hand" in said
    assert "8 pictures of 4 records drawn" in said
    assert pictures(undrawn) == pictures(made / "whole")
    assert verify(undrawn) == []
    assert run_words(["render", str(undrawn), f"data.root={made / 'photos'}"]) == 0
    assert bytes_of(undrawn) == bytes_of(made / "whole")


def test_some_of_them(made: Path, undrawn: Path) -> None:
    data = f"data.root={made / 'photos'}"
    words = ["--record", "cat/1", "--record", "dog/0", "--class", "dog", "--split", "train"]
    assert run_words(["render", str(undrawn), data, *words]) == 0
    assert pictures(undrawn) == {"gradcam/cat+1/class_1.png", "gradcam/dog+0/class_1.png"}
    assert run_words(["render", str(undrawn), data, "--class", "0", "--limit", "1"]) == 0
    assert len(pictures(undrawn)) == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--split", "tset"], "SW-F331"),
        (["--record", "cat/9"], "SW-F331"),
        (["--class", "cow"], "SW-F331"),
        (["--class", "2"], "SW-F331"),
        (["--limit", "0"], "SW-F331"),
        (["--threads", "0"], "SW-F331"),
        (["data.size=[8,8]", "data.root={home}/photos"], "SW-R73"),
        (["data.root={home}/nowhere"], "SW-D"),
        (["data.rot={home}/photos", "data.root={home}/photos"], "SW-F28"),
        (["data.size=[8,8]"], "SW-F331"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: list[str], code: str, made: Path, undrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (undrawn / "manifest.json").read_bytes()
    assert run_words(["render", str(undrawn), *(word.format(home=made) for word in words)]) == 2
    assert f"[{code}" in capsys.readouterr().err
    assert pictures(undrawn) == set()
    assert (undrawn / "manifest.json").read_bytes() == before


def test_a_run_that_is_being_written_is_left_to_its_writer(undrawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = DirectoryLock(undrawn / ".lock")
    lock.acquire()
    try:
        assert run_words(["render", str(undrawn)]) == 2
    finally:
        lock.release()
    assert "SW-S04" in capsys.readouterr().err


def test_settings_that_named_pictures_do_not_take_are_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = PictureList([made / f"photos/{name}.png" for name in NAMES[:2]], size=(20, 30))
    seewhy.run(net(), named, tmp_path / "run", render="none", **GIVEN)
    words = ["render", str(tmp_path / "run"), f"data.root={made / 'photos/cat'}"]
    assert run_words([*words, "data.size=[8,8]", "data.nokey=3"]) == 2
    assert "[SW-F331] data.size, data.nokey have no effect" in capsys.readouterr().err
    assert run_words(words) == 0


@pytest.mark.parametrize("command", ["render", "report", "verify", "merge", "serve", "cluster"])
def test_a_run_in_a_store_is_to_be_fetched_first(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words([command, "s3://bucket/run"]) == 2
    assert "[SW-S50] s3://bucket/run lies in a store" in (said := capsys.readouterr().err)
    assert "seewhy fetch s3://bucket/run DIR" in said


def test_a_run_that_is_not_there_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    code = """import sys
from seewhy.cli.main import seewhy
for command in ("verify", "report", "serve", "render"):
    assert seewhy([command, "nothing"]) == 2
    assert "torch" not in sys.modules, command"""
    paths = {"PYTHONPATH": str(Path(seewhy.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **paths}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("[SW-S17] ") == 4


@pytest.mark.parametrize("command", ["render", "fetch"])
def test_an_interrupt_is_no_traceback(
    command: str, undrawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seewhy.pipeline.rendering.Rendering.draw", interrupted)
    monkeypatch.setattr("seewhy.pipeline.remote_output.fetch_run", interrupted)
    words = {"render": ["render", str(undrawn)], "fetch": ["fetch", "memory://cli-none/run", "here"]}
    assert run_words(words[command]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")


def test_a_signal_is_answered_in_words_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    with Stop("the pictures at hand") as stop:
        os.kill(os.getpid(), signal.SIGINT)
        while not stop():
            pass
    assert "finishing the pictures at hand, then stopping" in capsys.readouterr().err
    assert stop.exit_code == 130


def test_a_run_that_does_not_tell_how_pictures_are_drawn_is_named(
    undrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (undrawn / "about.json").write_text("{}")
    assert run_words(["render", str(undrawn)]) == 2
    assert "SW-R71" in capsys.readouterr().err


def test_a_photo_that_is_gone_or_changed_is_told_and_the_others_are_drawn(
    made: Path, undrawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = Path(shutil.copytree(made / "photos", tmp_path / "photos"))
    (photos / "cat/0.png").unlink()
    Image.new("RGB", (30, 40)).save(photos / "dog/1.png")
    assert run_words(["render", str(undrawn), f"data.root={photos}"]) == 1
    said = capsys.readouterr()
    assert "4 pictures of 2 records drawn" in said.out
    assert "not drawn: cat/0: RenderError: [SW-R74] the data set has no such record" in said.err
    assert "not drawn: dog/1: RenderError: [SW-R74] its content has changed" in said.err
    assert verify(undrawn) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", ["file.written:3", "file.replaced:5"])
def test_killed_anywhere_the_same_command_ends_as_if_never_killed(made: Path, undrawn: Path, point: str) -> None:
    words = [sys.executable, "-m", "seewhy.cli.main", "render", str(undrawn), f"data.root={made / 'photos'}"]
    paths = {"PYTHONPATH": str(Path(seewhy.__file__).parents[1])}
    ended = subprocess.run(words, env={**os.environ, **paths, "SEEWHY_FAILPOINT": point}, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    assert run_words(words[3:]) == 0
    assert bytes_of(undrawn) == bytes_of(made / "whole")
    assert verify(undrawn) == []


@pytest.mark.slow
def test_the_settings_are_those_of_generate_artifacts(project: Path) -> None:
    from seewhy.cli.generate import generate_artifacts

    words = ["experiment=embeddings/my_experiment", "ckpt_path=path/to/model.ckpt", "output_dir=out"]
    words += ["generate_report=false", "target_classes=[0]"]
    assert generate_artifacts([*words, "render=sample", "render_sample=2"]) == 0
    sampled = {name.split("/")[1] for name in pictures(project / "out") if name.startswith("gradcam")}
    assert len(sampled) == 2
    assert generate_artifacts([*words, "render=all"]) == 0
    assert len(pictures(project / "out")) == 9 * 2  # a map and a sheet of each record
    assert all(row.files for split in ("train", "val", "test") for row in rows(project / "out", split).values())
    assert generate_artifacts([*words, "render=some"]) == 2
