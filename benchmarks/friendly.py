"""What the friendly objects cost beside bare inference of the same model on the same tensors.

Both take turns in one process, on one thread, in processor time (see ``engine.py``). The second part finds the chunk
that ``explain_batch`` should use on a CPU: milliseconds per image of inference and of Grad-CAM at each size.

Run: ``python benchmarks/friendly.py [rounds]``.
"""

from __future__ import annotations

import sys
from statistics import median, quantiles

import torch
import torchvision
from torch import Tensor, nn

from engine import Call, interleaved
from seewhy import GradCAM
from seewhy.explain import explainer as explainer_module

PREPROCESSING = {"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CHUNKS = (1, 2, 4, 8, 16, 32)
BATCH = 32


def in_chunks(model: nn.Module, images: Tensor, chunk: int) -> Call:
    """The model alone on all images, so many at once."""

    @torch.inference_mode()
    def infer() -> list[Tensor]:
        return [model(part) for part in images.split(chunk)]

    return infer


def print_ratio(name: str, base: Call, ours: Call, images: int, bar: float | None, rounds: int) -> None:
    """One line of the table: milliseconds per image, and the ratio."""
    times = interleaved(base, ours, rounds)
    inference, explained = (median(column) / images for column in zip(*times, strict=True))
    low, _, high = quantiles([mine / theirs for theirs, mine in times], n=4)
    allowed = f"{bar:.2f}" if bar else "–"
    print(f"{name:<52}{inference:9.1f}{explained:9.1f}{explained / inference:8.3f}{low:8.2f}–{high:.2f}{allowed:>9}")


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    explainer = GradCAM(model, preprocessing=PREPROCESSING)
    images = torch.randn(BATCH, 3, 224, 224)
    print(f"ResNet-18, one thread, torch {torch.__version__}, medians of {rounds} interleaved runs, ms per image")
    print(f"{'':<52}{'bare':>9}{'ours':>9}{'ratio':>8}{'middle half':>13}{'at most':>9}")
    one = images[:1]
    print_ratio("explain, one tensor", in_chunks(model, one, 1), lambda: explainer.explain(one), 1, 1.20, 4 * rounds)
    chosen = explainer_module.CPU_CHUNK
    for chunk in CHUNKS:
        explainer_module.CPU_CHUNK = chunk
        bar = 1.10 if chunk == chosen else None
        name = f"explain_batch of {BATCH}, {chunk} at once" + (" (the default)" if chunk == chosen else "")
        print_ratio(
            name,
            in_chunks(model, images, chunk),
            lambda: explainer.explain_batch(images),
            BATCH,
            bar,
            max(3, rounds // 3),
        )


if __name__ == "__main__":
    main()
