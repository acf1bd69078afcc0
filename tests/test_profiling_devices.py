"""The memory of GPUs that a profiler sees, on two devices made up for it."""

from __future__ import annotations

import pytest
import torch

from seewhy.profiling import PerformanceProfiler
from seewhy.profiling.gauges import Cuda
from seewhy.profiling.tally import MEGABYTE


class Devices:
    """What ``torch.cuda`` says of two devices' megabytes: held, the most since the last reset, and reserved."""

    def __init__(self) -> None:
        self.held, self.peak, self.kept = [0, 0], [0, 0], [0, 0]

    def hold(self, device: int, megabytes: int) -> None:
        self.held[device] = megabytes * MEGABYTE
        self.peak[device] = max(self.peak[device], self.held[device])
        self.kept[device] = max(self.kept[device], self.held[device])

    def give_back(self, device: int) -> None:
        self.held[device] = self.kept[device] = 0

    def reset(self, device: int) -> None:
        self.peak[device] = self.held[device]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    found = Devices()
    for name, answer in {
        "is_initialized": lambda: True,
        "device_count": lambda: 2,
        "memory_reserved": lambda device: found.kept[device],
        "memory_allocated": lambda device: found.held[device],
        "max_memory_allocated": lambda device: found.peak[device],
        "reset_peak_memory_stats": found.reset,
        "synchronize": lambda device: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    return found


def gpu_peaks(profiler: PerformanceProfiler) -> dict[str, tuple[float, float] | None]:
    return {
        name: (facts["peak_gpu_memory_mb"], facts["peak_gpu_memory_at_most_mb"])
        if "peak_gpu_memory_mb" in facts
        else None
        for name, facts in profiler.get_stats().items()
    }


def test_the_stage_that_first_uses_a_gpu_has_its_peak(devices: Devices) -> None:
    profiler = PerformanceProfiler(gauges=[Cuda()])
    with profiler.profile("before"):
        pass
    with profiler.profile("first"):
        devices.hold(0, 300)
        devices.hold(0, 200)
    with profiler.profile("second"):
        devices.hold(0, 400)
    assert gpu_peaks(profiler) == {"before": None, "first": (200, 300), "second": (400, 400)}


def test_a_gpu_that_gave_its_memory_back_is_in_the_bounds(devices: Devices) -> None:
    profiler = PerformanceProfiler(gauges=[Cuda()])
    devices.hold(1, 50)
    with profiler.profile("open"):
        devices.hold(0, 300)
        devices.give_back(0)
    assert gpu_peaks(profiler) == {"open": (350, 350)}
    exact = PerformanceProfiler(gauges=[Cuda()], resets=True)
    with exact.profile("one"):
        devices.hold(0, 100)
        devices.give_back(0)
    with exact.profile("two"):
        devices.hold(1, 60)
    assert gpu_peaks(exact) == {"one": (150, 150), "two": (60, 60)}
