"""The whole run against inference alone over the same loader: 2 000 JPEGs, ResNet-18 at 224 pixels, two cores.

Rounds of inference, a run with the predicted class, and a run with five classes are interleaved in one process; medians
of the rounds and their ratios are printed. Start-up (tracing, planning) is excluded, exports at the end are included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_sample_images

import seewhy
from seewhy.data.batching import load_batches
from seewhy.data.image_folder import ImageFolder

BAR = 1.5


class Clock:
    """Starts when the plan is made."""

    def planned(self, *_: Any) -> None:
        self.begun = time.perf_counter()

    def advanced(self, *_: Any) -> None: ...

    def committed(self, *_: Any) -> None: ...


def make_pictures(root: Path, count: int) -> None:
    """Crops of two real photographs, 320 x 240, as JPEG."""
    photos = load_sample_images().images
    generator = np.random.default_rng(0)
    for index in range(count):
        photo = photos[index % 2]
        top, left = (int(generator.integers(0, limit)) for limit in (photo.shape[0] - 240, photo.shape[1] - 320))
        folder = root / f"class_{index % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[top : top + 240, left : left + 320]).save(folder / f"{index:05d}.jpg", quality=90)


def infer(model: torch.nn.Module, dataset: ImageFolder, batch_size: int, workers: int) -> float:
    """Seconds for the bare model over the same loader."""
    positions = range(len(dataset.index()))
    batches = [list(positions[i : i + batch_size]) for i in range(0, len(positions), batch_size)]
    begun = time.perf_counter()
    with torch.inference_mode():
        for batch in load_batches(dataset, batches, num_workers=workers):
            model(batch.inputs["image"])
    return time.perf_counter() - begun


def explain(model: torch.nn.Module, dataset: ImageFolder, batch_size: int, workers: int, classes: Any) -> float:
    """Seconds for embeddings and Grad-CAM overlays, committed and exported."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        seewhy.run(
            model, dataset, Path(folder) / "run", observer=clock, generate_attention=False, target_classes=classes,
            batch_size=batch_size, num_workers=workers,
        )  # fmt: skip
        return time.perf_counter() - clock.begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    times: dict[str, list[float]] = {"inference": [], "predicted class": [], "five classes": []}
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), asked.pictures)
        dataset = ImageFolder(folder)
        infer(model, dataset, 32, asked.workers)
        for _ in range(asked.rounds):
            times["inference"].append(infer(model, dataset, 32, asked.workers))
            times["predicted class"].append(explain(model, dataset, 32, asked.workers, "predicted"))
            times["five classes"].append(explain(model, dataset, 32, asked.workers, "auto"))
    base = statistics.median(times["inference"])
    print(f"{'':18}{'ms/record':>10}{'ratio':>8}{'bar':>6}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        bar = f"{BAR}" if name == "predicted class" else ""
        print(f"{name:18}{1000 * median / asked.pictures:10.2f}{median / base:8.2f}{bar:>6}")


if __name__ == "__main__":
    main()
