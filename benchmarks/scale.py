"""What grows with the number of records: a run's memory and time to 100 000 of them, its bookkeeping, its driver.

``growth`` explains synthetic 16-pixel pictures with a tiny model and no pictures drawn: anonymous memory at the first
and the last records, and processor time for each tenth of them. ``overhead`` stops and resumes ResNet-18 at 224 pixels
and adds up what commits, manifests, resuming and planning took. ``driver`` counts the bytes per record of what the
process that plans a run holds in memory.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import Dataset

import seewhy
from seewhy.data.image_folder import ImageFolder
from seewhy.data.records import RecordRef
from seewhy.pipeline import run as running
from seewhy.pipeline.plan import make_plan
from seewhy.pipeline.questions import EmbeddingQuestion
from seewhy.pipeline.settings import Settings
from seewhy.store.ledger import Answered, Ledger
from seewhy.store.manifest import ShardEntry
from seewhy.store.names import SafeNames
from seewhy.store.run_directory import RunDirectory
from seewhy.store.shards import ShardHeader
from whole_run import make_pictures

GROWTH_MB, LINEAR, OVERHEAD = 100, 0.10, 0.03
SIZE, CLASSES = 16, 10


class Noise(Dataset[Any]):
    """Pictures that follow from their number."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, int, str]:
        pixels = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(i))
        return pixels, i % CLASSES, f"group_{i // 1000:06d}/record_{i:09d}"


class Watch:
    """Anonymous memory and processor time as records are done."""

    def __init__(self, total: int, *counts: int) -> None:
        self.counts, self.done, self.tenth = counts, 0, total // 10
        self.seen: dict[int, float] = {}
        self.marks: list[tuple[int, float]] = []
        self.most = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """The most anonymous memory there ever is, in exports too."""
        while True:
            self.most = max(self.most, anonymous_mb())
            time.sleep(0.01)

    def planned(self, *_: Any) -> None:
        self.marks.append((0, time.process_time()))

    def advanced(self, records: int, _: int) -> None:
        self.done += records
        for count in self.counts:
            if self.done >= count:
                self.seen.setdefault(count, anonymous_mb())
        if self.done >= len(self.marks) * self.tenth:
            self.marks.append((self.done, time.process_time()))

    def committed(self, *_: Any) -> None: ...

    def per_tenth(self) -> list[float]:
        """Milliseconds of processor time per record, of each tenth."""
        pairs = zip(self.marks, self.marks[1:], strict=False)
        return [1000 * (after - before) / (last - first) for (first, before), (last, after) in pairs]


def anonymous_mb() -> float:
    """RssAnon of this process, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not report RssAnon")


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def growth(first: int, last: int, *, report: bool) -> None:
    """Memory while records are computed, and after exports and report; time of each tenth."""
    watch = Watch(last, first, last)
    with tempfile.TemporaryDirectory() as folder:
        seewhy.run(
            tiny(), Noise(last), Path(folder) / "run", observer=watch, target_classes="predicted", render="none",
            generate_report=report, batch_size=64,
        )  # fmt: skip
        ended, peak = anonymous_mb(), watch.most
    told = f"{last} records, {'with' if report else 'without'} report"
    computed = watch.seen[last] - watch.seen[first]
    print(f"{told}: anonymous memory {watch.seen[first]:.0f} MB at {first}, {watch.seen[last]:.0f} MB at {last}: "
          f"growth {computed:.0f} MB (bar {GROWTH_MB})")  # fmt: skip
    print(f"  after exports {ended:.0f} MB, at most {peak:.0f} MB: {peak - watch.seen[first]:.0f} MB above the first")
    tenths = watch.per_tenth()
    print("  ms of processor time per record, by tenth: " + " ".join(f"{one:.2f}" for one in tenths))
    second, tail = tenths[1], sum(tenths[-2:]) / 2
    print(f"  last fifth / second tenth: {tail / second:.3f} (bar {1 + LINEAR:.2f})")


class Stopwatch:
    """Processor time of the calling thread, and time of the clock, inside some functions; nested calls count once."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self._inside = False

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return function(*given, **named)
            self._inside, begun, cpu = True, time.perf_counter(), time.thread_time()
            try:
                return function(*given, **named)
            finally:
                self._inside = False
                spent = self.spent.setdefault(name, [0.0, 0.0])
                spent[0] += time.thread_time() - cpu
                spent[1] += time.perf_counter() - begun

        return timed

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Commits, manifests, resuming and planning are timed."""
        places: list[tuple[Any, str, str]] = [
            (RunDirectory, "commit", "commit"), (RunDirectory, "_save", "manifest"), (running, "_plan", "plan"),
        ]  # fmt: skip
        before = [(place, name, getattr(place, name)) for place, name, _ in places]
        resume = RunDirectory.__dict__["_resume"]
        try:
            for place, name, told in places:
                setattr(place, name, self.around(getattr(place, name), told))
            RunDirectory._resume = classmethod(self.around(resume.__func__, "resume"))  # type: ignore[method-assign,assignment]
            yield
        finally:
            for place, name, function in before:
                setattr(place, name, function)
            RunDirectory._resume = resume  # type: ignore[method-assign]


def overhead(records: int) -> None:
    """A run stopped after half of its shards and resumed."""
    watch = Stopwatch()
    model = torchvision.models.resnet18().eval()
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder) / "pictures", records)
        given: dict[str, Any] = {"render": "none", "generate_report": False, "shard_size": 64}
        asked = iter(range(records))
        with watch.watching():
            begun, cpu = time.perf_counter(), time.process_time()
            for stop in (lambda: next(asked) >= records // 128, lambda: False):
                seewhy.run(model, ImageFolder(Path(folder) / "pictures"), Path(folder) / "run", stop=stop, **given)
            whole, wall = time.process_time() - cpu, time.perf_counter() - begun
    print(f"ResNet-18, {records} records in shards of 64, stopped and resumed: {whole:.1f} s of processor time")
    for name, (own, clock) in watch.spent.items():
        print(f"  {name:9} {own:7.3f} s {own / whole:7.2%}   by the clock {clock:7.3f} s of {wall:.1f} s")
    total = sum(own for own, _ in watch.spent.values())
    print(f"  together {total / whole:.2%} (bar {OVERHEAD:.0%})")


def driver(records: int) -> None:
    """Bytes per record of the index, the ledger, the plan and the names' set-up."""
    tracemalloc.start()
    index = held("index", records, lambda: [
        RecordRef(f"group_{i // 1000:06d}/record_{i:09d}", "train", i % CLASSES) for i in range(records)
    ])  # fmt: skip
    question = EmbeddingQuestion("fc.input")
    held("plan", records, lambda: make_plan(index, range(records), [question], {}, frozenset(), Settings()))
    held("ledger", records, lambda: ledger_of(index, question.key))
    held("names", records, lambda: SafeNames(ref.record_id for ref in index))
    tracemalloc.stop()


def ledger_of(index: list[RecordRef], key: str) -> Ledger:
    ledger = Ledger({})
    header = ShardHeader("train", {key: {}}, {}, {})
    for start in range(0, len(index), 256):
        rows = [
            (ref.record_id, Answered(f"{number:016d}", "ok", {key: frozenset()}, start // 256))
            for number, ref in enumerate(index[start : start + 256], start)
        ]
        ledger.add(
            f"shards/train-{start // 256:05d}.parquet", ShardEntry("0" * 64, 1, "train", len(rows)), header, rows
        )
    return ledger


def held(name: str, records: int, make: Callable[[], Any]) -> Any:
    """Make something and print what it holds, and held at most, per record."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    now, peak = tracemalloc.get_traced_memory()
    print(
        f"{name:8} {(now - before) / records:7.0f} bytes per record, {(peak - before) / records:7.0f} while it is made"
    )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["driver", "overhead", "growth"])
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--last", type=int, default=100_000)
    parser.add_argument("--overhead-records", type=int, default=512)
    parser.add_argument("--no-report", action="store_true")
    asked = parser.parse_args()
    if "driver" in asked.what:
        driver(asked.last)
    if "overhead" in asked.what:
        overhead(asked.overhead_records)
    if "growth" in asked.what:
        growth(asked.first, asked.last, report=not asked.no_report)


if __name__ == "__main__":
    main()
