"""Seconds and peak memory of named stages, however they nest and in whichever threads they run."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Final

from seewhy.profiling.climb import Climb, Climbs
from seewhy.profiling.gauges import Cuda, Gauge, Resident, synchronise
from seewhy.profiling.table import table_of
from seewhy.profiling.tally import Tally
from seewhy.profiling.trace import Event, trace_json
from seewhy.values import ConfigError

KEPT_EVENTS: Final = 200_000


class PerformanceProfiler:
    """Times stages by name and notes the most memory there was while each ran.

    A stage begins and ends with every GPU in use idle, so that its seconds are those of its own work; this keeps work
    on a GPU from overlapping with what follows, so that a profiled run is slower than a plain one. Stages that
    leave the GPU alone say ``device=False`` and do not wait.

    Memory is the whole process's: a stage sees what other threads hold meanwhile. On Linux it is resident memory; on
    CUDA what torch's allocator handed out (of several devices the sum, an upper bound). Other systems' memory and MPS
    are not seen, and their numbers left out.

    Args:
        enabled: False makes every call do nothing.
        resets: begin a new peak at every stage, so that each stage's peak is exact. This resets the process's own
            counters (``torch.cuda.max_memory_allocated``, Linux's ``VmHWM``), so that it is off where nobody asks:
            a peak below the process's highest is then only known to lie between two numbers.
        kept_events: how many calls the trace keeps, the last ones.
        synchronise: waits for the devices; by default for CUDA and MPS where they are in use.
        clock: nanoseconds.
        gauges: where memory is read; by default the process's and CUDA's.

    Example:
        >>> profiler = PerformanceProfiler()
        >>> with profiler.profile("all"):
        ...     for _ in range(3):
        ...         with profiler.profile("part"):
        ...             _ = sum(range(1000))
        >>> stats = profiler.get_stats()
        >>> stats["part"]["count"], stats["all"]["total"] >= stats["part"]["total"]
        (3, True)
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        resets: bool = False,
        kept_events: int = KEPT_EVENTS,
        synchronise: Callable[[], None] = synchronise,
        clock: Callable[[], int] = time.perf_counter_ns,
        gauges: Sequence[Gauge] | None = None,
    ) -> None:
        self.enabled = enabled
        self._synchronise, self._clock = synchronise, clock
        self._gauges = (Resident(), Cuda()) if gauges is None else tuple(gauges)
        self._resets, self._kept_events = resets, kept_events
        self._lock = threading.Lock()
        self._within = threading.local()
        self.reset()

    def profile(self, name: str, *, device: bool = True) -> AbstractContextManager[None]:
        """A stage: its time and memory from entering to leaving the ``with``, also where it raises.

        Stages nest, a stage in itself too, whose seconds then count in both; ``own`` counts each second once.

        Args:
            name: what the stage is called.
            device: False where the stage leaves GPUs alone: nothing is waited for.

        Raises:
            ConfigError: ``SW-F333``, a name that is no text.
        """
        if not isinstance(name, str):
            raise ConfigError("SW-F333", f"a stage is called by a text, got {name!r}", fix='such as profile("read")')
        return _Stage(self, name, device) if self.enabled else _NOTHING

    def record(self, name: str, seconds: float) -> None:
        """A call that was timed elsewhere and ended now.

        Raises:
            ConfigError: ``SW-F334``, seconds that are no number from 0 on.
        """
        if self.enabled:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
                raise ConfigError(
                    "SW-F334", f"seconds of a stage must be a number from 0 on, got {seconds!r}", fix="give seconds=0.5"
                )
            length = round(seconds * 1e9)
            event = Event(name, self._clock() - length, length, threading.get_ident())
            self._keep(event, seconds, {})

    def get_stats(self) -> dict[str, dict[str, float]]:
        """Of each stage ``count``; seconds: ``total``, ``mean``, ``std``, ``min``, ``max``, ``own``; megabytes.

        ``std`` is the population's. ``own`` is ``total`` without stages nested in it in the same thread. Megabytes
        (2^20 bytes), the highest of all calls, where they can be seen: ``peak_memory_mb`` and
        ``peak_memory_at_most_mb``, between which the process's peak while the stage ran lies (equal where it is
        known); ``added_memory_mb`` and ``added_memory_at_most_mb``, how far these are above what was held as the stage
        began: what was allocated and freed below an earlier peak is in the second alone; of CUDA ``peak_gpu_memory_mb``
        and so on.
        """
        with self._lock:
            return {name: tally.facts() for name, tally in self._tallies.items()}

    def merge(self, stats: Mapping[str, Mapping[str, float]]) -> None:
        """Add what another profiler, in another process for example, gave by :meth:`get_stats`.

        Raises:
            ConfigError: ``SW-F335``, what is nothing that it gives; nothing is added then.
        """
        if self.enabled:
            try:
                tallies = {name: Tally.of(facts) for name, facts in stats.items()}
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ConfigError(
                    "SW-F335", f"these are no statistics of a profiler: {type(error).__name__}: {error}",
                    fix="give what another profiler's get_stats() returned",
                ) from error  # fmt: skip
            with self._lock:
                for name, tally in tallies.items():
                    self._tallies.setdefault(name, Tally()).join(tally)

    def table(self) -> str:
        """The stages as a table, the one with the most time of its own first."""
        return table_of(self.get_stats())

    def print_stats(self) -> None:
        """Write the table to standard output."""
        sys.stdout.write(self.table() + "\n")

    def reset(self) -> None:
        """Forget everything; stages that are open are counted when they end."""
        with self._lock:
            self._tallies: dict[str, Tally] = {}
            self._events: deque[Event] = deque(maxlen=self._kept_events)
            self._threads: dict[int, str] = {}
            self._dropped = 0
            self._climbs = [Climbs(gauge, self._resets) for gauge in self._gauges]

    def save_trace(self, path: str | os.PathLike[str]) -> Path:
        """Write the calls on a time line, for https://ui.perfetto.dev or chrome://tracing; the path written."""
        with self._lock:
            text = trace_json(list(self._events), dict(self._threads), os.getpid(), self._dropped)
        written = Path(path)
        written.write_text(text, "utf-8")
        return written

    def _keep(self, event: Event, own: float, memory: Mapping[str, float]) -> None:
        with self._lock:
            self._tallies.setdefault(event.name, Tally()).add(event.length / 1e9, own, memory)
            self._dropped += len(self._events) == self._kept_events
            self._events.append(event)
            self._threads[event.thread] = threading.current_thread().name


class _Stage(AbstractContextManager[None]):
    """One entry into one stage."""

    def __init__(self, profiler: PerformanceProfiler, name: str, device: bool) -> None:
        self._profiler, self._name, self._device = profiler, name, device

    def __enter__(self) -> None:
        profiler = self._profiler
        if self._device:
            profiler._synchronise()
        self._outer: _Stage | None = getattr(profiler._within, "stage", None)
        profiler._within.stage = self
        self._nested = 0
        with profiler._lock:
            self._climbs: list[tuple[Climbs, Climb | None]] = [(climbs, climbs.begin()) for climbs in profiler._climbs]
        self._begin = profiler._clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        profiler = self._profiler
        if self._device and error is None:  # after an error a device may not answer, and its error would hide this one
            profiler._synchronise()
        length = profiler._clock() - self._begin
        profiler._within.stage = self._outer
        if self._outer is not None:
            self._outer._nested += length
        memory: dict[str, float] = {}
        with profiler._lock:
            for climbs, climb in self._climbs:
                climbs.end(climb)
                memory.update({} if climb is None else climbs.facts(climb))
        event = Event(self._name, self._begin, length, threading.get_ident())
        profiler._keep(event, (length - self._nested) / 1e9, memory)


_NOTHING: Final = nullcontext()
SILENT: Final = PerformanceProfiler(enabled=False)
"""Measures nothing: what is handed down where nobody asked for a profile."""
