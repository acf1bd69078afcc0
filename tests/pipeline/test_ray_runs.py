"""Runs on workers of Ray: the bytes of one process, whoever is killed on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Log, after, rows, snapshot
from worker_samples import built, cramped, deadly, digits, slow

import seewhy
from seewhy.pipeline.ray import RayRunner
from seewhy.values import SeewhyError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets and pipes of Ray's own
]
WANTED = {"batch_size": 2, "shard_size": 4, "target_classes": "predicted"}
PATHS = [str(Path(seewhy.__file__).parents[1]), str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A session of the user's own, with room for two workers."""
    import ray

    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    try:
        yield ray
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As a worker with one CPU: sums of floats depend on how many threads share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def visible(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(root).items() if not name.startswith(".")}


def slow_run(root: Path, runner: RayRunner | None = None, **more: Any) -> seewhy.Summary:
    model, data = built(slow)
    return seewhy.run(model, data, root, runner=runner, **WANTED, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    root = tmp_path_factory.mktemp("whole") / "run"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    slow_run(root)
    torch.set_num_threads(threads)
    return snapshot(root)


def processes(journal: Path) -> list[int]:
    """Who read records, by a journal of theirs; this process aside."""
    lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
    return list(dict.fromkeys(pid for line in lines if (pid := int(line.split()[0])) != os.getpid()))


def lives(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(reached: Any, seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


@pytest.mark.usefixtures("ray")
def test_two_workers_make_the_very_files_of_one_process_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    model, data = built(digits)
    seewhy.run(model, data, tmp_path / "local", **WANTED)
    runner, log = RayRunner("worker_samples:digits", {}, workers=2), Log()
    there = seewhy.run(model, data, tmp_path / "ray", runner=runner, observer=log, **WANTED)
    assert (there.computed, sum(records for records, _ in log.advances)) == (16, 16)
    assert snapshot(tmp_path / "ray") == snapshot(tmp_path / "local")
    assert seewhy.verify(tmp_path / "ray") == []
    again = seewhy.run(model, data, tmp_path / "ray", runner=RayRunner("worker_samples:fails", {}), **WANTED)
    assert (again.computed, again.reused) == (0, 16)


@pytest.mark.usefixtures("ray")
def test_a_killed_worker_loses_nothing(tmp_path: Path, whole: dict[str, bytes]) -> None:
    journal = tmp_path / "journal"
    killed: list[int] = []

    class Killer(Log):
        def committed(self, shard: str) -> None:
            super().committed(shard)
            if not killed:
                killed.append(next(pid for pid in reversed(processes(journal)) if lives(pid)))
                os.kill(killed[0], signal.SIGKILL)

    runner = RayRunner("worker_samples:slow", {"seconds": 0.2, "journal": str(journal)}, workers=2)
    log = Killer()
    summary = slow_run(tmp_path / "run", runner, observer=log)
    assert (summary.computed, len(killed), len(log.shards)) == (24, 1, 6)
    assert snapshot(tmp_path / "run") == whole


@pytest.mark.usefixtures("ray")
def test_a_record_that_kills_its_worker_is_a_failed_row(tmp_path: Path) -> None:
    model, data = built(deadly)
    runner = RayRunner("worker_samples:deadly", {"records": ["r06"]}, workers=2)
    summary = seewhy.run(model, data, tmp_path / "run", runner=runner, **WANTED)
    assert [failure.record_id for failure in summary.failures] == ["r06"]
    found = rows(tmp_path / "run", summary.failures[0].split)
    assert {record for record, row in found.items() if row.status == "ok"} == {f"r{i:02d}" for i in range(12)} - {"r06"}
    assert seewhy.verify(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("build", "code", "said"),
    [("worker_samples:fails", "SW-Y04", "no such luck"), ("worker_samples:dies", "SW-Y09", "die while they build")],
)
@pytest.mark.usefixtures("ray")
def test_workers_that_cannot_build_end_the_run(tmp_path: Path, build: str, code: str, said: str) -> None:
    with pytest.raises(SeewhyError, match=code) as refused:
        slow_run(tmp_path / "run", RayRunner(build, {}, workers=1))
    assert said in refused.value.message
    slow_run(tmp_path / "run")
    assert seewhy.verify(tmp_path / "run") == []


@pytest.mark.usefixtures("ray")
def test_a_disk_that_is_full_on_a_worker_is_a_clear_error_and_a_run_to_go_on_with(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    model, data = built(cramped, driver=os.getpid())
    runner = RayRunner("worker_samples:cramped", {"driver": os.getpid()}, workers=2)
    with pytest.raises(SeewhyError, match="SW-S01"):
        seewhy.run(model, data, tmp_path / "run", runner=runner, **WANTED)
    summary = slow_run(tmp_path / "run")
    assert summary.reused >= 8
    assert visible(tmp_path / "run") == whole


def test_stopping_ends_the_workers_and_leaves_the_users_session(tmp_path: Path, ray: Any, whole: Any) -> None:
    journal = tmp_path / "journal"
    runner = RayRunner("worker_samples:slow", {"seconds": 0.1, "journal": str(journal)}, workers=2)
    summary = slow_run(tmp_path / "run", runner, stop=after(2))
    assert (summary.interrupted, ray.is_initialized()) == (True, True)
    wait_until(lambda: not any(map(lives, processes(journal))))
    shards = {name for name in snapshot(tmp_path / "run") if name.startswith("shards/")}
    assert 2 <= len(shards) < 6
    slow_run(tmp_path / "run")
    assert visible(tmp_path / "run") == whole


DRIVER = """
import sys
import torch
torch.set_num_threads(1)
import seewhy
from seewhy.pipeline.ray import RayRunner
from worker_samples import built, slow

model, data = built(slow)
asked = {"seconds": float(sys.argv[2]), "journal": sys.argv[3]}
seewhy.run(
    model, data, sys.argv[1], runner=RayRunner("worker_samples:slow", asked, workers=2), batch_size=2, shard_size=4,
    target_classes="predicted",
)
"""


def driver(root: Path, seconds: float, journal: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(root), str(seconds), str(journal)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)},
    )


def test_a_killed_driver_takes_its_workers_along_and_the_run_goes_on_with_either_runner(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    root, journal = tmp_path / "run", tmp_path / "journal"
    with driver(root, 0.5, journal) as killed:
        wait_until(lambda: list(root.glob("shards/*.parquet")))
        killed.kill()
    readers = [pid for pid in processes(journal) if pid != killed.pid]
    assert len(readers) == 2
    wait_until(lambda: not any(map(lives, readers)), 60)
    shards = {path.name for path in root.glob("shards/*.parquet")}
    assert 1 <= len(shards) < 6
    shutil.copytree(root, tmp_path / "copy")
    with driver(tmp_path / "copy", 0, tmp_path / "second journal") as second:
        assert second.wait(300) == 0
    assert visible(tmp_path / "copy") == whole
    summary = slow_run(root)
    assert summary.reused == 4 * len(shards)
    assert visible(root) == whole


def test_a_cluster_without_room_now_is_waited_for_aloud(ray: Any, tmp_path: Path) -> None:
    let_go, said = tmp_path / "let go", list[str]()

    def occupied() -> None:
        ends = time.monotonic() + 200
        while not let_go.exists() and time.monotonic() < ends:
            time.sleep(0.2)

    def say(text: str) -> None:
        said.append(text)
        let_go.touch()

    busy = ray.remote(num_cpus=2)(occupied).remote()
    while ray.available_resources().get("CPU", 0) > 0:
        time.sleep(0.1)
    model, data = built(digits)
    runner = RayRunner("worker_samples:digits", {}, workers=1, say=say)
    seewhy.run(model, data, tmp_path / "run", runner=runner, **WANTED)
    assert ray.get(busy) is None
    assert said == [
        "the cluster is busy: 0 CPUs and 0 GPUs are free, a worker wants 1 and 0; waiting until there is room"
    ]
