"""Two workers of Ray against the local runner: the demonstration's CNN on cluttered digits, all artifacts.

Local runs and runs on Ray take turns, each in a process of its own; the model's threads are the same, one, in the local
runner and in each worker. Start-up is excluded: importing, building, tracing and planning; starting Ray, its workers
and their models. What counts are the seconds from the fourth shard on disk to the last, for each record between.
Processor time is that of all processes of the command, Ray's own among them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

BAR = 1.15
SHARD = 128
WITHOUT = 4
"""Shards at the beginning that do not count: until both workers are there."""


class Watch(threading.Thread):
    """Looks for shards in a run directory, and notes the time and the processor time of each when it is there."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.ended = threading.Event()
        self.seen: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.look()

    def look(self) -> None:
        """Once."""
        there = len(list(self.root.glob("shards/*.parquet")))
        if there > len(self.seen):
            self.seen += [(time.perf_counter(), processor_seconds())] * (there - len(self.seen))


def processor_seconds() -> float:
    """Of all processes of this session: this one, its descendants, those of Ray among them, also those that ended."""
    ticks, session = 0, os.getsid(0)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))  # its own, and of the children that it waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def one_run(runner: str, records: int, render: str, loaders: int, threads: int) -> dict[str, float]:
    """Seconds, and processor seconds, for each record after the first shards."""
    import torch

    import seewhy
    from seewhy.pipeline.ray import RayRunner

    torch.set_num_threads(threads)
    arguments = {"records": records}
    model, dataset = parts_of(**arguments)
    there = RayRunner("ray_runner:parts", arguments, workers=2) if runner == "ray" else None
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(Path(folder) / "run")
        watch.start()
        seewhy.run(
            model, dataset, watch.root, batch_size=32, shard_size=SHARD, render=render, target_classes="predicted",
            generate_report=False, num_workers=loaders, runner=there,
        )  # fmt: skip
        watch.ended.set()
        watch.join()
        watch.look()
    (begun, busy), (ended, spent) = watch.seen[WITHOUT - 1], watch.seen[-1]
    after = (len(watch.seen) - WITHOUT) * SHARD
    return {"wall": (ended - begun) / after, "processor": (spent - busy) / after}


def parts_of(records: int) -> tuple[Any, Any]:
    """The shipped CNN and so many pictures."""
    from seewhy import ClutteredDigits
    from seewhy.demo.models import load

    return load("cnn"), ClutteredDigits(counts={"test": records})


def parts(records: int) -> Any:
    """The same on a worker."""
    from seewhy.pipeline.worker import Parts

    return Parts(*parts_of(records))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--render", default="all")
    parser.add_argument("--loaders", type=int, default=0, help="loader processes of the local runner")
    parser.add_argument("--threads", type=int, default=1, help="of every library in the local runner")
    parser.add_argument("--one", choices=("local", "ray"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(
            json.dumps(one_run(asked.one, asked.records // SHARD * SHARD, asked.render, asked.loaders, asked.threads))
        )
        return
    ratios: dict[str, list[float]] = {"wall": [], "processor": []}
    for number in range(asked.rounds):
        found = {}
        for runner in ("local", "ray"):
            words = [
                sys.executable,
                __file__,
                "--one",
                runner,
                "--records",
                str(asked.records),
                "--render",
                asked.render,
            ]
            environment = {
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parent),
                "OMP_NUM_THREADS": str(asked.threads),
            }
            said = subprocess.run(words, env=environment, start_new_session=True, stdout=subprocess.PIPE, check=True)
            found[runner] = json.loads(said.stdout.splitlines()[-1])
        print(number, json.dumps(found), flush=True)
        for what, values in ratios.items():
            values.append(found["ray"][what] / found["local"][what])
    for what, values in ratios.items():
        print(f"Ray with 2 workers / local runner, {what} per record: {statistics.median(values):.2f} (bar {BAR})")


if __name__ == "__main__":
    main()
