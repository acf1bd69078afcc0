"""SIGKILL a run anywhere, start it again: the bytes of an uninterrupted run, with committed records reused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pipeline_samples import snapshot

import seewhy

KILLED = -signal.SIGKILL
RECORDS, SHARD = 16, 4
Runner = Callable[..., int]


@pytest.fixture(scope="module")
def run_child() -> Iterator[Runner]:
    here = Path(__file__).parent
    paths = [Path(seewhy.__file__).parents[1], here, here.parent]
    server = subprocess.Popen(
        [sys.executable, str(here / "pipeline_kill_server.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def run(root: Path, kind: str = "pictures", **task: object) -> int:
        print(
            json.dumps({"root": str(root), "log": f"{root}.log", "kind": kind, **task}), file=server.stdin, flush=True
        )
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    server.wait(timeout=30)
    server.stdout.close()


@dataclass(frozen=True)
class Whole:
    """A run that nobody interrupted, and how long it took."""

    files: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def whole(run_child: Runner, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    root = tmp_path_factory.mktemp("whole") / "run"
    assert run_child(root.with_name("warm")) == 0
    begun = time.monotonic()
    assert run_child(root) == 0
    return Whole(snapshot(root), time.monotonic() - begun)


def journal(root: Path) -> list[list[str]]:
    log = Path(f"{root}.log")
    return [line.split() for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def computed(root: Path) -> int:
    return sum(int(words[1]) for words in journal(root) if words[0] == "computed")


def starts(root: Path) -> list[tuple[int, int]]:
    """Records planned and records reused, of each start."""
    return [(int(words[1]), int(words[2])) for words in journal(root) if words[0] == "planned"]


def require_restored(root: Path, whole: Whole, kills: int) -> None:
    """The very bytes, a clean bill from ``verify``, and at most one shard lost to each kill."""
    assert snapshot(root) == whole.files
    assert seewhy.verify(root) == []
    assert RECORDS <= computed(root) <= RECORDS + kills * SHARD
    commits = [words[1] for words in journal(root) if words[0] == "committed"]
    assert len(commits) == len(set(commits))


POINTS = [
    "file.created:4",
    "file.chunk:11",
    "file.written:13",
    "file.synced:3",
    "file.replaced:16",
    "shard.committed:2",
]


@pytest.mark.parametrize("failpoint", POINTS)
def test_killed_at_a_point_of_the_writer_it_goes_on(
    tmp_path: Path, run_child: Runner, whole: Whole, failpoint: str
) -> None:
    root = tmp_path / "run"
    assert run_child(root, failpoint=failpoint) == KILLED
    assert snapshot(root) != whole.files
    assert run_child(root) == 0
    require_restored(root, whole, kills=1)


@pytest.mark.parametrize(
    ("kind", "failpoint"),
    [
        *((kind, "shard.committed:2") for kind in ("inputs", "volumes")),
        *(pytest.param(kind, "file.written:13", marks=pytest.mark.slow) for kind in ("inputs", "volumes")),
        *(pytest.param("grades", at, marks=pytest.mark.slow) for at in ("shard.committed:2", "file.written:9")),
    ],
)
def test_killed_it_goes_on_with_records_of_every_kind(
    tmp_path: Path, run_child: Runner, kind: str, failpoint: str
) -> None:
    assert run_child(tmp_path / "whole", kind) == 0
    root = tmp_path / "run"
    assert run_child(root, kind, failpoint=failpoint) == KILLED
    assert run_child(root, kind) == 0
    require_restored(root, Whole(snapshot(tmp_path / "whole"), 0), kills=1)


def test_killed_again_and_again_at_the_same_point_it_still_ends(
    tmp_path: Path, run_child: Runner, whole: Whole
) -> None:
    root, kills = tmp_path / "run", 0
    while run_child(root, failpoint="shard.committed:1") == KILLED:
        kills += 1
        assert kills < 10
    assert kills == 5  # one for each shard
    assert starts(root) == [(16, 0), (12, 4), (8, 8), (7, 9), (3, 13), (0, 16)]
    assert computed(root) == RECORDS
    assert snapshot(root) == whole.files
    assert seewhy.verify(root) == []


def _kill_at_random_moments(run_child: Runner, whole: Whole, folder: Path, least: int) -> None:
    draw, kills, number, interrupted, reused = random.Random(5), 0, 0, 0, 0
    while kills < least or not reused:
        root, mine, longest = folder / str(number), 0, whole.seconds
        while run_child(root, kill_after=draw.uniform(0, longest)) == KILLED:
            mine += 1
            longest *= 1.1  # so that a slow machine gets there too
        require_restored(root, whole, mine)
        interrupted += any(planned for planned, _ in starts(root)[1:])
        reused += any(old for planned, old in starts(root)[1:] if planned)
        kills, number = kills + mine, number + 1
    assert interrupted >= reused >= 1


@pytest.mark.slow
def test_forty_kills_at_random_moments(tmp_path: Path, run_child: Runner, whole: Whole) -> None:
    _kill_at_random_moments(run_child, whole, tmp_path, least=40)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_at_every_point_of_the_writer_in_turn(tmp_path: Path, run_child: Runner, whole: Whole) -> None:
    points = 0
    for count in range(1, 2000):
        root = tmp_path / str(count)
        if run_child(root, failpoint=f"*:{count}") == 0:
            break
        assert run_child(root) == 0
        require_restored(root, whole, kills=1)
        points += 1
    assert points > 100
