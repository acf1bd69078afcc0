"""Stages on a time line, in the JSON that chrome://tracing and Perfetto open (the Trace Event Format of Chromium)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One call of one stage: nanoseconds of the profiler's clock, and the thread it ran in."""

    name: str
    begin: int
    length: int
    thread: int


def trace_json(events: Iterable[Event], threads: Mapping[int, str], process: int, dropped: int) -> str:
    """Complete events in microseconds since the first one, and the names of their threads.

    Example:
        >>> text = trace_json([Event("read", 5000, 2000, 7)], {7: "MainThread"}, process=1, dropped=0)
        >>> json.loads(text)["traceEvents"][-1]
        {'name': 'read', 'cat': 'seewhy', 'ph': 'X', 'ts': 0.0, 'dur': 2.0, 'pid': 1, 'tid': 7}
    """
    found = sorted(events, key=lambda event: (event.begin, -event.length))
    origin = found[0].begin if found else 0
    about: list[dict[str, Any]] = [
        {"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
        for thread, name in threads.items()
    ]
    spans = [
        {
            "name": event.name,
            "cat": "seewhy",
            "ph": "X",
            "ts": (event.begin - origin) / 1000,
            "dur": event.length / 1000,
            "pid": process,
            "tid": event.thread,
        }
        for event in found
    ]
    other = {"events dropped": dropped}
    return json.dumps({"traceEvents": [*about, *spans], "displayTimeUnit": "ms", "otherData": other}) + "\n"
