"""Batches reach the GPU one ahead of the work, in order, and one that has no room there waits on the host."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from seewhy.data.records import Batch, Record
from seewhy.pipeline import device_feed
from seewhy.pipeline.device_feed import Lane, Sent, SideStream, feed, holding

CPU = torch.device("cpu")


def batch(number: int, records: int = 2, failures: int = 0) -> Batch:
    images = torch.full((records, 1, 4, 4), float(number))
    held = tuple(Record(f"{number}-{row}", "test", {"image": images[row]}) for row in range(records))
    failed = tuple((100 + row, "gone") for row in range(failures))
    return Batch(tuple(range(records)), held, {"image": images}, failed)


def loaded(log: list[str], *batches: Batch) -> Generator[Batch, None, None]:
    try:
        for number, one in enumerate(batches):
            log.append(f"read {number}")
            yield one
    finally:
        log.append("closed")


class Logged(Lane):
    """A way to the device that notes what is sent and what arrives."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def send(self, batch: Batch) -> Sent:
        self.log.append(f"send {int(batch.inputs['image'].flatten()[0])}")
        return Sent(batch, None)

    def arrive(self, sent: Sent) -> Batch:
        self.log.append(f"arrive {int(sent.batch.inputs['image'].flatten()[0])}")
        return sent.batch


def used(batches: Iterator[Batch], log: list[str]) -> None:
    for one in batches:
        number = int(one.inputs["image"].flatten()[0])
        log.append(f"use {number}")


def test_the_next_batch_is_on_its_way_before_one_is_used() -> None:
    log: list[str] = []
    used(feed(loaded(log, batch(0), batch(1), batch(2)), CPU, lane=Logged(log)), log)
    assert log == [
        "read 0", "send 0", "read 1", "send 1", "arrive 0", "use 0",
        "read 2", "send 2", "arrive 1", "use 1", "closed", "arrive 2", "use 2",
    ]  # fmt: skip


def test_on_the_cpu_nothing_is_read_ahead_and_batches_are_the_very_same() -> None:
    log: list[str] = []
    given = [batch(0), batch(1)]
    fed = feed(loaded(log, *given), CPU)
    assert next(fed) is given[0]
    assert log == ["read 0"]
    fed.close()
    assert log == ["read 0", "closed"]


def test_closing_early_closes_the_loader() -> None:
    log: list[str] = []
    fed = feed(loaded(log, batch(0), batch(1), batch(2)), CPU, lane=Logged(log))
    next(fed)
    fed.close()
    assert log[-1] == "closed"


@pytest.mark.parametrize(("records", "left"), [(2, 4), (3, 3), (4, 2), (7, 1)])
def test_a_chunk_takes_the_batches_that_hold_its_records_and_no_more(records: int, left: int) -> None:
    all_of_them = iter([batch(0, 2), batch(1, 0, failures=1), batch(2, 1), batch(3, 1, failures=2), batch(4)])
    taken = list(holding(all_of_them, records))
    assert sum(len(one.positions) + len(one.failures) for one in taken) == records
    assert len(list(all_of_them)) == left


class Stream:
    """A CUDA stream that notes what it is asked."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def record_event(self) -> str:
        self.log.append(f"{self.name} marks")
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.log.append(f"{self.name} waits for {event}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What streams are asked, with plenty of memory; copies go from the CPU to the CPU."""
    happened: list[str] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: Stream("side", happened))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Stream("main", happened))
    monkeypatch.setattr(
        Tensor, "record_stream", lambda _, stream: happened.append(f"kept for {stream.name}"), raising=False
    )
    monkeypatch.setattr(device_feed, "free_on", lambda _: 10**9)
    return happened


def test_what_is_computed_waits_for_the_copy_and_keeps_its_memory(log: list[str]) -> None:
    lane = SideStream(CPU)
    sent = lane.send(batch(3))
    assert log == ["side marks"]
    arrived = lane.arrive(sent)
    assert log == ["side marks", "main waits for event of side", "kept for main"]
    assert torch.equal(arrived.inputs["image"], batch(3).inputs["image"])
    assert arrived.positions == (0, 1)


def test_a_batch_that_takes_too_much_of_the_free_memory_stays_on_the_host(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = batch(0).inputs["image"].nbytes
    asked: list[int] = []
    monkeypatch.setattr(device_feed, "free_on", lambda _: asked.append(1) or 8 * size)
    lane = SideStream(CPU)
    assert lane.send(batch(0)).event is not None
    assert lane.send(batch(1)).event is not None  # as large as one that fitted: not asked again
    assert len(asked) == 1
    too_large = batch(2, records=3)
    sent = lane.send(too_large)
    assert sent.batch is too_large
    assert sent.event is None
    assert lane.arrive(sent) is too_large
    assert log == ["side marks", "side marks"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("illegal address")])
def test_short_of_memory_a_batch_stays_on_the_host_and_other_errors_are_errors(
    log: list[str], monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    one, lane = batch(0), SideStream(CPU)

    def refuse(*_: Any, **__: Any) -> Tensor:
        raise error

    monkeypatch.setattr(Tensor, "to", refuse)
    if isinstance(error, torch.OutOfMemoryError):
        sent = lane.send(one)
        assert (sent.batch, sent.event) == (one, None)
    else:
        with pytest.raises(RuntimeError, match="illegal address"):
            lane.send(one)
    assert log == []


def test_a_batch_without_records_has_nothing_to_send(log: list[str]) -> None:
    empty = Batch((), (), {}, failures=((3, "gone"),))
    assert SideStream(CPU).send(empty).batch is empty
    assert log == []


def test_a_batch_that_cannot_be_page_locked_goes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(Tensor, "pin_memory", refuse)
    one = batch(0)
    assert one.pin_memory() is one
