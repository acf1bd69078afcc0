"""Peaks of memory: of this process as the system counts it, and of CUDA devices as torch counts them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

STATUS: Final = Path("/proc/self/status")
CLEAR: Final = Path("/proc/self/clear_refs")
_FIELDS: Final = re.compile(rb"Vm(HWM|RSS):\s+(\d+) kB")


class Gauge(Protocol):
    """One kind of memory. ``name`` is part of the names of its numbers (``peak_{name}_mb``)."""

    name: str

    def read(self) -> tuple[int, int] | None:
        """Bytes held now and the highest since the last reset; None where it cannot be seen."""

    def reset(self) -> bool:
        """Begin a new peak at what is held now; whether the system let us."""


class Resident:
    """Resident memory of this process, read from Linux; other systems tell no resident memory, so nothing is said."""

    name = "memory"

    def read(self) -> tuple[int, int] | None:
        """As :meth:`Gauge.read`."""
        try:
            found = dict(_FIELDS.findall(STATUS.read_bytes()))
            return int(found[b"RSS"]) * 1024, int(found[b"HWM"]) * 1024
        except (OSError, KeyError):
            return None

    def reset(self) -> bool:
        """As :meth:`Gauge.reset`; some kernels and containers forbid it."""
        try:
            CLEAR.write_bytes(b"5")
        except OSError:
            return False
        return True


class Cuda:
    """Memory that torch's allocator handed out on all CUDA devices this process uses; nothing before CUDA is used."""

    name = "gpu_memory"

    def read(self) -> tuple[int, int] | None:
        """As :meth:`Gauge.read`, summed over devices: of several, the highest is an upper bound.

        A device that gave all of its memory back counts on, since its peak may be that of an open stage.
        """
        if not any(True for _ in cuda_devices()):
            return None
        import torch

        devices = range(torch.cuda.device_count())
        held = sum(torch.cuda.memory_allocated(device) for device in devices)
        return held, sum(torch.cuda.max_memory_allocated(device) for device in devices)

    def reset(self) -> bool:
        """As :meth:`Gauge.reset`."""
        import torch

        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)
        return True


def cuda_devices() -> Iterator[int]:
    """The CUDA devices on which this process holds memory; never starts CUDA, nor opens a device that is not in use."""
    if "torch" not in sys.modules:
        return
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield from (device for device in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(device))


def synchronise() -> None:
    """Wait until every device in use has done what it was asked."""
    for device in cuda_devices():
        import torch

        torch.cuda.synchronize(device)
    if "torch" in sys.modules:
        import torch

        if torch.backends.mps.is_available() and torch.mps.current_allocated_memory():
            torch.mps.synchronize()
