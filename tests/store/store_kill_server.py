"""Runs the sample run in forked children and kills them, without the price of a new interpreter for each.

Reads one JSON object per line, ``{"root", "log", "failpoint", "kill_after"}``, and answers with the child's end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import store_samples

from seewhy.store.failpoints import VARIABLE
from seewhy.store.manifest import versions

os.fsync = lambda handle: None  # SIGKILL loses no written page, so the device need not be waited for here
versions()


def _child(task: dict[str, str]) -> None:
    if task.get("failpoint"):
        os.environ[VARIABLE] = task["failpoint"]
    with Path(task["log"]).open("a", buffering=1, encoding="utf-8") as log:
        store_samples.write_run(Path(task["root"]), lambda record_id: print(record_id, file=log))


def _run(task: dict[str, str]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _child(task)
            code = 0
        finally:
            os._exit(code)
    if task.get("kill_after") is not None:
        time.sleep(float(task["kill_after"]))
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    print(_run(json.loads(line)), flush=True)
