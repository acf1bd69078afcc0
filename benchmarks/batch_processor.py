"""What ``BatchProcessor`` costs beside bare inference of the same model on the same images in the same chunks.

Both take turns in one process, on one thread. The bar is on processor time (see ``engine.py``); time on the clock is
shown beside it. "The same chunks" are those that go through the model together: on a CPU four at a time, also where
``batch_size`` is larger. Of 8-bit pictures both sides resize, crop and normalise, by the very same code.

Run: ``python benchmarks/batch_processor.py [rounds]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median, quantiles
from time import perf_counter, process_time

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from engine import Call
from friendly import PREPROCESSING
from seewhy import BatchProcessor, GradCAM
from seewhy.explain.explainer import CPU_CHUNK
from seewhy.explain.prepared import prepare

IMAGES = 64
BAR = 1.10
Pair = tuple[float, float]


def inference(model: nn.Module, prepared: Callable[[], Tensor], chunk: int) -> Call:
    """The model alone on all images, so many at once."""

    @torch.inference_mode()
    def infer() -> list[Tensor]:
        return [model(part) for part in prepared().split(chunk)]

    return infer


def seconds(call: Call) -> Pair:
    """Processor time and time on the clock."""
    processor, clock = process_time(), perf_counter()
    call()
    return process_time() - processor, perf_counter() - clock


def print_ratio(name: str, base: Call, ours: Call, bar: float | None, rounds: int) -> None:
    """One line of the table; the first two rounds warm caches and are not counted."""
    rows = [(seconds(base), seconds(ours)) for _ in range(rounds + 2)][2:]
    ratios = [[mine[kind] / theirs[kind] for theirs, mine in rows] for kind in (0, 1)]
    bare, explained = (1000 * median(row[side][0] for row in rows) / IMAGES for side in (0, 1))
    low, _, high = quantiles(ratios[0], n=4)
    allowed = f"{bar:.2f}" if bar else "–"
    numbers = f"{bare:9.1f}{explained:9.1f}{explained / bare:8.3f}{low:8.2f}–{high:.2f}{median(ratios[1]):9.3f}"
    print(f"{name:<58}{numbers}{allowed:>9}", flush=True)


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    explainer = GradCAM(model, preprocessing=PREPROCESSING)
    processor = BatchProcessor(model, explainer, batch_size=16, show_progress=False)
    tensors = torch.randn(IMAGES, 3, 224, 224)
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (256, 256, 3), dtype=np.uint8) for _ in range(IMAGES)]

    def ready() -> Tensor:
        return torch.stack([prepare(picture, explainer.recipe).pixels for picture in pictures])

    print(
        f"ResNet-18, {IMAGES} images, one thread, torch {torch.__version__}, medians of {rounds} interleaved runs, ms"
    )
    print(f"{'':<58}{'bare':>9}{'ours':>9}{'ratio':>8}{'middle half':>13}{'clock':>9}{'at most':>9}")
    same = inference(model, lambda: tensors, CPU_CHUNK)
    print_ratio("process_batch, tensors", same, lambda: processor.process_batch(tensors), BAR, rounds)
    with_reading = inference(model, ready, CPU_CHUNK)
    print_ratio("process_batch, 8-bit pictures", with_reading, lambda: processor.process_batch(pictures), BAR, rounds)
    print_ratio(
        "process_batch_parallel, 8-bit pictures, 2 threads",
        with_reading,
        lambda: processor.process_batch_parallel(pictures, num_workers=2),
        None,
        rounds,
    )
    together = inference(model, lambda: tensors, 16)
    print_ratio(
        "process_batch, tensors; bare 16 at once", together, lambda: processor.process_batch(tensors), None, rounds
    )

    def one_by_one() -> list[object]:
        return [explainer.explain(picture) for picture in pictures]

    print_ratio("explain, one picture after the other", with_reading, one_by_one, None, rounds)


if __name__ == "__main__":
    main()
