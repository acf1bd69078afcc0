"""A process that makes shards for a run held by another: what it is told, what it checks, what it answers."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seewhy.data.records import Dataset
from seewhy.models.fingerprint import weights_fingerprint
from seewhy.pipeline.careful import make_carefully
from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.plan import Chunk
from seewhy.pipeline.questions import Question
from seewhy.pipeline.settings import Settings
from seewhy.pipeline.stage import Done, Stage, Task
from seewhy.profiling.profiler import PerformanceProfiler
from seewhy.store.attempts import Attempts
from seewhy.store.delegate import Delegate
from seewhy.store.keys import digest, plain
from seewhy.store.shards import Shard
from seewhy.values import Json, SeewhyError

LONGEST_SAID = 200
"""Letters of a value that differs: a model may have thousands of class names."""


@dataclass(frozen=True)
class Parts:
    """What a worker builds for itself: the model, and the data set as :func:`seewhy.pipeline.job.prepare` takes it."""

    model: nn.Module
    dataset: Dataset
    headless: bool | None = None
    class_names: Sequence[str] | None = None


@dataclass(frozen=True)
class Order:
    """What every worker of a run is told once; plain values, none of them alive.

    ``build`` names a callable ``"package.module:function"`` that returns :class:`Parts` when called with ``arguments``.
    ``folder`` is where the run was started, ``same`` what must be the same on every machine (:func:`sameness`),
    ``questions`` are those that chunks ask, ``threads`` the CPUs of each worker.
    """

    build: str
    arguments: Mapping[str, Json]
    folder: str
    settings: Settings
    delegate: Delegate
    same: Mapping[str, Json]
    questions: tuple[tuple[Question, ...], ...]
    threads: int

    def row(self, task: Task) -> dict[str, Any]:
        """A task in plain values, as :class:`Worker` takes it."""
        number = self.questions.index(task.chunk.questions)
        return {
            "name": task.name, "split": task.chunk.split, "positions": list(task.chunk.positions), "questions": number,
        }  # fmt: skip

    def task(self, row: Mapping[str, Any]) -> Task:
        """The task of a row."""
        positions = tuple(int(at) for at in row["positions"])
        return Task(str(row["name"]), Chunk(str(row["split"]), self.questions[int(row["questions"])], positions))


class Worker:
    """Makes one shard for each row it is called with. It never raises: an error is an answer, for the run to raise.

    The model is built when the first row comes, and stays.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._profiler = PerformanceProfiler(enabled=order.settings.profile, resets=True)
        self._built: tuple[Job, Stage] | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a task becomes that of its :class:`Done`."""
        try:
            return said_of(self._make(self._order.task(row)))
        except SeewhyError as error:
            return said_of_error(error)
        except Exception:  # noqa: BLE001  the edge of the process: an engine would try again, or hide the reason
            return said_of_error(
                ClusterError(
                    "SW-Y04",
                    "a worker failed:\n" + traceback.format_exc().rstrip(),
                    fix="committed records are kept; runner=local shows the same error in one process",
                )
            )

    def _make(self, task: Task) -> Done:
        delegate = self._order.delegate
        delegate.require_held()
        if delegate.holds(task.name):  # by a process that died before it could say so
            statuses = Shard(Path(delegate.root, task.name)).read(["status"])["status"].to_pylist()
            return Done(task.name, len(statuses), statuses.count("failed"))
        attempts = Attempts(Path(delegate.root), task.name, delegate.holder)
        if self._built is None:
            self._built = self._build(attempts)
        job, stage = self._built
        done = make_carefully(job, stage, task, attempts)
        measured = self._profiler.get_stats()
        self._profiler.reset()
        return replace(done, profile=measured)

    def _build(self, attempts: Attempts) -> tuple[Job, Stage]:
        if attempts.died("building") > 2:
            raise ClusterError(
                "SW-Y09",
                "workers die while they build the model and the data set",
                fix="too little memory for one copy of the model in each worker is the usual cause: ask for fewer "
                "workers, or for more CPUs (or GPUs) for each",
            )
        with attempts.attempt("building"):
            order = self._order
            enter(order.folder)
            torch.set_num_threads(order.threads)
            parts = factory_of(order.build)(**order.arguments)
            if not isinstance(parts, Parts):
                raise ClusterError(
                    "SW-Y05", f"{order.build} returned a {type(parts).__name__}",
                    fix="return seewhy.pipeline.worker.Parts(model, dataset)",
                )  # fmt: skip
            alone = replace(order.settings, num_workers=min(order.settings.num_workers, order.threads - 1))
            job = prepare(parts.model, parts.dataset, alone, headless=parts.headless, class_names=parts.class_names)
            require_same(order.same, sameness(job))
            return job, Stage(job, order.delegate, self._profiler)


def enter(folder: str) -> None:
    """Let paths and modules beside the user be found, as where the run was started; elsewhere nothing is changed."""
    if Path(folder).is_dir():
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)


def factory_of(build: str) -> Callable[..., object]:
    """The callable behind ``"package.module:function"``.

    Raises:
        ClusterError: ``SW-Y05`` there is none.
    """
    if not isinstance(build, str):
        raise ClusterError(
            "SW-Y05", f"build must be package.module:function, got {build!r}",
            fix="name a function that every worker can import, as package.module:function",
        )  # fmt: skip
    module, colon, name = build.partition(":")
    try:
        found = getattr(importlib.import_module(module), name) if colon and name else None
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise ClusterError(
            "SW-Y05", f"build={build!r} cannot be imported: {error}",
            fix="name a function that every worker can import, as package.module:function",
        ) from error  # fmt: skip
    if not callable(found):
        raise ClusterError(
            "SW-Y05", f"build={build!r} names no function",
            fix="name a function that every worker can import, as package.module:function",
        )  # fmt: skip
    made: Callable[..., object] = found
    return made


def sameness(job: Job) -> dict[str, Json]:
    """What must agree between machines, so that they make the shards of one run."""
    found: dict[str, Json] = plain(
        {
            "weights": weights_fingerprint(job.adapter.model),
            "settings of the data set": dict(job.dataset.fingerprint()),
            "records": digest([[ref.split, ref.record_id] for ref in job.index]),
            "number of records": len(job.index),
            "outputs": job.adapter.classes,
            "outputs are features": job.adapter.headless,
            "class names": None if job.class_names is None else list(job.class_names),
            "labels are classes of the model": job.labels_match,
        }
    )
    return found


def require_same(there: Mapping[str, Json], here: Mapping[str, Json]) -> None:
    """Refuse to compute with other weights or data than the run's.

    Raises:
        ClusterError: ``SW-Y03``, with one line for each difference.
    """
    lines = [
        f"{key}: {_short(there[key])} there, {_short(here.get(key))} here"
        for key in there
        if there[key] != here.get(key)
    ]
    if lines:
        raise ClusterError(
            "SW-Y03",
            "a worker built something else than the run was started with:\n    " + "\n    ".join(lines),
            fix="let every machine see the same checkpoint, data and code",
        )


def _short(value: Json) -> str:
    said = str(value)
    return said if len(said) <= LONGEST_SAID else f"{said[:LONGEST_SAID]}…"


def said_of(done: Done) -> dict[str, Any]:
    """A ``Done`` as a row."""
    return {
        "name": done.name, "records": done.records, "failed": done.failed, "choices": json.dumps(dict(done.choices)),
        "profile": json.dumps({stage: dict(facts) for stage, facts in done.profile.items()}), "error": "",
    }  # fmt: skip


def said_of_error(error: SeewhyError) -> dict[str, Any]:
    """An error as a row."""
    kind, told = type(error).__name__, [error.code, error.message, error.fix, list(error.near)]
    return {"name": "", "records": 0, "failed": 0, "choices": "{}", "profile": "{}", "error": json.dumps([kind, *told])}


def done_of(row: Mapping[str, Any]) -> Done:
    """What a worker says. Raises the error where it is one."""
    if row["error"]:
        kind, code, message, fix, near = json.loads(row["error"])
        known = {one.__name__: one for one in SeewhyError.__subclasses__() if one.__init__ is SeewhyError.__init__}
        raise known.get(kind, SeewhyError)(code, message, fix=fix, near=near)
    choices, profile = json.loads(row["choices"]), json.loads(row["profile"])
    return Done(str(row["name"]), int(row["records"]), int(row["failed"]), choices, profile)
