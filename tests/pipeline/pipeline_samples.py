"""A small data set, small models and the questions of a run, for tests that watch whole runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from seewhy.pipeline.applicable import Applicable
from seewhy.pipeline.plan import Plan
from seewhy.store.run_reader import RunReader
from seewhy.values import RecordRow
from toys import ConvNet, Vit

SIZE = 16


def image_of(record_id: str, channels: int = 2) -> Tensor:
    """Pixels that follow from the id alone."""
    seed = int.from_bytes(hashlib.sha256(record_id.encode("utf-8")).digest()[:6], "big")
    return torch.randn(channels, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


class Pictures(Dataset[Any]):
    """Items ``(x, y, id)``; ``contents`` tells what a record holds now, ``faults`` what reading it raises."""

    def __init__(
        self,
        ids: Sequence[str],
        *,
        faults: Mapping[str, Exception] | None = None,
        contents: Mapping[str, str] | None = None,
        classes: int = 3,
    ) -> None:
        self.record_ids = list(ids)
        self.faults = dict(faults or {})
        self.contents = dict(contents or {})
        self.classes_known = classes

    def __len__(self) -> int:
        return len(self.record_ids)

    def __getitem__(self, i: int) -> tuple[Tensor, int, str]:
        record_id = self.record_ids[i]
        if record_id in self.faults:
            raise self.faults[record_id]
        return image_of(self.contents.get(record_id, record_id)), i % self.classes_known, record_id

    def revision(self, i: int) -> str:
        """What the record holds now."""
        return self.contents.get(self.record_ids[i], "first")


def ids(count: int, prefix: str = "r") -> list[str]:
    return [f"{prefix}{i:02d}" for i in range(count)]


def conv_net(classes: int = 3) -> ConvNet:
    torch.manual_seed(1)
    return ConvNet(classes=classes)


def vit(classes: int = 3) -> Vit:
    torch.manual_seed(1)
    return Vit(classes=classes)


class Log:
    """An observer that remembers what it saw."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.found: Applicable | None = None
        self.advances: list[tuple[int, int]] = []
        self.shards: list[str] = []

    def planned(self, plan: Plan, found: Applicable) -> None:
        self.plan, self.found = plan, found

    def advanced(self, records: int, failed: int) -> None:
        self.advances.append((records, failed))

    def committed(self, shard: str) -> None:
        self.shards.append(shard)


def rows(root: Path, split: str = "test") -> dict[str, RecordRow]:
    """The merged rows of a split by record id."""
    return {row.record_id: row for row in RunReader(root).rows(split)}


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a run with its bytes; the lock file is not part of a run."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def pictures(root: Path) -> set[str]:
    """The picture files of a run."""
    return {name for name in snapshot(root) if name.endswith(".png")}


def after(count: int) -> Callable[[], bool]:
    """A ``stop`` that is true from the ``count``-th time it is asked on."""
    asked = iter(range(1, 1_000_000))
    return lambda: next(asked) >= count
