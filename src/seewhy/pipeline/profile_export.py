"""``profile/``: where the time and the memory of a run went, where that was asked for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from seewhy.profiling.profiler import PerformanceProfiler
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Artifact

FOLDER: Final = "profile"


def export_profile(directory: RunDirectory, profiler: PerformanceProfiler) -> Iterator[Artifact]:
    """Write ``table.txt``, ``stages.json`` and ``trace.json`` (for https://ui.perfetto.dev) of this run.

    Unlike all else in a run directory they hold times, and differ from run to run.
    """
    if not profiler.enabled:
        return
    stages = json.dumps(profiler.get_stats(), indent=2, sort_keys=True, allow_nan=False)
    with tempfile.TemporaryDirectory() as scratch:
        trace = profiler.save_trace(Path(scratch, "trace.json")).read_bytes()
    for name, data in (
        ("table.txt", f"{profiler.table()}\n".encode()),
        ("stages.json", f"{stages}\n".encode()),
        ("trace.json", trace),
    ):
        yield directory.write_file(f"{FOLDER}/{name}", data, kind=FOLDER)
