"""From a chunk of records to a committed shard: the one stage of every runner, here or on a cluster's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Protocol

from seewhy.data.batching import load_batches
from seewhy.data.records import Batch, views_of
from seewhy.pipeline.device_feed import feed, holding
from seewhy.pipeline.engine import Engine, Explained
from seewhy.pipeline.job import Job
from seewhy.pipeline.map_volume import can_write_volumes
from seewhy.pipeline.pictures import Drawn, Painter, Shown
from seewhy.pipeline.plan import Chunk
from seewhy.pipeline.questions import Question
from seewhy.pipeline.sampling import drawn_records
from seewhy.pipeline.shard import Desk, OpenShard
from seewhy.profiling.profiler import SILENT, PerformanceProfiler
from seewhy.store.names import SafeNames
from seewhy.values import Answer, Artifact, Json, RecordRow

LOST = "the worker process died while it computed this record (too little memory is the usual cause)"


class Writer(Protocol):
    """Where a stage writes: a run directory that is held here, or its delegate on another machine."""

    def commit(self, split: str, rows: Sequence[RecordRow], questions: Mapping[str, Json], name: str) -> str: ...

    def write_file(self, relative: str, data: bytes, *, kind: str, record_id: str = "") -> Artifact: ...


@dataclass(frozen=True)
class Task:
    """A shard to make: its name and its records; ``lost`` are positions known to kill the process computing them."""

    name: str
    chunk: Chunk
    lost: frozenset[int] = frozenset()

    @property
    def asked(self) -> Chunk:
        """The records that the model is asked about."""
        return self.chunk.without(self.lost)


@dataclass(frozen=True)
class Done:
    """A shard that was made: its records, how many of them failed, and what had to be chosen on the way."""

    name: str
    records: int
    failed: int
    choices: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What a profiler in another process measured on the way."""


class Stage:
    """Makes shards, one after the other; the model, the readers and the drawing threads stay.

    Reading runs ahead in loader processes, drawing and encoding beside the model in threads; both wait when the others
    fall behind, so that memory does not depend on the number of records.
    """

    def __init__(self, job: Job, writer: Writer, profiler: PerformanceProfiler = SILENT) -> None:
        self._job = job
        self._profiler = profiler
        self._writer = writer
        self._names = SafeNames(ref.record_id for ref in job.index)
        self._painter = Painter(
            job.found, partial(views_of, job.dataset), job.class_names, writer.write_file, can_write_volumes(),
            drawn_records(job.index, job.settings),
        )  # fmt: skip

    def run(self, tasks: Sequence[Task], advanced: Callable[[int, int], None] = lambda *_: None) -> Iterator[Done]:
        """Make and commit each task's shard, in order. ``advanced`` hears of records and failures, batch by batch."""
        job, settings = self._job, self._job.settings
        loaded = load_batches(
            job.dataset,
            list(chain.from_iterable(task.asked.batches(job.batch_size) for task in tasks)),
            num_workers=settings.num_workers,
            pin_memory=job.adapter.device.type == "cuda",
            seed=settings.seed,
        )
        with (
            closing(feed(loaded, job.adapter.device)) as batches,
            ThreadPoolExecutor(settings.writer_threads, thread_name_prefix="seewhy-picture") as threads,
        ):
            desk = Desk(
                job.dataset, job.index, job.labels_match, self._names.__getitem__, self._paint, threads, job.visible
            )
            for task in tasks:
                yield self._make(task, desk, batches, advanced)

    def _make(self, task: Task, desk: Desk, batches: Iterator[Batch], advanced: Callable[[int, int], None]) -> Done:
        shard, chosen = OpenShard(task.chunk, desk), dict(self._job.found.choices)
        engine = self._engine(task.chunk)
        failed = self._take(shard, (Explained(at, stage="process", error=LOST) for at in sorted(task.lost)), advanced)
        for results in self._answers(engine, holding(batches, len(task.asked.positions))):
            failed += self._take(shard, results, advanced)
        with self._profiler.profile("wait for pictures", device=False):
            shard.drawn()
        with self._profiler.profile("commit", device=False):
            shard.commit(partial(self._writer.commit, name=task.name))
        new = {what: how for what, how in self._job.found.choices.items() if chosen.get(what) != how}
        if engine.batch_size < self._job.batch_size:
            new["batch size"] = _batch_note(self._job.batch_size, engine.batch_size)
        return Done(task.name, len(task.chunk.positions), failed, new)

    def _engine(self, chunk: Chunk) -> Engine:
        job = self._job
        return Engine(job.adapter, chunk.questions, tokens=job.found.tokens, batch_size=job.batch_size)

    def _answers(self, engine: Engine, batches: Iterator[Batch]) -> Iterator[list[Explained]]:
        """What the engine says of each batch.

        With a profiler a batch is done before the next is asked about: else its seconds would be the other's.
        """
        if not self._profiler.enabled:
            yield from engine.explain_all(batches)
            return
        while True:
            with self._profiler.profile("wait for records", device=False):
                batch = next(batches, None)
            if batch is None:
                return
            with self._profiler.profile("ask the model"):
                results = list(engine.explain(batch))
            yield results

    def _paint(self, shown: Shown, questions: Sequence[Question], answers: Mapping[str, Answer]) -> Drawn:
        with self._profiler.profile("draw and encode", device=False):
            return self._painter.paint(shown, questions, answers)

    @staticmethod
    def _take(shard: OpenShard, results: Iterable[Explained], advanced: Callable[[int, int], None]) -> int:
        taken, failed = shard.add(results)
        if taken:
            advanced(taken, failed)
        return failed


def _batch_note(asked: int, used: int) -> str:
    return f"memory did not suffice for {asked} records at once: went on with {used} (set batch_size={used})"
