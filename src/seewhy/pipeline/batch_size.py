"""How many records go through the model together where nobody says: as many as free memory allows."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
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
AUTO: Final = "auto"
FOUND: Final = "batch size"
_REMEMBERED: Final = re.compile(r"(\d+): found from free memory")


@dataclass(frozen=True)
class Need:
    """Bytes that a batch takes at once: ``fixed`` ones, and some for each of its records."""

    fixed: int
    per_record: int

    def most(self, free: int, largest: int) -> int:
        """The largest power of two of records, at most ``largest`` and at least 1, within a share of the free bytes.

        Example:
            >>> Need(fixed=100, per_record=10).most(free=1000, largest=256)  # 600 of 1000 bytes: room for 50
            32
        """
        fitting = min(largest, int(SHARE * free - self.fixed) // max(self.per_record, 1))
        return 1 << (max(fitting, 1).bit_length() - 1)


def with_batch_size(job: Job, about: Path) -> Job:
    """The job with a number for ``batch_size=auto``, told in its choices; any other job as it is.

    What one and two records take is measured on the records that the model was understood on. A run that goes on keeps
    the size that ``about``, its file of choices, remembers, so that it forms the batches it would have formed without
    the interruption; the size is no part of a run's identity.
    """
    if str(job.settings.batch_size) != AUTO:
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
        return "1: found from free memory, which does not suffice for two records"
    counted = "measured" if device.type == "cuda" else "counted in tensors"
    return (
        f"{need.most(free, largest)}: found from free memory ({_megabytes(free)} free; {counted}: "
        f"{_megabytes(need.per_record)} for each record and {_megabytes(need.fixed)} besides; at most {largest})"
    )


def need_of(job: Job) -> Need | None:
    """What batches of this run take; None where memory does not suffice for two records."""
    adapter, wants = job.adapter, union_of_wants(job.found.questions)
    if any(isinstance(question, GradingQuestion) for question in job.found.questions):
        wants = wants | Wants(input_gradients=True)  # the largest pass that a graded method takes
    targets = [target for question in job.found.questions for target in question.targets()] or [Logit(0)]
    probe = Probe(adapter, targets, tokens=job.found.tokens)
    try:
        one, two = (_measured(probe, wants, records) for records in (1, 2))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        one = two = 0
    if not two:
        release()
        return None
    own = sum(tensor[0].nbytes for tensor in adapter.example.values())
    ahead = 2 if adapter.device.type == "cuda" else 2 * job.settings.num_workers + 2
    per_record = two - one if two > one else two // 2
    return Need(max(one - per_record, 0), per_record + ahead * own)


def _measured(probe: Probe, wants: Wants, records: int) -> int:
    """The most bytes at once while so many records are asked about, beyond what was held before."""
    adapter = probe.adapter
    inputs: Inputs = {name: tensor[:records] for name, tensor in adapter.example.items()}
    if adapter.device.type != "cuda":
        return peak_of_tensors(lambda: probe.capture(inputs, wants))
    probe.capture(inputs, wants)  # libraries choose their kernels, and their scratch memory, at the first call
    before = torch.cuda.memory_allocated(adapter.device)
    torch.cuda.reset_peak_memory_stats(adapter.device)
    probe.capture(inputs, wants)
    return torch.cuda.max_memory_allocated(adapter.device) - before


def peak_of_tensors(call: Callable[[], object]) -> int:
    """The most bytes that tensors made by a call hold at once; the same every time, unlike what a process is given.

    Example:
        >>> peak_of_tensors(lambda: torch.ones(1000) + 1)
        8000
    """
    counting = _Counting()
    with counting:
        call()
    return counting.peak


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every storage that an operation makes, for as long as it lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.peak = 0

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
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.held -= size


def _storages(values: object) -> list[torch.UntypedStorage]:
    """What holds the tensors in some values, each once; views share it with what they are views of."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.layout == torch.strided)
    return list({storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in tensors)}.values())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
