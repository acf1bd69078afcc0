"""What a worker of a cluster does with a task, without a cluster: checks, shards, errors as answers, deadly records."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pipeline_samples import Pictures, conv_net, ids, rows, snapshot, vit
from worker_samples import COUNTS, attentive, digits

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.pipeline import careful
from seewhy.pipeline.job import Job, prepare
from seewhy.pipeline.plan import Chunk
from seewhy.pipeline.settings import Settings
from seewhy.pipeline.stage import Done, Task
from seewhy.pipeline.worker import Order, Worker, done_of, sameness
from seewhy.store.attempts import Attempts, forget_attempts
from seewhy.store.run_directory import RunDirectory
from seewhy.values import SeewhyError, StoreError

WANTED = {"batch_size": 2, "shard_size": 4, "target_classes": "predicted"}


class InProcess:
    """A runner whose workers live here, one task each; ``change`` is what happens to the order on its way."""

    def __init__(self, build: str, change: Callable[[Order], Order] = lambda order: order, **arguments: Any) -> None:
        self.build, self.change, self.arguments = build, change, arguments
        self.worker: Worker | None = None

    def compute(
        self, job: Job, tasks: Sequence[Task], directory: RunDirectory, advanced: Callable[[int, int], None]
    ) -> Generator[Done, None, None]:
        order = Order(
            self.build, self.arguments, str(Path.cwd()), job.settings, directory.delegate(), sameness(job),
            tuple(dict.fromkeys(task.chunk.questions for task in tasks)), torch.get_num_threads(),
        )  # fmt: skip
        order = pickle.loads(pickle.dumps(self.change(order)))
        self.worker = Worker(order)
        for task in reversed(tasks):
            done = done_of(self.worker(order.row(task)))
            directory.adopt(done.name)
            advanced(done.records, done.failed)
            yield done


@pytest.fixture(autouse=True)
def _path_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def digit_run(root: Path, runner: Any = None, **more: Any) -> seewhy.Summary:
    parts = digits()
    return seewhy.run(parts.model, parts.dataset, root, runner=runner, **WANTED, **more)


def test_shards_of_a_worker_in_any_order_are_those_of_this_process(tmp_path: Path) -> None:
    digit_run(tmp_path / "local")
    summary = digit_run(tmp_path / "there", InProcess("worker_samples:digits"))
    assert summary.computed == sum(COUNTS.values())
    there = {name: data for name, data in snapshot(tmp_path / "there").items() if not name.startswith(".")}
    assert there == snapshot(tmp_path / "local")


def test_a_worker_that_calls_the_classes_otherwise_draws_none_of_them(tmp_path: Path) -> None:
    parts = attentive()
    names = [f"class {number}" for number in range(parts.model.head.out_features)]
    with pytest.raises(SeewhyError, match=r"SW-Y03(?s:.*)class names: .*class 0.* there, None here"):
        seewhy.run(
            parts.model, parts.dataset, tmp_path, class_names=names,
            runner=InProcess("worker_samples:attentive"), **WANTED,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("runner", "code", "said"),
    [
        (InProcess("worker_samples:digits", seed=1), "SW-Y03", "weights"),
        (InProcess("worker_samples:digits", size=40), "SW-Y03", "settings of the data set"),
        (InProcess("worker_samples:fails"), "SW-Y04", "ValueError: no such luck"),
        (InProcess("worker_samples:wrong"), "SW-Y05", "returned a str"),
        (InProcess("worker_samples:nothing"), "SW-Y05", "cannot be imported"),
        (InProcess("worker_samples"), "SW-Y05", "names no function"),
        (
            InProcess("worker_samples:digits", lambda o: replace(o, delegate=replace(o.delegate, holder="another"))),
            "SW-S16",
            "is not held by the run",
        ),
    ],
)
def test_what_a_worker_cannot_do_is_raised_by_the_run_and_no_shard_is_made(
    tmp_path: Path, runner: InProcess, code: str, said: str
) -> None:
    with pytest.raises(SeewhyError, match=code) as refused:
        digit_run(tmp_path / "run", runner)
    assert said in refused.value.message
    assert not list((tmp_path / "run").glob("shards/*"))


def test_an_error_keeps_its_class_on_its_way(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        digit_run(
            tmp_path / "run",
            InProcess("worker_samples:digits", lambda o: replace(o, delegate=replace(o.delegate, holder="another"))),
        )


def test_a_task_done_before_is_told_again_and_not_made_again(tmp_path: Path) -> None:
    class Twice(InProcess):
        def compute(self, job: Job, tasks: Sequence[Task], *rest: Any) -> Generator[Done, None, None]:
            for done in super().compute(job, tasks, *rest):
                assert self.worker is not None
                fresh = Worker(replace(self.worker._order, build="worker_samples:fails"))
                task = next(task for task in tasks if task.name == done.name)
                assert done_of(fresh(self.worker._order.row(task))) == Done(done.name, done.records, done.failed)
                yield done

    digit_run(tmp_path / "run", Twice("worker_samples:digits"))
    assert seewhy.verify(tmp_path / "run") == []


def test_what_workers_committed_before_they_were_stopped_is_counted(tmp_path: Path) -> None:
    class Ahead(InProcess):
        def compute(self, job: Job, tasks: Sequence[Task], *rest: Any) -> Generator[Done, None, None]:
            made = super().compute(job, tasks, *rest)
            done = next(made)
            next(made)  # committed by another, and never told
            yield done

    summary = digit_run(tmp_path / "run", Ahead("worker_samples:digits"), stop=lambda: True)
    assert (summary.interrupted, summary.computed) == (True, sum(one.ok for one in summary.splits.values()))
    assert len(list((tmp_path / "run").glob("shards/*"))) == 2


def test_what_a_worker_measures_comes_back(tmp_path: Path) -> None:
    summary = digit_run(tmp_path / "run", InProcess("worker_samples:digits"), profile=True)
    assert "wait for records" in summary.profile


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Job, RunDirectory, Task]]:
    """A run of eight records in one shard, about to be made."""
    job = prepare(conv_net(), CustomDataset(Pictures(ids(8))), Settings(batch_size=2, target_classes="predicted"))
    with RunDirectory.open(tmp_path / "run", {"weights": "any"}) as directory:
        yield job, directory, Task("shards/test-00000.parquet", _chunk(job))


def _chunk(job: Job) -> Chunk:
    return Chunk(job.index[0].split, tuple(job.found.questions), tuple(range(8)))


class Death(BaseException):
    """What stands for the end of a process."""


def make_with_deaths(
    monkeypatch: pytest.MonkeyPatch, job: Job, directory: RunDirectory, task: Task, kills: Callable[[Task], bool]
) -> tuple[list[Done], int]:
    """Try until it is done, as an engine does; ``kills`` tells of which tasks a process dies. How often one died."""

    class Mortal(careful.Stage):
        def run(self, tasks: Sequence[Task], *rest: Any) -> Iterator[Done]:
            if any(kills(replace(task, chunk=task.asked)) for task in tasks):
                raise Death
            return super().run(tasks, *rest)

    def lasting(self: Attempts, step: str, more: int, note: Any = Attempts._note) -> None:
        if more > 0 or sys.exc_info()[0] is not Death:  # a process that died takes no note back
            note(self, step, more)

    monkeypatch.setattr(careful, "Stage", Mortal)
    monkeypatch.setattr(Attempts, "_note", lasting)
    for deaths in range(40):
        attempts = Attempts(directory.root, task.name, "this run")
        try:
            return [careful.make_carefully(job, Mortal(job, directory), task, attempts)], deaths
        except Death:
            continue
    raise AssertionError("no end of dying")


def test_records_that_kill_the_process_become_failed_rows(
    monkeypatch: pytest.MonkeyPatch, held: tuple[Job, RunDirectory, Task]
) -> None:
    job, directory, task = held
    (done,), deaths = make_with_deaths(
        monkeypatch, job, directory, task, lambda task: bool({2, 5} & set(task.chunk.positions))
    )
    assert (done.records, done.failed) == (8, 2)
    assert deaths == 2 + 2 * 2  # of the shard as a whole, then of each of the two records
    found = rows(directory.root, job.index[0].split)
    assert {record for record, row in found.items() if row.status == "failed"} == {"r02", "r05"}
    assert found["r02"].stage == "process"
    assert "died" in found["r02"].error
    forget_attempts(directory.root)
    assert not (directory.root / ".attempts").exists()


def test_a_machine_that_vanishes_costs_no_record(
    monkeypatch: pytest.MonkeyPatch, held: tuple[Job, RunDirectory, Task]
) -> None:
    job, directory, task = held
    whole = iter([True, True, True])
    (done,), deaths = make_with_deaths(
        monkeypatch, job, directory, task, lambda task: len(task.chunk.positions) == 8 and next(whole, False)
    )
    assert (done.failed, deaths) == (0, 3)


def test_a_shard_that_kills_though_no_record_does_is_an_error(
    monkeypatch: pytest.MonkeyPatch, held: tuple[Job, RunDirectory, Task]
) -> None:
    job, directory, task = held
    with pytest.raises(SeewhyError, match="SW-Y10"):
        make_with_deaths(monkeypatch, job, directory, task, lambda task: len(task.chunk.positions) > 1)


def test_a_loader_that_died_of_a_record_leads_to_that_record(
    monkeypatch: pytest.MonkeyPatch, held: tuple[Job, RunDirectory, Task]
) -> None:
    job, directory, task = held

    def kills(task: Task) -> bool:
        if len(task.chunk.positions) > 1 and 3 in task.chunk.positions:
            raise seewhy.values.DataError("SW-D41", "a loader process died")
        return 3 in task.chunk.positions

    (done,), deaths = make_with_deaths(monkeypatch, job, directory, task, kills)
    assert (done.failed, deaths) == (1, 2)


def test_deaths_while_building_end_in_an_error(tmp_path: Path) -> None:
    parts = digits()
    job = prepare(parts.model, parts.dataset, Settings())
    with RunDirectory.open(tmp_path / "run", {}) as directory:
        chunk = Chunk("train", tuple(job.found.questions), (0, 1))
        delegate = directory.delegate()
        order = Order("worker_samples:digits", {}, "/nowhere", Settings(), delegate, {}, (chunk.questions,), 1)
        task = Task("shards/train-00000.parquet", chunk)
        for _ in range(3):
            Attempts(directory.root, task.name, delegate.holder)._note("building", 1)
        with pytest.raises(SeewhyError, match="SW-Y09"):
            done_of(Worker(order)(order.row(task)))


def test_questions_of_every_kind_travel() -> None:
    graded = {"generate_metrics": True, "metrics": {"names": ["deletion"], "settings": {"deletion": {"steps": 3}}}}
    job = prepare(vit(), CustomDataset(Pictures(ids(4))), Settings.of(**graded))
    assert {question.kind for question in job.found.questions} == {"embeddings", "gradcam", "attention", "grades"}
    assert pickle.loads(pickle.dumps(tuple(job.found.questions))) == tuple(job.found.questions)
