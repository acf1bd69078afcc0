"""The same command again: what it says, what it leaves alone, and that torch is not loaded for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import DEFAULT, PHOTOS, files, write_experiment
from PIL import Image

from seewhy.store.verify import verify

MINE = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"
UNCHANGED = "nothing has changed since "
AGAIN = """\
import sys
from seewhy.cli.generate import generate_artifacts
code = generate_artifacts(sys.argv[1:])
print(code, *(room for room in ("torch", "timm", "pyarrow", "seewhy.pipeline", "seewhy.data") if room in sys.modules))
"""

Command = Callable[..., Any]


def times(root: Path) -> dict[str, int]:
    return {path.as_posix(): path.stat().st_ctime_ns for path in root.rglob("*") if path.name != ".lock"}


def test_the_same_command_again_loads_no_torch_and_touches_nothing(project: Path, command: Command) -> None:
    assert command(MINE).code == 0
    left = times(project / DEFAULT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, *MINE.split()], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
    assert done.stderr.startswith(UNCHANGED)
    assert "0 computed, 9 reused" in done.stderr
    assert f"report: {(project / DEFAULT).resolve()}/report/index.html" in done.stderr
    assert times(project / DEFAULT) == left


def test_where_a_full_look_is_asked_for_it_computes_and_writes_nothing(project: Path, command: Command) -> None:
    words = f"{MINE} splits=val generate_report=false"
    command(words)
    held = {name: (project / DEFAULT / name).stat().st_ctime_ns for name in files(project / DEFAULT)}
    assert "0 records to explain, 2 already done" in command(f"{words} recheck=true").err
    same = {name: (project / DEFAULT / name).stat().st_ctime_ns for name in held}
    told = {"about.json", "manifest.json"}  # the words of a new command are told, once
    assert {name for name in held if same[name] != held[name]} <= told
    assert "0 records to explain" in command(f"{words} recheck=true").err
    assert {name: (project / DEFAULT / name).stat().st_ctime_ns for name in held} == same
    assert verify(project / DEFAULT) == []


@pytest.mark.slow
def test_commands_that_take_turns_are_both_answered_at_once(project: Path, command: Command) -> None:
    train, val = f"{MINE} splits=train", f"{MINE} splits=val"
    said = [command(words).err.startswith(UNCHANGED) for words in (train, val, train, val, train, val)]
    assert said == [False, False, False, True, True, True]  # the other's records were news once
    assert "0 computed, 2 reused" in command(val).err
    assert "0 computed, 4 reused" in command(train).err


@pytest.mark.slow
def test_jobs_of_a_multirun_are_told_apart(project: Path, command: Command) -> None:
    sweep = f"-m {MINE} splits=train,val"
    assert UNCHANGED not in command(sweep).err
    assert command(sweep).err.count(UNCHANGED) == 2
    wider = command(f"-m {MINE} splits=train,test")
    assert wider.err.count(UNCHANGED) == 1
    assert "3 records to explain, 0 already done" in wider.err


def test_failed_records_end_with_the_same_code_and_are_asked_again_on_request(project: Path, command: Command) -> None:
    (project / "photos").mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(project / "photos" / f"{name}.png")
    (project / "photos/c.png").write_bytes(b"no picture at all")
    write_experiment(project, "photos", PHOTOS)
    photos = "experiment=photos ckpt_path=path/to/model.ckpt generate_report=false"
    first, again = command(photos), command(photos)
    assert (first.code, again.code) == (1, 1)
    assert again.err.startswith(UNCHANGED)
    assert "3 files of data" in again.err
    (told,) = [line for line in first.err.splitlines() if line.startswith("  test/c: read: ")]
    assert told in again.err.splitlines()
    for _ in range(2):
        assert "1 records to explain, 2 already done" in command(f"{photos} retry_failed=true").err
    Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(project / "photos/c.png")
    healed = command(photos)
    assert "1 records to explain, 2 already done" in healed.err
    assert healed.code == 0


@pytest.mark.slow
def test_a_report_that_was_not_written_is_written_on_request(project: Path, command: Command) -> None:
    command(f"{MINE} generate_report=false")
    assert command(f"{MINE} generate_report=false").err.startswith(UNCHANGED)
    assert "report: " in command(MINE).err
    assert (project / DEFAULT / "report/index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", "about.json"])
def test_a_file_that_was_deleted_is_made_again(project: Path, command: Command, name: str) -> None:
    command(f"{MINE} splits=val")
    there = (project / DEFAULT / name).read_bytes()
    (project / DEFAULT / name).unlink()
    assert UNCHANGED not in command(f"{MINE} splits=val").err
    assert (project / DEFAULT / name).read_bytes() == there
    assert command(f"{MINE} splits=val").err.startswith(UNCHANGED)
