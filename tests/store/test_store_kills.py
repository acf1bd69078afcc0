"""SIGKILL anywhere, run again: the bytes of an uninterrupted run, with committed records reused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import store_samples

from seewhy.store import files
from seewhy.store.run_directory import RunDirectory
from seewhy.store.verify import verify
from seewhy.values import StoreError

ALL_IDS = [record_id for ids in store_samples.SPLITS.values() for record_id in ids]
KILLED = -signal.SIGKILL
Runner = Callable[..., int]


@pytest.fixture(scope="module")
def run_child() -> Iterator[Runner]:
    here = Path(__file__).parent
    source = Path(files.__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, str(here / "store_kill_server.py")],
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{here}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def run(root: Path, **task: object) -> int:
        print(json.dumps({"root": str(root), "log": f"{root}.log", **task}), file=server.stdin, flush=True)
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    server.wait(timeout=10)
    server.stdout.close()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("clean") / "run"
    store_samples.write_run(root)
    return store_samples.snapshot(root)


def computed(root: Path) -> list[str]:
    log = Path(f"{root}.log")
    return log.read_text(encoding="utf-8").split() if log.exists() else []


def require_restored(root: Path, uninterrupted: dict[str, bytes], kills: int) -> None:
    assert store_samples.snapshot(root) == uninterrupted
    assert verify(root) == []
    again = computed(root)
    assert set(again) == set(ALL_IDS)
    assert len(again) <= len(ALL_IDS) + kills * store_samples.CHUNK


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_each_point_in_turn_loses_and_changes_nothing(
    tmp_path: Path, run_child: Runner, uninterrupted: dict[str, bytes], step: int
) -> None:
    points = interrupted = reused = 0
    for count in range(1, 1000, step):
        root = tmp_path / str(count)
        if run_child(root, failpoint=f"*:{count}") == 0:
            break
        before = len(computed(root))
        assert run_child(root) == 0
        require_restored(root, uninterrupted, kills=1)
        points += 1
        interrupted += before < len(ALL_IDS)
        reused += len(computed(root)) - before < len(ALL_IDS)
    assert points > 60 // step
    assert interrupted > 30 // step
    assert reused > 30 // step


@pytest.mark.parametrize(
    "failpoint",
    ["file.created:9", "file.chunk:9", "file.written:9", "file.synced:4", "file.replaced:9", "shard.committed:1"],
)
def test_a_run_killed_at_the_same_point_again_and_again_still_ends(
    tmp_path: Path, run_child: Runner, uninterrupted: dict[str, bytes], failpoint: str
) -> None:
    root, kills = tmp_path / "run", 0
    while run_child(root, failpoint=failpoint) == KILLED:
        kills += 1
        assert kills < 20
    assert kills >= 1
    assert store_samples.snapshot(root) == uninterrupted
    assert verify(root) == []


def kill_at_random_until_done(root: Path, run_child: Runner, draw: random.Random, longest: float) -> int:
    kills = 0
    while run_child(root, kill_after=draw.uniform(0, longest)) == KILLED:
        kills += 1
        longest *= 1.1  # so that a slow machine gets there too
    return kills


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path, run_child: Runner, uninterrupted: dict[str, bytes]) -> None:
    _kill_loop(tmp_path, run_child, uninterrupted, kills=30)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_kills_at_random_moments(
    tmp_path: Path, run_child: Runner, uninterrupted: dict[str, bytes]
) -> None:
    _kill_loop(tmp_path, run_child, uninterrupted, kills=200)


def _kill_loop(tmp_path: Path, run_child: Runner, uninterrupted: dict[str, bytes], kills: int) -> None:
    started = time.monotonic()
    assert run_child(tmp_path / "timed") == 0
    duration = time.monotonic() - started
    draw, done, number, reused = random.Random(7), 0, 0, 0
    while done < kills:
        root = tmp_path / str(number)
        count = kill_at_random_until_done(root, run_child, draw, duration)
        require_restored(root, uninterrupted, count)
        done, number = done + count, number + 1
        reused += count > 0 and len(computed(root)) < (count + 1) * len(ALL_IDS)
    assert reused > 0


def test_the_shard_of_a_kill_right_after_the_rename_is_not_computed_again(tmp_path: Path, run_child: Runner) -> None:
    root = tmp_path / "run"
    assert run_child(root, failpoint="shard.committed:2") == KILLED
    assert computed(root) == ALL_IDS[:4]
    found = [(finding.problem, finding.path) for finding in verify(root)]
    assert found[-1] == ("uncommitted", "shards/train-00001.parquet")  # a slow child's manifest may know the first
    assert found[:-1] in ([], [("uncommitted", "shards/train-00000.parquet")])
    assert run_child(root) == 0
    assert computed(root) == ALL_IDS


def test_litter_of_a_killed_writer_is_named_and_then_removed(tmp_path: Path, run_child: Runner) -> None:
    root = tmp_path / "run"
    assert run_child(root, failpoint="file.synced:2") == KILLED
    litter = [name for name in store_samples.snapshot(root) if name.endswith(".tmp")]
    assert len(litter) == 1
    assert ("uncommitted", litter[0]) in [(finding.problem, finding.path) for finding in verify(root)]
    assert run_child(root) == 0
    assert verify(root) == []


def test_a_worker_process_that_outlives_its_killed_parent_does_not_hold_the_directory(tmp_path: Path) -> None:
    script = (
        "import os, sys, time, pathlib\n"
        "from seewhy.store.run_directory import RunDirectory\n"
        "with RunDirectory.open(pathlib.Path(sys.argv[1]), {}):\n"
        "    worker = os.fork()\n"
        "    if worker == 0:\n"
        "        os.write(1, b'started\\n')\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    os.write(1, f'{worker}\\n'.encode())\n"
        "    time.sleep(60)\n"
    )
    source = Path(files.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        # Both lines, in whatever order: a worker that was not yet scheduled has let go of nothing. Each is one write,
        # so that on a busy machine none lands inside the other.
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        worker = int(next(line for line in lines if line.isdigit()))
        try:
            with pytest.raises(StoreError, match=f"process {parent.pid} on ") as refusal:
                RunDirectory.open(tmp_path / "run", {}).__enter__()
            assert refusal.value.code == "SW-S04"
            parent.kill()
            parent.wait()
            os.kill(worker, 0)
            with RunDirectory.open(tmp_path / "run", {}) as run:
                assert run.answered("train") == {}
        finally:
            os.kill(worker, signal.SIGKILL)
