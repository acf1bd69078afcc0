"""Who computes the shards of a run: this process, one after the other, or others by the same stage."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from seewhy.pipeline.job import Job
from seewhy.pipeline.stage import Done, Stage, Task
from seewhy.profiling.profiler import SILENT, PerformanceProfiler
from seewhy.store.run_directory import RunDirectory


class Runner(Protocol):
    """Computes the shards of a run."""

    def compute(
        self, job: Job, tasks: Sequence[Task], directory: RunDirectory, advanced: Callable[[int, int], None]
    ) -> Generator[Done, None, None]:
        """Make every task's shard, in any order; what is yielded is committed, and ``directory`` knows of it.

        Closing the iterator ends the work; what was committed stays.
        """
        ...


class LocalRunner:
    """Computes in this process, in order."""

    def __init__(self, profiler: PerformanceProfiler = SILENT) -> None:
        self._profiler = profiler

    def compute(
        self, job: Job, tasks: Sequence[Task], directory: RunDirectory, advanced: Callable[[int, int], None]
    ) -> Generator[Done, None, None]:
        """Make every task's shard, in order."""
        yield from Stage(job, directory, self._profiler).run(tasks, advanced)
