"""Memory: how much of it is free, which errors say that it did not suffice, how to give back what they held."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

_WORDS: Final = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "DefaultCPUAllocator",
    "ALLOC_FAILED",  # of cuBLAS, cuDNN and cuFFT, whose workspaces torch's own allocator does not hand out
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, says that memory did not suffice.

    Allocators of CPUs and of other libraries raise a plain ``RuntimeError`` that only its words tell apart.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not fit"))
        (True, False)
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(seen, RuntimeError) and any(words in str(seen) for words in _WORDS):
            return True
        seen = seen.__cause__
    return False


def release() -> None:
    """Give back what a failed attempt held; to be called once its error is gone, which holds every tensor it made."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where CUDA was not used


def free_on(device: torch.device) -> int:
    """Bytes that tensors on a device can still take; what torch keeps for itself there without using it counts.

    On a CPU (and on devices that share its memory) as :func:`free_on_host`; 0 where that cannot be told.
    """
    if device.type != "cuda":
        return free_on_host() or 0
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def free_on_host(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take: what Linux calls available, or less where a control group sets a limit.

    What a control group holds of files it read is given back on demand, so it counts as free. None where the system
    does not tell. ``root`` is where ``proc`` and ``sys`` are.
    """
    known = [_available(root), *_left_in_groups(root)]
    return min((free for free in known if free is not None), default=None)


def _available(root: Path) -> int | None:
    kilobytes = _entry(root / "proc/meminfo", "MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _left_in_groups(root: Path) -> Iterator[int]:
    """What is left in this process's control groups and those around them, of either version."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = base / path.lstrip("/")
        for place in [group, *group.parents]:  # inside a container the group's own place may not exist, but its root
            if (left := _left_in(place, *names)) is not None:
                yield left
            if place == base:
                break


def _left_in(place: Path, limit: str, used: str, given_back: str) -> int | None:
    allowed, taken = _read(place / limit).strip(), _read(place / used).strip()
    if not (allowed.isdigit() and taken.isdigit()):
        return None
    return max(0, int(allowed) - int(taken) + (_entry(place / "memory.stat", given_back) or 0))


def _entry(file: Path, name: str) -> int | None:
    """The number behind a name in a file of lines ``name number``."""
    found = (line.split() for line in _read(file).splitlines())
    return next((int(words[1]) for words in found if len(words) > 1 and words[0] == name), None)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
