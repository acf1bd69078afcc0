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
from typing import Any, Final

from seewhy.profiling.climb import Climbs
from seewhy.profiling.gauges import Cuda, Gauge, Resident, synchronise
from seewhy.profiling.stage import Stage
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
        kept_events: how many calls the trace keeps, the last ones; 0 keeps none.
        synchronise: waits for the devices; by default for CUDA and MPS where they are in use.
        clock: nanoseconds.
        gauges: where memory is read; by default the process's and CUDA's.

    Raises:
        ConfigError: ``SW-F337``, a number of calls to keep that is none.

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
        if type(kept_events) is not int or kept_events < 0:
            raise ConfigError(
                "SW-F337",
                f"kept_events must be a whole number from 0 on, got {kept_events!r}",
                fix=f"leave it out: the last {KEPT_EVENTS} calls are kept",
            )
        self.enabled = enabled
        self._synchronise, self._clock = synchronise, clock
        self._gauges = (Resident(), Cuda()) if gauges is None else tuple(gauges)
        self._resets, self._kept_events = resets, kept_events
        self._lock = threading.Lock()
        self._within = threading.local()
        """``entry``: the innermost open entry of each thread."""
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
        _require_name(name)
        return Stage(self, name, device) if self.enabled else _NOTHING

    def record(self, name: str, seconds: float) -> None:
        """A call that was timed elsewhere and ended now.

        Raises:
            ConfigError: ``SW-F333``, a name that is no text; ``SW-F334``, seconds that are no number from 0 on.
        """
        _require_name(name)
        if self.enabled:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
                raise ConfigError(
                    "SW-F334",
                    f"the seconds of a stage must be a number from 0 on, got {seconds!r}",
                    fix='such as record("read", 0.5)',
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
            ConfigError: ``SW-F335``, what is nothing that it gives, ``SW-F333`` for a name; nothing is added then.
        """
        if self.enabled:
            try:
                tallies = {name: Tally.of(facts) for name, facts in stats.items()}
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ConfigError(
                    "SW-F335",
                    "the statistics of a profiler are expected, stages by name with their numbers; "
                    f"{type(error).__name__}: {error}",
                    fix="give what another profiler's get_stats() returned",
                ) from error
            for name in tallies:
                _require_name(name)
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
        """Write the calls on a time line, for https://ui.perfetto.dev or chrome://tracing; the path written.

        Its folder is created.

        Raises:
            ConfigError: ``SW-F336``, what is no path of a file, or where no file can be written; what was recorded
                stays.
        """
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(
                "SW-F336", f"the path of a file is expected, got {path!r}", fix='such as save_trace("trace.json")'
            )
        with self._lock:
            events, threads, dropped = list(self._events), dict(self._threads), self._dropped
        written = Path(path).expanduser()
        try:
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(trace_json(events, threads, os.getpid(), dropped), "utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(
                "SW-F336",
                f"the trace cannot be written to {str(written)!r} ({getattr(error, 'strerror', None) or error})",
                fix="name a file in a folder of your own; what was recorded is still there",
            ) from error
        return written

    def _keep(self, event: Event, own: float, memory: Mapping[str, float]) -> None:
        with self._lock:
            self._tallies.setdefault(event.name, Tally()).add(event.length / 1e9, own, memory)
            self._dropped += len(self._events) == self._kept_events
            self._events.append(event)
            self._threads[event.thread] = threading.current_thread().name


def _require_name(name: Any) -> None:
    if not isinstance(name, str):
        raise ConfigError("SW-F333", f"the name of a stage must be text, got {name!r}", fix='such as profile("read")')


_NOTHING: Final = nullcontext()
SILENT: Final = PerformanceProfiler(enabled=False)
"""Measures nothing: what is handed down where nobody asked for a profile."""
