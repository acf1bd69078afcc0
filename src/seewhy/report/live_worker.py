"""One thread that works through a short queue, so that a model is never asked twice at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from seewhy.report.patience import LiveError, Patience

Result = TypeVar("Result")
WAITING: Final = 16
"""How many questions may be open: the one being answered and those that wait."""

LEFT: Final = "nobody waits for the answer any more"
CLOSING: Final = "the server is closing"

_Entry = tuple[Future[object], Callable[[], object], Patience]


class Worker:
    """Answers questions one after the other, in the order they came.

    A question that is left before its turn is passed over, and one that is being answered is told by its patience; one
    that raises leaves the worker working.

    Example:
        >>> worker = Worker()
        >>> [worker.submit(lambda n=n: n * n).result() for n in (2, 3)]
        [4, 9]
        >>> worker.close()
    """

    def __init__(self, waiting: int = WAITING) -> None:
        self.waiting = waiting
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._now: _Entry | None = None
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="seewhy-live", daemon=True)
        self._thread.start()

    def submit(self, ask: Callable[[], Result], patience: Patience | None = None) -> Future[Result]:
        """Put a question in the queue; raises ``LiveError`` SW-W45 where the queue is full or closed."""
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise LiveError("SW-W45", CLOSING, fix="start it again, then ask again")
            if self._open >= self.waiting:
                raise LiveError(
                    "SW-W45", f"{self._open} questions are waiting for the model already", fix="ask again in a while"
                )
            self._open += 1
        future.add_done_callback(self._leave)
        self._queue.put((future, ask, patience or Patience()))  # type: ignore[arg-type]
        return future

    def leave(self, future: Future[Any]) -> None:
        """Nobody waits for this answer any more."""
        now = self._now
        if not future.cancel() and now is not None and now[0] is future:
            now[2].end(LEFT)

    @property
    def closed(self) -> bool:
        """Whether no more questions are taken."""
        return self._closed

    @property
    def open(self) -> int:
        """How many questions are being answered or wait."""
        return self._open

    def close(self) -> None:
        """Take no more questions; the one being answered is told to end, and those that wait are cancelled."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        now = self._now
        if now is not None:
            now[2].end(CLOSING)

    def join(self, seconds: float) -> bool:
        """Wait for the end of a closed worker; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _leave(self, future: Future[Result]) -> None:
        del future
        with self._lock:
            self._open -= 1

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            future, ask, patience = entry
            self._now = entry
            if self._closed:
                future.cancel()
            elif future.set_running_or_notify_cancel():
                patience.begin()
                _answer(future, ask)
            self._now = None
            del entry, future, ask, patience  # an answer must not live until the next question


def _answer(future: Future[object], ask: Callable[[], object]) -> None:
    try:
        future.set_result(ask())
    except Exception as error:  # noqa: BLE001  whatever a question met is the asker's to hear: the worker goes on
        future.set_exception(error)
