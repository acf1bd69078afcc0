"""What ``optimize_for_inference`` gives on this machine: plain calls, and Grad-CAM of the same batch.

The first lines of each model are the report of ``optimize_for_inference`` itself. The last one takes turns between
Grad-CAM of the model as it is and of the model inside the ``with``, and compares the two maps.

Run: ``python benchmarks/inference.py [rounds] [--compile]``.
"""

from __future__ import annotations

import sys
from statistics import median

import timm
import torch
import torchvision
from torch import Tensor, nn

from engine import milliseconds
from seewhy import GradCAM, optimize_for_inference

BATCH = 4


def resnet18() -> nn.Module:
    """A small convolutional network, at random weights."""
    return torchvision.models.resnet18().eval()


def vit_small() -> nn.Module:
    """The usual small vision transformer, at random weights."""
    return timm.create_model("vit_small_patch16_224").eval()


def print_model(name: str, model: nn.Module, rounds: int, compiled: bool) -> None:
    """The report, and what Grad-CAM gains."""
    images = torch.randn(BATCH, 3, 224, 224)
    explainer = GradCAM(model)
    fast = optimize_for_inference(model, example=images, compile=compiled, rounds=rounds)
    print(f"{name}: {fast.report}")
    ratios = []

    def explain() -> Tensor:
        return explainer.attribute(images, 0).map

    inside = explain()
    fast.restore()
    outside = explain()
    for _ in range(rounds):
        fast.restore()
        explain()
        plain = milliseconds(explain)
        with fast:
            explain()
            ratios.append(milliseconds(explain) / plain)
    correlation = float(torch.corrcoef(torch.stack([inside.flatten(), outside.flatten()]))[0, 1])
    largest = float((inside - outside).abs().max() / outside.abs().max())
    print(
        f"  Grad-CAM of {BATCH}, processor time: {median(ratios):.2f} × the time; the maps' correlation is "
        f"{correlation:.5f}, their largest difference {largest:.1%} of the largest value",
        flush=True,
    )


def main() -> None:
    """Print both models."""
    numbers = [word for word in sys.argv[1:] if word.isdigit()]
    rounds = int(numbers[0]) if numbers else 9
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"one thread, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {rounds} rounds")
    for build in (resnet18, vit_small):
        print_model(build.__name__, build(), rounds, "--compile" in sys.argv)


if __name__ == "__main__":
    main()
