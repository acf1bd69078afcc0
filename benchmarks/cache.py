"""What a hit of the explanation cache costs beside computing the same explanation, and what looking in vain adds.

Both take turns in one process, from the picture as an array to the heat map on its pixels. On one thread the times are
processor time, which on a busy machine counts little of what others do; on two they are times on the clock. A hit looks
at every weight, so that its time grows with the model, and the ratio with how little the method asks of it.

Run: ``python benchmarks/cache.py [rounds]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count, islice
from statistics import median, quantiles
from time import perf_counter, process_time

import numpy as np
import timm
import torch
import torchvision
from numpy.typing import NDArray

from friendly import PREPROCESSING
from seewhy import AttentionRollout, ExplanationCache, GradCAM, IntegratedGradients
from seewhy.explain.explainer import Explainer

BAR = 0.30
Image = NDArray[np.uint8]


def explainers(cache: ExplanationCache | None) -> Iterator[tuple[str, Explainer, float | None]]:
    """What is measured, with the same weights each time, and the ratio that is allowed."""
    torch.manual_seed(0)
    small, usual = torchvision.models.resnet18().eval(), torchvision.models.resnet50().eval()
    vit = timm.create_model("vit_small_patch16_224").eval()
    common = {"preprocessing": PREPROCESSING, "cache": cache}
    yield "Grad-CAM, ResNet-18 (47 MB of weights)", GradCAM(small, **common), BAR
    yield "Grad-CAM, ResNet-50 (102 MB)", GradCAM(usual, **common), BAR
    yield "Attention rollout, ViT-S/16 (88 MB)", AttentionRollout(vit, **common), None
    yield "Integrated Gradients, 8 steps, ResNet-18", IntegratedGradients(small, steps=8, **common), None


def rounds_of(
    first: Explainer, second: Callable[[Image], object], image: Image, rounds: int
) -> list[tuple[float, float]]:
    """Seconds of computing and of the other, in turns, the first round left out."""
    clock = process_time if torch.get_num_threads() == 1 else perf_counter
    found = []
    for _ in range(rounds + 1):
        start = clock()
        first.explain(image)
        between = clock()
        second(image)
        found.append((between - start, clock() - between))
    return found[1:]


def print_row(name: str, times: list[tuple[float, float]], bar: float | None) -> None:
    """One line of the table."""
    computing, other = (1e3 * median(column) for column in zip(*times, strict=True))
    low, _, high = quantiles([second / first for first, second in times], n=4)
    allowed = f"{bar:.2f}" if bar else "–"
    print(f"{name:<46}{computing:11.1f}{other:9.1f}{other / computing:8.3f}{low:9.3f}–{high:.3f}{allowed:>9}")


def in_vain(explainer: Explainer) -> Callable[[Image], object]:
    """The explainer asked about another picture each time: what it looks for is never there, and is kept."""
    asked = count(1)

    def ask(image: Image) -> object:
        return explainer.explain(image ^ np.uint8(next(asked)))

    return ask


def print_table(threads: int, rounds: int) -> None:
    """The table for a process that has so many threads."""
    torch.set_num_threads(threads)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    print(f"{threads} thread(s), torch {torch.__version__}, medians of {rounds} rounds in turns, one picture, ms")
    print(f"{'':<46}{'computing':>11}{'hit':>9}{'ratio':>8}{'middle half':>15}{'at most':>9}", flush=True)
    with tempfile.TemporaryDirectory() as folder, ExplanationCache(folder) as cache:
        pairs = zip(explainers(None), explainers(cache), strict=True)
        for (name, plain, bar), (_, cached, _) in islice(pairs, None if threads == 1 else 2):
            cached.explain(image)
            print_row(name, rounds_of(plain, cached.explain, image, rounds), bar)
        (name, plain, _), (_, cached, _) = next(explainers(None)), next(explainers(cache))
        print_row(f"{name.split(' (')[0]}: missed, and kept", rounds_of(plain, in_vain(cached), image, rounds), None)


def main() -> None:
    """Print the table for one thread and for two, each in a process whose libraries all have so many."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    if len(sys.argv) > 2:
        print_table(int(sys.argv[2]), rounds)
    for threads in "12" if len(sys.argv) <= 2 else "":
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        subprocess.run([sys.executable, __file__, str(rounds), threads], env=os.environ | limits, check=True)


if __name__ == "__main__":
    main()
