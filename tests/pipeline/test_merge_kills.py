"""SIGKILL a merge anywhere, start it again: the bytes of an uninterrupted merge."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline_samples import Pictures, conv_net, ids, snapshot

import seewhy

pytestmark = pytest.mark.slow  # test_merge_runs.py ends merges at the same points, by an exception
KILLED = -signal.SIGKILL
OF = 2
Runner = Callable[..., int]


@pytest.fixture(scope="module")
def merge_child() -> Iterator[Runner]:
    here = Path(__file__).parent
    server = subprocess.Popen(
        [sys.executable, str(here / "merge_kill_server.py")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, [Path(seewhy.__file__).parents[1], here, here.parent])),
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def run(root: Path, **task: object) -> int:
        print(json.dumps({"root": str(root), **task}), file=server.stdin, flush=True)
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    server.wait(timeout=30)
    server.stdout.close()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts, each of two splits, with two shards of a split."""
    root = tmp_path_factory.mktemp("parts") / "run"
    data = {"train": Pictures(ids(7, "t")), "test": Pictures(ids(3, "x"))}
    for number in range(OF):
        seewhy.run(
            conv_net(), data, root, shard=f"{number}/{OF}", batch_size=1, shard_size=2, generate_attention=False,
            target_classes=[0], generate_report=False,
        )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def whole(parts: Path, merge_child: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = Path(shutil.copytree(parts, tmp_path_factory.mktemp("whole") / "run"))
    assert merge_child(root) == 0
    assert seewhy.verify(root) == []
    return snapshot(root)


def without_parts(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith("parts/")}


def kill_at(root: Path, merge_child: Runner, whole: dict[str, bytes], failpoint: str) -> bool:
    """Kill a merge at a point and merge again; false where the point was never reached."""
    if merge_child(root, failpoint=failpoint) == 0:
        return False
    assert merge_child(root) == 0
    assert snapshot(root) == whole
    assert seewhy.verify(root) == []
    return True


POINTS = ["merge.file:1", "merge.file:7", "merge.shard:1", "merge.shard:3", "merge.marked:1", "file.written:9"]


@pytest.mark.parametrize("failpoint", POINTS)
def test_killed_at_a_point_it_goes_on(
    tmp_path: Path, parts: Path, merge_child: Runner, whole: dict[str, bytes], failpoint: str
) -> None:
    assert kill_at(Path(shutil.copytree(parts, tmp_path / "run")), merge_child, whole, failpoint)


@pytest.mark.timeout(1200)
def test_a_kill_at_every_seventh_point(
    tmp_path: Path, parts: Path, merge_child: Runner, whole: dict[str, bytes]
) -> None:
    count = 1
    while kill_at(Path(shutil.copytree(parts, tmp_path / str(count))), merge_child, whole, f"*:{count}"):
        count += 7
    assert count > 60


@pytest.mark.parametrize("failpoint", ["merge.removing:1", "merge.removed:1"])
def test_killed_while_parts_are_deleted_it_goes_on(
    tmp_path: Path, parts: Path, merge_child: Runner, whole: dict[str, bytes], failpoint: str
) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "run"))
    assert merge_child(root, remove=True, failpoint=failpoint) == KILLED
    assert merge_child(root) == 0
    assert without_parts(snapshot(root)) == without_parts(whole)
    assert merge_child(root, remove=True) == 0
    assert snapshot(root) == without_parts(whole)


def test_killed_again_and_again_after_each_shard_it_still_ends(
    tmp_path: Path, parts: Path, merge_child: Runner, whole: dict[str, bytes]
) -> None:
    root, kills = Path(shutil.copytree(parts, tmp_path / "run")), 0
    while merge_child(root, failpoint="merge.shard:1") == KILLED:
        kills += 1
        assert kills < 20
    assert kills == len([name for name in whole if name.startswith("shards/")])
    assert snapshot(root) == whole
