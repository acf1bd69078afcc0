"""Batches on their way to a GPU: each is copied beside the work on the one before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch

from seewhy.data.records import Batch
from seewhy.memory import free_on, is_out_of_memory, release

LARGEST_SHARE: Final = 1 / 8
"""A batch that takes more than this share of the free memory is not sent ahead, but part by part when it is asked."""


@dataclass(frozen=True)
class Sent:
    """A batch and what tells that it has arrived; None where it stayed on the host."""

    batch: Batch
    event: torch.cuda.Event | None


class Lane(Protocol):
    """A way to the device that does not hold up what is computed there."""

    def send(self, batch: Batch) -> Sent:
        """Begin to copy a batch."""
        ...

    def arrive(self, sent: Sent) -> Batch:
        """The batch, which whatever is asked of the device next waits for; the host does not."""
        ...


def feed(
    batches: Generator[Batch, None, None], device: torch.device, *, lane: Lane | None = None
) -> Generator[Batch, None, None]:
    """The same batches in the same order, their inputs on ``device``; the records' own stay on the host.

    For a device other than CUDA nothing is copied here, and nothing is read ahead. A batch that does not fit beside the
    one before it stays on the host, for the engine to cut. Closing this closes ``batches``.
    """
    if lane is None and device.type == "cuda":
        lane = SideStream(device)
    with closing(batches):
        yield from batches if lane is None else _one_ahead(batches, lane)


def holding(batches: Iterator[Batch], records: int) -> Iterator[Batch]:
    """The next batches until they hold so many records, those that could not be read included; takes no more."""
    left = records
    while left > 0:
        batch = next(batches)
        left -= len(batch.positions) + len(batch.failures)
        yield batch


def _one_ahead(batches: Iterator[Batch], lane: Lane) -> Iterator[Batch]:
    sent: deque[Sent] = deque()
    for batch in batches:
        sent.append(lane.send(batch))
        if len(sent) > 1:
            yield lane.arrive(sent.popleft())
    for last in sent:
        yield lane.arrive(last)


class SideStream:
    """Copies on a CUDA stream of its own; page-locked batches are copied while the GPU computes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._fits = 0

    def send(self, batch: Batch) -> Sent:
        """Begin to copy a batch, where memory suffices."""
        if not batch.inputs or not self._has_room(sum(value.nbytes for value in batch.inputs.values())):
            return Sent(batch, None)
        try:
            with torch.cuda.stream(self._stream):
                inputs = {name: value.to(self._device, non_blocking=True) for name, value in batch.inputs.items()}
            return Sent(replace(batch, inputs=inputs), self._stream.record_event())
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        release()
        return Sent(batch, None)

    def arrive(self, sent: Sent) -> Batch:
        """The batch; what is computed from now on waits for it, and its memory stays until that is done."""
        if sent.event is not None:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_event(sent.event)
            for value in sent.batch.inputs.values():
                value.record_stream(computing)
        return sent.batch

    def _has_room(self, size: int) -> bool:
        """Whether a batch of so many bytes may be sent ahead; once one was, those no larger are not asked about."""
        if size > self._fits and size <= LARGEST_SHARE * free_on(self._device):
            self._fits = size
        return size <= self._fits
