"""Anonymous memory of one run between its 1 000th and its 10 000th record, on synthetic 32-pixel pictures."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

import seewhy
from seewhy.data.cluttered_digits import ClutteredDigits

BAR_MB = 100


class Watch:
    """Notes the process's anonymous memory at two counts of records."""

    def __init__(self, *counts: int) -> None:
        self.counts, self.done = counts, 0
        self.seen: dict[int, float] = {}

    def planned(self, *_: Any) -> None: ...

    def advanced(self, records: int, _: int) -> None:
        self.done += records
        for count in self.counts:
            if self.done >= count:
                self.seen.setdefault(count, anonymous_mb())

    def committed(self, *_: Any) -> None: ...


def anonymous_mb() -> float:
    """RssAnon of this process, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not report RssAnon")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--last", type=int, default=10_000)
    asked = parser.parse_args()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    watch = Watch(asked.first, asked.last)
    dataset = ClutteredDigits(size=32, counts={"test": asked.last})
    with tempfile.TemporaryDirectory() as folder:
        seewhy.run(model, dataset, Path(folder) / "run", observer=watch, target_classes="predicted")
    growth = watch.seen[asked.last] - watch.seen[asked.first]
    print(f"anonymous memory: {watch.seen[asked.first]:.0f} MB at {asked.first} records, "
          f"{watch.seen[asked.last]:.0f} MB at {asked.last}: growth {growth:.0f} MB (bar {BAR_MB})")  # fmt: skip


if __name__ == "__main__":
    main()
