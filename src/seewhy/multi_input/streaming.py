"""Every sample of every batch, whole batches at once, while threads draw what was already explained."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from torch import Tensor

from seewhy.core import Inputs
from seewhy.memory import is_out_of_memory, release
from seewhy.multi_input.asking import Answers, InputsExplainer
from seewhy.multi_input.batches import LoadedBatch, UniqueNames, Unreadable, read_batch
from seewhy.values import ConfigError, LayerError, SeewhyError

THREADS: Final = 2
WAITING: Final = 64
"""Samples that may wait to be drawn before the next batch is asked about."""
Finished = TypeVar("Finished")


@dataclass(frozen=True)
class Sample:
    """One record: ``inputs`` ``(C, *S)`` by name, ``answers`` by method, or the ``error`` there is instead.

    ``seconds`` is its part of the time that its batch took to explain.
    """

    sample_id: str
    label: int | None
    inputs: Mapping[str, Tensor]
    answers: Answers = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Fault:
    """Why samples were not explained; the error itself is not kept, since it holds every tensor it made."""

    reason: str
    out_of_memory: bool


@dataclass
class _Room:
    """How many samples are asked about at once; no limit as long as the memory sufficed."""

    most: int | None = None

    def parts(self, rows: range) -> list[range]:
        """Rows in parts that are asked about at once."""
        step = self.most or len(rows)
        return [rows[start : start + step] for start in range(0, len(rows), step)]


def each_sample(explainer: InputsExplainer, loader: Iterable[Any], limit: int | None = None) -> Iterator[Sample]:
    """Every sample in the loader's order, ``limit`` samples at most; no batch beyond them is loaded.

    The loader may give an :class:`Unreadable` in place of a record. A sample without an id is called ``sample_000`` and
    so on by its place in the loader; ids that occur twice get a number. Where a batch cannot be explained its halves
    are asked, so that a sample that is at fault fails alone. Where memory does not suffice, no later batch is asked
    about in larger parts than those that were tried after it.

    Raises:
        ConfigError, LayerError: a question that no sample can answer.
        DataError: ``SW-D98``, a batch that cannot be read.
    """
    unique, seen, room = UniqueNames(), 0, _Room()
    batches = iter(loader)
    while limit is None or seen < limit:
        given = next(batches, None)
        if given is None:
            return
        if isinstance(given, Unreadable):
            seen += 1
            yield Sample(unique(given.sample_id), given.label, {}, error=given.reason)
            continue
        batch = read_batch(given, explainer.input_names)
        batch = batch if limit is None else batch.first(limit - seen)
        ids = [unique(name or f"sample_{seen + row:03d}") for row, name in enumerate(batch.ids)]
        seen += len(batch)
        yield from _explained(explainer, batch, ids, room)


def in_threads(samples: Iterable[Sample], finish: Callable[[Sample], Finished]) -> Iterator[Finished]:
    """``finish`` of each sample, in order: drawn in threads while the next batch is asked about."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="seewhy-draw") as pool:
        waiting: deque[Future[Finished]] = deque()
        for sample in samples:
            waiting.append(pool.submit(finish, sample))
            while waiting and (waiting[0].done() or len(waiting) > WAITING):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def require_count(name: str, count: object) -> int:
    """Raise ``ConfigError`` SW-F125 unless ``count`` is a whole number from 1 on."""
    if type(count) is not int or count < 1:
        raise ConfigError("SW-F125", f"{name} must be a whole number from 1 on, got {count!r}", fix=f"{name}=10")
    return count


def _explained(explainer: InputsExplainer, batch: LoadedBatch, ids: list[str], room: _Room) -> Iterator[Sample]:
    waiting = deque([range(len(batch))])
    while waiting:
        rows, *others = room.parts(waiting.popleft())
        waiting.extendleft(reversed(others))
        few, started = batch.rows(rows), time.monotonic()
        found = _asked(explainer, few)
        if not isinstance(found, _Fault):
            yield from _samples(few, ids[rows.start : rows.stop], *found, (time.monotonic() - started) / len(few))
            continue
        if found.out_of_memory:
            release()
        if len(rows) == 1:
            yield Sample(ids[rows.start], few.labels[0], {}, error=found.reason)
            continue
        middle = len(rows) // 2
        waiting.extendleft((rows[middle:], rows[:middle]))
        if found.out_of_memory:
            room.most = middle


def _asked(explainer: InputsExplainer, batch: LoadedBatch) -> tuple[list[Answers], Inputs] | _Fault:
    try:
        answers = explainer.explain(batch.inputs)
        return answers, {name: tensor.detach().cpu() for name, tensor in explainer.named(batch.inputs).items()}
    except (ConfigError, LayerError):
        raise
    except SeewhyError as error:
        return _Fault(f"[{error.code}] {error.message}", is_out_of_memory(error))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _Fault(f"out of memory: {error}" if str(error) else "out of memory", out_of_memory=True)


def _samples(
    batch: LoadedBatch, ids: list[str], answers: list[Answers], inputs: Inputs, seconds: float
) -> Iterator[Sample]:
    for row, (sample_id, label, answer) in enumerate(zip(ids, batch.labels, answers, strict=True)):
        own = {name: tensor[row] for name, tensor in inputs.items()}
        yield Sample(sample_id, label, own, answer, seconds=seconds)
