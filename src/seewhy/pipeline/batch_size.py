"""How many records go through the model together where nobody says: as many as free memory allows."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seewhy.capture.probe import Probe
from seewhy.core import Inputs, Wants
from seewhy.memory import free_on, is_out_of_memory, release
from seewhy.pipeline.grading_question import GradingQuestion
from seewhy.pipeline.job import Job
from seewhy.pipeline.questions import union_of_wants
from seewhy.targets import Logit

SHARE: Final = 0.6
"""The share of the free memory that a batch may take; libraries' scratch memory and fragments have the rest."""
LARGEST_ON_CPU, LARGEST_ON_GPU = 32, 256
FOUND: Final = "batch size"
_REMEMBERED: Final = re.compile(r"(\d+): found from free memory")


@dataclass(frozen=True)
class Need:
    """Bytes that a batch holds at each moment of its way: ``fixed`` ones, and some for each of its records.

    Every moment counts, since the fullest one of few records need not be that of many.
    """

    moments: Sequence[tuple[int, int]]

    def at(self, records: int) -> int:
        """Bytes at the fullest moment of so many records.

        Example:
            >>> need = Need([(100, 1), (0, 20)])
            >>> need.at(2), need.at(10)
            (102, 200)
        """
        return max(fixed + records * per_record for fixed, per_record in self.moments)

    def most(self, free: int, largest: int) -> int:
        """The largest power of two of records, at most ``largest`` and at least 1, within a share of the free bytes.

        Example:
            >>> Need([(100, 10)]).most(free=1000, largest=256)  # 600 of 1000 bytes: room for 50
            32
        """
        records = 1
        while 2 * records <= largest and self.at(2 * records) <= SHARE * free:
            records *= 2
        return records


def with_batch_size(job: Job, about: Path) -> Job:
    """The job with a number for ``batch_size=auto``, told in its choices; any other job as it is.

    What one and two records take is measured on the records that the model was understood on. A run that goes on keeps
    the size that ``about``, its file of choices, remembers, so that it forms the batches it would have formed without
    the interruption; the size is no part of a run's identity.
    """
    if job.settings.batch_size != "auto":
        return job
    told = _remembered(about) or _found(job)
    job.found.choices[FOUND] = told
    return replace(job, settings=replace(job.settings, batch_size=int(told.partition(":")[0])))


def _remembered(about: Path) -> str:
    try:
        told = str(json.loads(about.read_text("utf-8"))["choices"][FOUND])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return told if _REMEMBERED.match(told) else ""


def _found(job: Job) -> str:
    device = job.adapter.device
    largest = LARGEST_ON_GPU if device.type == "cuda" else LARGEST_ON_CPU
    free = free_on(device)
    if not free:
        return f"{largest}: found from free memory, which this system does not tell"
    need = need_of(job)
    if need is None:
        return "2: found from free memory, which does not suffice for four records"
    size = need.most(free, largest)
    return (
        f"{size}: found from free memory ({_megabytes(free)} free; tensors of {_megabytes(need.at(2))} at once for two "
        f"records, {_megabytes(need.at(size))} for {size}; at most {largest})"
    )


def need_of(job: Job) -> Need | None:
    """What batches of this run take, from two records and four; None where memory does not suffice for four.

    A single record goes other ways in many a model: what is a copy of several is a view of one.
    """
    adapter, wants = job.adapter, union_of_wants(job.found.questions)
    if any(isinstance(question, GradingQuestion) for question in job.found.questions):
        wants = wants | Wants(input_gradients=True)  # the largest pass that a graded method takes
    targets = [target for question in job.found.questions for target in question.targets()] or [Logit(0)]
    probe = Probe(adapter, targets, tokens=job.found.tokens)
    try:
        two, four, beside = _watched(probe, wants)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        two, four, beside = [], [], 0
    if not four:
        release()
        return None
    own = sum(tensor[0].nbytes for tensor in adapter.example.values())
    ahead = 2 if adapter.device.type == "cuda" else 2 * job.settings.num_workers + 2
    if len(two) != len(four):  # the model goes other ways for four: no more is known than that none is free
        return Need([(beside, max(max(two) // 2, max(four) // 4) + ahead * own)])
    return Need(
        [(beside + 2 * few - many, (many - few) // 2 + ahead * own) for few, many in zip(two, four, strict=True)]
    )


def _watched(probe: Probe, wants: Wants) -> tuple[list[int], list[int], int]:
    """Bytes in tensors on the way of two records and of four, and what a GPU's libraries take besides."""
    device, example = probe.adapter.device, probe.adapter.example
    gpu = device.type == "cuda"
    found = []
    for times in (1, 2):
        inputs: Inputs = {name: torch.cat([tensor] * times) for name, tensor in example.items()}
        probe.capture(inputs, wants)  # libraries choose their kernels, and their scratch memory, at the first call
        before = torch.cuda.memory_allocated(device) if gpu else 0
        if gpu:
            torch.cuda.reset_peak_memory_stats(device)
        found.append(held_by_tensors(partial(probe.capture, inputs, wants)))
    taken = torch.cuda.max_memory_allocated(device) - before if gpu else 0
    two, four = found
    return two, four, max(0, taken - max(four))


def held_by_tensors(call: Callable[[], object]) -> list[int]:
    """Bytes in the tensors that a call makes, after each one it makes; the same every time, unlike a process's size.

    Example:
        >>> held_by_tensors(lambda: torch.ones(1000) + 1)
        [4000, 8000]
    """
    counting = _Counting()
    with counting:
        call()
    return counting.history


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every storage that an operation makes, for as long as it lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = 0
        self.history: list[int] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; torch would import its compiler, seconds of it, to keep it away."""
        return False

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {storage._cdata for storage in _storages((args, kwargs or {}))}
        made = func(*args, **(kwargs or {}))
        for storage in _storages(made):
            if storage._cdata not in given:
                self._note(storage)
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.held += size
        self.history.append(self.held)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.held -= size


def _storages(values: object) -> list[torch.UntypedStorage]:
    """What holds the tensors in some values, each once; views share it with what they are views of."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.layout == torch.strided)
    return list({storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in tensors)}.values())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
