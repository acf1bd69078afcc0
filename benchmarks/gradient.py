"""What gradient methods cost beside captum's: Integrated Gradients to one per cent, SmoothGrad in time and memory.

Models have seeded random weights; the head and, in the second line of each, every matrix are scaled so that the score
bends along the path. Pictures are crops of the two photographs that scikit-image brings along. Times are processor time
on one thread, both arms taking turns in one process; memory is the extra peak of a fresh process (see engine.py).

captum's default puts 50 steps of all records into one batch: for 20 pictures 1000 rows, which fit no usual machine.
It is asked picture by picture (50 rows at once) and, in the last column, with batches of our chunk size.

Run: ``python benchmarks/gradient.py [pictures] [rounds]``.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from statistics import median

import timm
import torch
import torchvision
from skimage import data
from torch import Tensor, nn
from torch.nn.functional import interpolate

from engine import milliseconds, resident_megabytes
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.targets import Logit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from captum.attr import IntegratedGradients, NoiseTunnel, Saliency

CHUNK = 10
MODELS = {
    "ResNet-18": torchvision.models.resnet18,
    "ViT-S/16": lambda: timm.create_model("vit_small_patch16_224"),
}


def built(name: str, gain: float = 1.0) -> nn.Module:
    """The model at seeded random weights, every matrix and kernel times ``gain``."""
    torch.manual_seed(0)
    model: nn.Module = MODELS[name]().eval()
    head = model.fc if hasattr(model, "fc") else model.head
    nn.init.normal_(head.weight, std=0.05)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(gain)
    return model


def pictures(count: int) -> Tensor:
    """Square crops of photographs, normalised."""
    photographs = [torch.from_numpy(load().copy()).permute(2, 0, 1) / 255 for load in (data.astronaut, data.coffee)]
    generator = torch.Generator().manual_seed(0)
    crops = []
    for index in range(count):
        photograph = photographs[index % 2]
        _, height, width = photograph.shape
        side = int(torch.randint(160, min(height, width), (), generator=generator))
        top = int(torch.randint(0, height - side + 1, (), generator=generator))
        left = int(torch.randint(0, width - side + 1, (), generator=generator))
        crop = photograph[None, :, top : top + side, left : left + side]
        crops.append(interpolate(crop, size=(224, 224), mode="bilinear", antialias=True)[0])
    return Normalisation().apply(torch.stack(crops).transpose(0, 1)).transpose(0, 1).contiguous()


def print_integrated(name: str, gain: float, images: Tensor) -> None:
    """One line: ours to one per cent, captum's 50 steps."""
    model = built(name, gain)
    inputs = {"image": images}
    black = Normalisation().apply(torch.zeros(3, 1, 1)).expand(1, 3, 224, 224)
    with torch.no_grad():
        classes = torch.cat([model(image[None]) for image in images]).argmax(dim=1)
    probe = Probe(Adapter(model, inputs, normalisation=Normalisation()), [Logit()])
    ours = Asked("integrated_gradients", settings={"steps": "auto", "chunk_size": CHUNK})
    theirs = IntegratedGradients(model)
    found = []

    def captum(batch: int | None) -> None:
        for image, k in zip(images, classes, strict=True):
            theirs.attribute(image[None], baselines=black, target=int(k), internal_batch_size=batch)

    mine = milliseconds(lambda: found.append(ours(probe, inputs)))
    at_once, in_chunks = milliseconds(lambda: captum(None)), milliseconds(lambda: captum(CHUNK))
    measured = found[0].measured
    steps, worst = measured["steps"][0], measured["relative_residual"].max()
    label = f"IG to 1 %, {name}, weights × {gain:g}"
    print(f"{label:<36}{mine:10.0f}{at_once:10.0f}{mine / at_once:8.3f}{mine / in_chunks:8.3f}", end="")
    print(f"   steps {steps.mean():.1f} (most {steps.max():.0f}), worst residual {worst:.4f}, ", end="")
    print(f"converged {int(measured['converged'].sum())}/{len(images)}", flush=True)


def smoothgrad_arms(name: str) -> dict[str, object]:
    """50 samples of one picture, in chunks of :data:`CHUNK`, by both."""
    model, image = built(name), pictures(1)
    probe = Probe(Adapter(model, {"image": image}), [Logit(3)])
    ours = Asked("smoothgrad", settings={"chunk_size": CHUNK})
    tunnel = NoiseTunnel(Saliency(model))
    spread = 0.15 * float(image.max() - image.min())

    def captum() -> None:
        tunnel.attribute(image, nt_samples=50, nt_samples_batch_size=CHUNK, stdevs=spread, target=3)

    return {"ours": lambda: ours(probe, {"image": image}), "captum": captum}


def print_smoothgrad(name: str, rounds: int) -> None:
    """Two lines: time and extra peak memory."""
    arms = smoothgrad_arms(name)
    times: dict[str, list[float]] = {who: [] for who in arms}
    for _ in range(rounds):
        for who, call in arms.items():
            times[who].append(milliseconds(call))
    mine, theirs = median(times["ours"]), median(times["captum"])
    print(f"{f'SmoothGrad 50, {name}, ms':<36}{mine:10.0f}{theirs:10.0f}{mine / theirs:8.3f}", flush=True)
    peaks = {who: median(extra_peak_in_a_fresh_process(name, who) for _ in range(rounds)) for who in arms}
    mine, theirs = peaks["ours"], peaks["captum"]
    print(f"{'  the same, extra peak MB':<36}{mine:10.0f}{theirs:10.0f}{mine / theirs:8.3f}", flush=True)


def extra_peak_in_a_fresh_process(name: str, who: str) -> float:
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--extra-peak", name, who]
    return float(subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout)


def extra_peak(name: str, who: str) -> float:
    """Megabytes by which one explanation raises this process's highest resident memory."""
    call = smoothgrad_arms(name)[who]
    gc.collect()
    # What building took is forgotten: the kernel starts to note the highest resident memory anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_megabytes()
    call()
    highest = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(highest[1]) / 1024 - before


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--extra-peak"]:
        print(extra_peak(*sys.argv[2:4]))
        return
    count, rounds = (int(value) for value in (*sys.argv[1:], *("20", "3")[len(sys.argv) - 1 :]))
    print(f"one thread, torch {torch.__version__}, {count} pictures, {rounds} rounds, chunks of {CHUNK}")
    print(f"{'':<36}{'ours':>10}{'captum':>10}{'ratio':>8}{'chunked':>8}")
    for name in MODELS:
        print_smoothgrad(name, rounds)
    for name in MODELS:
        for gain in (1.0, 1.5):
            print_integrated(name, gain, pictures(count))


if __name__ == "__main__":
    main()
