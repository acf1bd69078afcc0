"""Statistics of every stage of a ResNet-50 beside its bare forward: time, peak memory, and memory over many records."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision

from seewhy.features.layer_reader import LayerReader
from seewhy.features.measuring import statistics_of

ROUNDS = 7


def processor_time(work: Callable[[], object]) -> float:
    """Seconds of the processor, which another process on the machine does not lengthen much."""
    started = time.process_time()
    work()
    return time.process_time() - started


def overhead(size: int, batch: int) -> tuple[float, float, float]:
    """The ratio of statistics to the bare forward: median and middle half of interleaved rounds."""
    model = torchvision.models.resnet50().eval()
    pictures = torch.randn(batch, 3, size, size)
    reader = LayerReader(model)

    def bare() -> None:
        with torch.no_grad():
            model(pictures)

    def measured() -> None:
        statistics_of(reader, [pictures])

    bare(), measured()
    ratios = []
    for turn in range(ROUNDS):
        first, second = (bare, measured) if turn % 2 else (measured, bare)
        times = {first: processor_time(first), second: processor_time(second)}
        ratios.append(times[measured] / times[bare])
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def peak(what: str) -> float:
    """Peak memory in MB of a process of its own that does ``what``."""
    done = subprocess.run([sys.executable, __file__, what], capture_output=True, text=True, check=True)
    return float(done.stdout)


def alone(what: str) -> None:
    """Do one thing and print this process's peak memory."""
    kind, size, records = what.split(":")
    model = torchvision.models.resnet50().eval() if int(size) > 64 else torchvision.models.resnet18().eval()
    reader = LayerReader(model)
    batches = (torch.randn(min(4, int(records)), 3, int(size), int(size)) for _ in range(max(1, int(records) // 4)))
    for batch in batches:
        if kind == "bare":
            with torch.no_grad():
                model(batch)
        elif kind == "maps":
            reader.maps(batch)
        else:
            statistics_of(reader, [batch])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def many(records: int) -> float:
    """Peak memory in MB of one run of statistics over so many records."""
    code = (
        "import resource, torch, torchvision\n"
        "from seewhy.features.layer_reader import LayerReader\n"
        "from seewhy.features.measuring import statistics_of\n"
        "reader = LayerReader(torchvision.models.resnet18().eval())\n"
        f"statistics_of(reader, (torch.randn(10, 3, 64, 64) for _ in range({records // 10})))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    torch.set_num_threads(1)
    print("eight stages of a ResNet-50, statistics / bare forward, processor time, one thread (bar 1.15)")
    for size, batch in ((512, 1), (512, 2), (224, 4)):
        middle, low, high = overhead(size, batch)
        print(f"  {size} pixels, batch {batch}: {middle:.3f} (middle half {low:.3f} to {high:.3f})")
    bare, streamed, kept = (peak(f"{kind}:512:4") for kind in ("bare", "statistics", "maps"))
    layer = 4 * 64 * 256 * 256 * 4 / 2**20
    print(f"peak memory, batch 4 at 512: bare {bare:.0f} MB, statistics {streamed:.0f} MB, all maps kept {kept:.0f} MB")
    print(f"  statistics above bare: {streamed - bare:.0f} MB; the largest layer has {layer:.0f} MB")
    few, more = many(100), many(3000)
    print(f"peak memory, 100 records {few:.0f} MB, 3000 records {more:.0f} MB: {more - few:+.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        alone(sys.argv[1])
    else:
        print(Path(__file__).name)
        main()
