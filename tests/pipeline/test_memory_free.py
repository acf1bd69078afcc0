"""How much memory is free, from what Linux and its control groups say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seewhy.memory import free_on, free_on_host

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": f"MemTotal: {32 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {16 * 2**20} kB\n"}


@pytest.mark.parametrize(
    ("files", "gib"),
    [
        ({}, 16),
        (
            {
                "proc/self/cgroup": "0::/job\n",
                "sys/fs/cgroup/job/memory.max": f"{8 * GIB}\n",
                "sys/fs/cgroup/job/memory.current": f"{5 * GIB}\n",
                "sys/fs/cgroup/job/memory.stat": f"anon 7\ninactive_file {GIB}\n",
            },
            4,  # 8 - 5 used, of which 1 holds files
        ),
        (
            {
                "proc/self/cgroup": "0::/outer/inner\n",
                "sys/fs/cgroup/outer/inner/memory.max": "max\n",
                "sys/fs/cgroup/outer/inner/memory.current": "0\n",
                "sys/fs/cgroup/outer/memory.max": f"{2 * GIB}\n",
                "sys/fs/cgroup/outer/memory.current": "0\n",
            },
            2,  # the limit of the group around it
        ),
        (
            {
                "proc/self/cgroup": "9:cpuset:/x\n4:memory:/docker/abc\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
                "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {GIB}\n",
            },
            2,  # version 1 in a container, where the group's own place is the root
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "0\n",
            },
            16,  # version 1's way to say that there is no limit
        ),
        (
            {
                "proc/self/cgroup": "0::/full\n",
                "sys/fs/cgroup/full/memory.max": f"{GIB}\n",
                "sys/fs/cgroup/full/memory.current": f"{2 * GIB}\n",
            },
            0,
        ),
    ],
    ids=["no group", "group", "group around it", "version 1 in a container", "no limit", "full"],
)
def test_free_memory_is_the_least_that_any_limit_leaves(tmp_path: Path, files: dict[str, str], gib: int) -> None:
    assert free_on_host(write(tmp_path, MACHINE | files)) == gib * GIB


def test_a_system_that_does_not_tell_is_not_guessed_about(tmp_path: Path) -> None:
    assert free_on_host(tmp_path) is None


def test_what_torch_keeps_unused_on_a_gpu_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 5)
    assert free_on(torch.device("cuda:0")) == 85
