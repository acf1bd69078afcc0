"""Models and data that a worker builds by name, and what it is told."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pipeline_samples import Pictures, conv_net, ids, vit

from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.data.custom import CustomDataset
from seewhy.pipeline.worker import Parts
from toys import ConvNet

COUNTS = {"train": 9, "test": 7}


def digits(seed: int = 0, size: int = 32) -> Parts:
    torch.manual_seed(seed)
    return Parts(ConvNet(channels=3, classes=10), ClutteredDigits(size=size, counts=COUNTS))


def attentive() -> Parts:
    return Parts(vit(), CustomDataset(Pictures(ids(4))))


class Deadly(Pictures):
    """Reading some of the records ends the process."""

    def __init__(self, count: int, deadly: Sequence[str]) -> None:
        super().__init__(ids(count))
        self.deadly = list(deadly)

    def __getitem__(self, i: int) -> Any:
        if self.record_ids[i] in self.deadly:
            os._exit(7)
        return super().__getitem__(i)


def deadly(count: int = 12, records: Sequence[str] = ()) -> Parts:
    return Parts(conv_net(), CustomDataset(Deadly(count, records)))


class Slow(Pictures):
    """Reading takes a while, and says which process reads."""

    def __init__(self, count: int, seconds: float, journal: str) -> None:
        super().__init__(ids(count))
        self.seconds, self.journal = seconds, journal

    def __getitem__(self, i: int) -> Any:
        if self.journal:
            with Path(self.journal).open("a", encoding="utf-8") as lines:
                lines.write(f"{os.getpid()} {i}\n")
        time.sleep(self.seconds)
        return super().__getitem__(i)


def slow(count: int = 24, seconds: float = 0.0, journal: str = "") -> Parts:
    return Parts(conv_net(), CustomDataset(Slow(count, seconds, journal)))


def fails() -> Parts:
    raise ValueError("no such luck")


def wrong() -> str:
    return "no parts"


def dies() -> Parts:
    os._exit(9)


def built(build: Callable[..., Parts], **arguments: Any) -> tuple[Any, Any]:
    """The model and the data set of the driver."""
    parts = build(**arguments)
    return parts.model, parts.dataset


def cramped(driver: int) -> Parts:
    """On a worker, a disk that is full once two shards lie on it."""
    parts = slow(24)
    if os.getpid() != driver:
        from seewhy.store import files

        write = files._write_all

        def full(handle: int, data: bytes) -> None:
            folder = Path(f"/proc/self/fd/{handle}").resolve().parent
            if len(list(folder.glob("*.parquet"))) >= 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(handle, data)

        files._write_all = full
    return parts
