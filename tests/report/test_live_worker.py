"""One worker, one question at a time: in turn, bounded, and alive whatever a question meets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from seewhy.report.live import LiveError
from seewhy.report.live_worker import Worker
from seewhy.report.patience import Patience


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker(waiting=3)
    yield found
    found.close()


def test_questions_are_answered_in_the_order_they_came(worker: Worker) -> None:
    gate, order = threading.Event(), list[int]()
    first = worker.submit(lambda: gate.wait(10) and order.append(1))
    others = [worker.submit(lambda n=n: order.append(n)) for n in (2, 3)]
    gate.set()
    for one in (first, *others):
        one.result(10)
    assert order == [1, 2, 3]


def test_beyond_the_bound_a_question_is_refused_and_later_ones_are_taken_again(worker: Worker) -> None:
    gate = threading.Event()
    waiting = [worker.submit(lambda: gate.wait(10)) for _ in range(3)]
    with pytest.raises(LiveError, match="SW-W45"):
        worker.submit(lambda: None)
    gate.set()
    assert [one.result(10) for one in waiting] == [True, True, True]
    assert worker.submit(lambda: 4).result(10) == 4
    assert worker.open == 0


def test_an_error_is_its_askers_alone(worker: Worker) -> None:
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(10)
    assert worker.submit(lambda: 5).result(10) == 5


def test_who_leaves_gives_the_place_to_the_next(worker: Worker) -> None:
    gate, ran = threading.Event(), list[str]()
    first = worker.submit(lambda: gate.wait(10))
    left, stays = worker.submit(lambda: ran.append("left")), worker.submit(lambda: ran.append("stays"))
    assert left.cancel()
    next_one = worker.submit(lambda: ran.append("next"))
    gate.set()
    for one in (first, stays, next_one):
        one.result(10)
    assert ran == ["stays", "next"]


def test_a_question_that_is_left_while_it_is_answered_hears_of_it(worker: Worker) -> None:
    began, patience = threading.Event(), Patience()
    running = worker.submit(lambda: began.set() or passes(patience), patience)
    assert began.wait(10)
    worker.leave(running)
    with pytest.raises(LiveError, match="SW-W45"):
        running.result(10)
    assert worker.submit(lambda: 5).result(10) == 5


def test_a_question_has_its_seconds_from_when_its_turn_comes(worker: Worker) -> None:
    now = [0.0]
    gate, patience = threading.Event(), Patience(60, clock=lambda: now[0])
    first = worker.submit(lambda: gate.wait(10))
    second = worker.submit(patience.check, patience)
    now[0] = 100.0
    gate.set()
    assert first.result(10)
    assert second.result(10) is None
    now[0] = 160.0
    patience.check()
    now[0] = 160.5
    with pytest.raises(LiveError, match="longer than 60 seconds"):
        patience.check()


def test_a_closed_worker_ends_the_question_being_answered() -> None:
    worker, began, patience = Worker(), threading.Event(), Patience()
    running = worker.submit(lambda: began.set() or passes(patience), patience)
    assert began.wait(10)
    worker.close()
    with pytest.raises(LiveError, match="closing"):
        running.result(10)
    assert worker.join(10)


def passes(patience: Patience) -> None:
    """A model that goes on until it is told not to."""
    pause = threading.Event()
    for _ in range(1000):
        patience.check()
        pause.wait(0.01)


def test_a_closed_worker_cancels_what_waits_and_takes_nothing() -> None:
    worker, gate = Worker(), threading.Event()
    began = threading.Event()
    running = worker.submit(lambda: began.set() or gate.wait(10))
    waiting = worker.submit(lambda: None)
    assert began.wait(10)
    worker.close()
    gate.set()
    assert running.result(10) is True
    with pytest.raises(CancelledError):
        waiting.result(10)
    with pytest.raises(LiveError, match="SW-W45"):
        worker.submit(lambda: None)
