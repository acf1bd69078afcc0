"""What is shown while it runs and at the end, and how it stops when asked to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_samples import DEFAULT, pictures, write_experiment
from rich.console import Console

import seewhy
from seewhy.cli.progress import Watcher, show_summary
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.plan import Chunk, Plan
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.pipeline.summary import Failure, SplitCount, Summary
from seewhy.store.run_directory import RunDirectory

MINE = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"


def test_without_a_terminal_there_are_plain_lines_and_no_bar(project: Path, command: Callable[..., Any]) -> None:
    ended = command(f"{MINE} shard_size=2")
    assert "\x1b" not in ended.err
    assert "\r" not in ended.err
    assert "9 records to explain, 0 already done" in ended.err
    assert "9/9 records, 0 failed, " in ended.err
    assert ended.out == ""


def test_the_summary_tells_splits_accuracy_reuse_and_where_to_look(project: Path, command: Callable[..., Any]) -> None:
    ended = command(MINE)
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        (line,) = [row for row in ended.err.splitlines() if f" {split} " in row and "│" in row]
        cells = [cell.strip() for cell in line.strip("│ ").split("│")]
        assert cells[:3] == [split, str(count), "0"]
        assert cells[3].endswith("%")
    assert "9 computed" in ended.err
    assert f"artifacts: {(project / DEFAULT).resolve()}" in ended.err
    again = command(f"{MINE} recheck=true")
    assert "0 records to explain, 9 already done" in again.err
    assert "0 computed, 9 reused" in again.err


def test_what_was_decided_is_told(project: Path, command: Callable[..., Any]) -> None:
    ended = command(f"{MINE} splits=val")
    assert "embedding layer: head.input (" in ended.err
    assert "target layer: blocks.1.norm1 (" in ended.err
    assert "attention: heads of layer 1 of 2, and their rollout; class token" in ended.err


def test_a_cnn_is_told_that_attention_does_not_apply_and_ends_well(project: Path, command: Callable[..., Any]) -> None:
    import timm

    text = (
        "defaults:\n  - model: timm\n  - data: cluttered_digits\nmodel: {name: test_resnet, num_classes: 10}\n"
        "data: {num_workers: 0, counts: {test: 2}}\n"
    )
    write_experiment(project, "cnn", text)
    torch.save(timm.create_model("test_resnet", num_classes=10).state_dict(), "cnn.pt")
    ended = command("experiment=cnn ckpt_path=cnn.pt")
    assert ended.code == 0, ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("attention: not applicable: ")]
    assert len(told) == 2  # when it begins, and in the summary
    assert not Path("artifacts/cnn/attention_maps").exists()
    assert len(pictures(Path("artifacts/cnn"))) == 20


def test_above_twenty_classes_the_summary_says_that_five_are_shown(project: Path, command: Callable[..., Any]) -> None:
    import timm

    text = (
        "defaults:\n  - model: timm\n  - data: cluttered_digits\nmodel: {name: test_resnet, num_classes: 21}\n"
        "data: {num_workers: 0, counts: {test: 2}}\n"
    )
    write_experiment(project, "many", text)
    torch.save(timm.create_model("test_resnet", num_classes=21).state_dict(), "many.pt")
    ended = command("experiment=many ckpt_path=many.pt")
    assert ended.code == 0, ended.err
    _, _, end = ended.err.partition("in the run directory")
    assert "classes: the 5 highest of 21 for each record (target_classes=all for every class)" in end
    assert "the data set names 10 classes, the model has 21 outputs; no accuracy is given" in end
    assert len(pictures(Path("artifacts/many"))) == 10


def test_a_second_writer_is_told_who_holds_the_directory(project: Path, command: Callable[..., Any]) -> None:
    with RunDirectory.open(DEFAULT, {}):
        ended = command(MINE)
    assert ended.code == 2
    assert "SW-S04" in ended.err
    assert f"process {os.getpid()} on " in ended.err


# -- signals

SIGNALLING = '''
import os
import signal

import torch
from torch.utils.data import Dataset


class Alarm(Dataset):
    """Sends signals to the process when record ``at`` is first read."""

    sent = False

    def __init__(self, at=3, name="SIGINT", times=1, count=8):
        self.at, self.number, self.times = at, getattr(signal, name), times
        self.record_ids = [f"r{i}" for i in range(count)]

    def __len__(self):
        return len(self.record_ids)

    def __getitem__(self, i):
        if i == self.at and not Alarm.sent:
            Alarm.sent = True
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)
        return torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(i)), i, self.record_ids[i]
'''
ALARM = """\
defaults:
  - model: timm
  - data: custom
model:
  name: vit_tiny_patch16_224
  num_classes: 10
  kwargs: {img_size: 32, patch_size: 8, depth: 2, embed_dim: 32, num_heads: 2}
data:
  _target_: my_alarm.Alarm
  num_workers: 0
  batch_size: 2
shard_size: 2
target_classes: predicted
"""


@pytest.fixture
def alarm(project: Path) -> Iterator[str]:
    (project / "my_alarm.py").write_text(SIGNALLING, encoding="utf-8")
    write_experiment(project, "alarm", ALARM)
    yield "experiment=alarm ckpt_path=path/to/model.ckpt output_dir=out"
    del sys.modules["my_alarm"]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_asked_to_stop_it_finishes_the_shard_and_goes_on_later(
    alarm: str, command: Callable[..., Any], name: str, code: int
) -> None:
    ended = command(f"{alarm} +data.name={name}")
    assert ended.code == code
    assert "interrupted; the same command goes on from here" in ended.err
    assert "finishing the shard at hand" in ended.err
    assert "4 computed" in ended.err
    resumed = command(f"{alarm} +data.name={name}")
    assert resumed.code == 0
    assert "4 computed" in resumed.err
    assert "4 reused" in resumed.err
    assert seewhy.verify(Path("out")) == []
    assert len({name.split("/")[1] for name in pictures(Path("out")) if name.startswith("gradcam")}) == 8


def test_asked_twice_it_stops_at_once_and_goes_on_later(alarm: str, command: Callable[..., Any]) -> None:
    ended = command(f"{alarm} +data.times=2")
    assert ended.code == 130
    resumed = command(f"{alarm} +data.times=2")
    assert resumed.code == 0
    assert "6 computed" in resumed.err
    assert seewhy.verify(Path("out")) == []


def test_a_multirun_begins_no_further_job_after_a_signal(alarm: str, command: Callable[..., Any]) -> None:
    ended = command(f"-m {alarm.replace('model.ckpt', 'model.ckpt,path/to/model.ckpt')}")
    assert ended.code == 130
    assert Path("out/0/manifest.json").is_file()
    assert not Path("out/1").exists()


# -- on a terminal


def console_on_a_terminal() -> Console:
    return Console(force_terminal=True, width=120, record=True, file=open(os.devnull, "w"), color_system=None)  # noqa: PTH123


def test_on_a_terminal_there_is_a_bar_with_throughput_and_time_left() -> None:
    console = console_on_a_terminal()
    with console.file:
        plan = Plan((Chunk("test", (EmbeddingQuestion("fc"),), tuple(range(40))),), tuple(range(40)), 0)
        with Watcher(console) as watcher:
            watcher.planned(plan, Applicable())
            watcher.advanced(10, 0)
        said = console.export_text()
    assert "10/40" in said
    assert "records/s" in said
    assert "left" in said
    assert "10/40 records," not in said  # that is the plain line's form


def test_only_the_first_failures_are_listed_and_the_file_is_named() -> None:
    console = console_on_a_terminal()
    failures = tuple(Failure(f"r{i}", "test", "read", "OSError: gone") for i in range(12))
    summary = Summary(Path("out"), 20, 20, 0, 1.0, splits={"test": SplitCount(8, 12)}, failures=failures)
    with console.file:
        show_summary(console, summary)
        said = console.export_text()
    assert summary.exit_code == 1
    assert "12 records failed (all in out/failures.json):" in said
    assert said.count("OSError: gone") == 10
