"""What explanations cost beside bare inference of the same model on the same batch, in time and in memory.

Times: inference and explanation take turns in one process, on one thread, in processor time, which on an idle machine
is the time on the clock and on a busy one counts little of what others do. The table shows the ratio of the medians,
and the middle half of the ratios of neighbouring runs, which tells how steady they were.

Memory: each measurement is a fresh process that builds the model, warms it with one record, notes its resident memory,
runs once on the whole batch and notes the highest resident memory it ever had. The difference is the extra peak. Freed
blocks go back to the system at once (``MALLOC_MMAP_THRESHOLD_``), so that the peak is what was held, not what was kept.

Run: ``python benchmarks/engine.py [rounds]``.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import process_time

import timm
import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import GlobalAttention, find_attention
from seewhy.core import Wants
from seewhy.methods.attention import rollout
from seewhy.methods.cam import gradcam
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

MEMORY_BATCH = 16
MEMORY_REPEATS = 5
Call = Callable[[], object]


def resnet50() -> nn.Module:
    """The usual convolutional network, at random weights."""
    return torchvision.models.resnet50().eval()


def vit_small() -> nn.Module:
    """The usual small vision transformer, at random weights."""
    return timm.create_model("vit_small_patch16_224").eval()


def bare(model: nn.Module, batch: int) -> Call:
    """The model alone, as fast as it goes."""
    images = torch.randn(batch, 3, 224, 224)

    @torch.inference_mode()
    def infer() -> Tensor:
        return model(images)

    return infer


def grad_cam(model: nn.Module, batch: int) -> Call:
    """Grad-CAM of the predicted class on the default layer."""
    inputs = {"image": torch.randn(batch, 3, 224, 224)}
    adapter = Adapter(model, inputs)
    layer = adapter.target_layer.layer
    probe, wants = Probe(adapter, [Logit()]), Wants(activations=(layer,), gradients=(layer,))

    def explain() -> Tensor:
        capture = probe.capture(inputs, wants)
        return gradcam(capture.activations[layer], capture.gradients[layer][0])

    return explain


def everything(model: nn.Module, batch: int, classes: int) -> Call:
    """Embeddings, Grad-CAM of the ``classes`` highest classes, and attention rollout, from one pass."""
    inputs = {"image": torch.randn(batch, 3, 224, 224)}
    adapter = Adapter(model, inputs)
    attention = find_attention(adapter, inputs)
    if not isinstance(attention, GlobalAttention):
        raise SystemExit(f"no attention to measure: {attention.reason}")
    layer = adapter.target_layer.layer
    wants = Wants((layer,), (layer,), attention=True, embedding=adapter.embedding_layer.layer)
    probe = Probe(adapter, [Logit(rank=rank) for rank in range(classes)], tokens=attention.tokens)

    def explain() -> tuple[list[Tensor], Tensor, Tensor | None]:
        capture = probe.capture(inputs, wants)
        maps = [gradcam(capture.activations[layer], gradient) for gradient in capture.gradients[layer]]
        flow = rollout(capture.attention, query=attention.query, prefix=attention.grid.prefix)
        return maps, flow, capture.embedding

    return explain


def interleaved(inference: Call, explanation: Call, rounds: int) -> list[tuple[float, float]]:
    """Milliseconds of both, taking turns; the first two rounds warm caches and are not counted."""
    return [(milliseconds(inference), milliseconds(explanation)) for _ in range(rounds + 2)][2:]


def milliseconds(call: Call) -> float:
    start = process_time()
    call()
    return 1000 * (process_time() - start)


def print_times(name: str, model: nn.Module, batch: int, explanation: Call, bar: float | None, rounds: int) -> None:
    """One line of the table."""
    times = interleaved(bare(model, batch), explanation, rounds)
    inference, explained = (median(column) for column in zip(*times, strict=True))
    low, _, high = quantiles([ours / base for base, ours in times], n=4)
    spread, allowed = f"{low:.2f}–{high:.2f}", f"{bar:.2f}" if bar else "–"
    ratio = explained / inference
    print(f"{name:<58}{inference:9.1f}{explained:9.1f}{ratio:8.3f}{spread:>13}{allowed:>9}", flush=True)


def print_extra_peaks(bar: float) -> None:
    """The memory line: medians over fresh processes that take turns."""
    peaks: dict[str, list[float]] = {"inference": [], "grad_cam": []}
    for _ in range(MEMORY_REPEATS):
        for what, found in peaks.items():
            found.append(extra_peak_in_a_fresh_process(what))
    inference, explained = (median(found) for found in peaks.values())
    name = f"extra peak memory (MB), Grad-CAM, ResNet-50, batch {MEMORY_BATCH}"
    print(f"{name:<58}{inference:9.1f}{explained:9.1f}{explained / inference:8.3f}{'':13}{bar:9.2f}", flush=True)


def extra_peak_in_a_fresh_process(what: str) -> float:
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--extra-peak", what]
    return float(subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout)


def extra_peak(what: str) -> float:
    """Megabytes by which one run on the batch raises this process's highest resident memory."""
    model = resnet50()
    build = {"inference": bare, "grad_cam": grad_cam}[what]
    build(model, 1)()
    explain = build(model, MEMORY_BATCH)
    gc.collect()
    before = resident_megabytes()
    explain()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--extra-peak"]:
        print(extra_peak(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"one thread, torch {torch.__version__}, medians of {rounds} interleaved runs")
    print(f"{'':<58}{'bare':>9}{'ours':>9}{'ratio':>8}{'middle half':>13}{'at most':>9}")
    resnet, vit = resnet50(), vit_small()
    print_times("Grad-CAM, ResNet-50, batch 8 (ms)", resnet, 8, grad_cam(resnet, 8), 1.08, rounds)
    print_times("Grad-CAM, ResNet-50, batch 1 (ms)", resnet, 1, grad_cam(resnet, 1), None, 3 * rounds)
    print_extra_peaks(1.10)
    one_pass = "embeddings + Grad-CAM + rollout, ViT-S/16, batch 8"
    print_times(f"{one_pass} (ms)", vit, 8, everything(vit, 8, classes=1), 1.35, rounds)
    print_times("  the same with 5 classes (ms)", vit, 8, everything(vit, 8, classes=5), 1.8, rounds)


if __name__ == "__main__":
    main()
