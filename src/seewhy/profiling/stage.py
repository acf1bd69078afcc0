"""A stage of a profiler as a context: what it is nested in, its time, and the memory it sees."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from seewhy.profiling.climb import Climb, Climbs
from seewhy.profiling.trace import Event

if TYPE_CHECKING:
    from seewhy.profiling.profiler import PerformanceProfiler


@dataclass(eq=False)
class Entry:
    """One entry into a stage: its thread, what it is nested in, when it began, and the memory it sees.

    ``nested`` are nanoseconds of stages inside it.
    """

    thread: int
    outer: Entry | None
    begin: int
    climbs: Sequence[tuple[Climbs, Climb]]
    nested: int = 0


class Stage(AbstractContextManager[None]):
    """A stage that is entered, also again while it is open, and in several threads."""

    def __init__(self, profiler: PerformanceProfiler, name: str, device: bool) -> None:
        self._profiler, self._name, self._device = profiler, name, device
        self._entries: list[Entry] = []

    def __enter__(self) -> None:
        profiler = self._profiler
        if self._device:
            profiler._synchronise()
        outer: Entry | None = getattr(profiler._within, "entry", None)
        with profiler._lock:
            climbs = [(one, one.begin()) for one in profiler._climbs]
        entry = Entry(threading.get_ident(), outer, profiler._clock(), climbs)
        self._entries.append(entry)
        profiler._within.entry = entry

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # after an error a device may not answer, and its error would hide this one
            if self._device and error is None:
                self._profiler._synchronise()
        finally:
            self._leave()

    def _leave(self) -> None:
        profiler = self._profiler
        end, thread = profiler._clock(), threading.get_ident()
        entry = next((one for one in reversed(self._entries) if one.thread == thread), self._entries[-1])
        self._entries.remove(entry)
        length = end - entry.begin
        profiler._within.entry = entry.outer
        if entry.outer is not None:
            entry.outer.nested += length
        memory: dict[str, float] = {}
        with profiler._lock:
            for climbs, climb in entry.climbs:
                climbs.end(climb)
                memory.update(climbs.facts(climb))
        event = Event(self._name, entry.begin, length, thread)
        profiler._keep(event, (length - entry.nested) / 1e9, memory)
