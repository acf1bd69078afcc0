"""Explains the sample data in forked children and kills them, without the seconds that importing torch takes each time.

Reads JSON objects, one per line: ``{"root", "log", "kind", "failpoint", "kill_after"}``. Answers with the child's end.
Every child appends to ``log`` what it planned and what it committed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import torch
from pipeline_inputs import SHAPES, Named, TwoGaps
from pipeline_samples import ids
from torch import nn

from seewhy import ClutteredDigits, run
from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.plan import Plan
from seewhy.store.failpoints import VARIABLE
from seewhy.store.manifest import versions
from toys import ConvNet, GapLinear

os.fsync = lambda handle: None  # SIGKILL loses no written page, so the device need not be waited for here
torch.set_num_threads(1)
versions()

RECORDS = {"train": 9, "test": 7}
SHARD = 4


class Journal:
    """An observer whose lines survive the process."""

    def __init__(self, log: TextIO) -> None:
        self._log = log

    def planned(self, plan: Plan, found: Applicable) -> None:
        print("planned", plan.records, plan.reused, file=self._log)

    def advanced(self, records: int, failed: int) -> None:
        print("computed", records, file=self._log)

    def committed(self, shard: str) -> None:
        print("committed", shard, file=self._log)


def asked_of(kind: str) -> tuple[nn.Module, Any]:
    """A model and its data: pictures (also to be graded), records of several inputs, or volumes."""
    torch.manual_seed(0)
    if kind in ("pictures", "grades"):
        return ConvNet(channels=3, classes=10), ClutteredDigits(size=32, counts=RECORDS)
    shapes = SHAPES if kind == "inputs" else {"volume": (2, 4, 6, 6)}
    model = TwoGaps() if kind == "inputs" else GapLinear(3)
    return model, {split: Named(ids(count, split), shapes) for split, count in RECORDS.items()}


def explain(root: Path, log: TextIO, kind: str) -> None:
    """The run that is killed: two splits, five shards, three batches to a shard, pictures or grades for each record."""
    model, data = asked_of(kind)
    graded = kind == "grades"
    run(
        model,
        data,
        root,
        batch_size=2,
        shard_size=SHARD,
        target_classes="predicted",
        generate_gradcam=not graded,
        generate_metrics=graded,
        metrics={"names": ["deletion", "pointing_game"], "settings": {"deletion": {"steps": 3}}},
        observer=Journal(log),
    )


def _run(task: dict[str, str]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if task.get("failpoint"):
                os.environ[VARIABLE] = task["failpoint"]
            with Path(task["log"]).open("a", buffering=1, encoding="utf-8") as log:
                explain(Path(task["root"]), log, task["kind"])
            code = 0
        finally:
            os._exit(code)
    if task.get("kill_after") is not None:
        time.sleep(float(task["kill_after"]))
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    print(_run(json.loads(line)), flush=True)
