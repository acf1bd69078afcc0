"""What perturbation methods cost beside grad-cam: Ablation-CAM of a ResNet-50, Score-CAM of a ResNet-18.

Times: both arms take turns in one process, on one thread, in processor time; the table shows medians. grad-cam's
Ablation-CAM would take minutes: one of its batches of 32 channels is run, and the whole is that times the number of
batches, which is said.

Memory: each measurement is a fresh process that builds the model, runs it once on one picture, notes its resident
memory, explains once and notes the highest resident memory it ever had. Freed blocks go back to the system at once
(``MALLOC_MMAP_THRESHOLD_``), so that the peak is what was held, not what was kept.

Run: ``python benchmarks/perturbation.py [rounds]``; needs the package grad-cam.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Explanation
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

CLASS, BATCH, CHANNELS = 5, 16, 2048
Call = Callable[[], object]


def picture() -> Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def ours(model: nn.Module, method: str, layer: str, **settings: object) -> Call:
    """The method on one picture, by name."""
    inputs = {"image": picture()}
    probe = Probe(Adapter(model, inputs), [Logit(CLASS)])
    asked = Asked(method, layer=layer, settings=settings)

    def explain() -> Explanation:
        return asked(probe, inputs)

    return explain


def theirs(model: nn.Module, method: str, layer: nn.Module) -> Call:
    """grad-cam's method of that name on the same picture, its progress bar off."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    explainer: Any = getattr(pytorch_grad_cam, method)(model, [layer])
    explainer.batch_size = BATCH
    image = picture()
    return lambda: explainer(image, [ClassifierOutputTarget(CLASS)])


def one_batch_of_their_ablations(model: nn.Module) -> Call:
    """What grad-cam runs 64 times for 2 048 channels: the whole model on 32 copies."""
    copies = picture().repeat(32, 1, 1, 1)

    @torch.no_grad()
    def run() -> Tensor:
        return model(copies)

    return run


def seconds(call: Call) -> float:
    start = process_time()
    call()
    return process_time() - start


def turns(rounds: int, *calls: Call) -> list[float]:
    """Median seconds of each, taking turns; the first round warms caches and is not counted."""
    times = [[seconds(call) for call in calls] for _ in range(rounds + 1)][1:]
    return [median(column) for column in zip(*times, strict=True)]


def extra_peak(arm: str) -> float:
    """Megabytes by which one Score-CAM raises this process's highest resident memory."""
    model = torchvision.models.resnet18().eval()
    explain = score_cams(model)[arm]
    with torch.no_grad():
        model(picture())
    gc.collect()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    explain()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def score_cams(model: nn.Module) -> dict[str, Call]:
    return {
        "seewhy": ours(model, "scorecam", "layer4", chunk_size=BATCH),
        "grad-cam": theirs(model, "ScoreCAM", model.layer4),
    }


def extra_peak_in_a_fresh_process(arm: str) -> float:
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "TQDM_DISABLE": "1"}
    command = [sys.executable, __file__, "--extra-peak", arm]
    return float(subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout)


def print_ablation(rounds: int) -> None:
    model = torchvision.models.resnet50().eval()
    closed, batch = turns(
        rounds, ours(model, "ablationcam", "layer4"), one_batch_of_their_ablations(model)
    )  # fmt: skip
    whole = batch * CHANNELS / 32
    print(f"Ablation-CAM, ResNet-50 layer4, 2 048 channels: {closed:.2f} s (bar 2 s); "
          f"grad-cam {whole:.0f} s (64 batches of {batch:.2f} s)", flush=True)  # fmt: skip
    # In the last block's own normalisation layer a ReLU and an addition follow, and no closed form holds.
    (replayed,) = turns(1, ours(model, "ablationcam", "layer4.2.bn3"))
    print(f"  at layer4.2.bn3, from the layer to the output: {replayed:.2f} s", flush=True)


def print_scores(rounds: int) -> None:
    calls = score_cams(torchvision.models.resnet18().eval())
    mine, peer = turns(rounds, *calls.values())
    print(f"Score-CAM, ResNet-18 layer4, batch {BATCH}: {mine:.1f} s, grad-cam {peer:.1f} s, "
          f"ratio {mine / peer:.2f} (bar 1.00)", flush=True)  # fmt: skip
    peaks = {arm: median(extra_peak_in_a_fresh_process(arm) for _ in range(3)) for arm in calls}
    ratio = peaks["seewhy"] / peaks["grad-cam"]
    print(f"  extra peak memory: {peaks['seewhy']:.0f} MB, grad-cam {peaks['grad-cam']:.0f} MB, "
          f"ratio {ratio:.2f} (bar 0.25)", flush=True)  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if sys.argv[1:2] == ["--extra-peak"]:
        print(extra_peak(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    os.environ["TQDM_DISABLE"] = "1"
    print_ablation(rounds)
    print_scores(rounds)


if __name__ == "__main__":
    main()
