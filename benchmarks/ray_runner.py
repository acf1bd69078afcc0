"""Two workers of Ray against the local runner: the demonstration's CNN on cluttered digits, all artifacts.

Local runs and runs on Ray take turns, each in a process of its own with two threads in all: the local runner has them
for itself (with or without a loader process), each worker has one. Start-up is excluded: importing, building, tracing
and planning here; starting Ray, its workers and their models there, which is to say everything before the first shard
of each run, so that shards after the first are compared by their seconds. Processor time is that of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BAR = 1.15
SHARD = 128


class Shards:
    """When each shard was committed."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.busy: list[float] = []

    def planned(self, *_: Any) -> None: ...

    def advanced(self, *_: Any) -> None: ...

    def committed(self, _: str) -> None:
        self.at.append(time.perf_counter())
        self.busy.append(processor_seconds())


def processor_seconds() -> float:
    """Of all processes of this session: this one, its descendants, those of Ray among them."""
    ticks, session = 0, os.getsid(0)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def one_run(runner: str, records: int, render: str) -> dict[str, float]:
    """Seconds, and processor seconds, for each record after the first shards."""
    import torch

    import seewhy
    from seewhy.pipeline.ray import RayRunner

    torch.set_num_threads(2)
    arguments = {"records": records}
    model, dataset = parts_of(**arguments)
    observer, there = Shards(), None
    if runner == "ray":
        there = RayRunner("ray_runner:parts", arguments, workers=2)
    skipped = 4  # until both workers are there
    with tempfile.TemporaryDirectory() as folder:
        seewhy.run(
            model, dataset, Path(folder) / "run", observer=observer, batch_size=32, shard_size=SHARD, render=render,
            target_classes="predicted",
            generate_report=False, runner=there,
        )  # fmt: skip
    after = (len(observer.at) - skipped) * SHARD
    return {
        "wall": (observer.at[-1] - observer.at[skipped - 1]) / after,
        "processor": (observer.busy[-1] - observer.busy[skipped - 1]) / after,
    }


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
    parser.add_argument("--one", choices=("local", "ray"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one_run(asked.one, asked.records // SHARD * SHARD, asked.render)))
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
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
            said = subprocess.run(words, env=environment, start_new_session=True, stdout=subprocess.PIPE, check=True)
            found[runner] = json.loads(said.stdout.splitlines()[-1])
        print(number, json.dumps(found), flush=True)
        for what, values in ratios.items():
            values.append(found["ray"][what] / found["local"][what])
    for what, values in ratios.items():
        print(f"Ray with 2 workers / local runner, {what} per record: {statistics.median(values):.2f} (bar {BAR})")


if __name__ == "__main__":
    main()
