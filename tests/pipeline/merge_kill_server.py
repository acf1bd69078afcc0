"""Merges in forked children and kills them, without the seconds that importing torch takes each time.

Reads JSON objects, one per line: ``{"root", "failpoint", "remove"}``. Answers with the child's end.
"""

from __future__ import annotations

import json
import os
import sys

import pyarrow.dataset
import torch

from seewhy.pipeline.merge import merge
from seewhy.store.failpoints import VARIABLE
from seewhy.store.manifest import versions

os.fsync = lambda handle: None  # SIGKILL loses no written page, so the device need not be waited for here
torch.set_num_threads(1)
versions()
pyarrow.dataset.dataset  # noqa: B018  loaded here, not in every child


def _run(task: dict[str, str]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if task.get("failpoint"):
                os.environ[VARIABLE] = task["failpoint"]
            merge(task["root"], remove_parts=bool(task.get("remove")))
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    print(_run(json.loads(line)), flush=True)
