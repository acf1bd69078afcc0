"""Shards whose records may kill the process: after two deaths each record is tried alone, so that one costs itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.pipeline.job import Job
from seewhy.pipeline.stage import Done, Stage, Task
from seewhy.store.attempts import Attempts
from seewhy.values import Artifact, DataError, Json, RecordRow

DEATHS: Final = 2
"""So many processes may die of something before it is taken for the cause: machines vanish for reasons of their own."""
COMPUTING: Final = "computing"
LOADER_DIED: Final = "SW-D41"


class Nowhere:
    """A writer that keeps nothing."""

    def commit(self, split: str, rows: Sequence[RecordRow], questions: Mapping[str, Json], name: str) -> str:
        """Nothing is committed."""
        del split, rows, questions
        return name

    def write_file(self, relative: str, data: bytes, *, kind: str, record_id: str = "") -> Artifact:
        """Nothing is written."""
        return Artifact(kind, relative, record_id, "", len(data))


def make_carefully(job: Job, stage: Stage, task: Task, attempts: Attempts) -> Done:
    """Make a task's shard; a record that kills every process that reads or computes it becomes a failed row.

    Raises:
        ClusterError: ``SW-Y10``, processes die of the shard, but of no record alone.
    """
    died = attempts.died(COMPUTING)
    if died > 2 * DEATHS:
        raise ClusterError(
            "SW-Y10",
            f"{died} workers died while they computed {task.name}, though none dies of one of its records alone",
            fix="set a smaller data.batch_size, or give each worker more memory",
        )
    if died >= DEATHS:
        task = replace(task, lost=task.lost | _lost(job, task, attempts))
    try:
        done = _make(stage, task, attempts)
    except DataError as error:
        lost = _lost(job, task, attempts) if error.code == LOADER_DIED else frozenset()
        if not lost:
            raise
        done = _make(stage, replace(task, lost=task.lost | lost), attempts)
    attempts.forget()
    return done


def _make(stage: Stage, task: Task, attempts: Attempts) -> Done:
    with attempts.attempt(COMPUTING):
        (done,) = stage.run([task])
    return done


def _lost(job: Job, task: Task, attempts: Attempts) -> frozenset[int]:
    """The records that a process died of twice, found by computing one after the other in this very process."""
    died = {at: attempts.died(f"record {at}") for at in task.asked.positions}
    struck = [place for place, at in enumerate(died) if died[at]]
    alone = Stage(replace(job, settings=replace(job.settings, num_workers=0)), Nowhere())
    for at in list(died)[max(struck, default=0) :]:  # those before were computed by the process that died
        if died[at] < DEATHS:
            with attempts.attempt(f"record {at}"):
                list(alone.run([Task(task.name, replace(task.chunk, positions=(at,)))]))
    return frozenset(at for at, times in died.items() if times >= DEATHS)
