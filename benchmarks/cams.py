"""What class activation maps cost: beside bare inference on the same batch, and in reading one map out.

Inference and explanation take turns in one process, on one thread, in processor time; the table shows the ratio of
medians. The read-out of EigenCAM is timed on one map of 2048 × 7 × 7, beside grad-cam's where that is installed.

Run: ``python benchmarks/cams.py [rounds]``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import median
from time import process_time

import torch
import torchvision
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (registers every method)
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.methods.cam import eigencam
from seewhy.methods.together import ask_together
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit

BATCH = 8
CAMS = (
    "gradcam", "gradcam++", "hirescam", "gradcam_elementwise", "layercam", "xgradcam", "eigencam", "eigengradcam",
)  # fmt: skip
Call = Callable[[], object]


def bare(model: nn.Module, images: Tensor) -> Call:
    """The model alone, as fast as it goes."""

    @torch.inference_mode()
    def infer() -> Tensor:
        return model(images)

    return infer


def explained(model: nn.Module, images: Tensor, names: Sequence[str]) -> Call:
    """These methods of the predicted class, together."""
    inputs = {"image": images}
    probe = Probe(Adapter(model, inputs), [Logit()])
    return lambda: ask_together([Asked(name) for name in names], probe, inputs)


def milliseconds(call: Call) -> float:
    start = process_time()
    call()
    return 1000 * (process_time() - start)


def taking_turns(calls: Sequence[Call], rounds: int) -> list[float]:
    """The median milliseconds of each call; the first round warms caches and is not counted."""
    times = [[milliseconds(call) for call in calls] for _ in range(rounds + 1)][1:]
    return [median(column) for column in zip(*times, strict=True)]


def grad_cams_projection() -> Callable[[Tensor], object] | None:
    """grad-cam's read-out of EigenCAM, None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = import_module("pytorch_grad_cam.utils.svd_on_activations")
    except ImportError:
        return None
    return lambda activations: peer.get_2d_projection(activations.numpy())


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, images = torchvision.models.resnet50().eval(), torch.randn(BATCH, 3, 224, 224)
    rows = [*((name, (name,), 1.10) for name in CAMS), ("all eight together", CAMS, 1.20)]
    times = taking_turns([bare(model, images), *(explained(model, images, names) for _, names, _ in rows)], rounds)
    print(f"ResNet-50, batch {BATCH}, one thread, torch {torch.__version__}, medians of {rounds} interleaved rounds")
    print(f"{'':<40}{'ms':>10}{'ratio':>8}{'at most':>9}")
    print(f"{'inference':<40}{times[0]:10.1f}")
    for (name, _, bar), found in zip(rows, times[1:], strict=True):
        print(f"{name:<40}{found:10.1f}{found / times[0]:8.3f}{bar:9.2f}")
    activations = torch.rand(1, 2048, 7, 7)
    ours, peer = median(milliseconds(lambda: eigencam(activations)) for _ in range(30)), grad_cams_projection()
    print(f"{'EigenCAM read-out, 2048 x 7 x 7':<40}{ours:10.2f}{'':8}{10.0:9.2f}")
    if peer is not None:
        theirs = median(milliseconds(lambda: peer(activations)) for _ in range(3))
        print(f"{'  the same by grad-cam':<40}{theirs:10.1f}{theirs / ours:8.0f}")


if __name__ == "__main__":
    main()
