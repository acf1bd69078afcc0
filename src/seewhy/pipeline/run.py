"""The only loop over a data set: plan, compute, commit, export."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from seewhy.data.custom import CustomDataset
from seewhy.data.records import Dataset
from seewhy.models.fingerprint import weights_fingerprint
from seewhy.pipeline.about import ABOUT, about_json
from seewhy.pipeline.batch_size import with_batch_size
from seewhy.pipeline.finish import Ended, Whole, finish_part, finish_run
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.observer import Observer, Silent
from seewhy.pipeline.plan import Plan, check_same_data, make_plan
from seewhy.pipeline.precision_check import precision_note
from seewhy.pipeline.remote_output import mirrored, output_address, output_path
from seewhy.pipeline.remote_parts import place_of
from seewhy.pipeline.rendering_reused import draw_reused
from seewhy.pipeline.runners import LocalRunner, Runner
from seewhy.pipeline.sending import Sending
from seewhy.pipeline.settings import Settings
from seewhy.pipeline.shard import current_revision
from seewhy.pipeline.stage import Task
from seewhy.pipeline.summary import Failure, Summary, tally
from seewhy.profiling.profiler import PerformanceProfiler
from seewhy.store.layout import committed_shards
from seewhy.store.parts import require_place
from seewhy.store.picture_tables import present_tables
from seewhy.store.receipts import NOT_DRAWN
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Artifact, ConfigError, Json

LOOKED_AT_TOGETHER = 4096
"""Records whose content is compared at once with what was answered: each waits as an object of its own."""


def run(
    model: nn.Module,
    dataset: Any,
    output_dir: str | Path = "artifacts",
    *,
    headless: bool | None = None,
    class_names: Sequence[str] | None = None,
    facts: Mapping[str, Json] | None = None,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = (),
    settings: Settings | None = None,
    runner: Runner | None = None,
    **given: Any,
) -> Summary:
    """Explain a data set: embeddings, Grad-CAM and attention of every record, in a directory that can be resumed.

    With ``generate_metrics=True`` maps are graded, too, beside controls that know nothing of the model.

    ``dataset`` is one of seewhy's, or your own torch ``Dataset`` or ``LightningDataModule``
    (:class:`seewhy.data.custom.CustomDataset`). ``given`` are fields of :class:`Settings`, by the names of the command
    line; or pass ``settings`` whole. ``class_names`` are the model's, for when the data set's classes are others.
    ``facts`` about how the model was built become part of the run's identity. ``stop`` is asked after each shard; once
    true, the run ends there, says so, and can be resumed. ``command`` are the words that began it, for its report.
    ``runner`` computes the shards: this process if None, or :class:`seewhy.pipeline.ray.RayRunner`. With a ``shard``
    the run is that part alone, in ``parts/`` below ``output_dir``, for :func:`seewhy.pipeline.merge.merge`. An
    ``output_dir`` such as ``s3://bucket/run`` is filled from a copy on this machine, shard by shard: the summary says
    the address and where the copy lies. The model comes back as it was.

    Raises ``SeewhyError`` for anything wrong with the settings, model, data set or directory before long work starts; a
    single record that fails becomes a row with its error instead.
    """
    asked = Settings.of(**given) if settings is None else settings
    if runner is not None and not callable(getattr(runner, "compute", None)):
        raise ConfigError(
            "SW-F332", f"a runner computes shards, got {runner!r}",
            fix="leave runner out for this process, or pass a seewhy.pipeline.ray.RayRunner",
        )  # fmt: skip
    with _placed(output_dir, asked, observer or Silent()) as (place, watching):
        summary = _run(
            model, dataset, place, asked, watching, runner, stop,
            headless=headless, class_names=class_names, facts=facts or {}, command=command,
        )  # fmt: skip
    address = output_address(output_dir)
    return summary if address is None else replace(summary, address=str(place_of(address, asked.shard)))


def _run(
    model: nn.Module,
    dataset: Any,
    place: Path,
    asked: Settings,
    observer: Observer,
    runner: Runner | None,
    stop: Callable[[], bool],
    *,
    headless: bool | None,
    class_names: Sequence[str] | None,
    facts: Mapping[str, Json],
    command: Sequence[str],
) -> Summary:
    # the peaks of a process that a command began are nobody else's: each stage may begin a new one
    profiler = PerformanceProfiler(enabled=asked.profile, resets=bool(command))
    begun = time.monotonic()
    records = dataset if isinstance(dataset, Dataset) else CustomDataset(dataset, frames_first=asked.frames_first or ())
    with profiler.profile("understand the model"):
        job = prepare(model, records, asked, headless=headless, class_names=class_names)
    with RunDirectory.open(place, _fingerprint(job, facts)) as directory:
        with profiler.profile("choose sizes"):
            job = with_batch_size(job, directory.root / ABOUT)
            job.found.choices.update(precision_note(job))
        with profiler.profile("plan", device=False):
            plan = _plan(job, directory)
        observer.planned(plan, job.found)
        about = directory.write_file(ABOUT, about_json(job, command, directory.root / ABOUT), kind="about")
        with profiler.profile("all shards"):
            computed, stopped = _compute(
                runner or LocalRunner(profiler), job, plan, directory, observer, stop, profiler
            )
        reader = RunReader(directory.root)
        splits, failures = tally(reader, labels_match=job.labels_match)
        ended = Ended()
        drawn = computed == plan.records
        if drawn and plan.reused:
            drawn = draw_reused(job, directory, reader, stop, observer.advanced)
            stopped = stopped or not drawn
            if NOT_DRAWN in job.found.choices:
                about = directory.write_file(ABOUT, about_json(job, command, directory.root / ABOUT), kind="about")
        if drawn:
            ended = _finish(job, directory, reader, about, failures, profiler)
            directory.finish(present_tables(directory.root))
    asked_for = {(job.index[position].split, job.index[position].record_id) for position in job.selected}
    return Summary(
        output_dir=place,
        selected=len(plan.selected),
        computed=computed,
        reused=plan.reused,
        seconds=time.monotonic() - begun,
        interrupted=stopped,
        splits=splits,
        failures=tuple(failure for failure in failures if (failure.split, failure.record_id) in asked_for),
        choices=job.found.choices | job.label_note,
        not_applicable=job.found.not_applicable,
        graded=ended.graded,
        report=None if ended.page is None else place / ended.page,
        profile=profiler.table() if profiler.enabled else "",
    )


@contextmanager
def _placed(output_dir: str | Path, settings: Settings, observer: Observer) -> Iterator[tuple[Path, Observer]]:
    """Where this run lies on this machine, and its observer; raises where it would get in the way of another."""
    part, address = settings.shard, output_address(output_dir)
    if address is not None:
        with mirrored(address, part) as (root, mirror):
            yield root, Sending(observer, mirror)
        return
    path = output_path(output_dir)
    require_place(path, part)
    yield path if part is None else part.place(path), observer


def _finish(
    job: Job,
    directory: RunDirectory,
    reader: RunReader,
    about: Artifact,
    failures: tuple[Failure, ...],
    profiler: PerformanceProfiler,
) -> Ended:
    part = job.settings.shard
    if part is None:
        whole = Whole(job.found, job.index, job.class_names, job.settings.generate_report)
        return finish_run(whole, directory, reader, about, failures, profiler)
    job.found.choices["part"] = f"{part}: the records whose ids fall to it; `seewhy merge` brings all parts together"
    return finish_part(job, part, directory, about, failures, profiler)


def _fingerprint(job: Job, facts: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "weights": weights_fingerprint(job.adapter.model),
        "model": dict(facts) or {"class": type(job.adapter.model).__qualname__},
        "data": dict(job.dataset.fingerprint()),
        "seed": job.settings.seed,
        "precision": job.settings.precision,
        **({"frames_first": list(job.settings.frames_first)} if job.settings.frames_first else {}),
    }


def _plan(job: Job, directory: RunDirectory) -> Plan:
    committed_splits = RunReader(directory.root).splits
    splits = dict.fromkeys([*(ref.split for ref in job.index), *committed_splits])
    answered = {split: directory.answered(split) for split in splits}
    check_same_data(job.index, answered)
    directory.require_agreement(
        {key: spec for question in job.found.questions for key, spec in question.specs().items()}
    )
    stale = _stale(job, answered)
    return make_plan(job.index, job.selected, job.found.questions, answered, stale, job.settings)


def _stale(job: Job, answered: Mapping[str, Mapping[str, Any]]) -> frozenset[int]:
    """Selected positions whose content is no longer what was answered."""
    committed = [
        (position, answered[ref.split][ref.record_id].revision)
        for position in job.selected
        if (ref := job.index[position]).record_id in answered[ref.split]
    ]
    found: set[int] = set()
    with ThreadPoolExecutor(job.settings.writer_threads) as threads:
        for start in range(0, len(committed), LOOKED_AT_TOGETHER):
            some = committed[start : start + LOOKED_AT_TOGETHER]
            current = threads.map(partial(current_revision, job.dataset), [position for position, _ in some])
            found.update(position for (position, old), new in zip(some, current, strict=True) if old != new)
    return frozenset(found)


def _compute(
    runner: Runner,
    job: Job,
    plan: Plan,
    directory: RunDirectory,
    observer: Observer,
    stop: Callable[[], bool],
    profiler: PerformanceProfiler,
) -> tuple[int, bool]:
    """Compute and commit the chunks; how many records, and whether someone asked to stop.

    Workers that were stopped may have committed more than they could tell of.
    """
    if not plan.chunks:
        return 0, stop()
    wanted = [(chunk.split, [job.index[at].record_id for at in chunk.positions]) for chunk in plan.chunks]
    tasks = [Task(name, chunk) for name, chunk in zip(directory.names_for(wanted), plan.chunks, strict=True)]
    stopped, there = False, set[str]()
    with closing(runner.compute(job, tasks, directory, observer.advanced)) as made:
        for done in made:
            there.add(done.name)
            job.found.choices |= done.choices
            profiler.merge(done.profile)
            observer.committed(done.name)
            if stopped := stop():
                break
    there.update(committed_shards(directory.root))
    return sum(len(task.chunk.positions) for task in tasks if task.name in there), stopped
