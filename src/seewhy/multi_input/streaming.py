"""Every sample of every batch, whole batches at once, while threads draw what was already explained."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

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


def each_sample(explainer: InputsExplainer, loader: Iterable[Any], limit: int | None = None) -> Iterator[Sample]:
    """Every sample in the loader's order, ``limit`` samples at most; no batch beyond them is loaded.

    The loader may give an :class:`Unreadable` in place of a record. A sample without an id is called ``sample_000`` and
    so on by its place in the loader; ids that occur twice get a number. Where a batch cannot be explained its halves
    are asked, so that a sample that is at fault fails alone, and one that is too large for the memory shares it with
    fewer others.

    Raises:
        ConfigError, LayerError: a question that no sample can answer.
        DataError: ``SW-D98``, a batch that cannot be read.
    """
    unique, seen = UniqueNames(), 0
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
        yield from _explained(explainer, batch, ids)


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


def _explained(explainer: InputsExplainer, batch: LoadedBatch, ids: list[str]) -> Iterator[Sample]:
    started = time.monotonic()
    try:
        answers = explainer.explain(batch.inputs)
        inputs = {name: tensor.detach().cpu() for name, tensor in explainer.named(batch.inputs).items()}
    except (ConfigError, LayerError):
        raise
    except (SeewhyError, torch.OutOfMemoryError) as error:
        yield from _halves(explainer, batch, ids, error)
        return
    seconds = (time.monotonic() - started) / len(batch)
    for row, (sample_id, label, answer) in enumerate(zip(ids, batch.labels, answers, strict=True)):
        own = {name: tensor[row] for name, tensor in inputs.items()}
        yield Sample(sample_id, label, own, answer, seconds=seconds)


def _halves(
    explainer: InputsExplainer, batch: LoadedBatch, ids: list[str], error: SeewhyError | torch.OutOfMemoryError
) -> Iterator[Sample]:
    if len(batch) == 1:
        reason = f"[{error.code}] {error.message}" if isinstance(error, SeewhyError) else f"out of memory: {error}"
        yield Sample(ids[0], batch.labels[0], {}, error=reason)
        return
    middle = len(batch) // 2
    for rows in (range(middle), range(middle, len(batch))):
        yield from _explained(explainer, batch.rows(rows), ids[rows.start : rows.stop])
