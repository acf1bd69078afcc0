"""One pass over four inputs, and a clip, against the same model's bare inference: time and memory.

Every number is a ratio to inference on the same batch, from interleaved runs in one process; memory is the peak that a
run adds, each measured in a process of its own.

    python benchmarks/several_inputs.py
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.multi_input import GradCAMVisualizer
from seewhy.targets import Logit

NAMES = ("mnv", "fluid", "ga", "drusen")
SUBJECTS = (("efficientnet_b0", 8, "1.15", ""), ("efficientnet_b3", 8, "1.15", "1.2"), ("r3d_18", 2, "1.10", ""))
"""Backbone or model, batch, bar of the time and of the memory."""


class FourBranches(nn.Module):
    """Four backbones, their pooled features side by side, one linear head."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        for number in range(1, 5):
            setattr(self, f"backbone{number}", timm.create_model(backbone, num_classes=0, in_chans=1))
        self.head = nn.Linear(4 * self.backbone1.num_features, 4)

    def forward(self, mnv: Tensor, fluid: Tensor, ga: Tensor, drusen: Tensor) -> Tensor:
        features = (self.backbone1(mnv), self.backbone2(fluid), self.backbone3(ga), self.backbone4(drusen))
        return self.head(torch.cat(features, dim=1))


def subject(name: str, batch: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A model and inputs for it."""
    torch.manual_seed(0)
    if name == "r3d_18":
        return torchvision.models.video.r3d_18(weights=None).eval(), {"video": torch.randn(batch, 3, 16, 112, 112)}
    return FourBranches(name).eval(), {each: torch.randn(batch, 1, 224, 224) for each in NAMES}


def ratio(one: Callable[[], object], other: Callable[[], object], runs: int) -> float:
    """The median ratio of processor time of neighbouring runs."""
    one(), other()
    return statistics.median(seconds(one) / seconds(other) for _ in range(runs))


def seconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def resident_mb() -> float:
    """What is held now; it must exceed what was held before, or the peak would be an earlier one's."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_memory(name: str, batch: int, what: str) -> None:
    """Print the peak that one run adds, in megabytes; the trace and a small run come first."""
    model, inputs = subject(name, batch)
    small = {key: tensor[:1, ..., :64, :64].clone() for key, tensor in inputs.items()}
    probe = Probe(Adapter(model, small), [Logit()])
    before = resident_mb()
    if what == "inference":
        with torch.no_grad():
            model(*inputs.values())
    else:
        Asked("gradcam")(probe, inputs)
    print(peak_mb() - before)


def memory(name: str, batch: int, what: str) -> float:
    command = [sys.executable, __file__, "--memory", name, str(batch), what]
    at_once = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=at_once).stdout)


def measure_time(name: str, batch: int, runs: int) -> float:
    model, inputs = subject(name, batch)
    probe = Probe(Adapter(model, {key: tensor[:2] for key, tensor in inputs.items()}), [Logit()])
    asked = Asked("gradcam")

    def infer() -> None:
        with torch.no_grad():
            model(*inputs.values())

    return ratio(lambda: asked(probe, inputs), infer, runs)


def measure_batch_analyze(runs: int) -> tuple[float, float]:
    """Wall and processor time of explaining 64 samples with all their pictures, over their bare inference."""
    model, inputs = subject("efficientnet_b0", 64)
    batches = [{name: tensor[i : i + 8] for name, tensor in inputs.items()} for i in range(0, 64, 8)]
    loader = [(*batch.values(), torch.zeros(8).long(), [f"eye_{8 * i + j}" for j in range(8)])
              for i, batch in enumerate(batches)]  # fmt: skip
    visualizer = GradCAMVisualizer(model)
    visualizer.analyze_sample([tensor[:1] for tensor in inputs.values()])

    def infer() -> None:
        with torch.no_grad():
            for batch in batches:
                model(*batch.values())

    def explain() -> None:
        with tempfile.TemporaryDirectory() as folder:
            visualizer.batch_analyze(loader, num_samples=64, save_dir=folder)

    infer(), explain()
    pairs = [(both(explain), both(infer)) for _ in range(runs)]
    wall = statistics.median(ours[0] / bare[0] for ours, bare in pairs)
    return wall, statistics.median(ours[1] / bare[1] for ours, bare in pairs)


def both(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    begun = time.monotonic(), time.process_time()
    run()
    return time.monotonic() - begun[0], time.process_time() - begun[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=3)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if asked.memory:
        measure_memory(asked.memory[0], int(asked.memory[1]), asked.memory[2])
        return
    print("| Grad-CAM of | batch | time / inference | bar | extra peak memory, MB | inference's, MB | ratio | bar |")
    print("|---|---|---|---|---|---|---|---|")
    # Memory first: a process begins with the highest mark of the one that started it.
    peaks = [[memory(name, batch, what) for what in ("gradcam", "inference")] for name, batch, _, _ in SUBJECTS]
    for (name, batch, bar, memory_bar), (ours, inference) in zip(SUBJECTS, peaks, strict=True):
        time_ratio = measure_time(name, batch, asked.runs)
        label = name if name == "r3d_18" else f"four {name}"
        row = [label, batch, f"{time_ratio:.3f}", bar, f"{ours:.0f}", f"{inference:.0f}", f"{ours / inference:.2f}"]
        print("| " + " | ".join(map(str, [*row, memory_bar])) + " |")
    wall, processor = measure_batch_analyze(max(1, asked.runs // 3))
    print(f"\nbatch_analyze, 64 samples of four efficientnet_b0 with pictures: {wall:.2f} x inference on the clock, "
          f"{processor:.2f} x of processor time; bar 1.5")  # fmt: skip


if __name__ == "__main__":
    main()
