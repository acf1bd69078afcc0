"""Explain a volume, a clip and a signal: where and when the evidence lies, as pictures, films and NIfTI maps.

    python examples/any_rank/any_rank_demo.py --output-dir any_rank

Trains three small networks on made data in a few seconds each, so it needs no download. What decides the class is
planted: a lesion in a scan, a square that moves, a beat that is too wide.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import torch
from torch import Tensor, nn

import seewhy

CONV = {1: nn.Conv1d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 3: nn.BatchNorm3d}
POOL = {1: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool3d}
Drawn = Callable[[int, np.random.Generator], np.ndarray]


class SmallNet(nn.Module):
    """Two convolutions, a mean over all places, a linear head: volumes and clips ``(B, C, T, H, W)``, signals too."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            CONV[rank](channels, 8, 5, stride=2, padding=2),
            NORM[rank](8),
            nn.ReLU(inplace=True),
            CONV[rank](8, 16, 3, padding=1),
            NORM[rank](16),
            nn.ReLU(inplace=True),
        )
        self.pool = POOL[rank](1)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("any_rank"))
    output_dir = parser.parse_args().output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    of_a_volume(output_dir)
    of_a_clip(output_dir)
    of_a_signal(output_dir)


def of_a_volume(output_dir: Path) -> None:
    """A scan as NIfTI; the map goes back into the scanner's own axes."""
    model = trained(SmallNet(3, 1), lambda label, random: scan(label, random)[0][None])
    voxels, lesion = scan(1, np.random.default_rng(100))
    affine = np.diag([-1.5, -1.5, 3.0, 1.0])  # stored from left to right, back to front, feet to head
    stored = voxels.transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(stored, affine), output_dir / "scan.nii.gz")
    result = seewhy.explain_volume(
        model, output_dir / "scan.nii.gz", scaling=seewhy.Window(0, 1), axes=None, class_names=["healthy", "lesion"]
    )
    for name in ("volume.png", "volume.tiff", "volume.nii.gz"):
        result.save(output_dir / name)
    peak = tuple(map(int, np.unravel_index(result["heatmap"].argmax(), result["heatmap"].shape)))
    print(f"Volume: {result['label']}, {result['confidence']:.0%}; lesion at {lesion[::-1]}, evidence peaks at {peak}")


def of_a_clip(output_dir: Path) -> None:
    """A film: the square that moves is the evidence, the one that stands still is not."""
    model = trained(SmallNet(3, 3), lambda label, random: film(label, random).transpose(3, 0, 1, 2) / 255.0)
    frames = film(1, np.random.default_rng(101))
    as_they_are = {"size": 32, "mean": (0.0,) * 3, "std": (1.0,) * 3, "crop": "none"}
    result = seewhy.explain_clip(model, frames, preprocessing=as_they_are, class_names=["at rest", "moving"])
    for name in ("clip.png", "clip.gif", "clip.mp4"):
        result.save(output_dir / name)
    print(f"Clip: {result['label']}, {result['confidence']:.0%}")


def of_a_signal(output_dir: Path) -> None:
    """Two leads at 100 Hz; one beat is too wide."""
    model = trained(SmallNet(1, 2), rhythm)
    result = seewhy.explain_signal(
        model, rhythm(1, np.random.default_rng(102)), leads=["I", "II"], sampling_rate=100,
        class_names=["regular", "wide beat"], save_path=output_dir / "signal.png",
    )  # fmt: skip
    print(f"Signal: {result['label']}, {result['confidence']:.0%}")


def scan(label: int, random: np.random.Generator) -> tuple[np.ndarray, tuple[int, ...]]:
    """A noisy scan ``(D, H, W)`` with a bright lesion if the label is 1, and where the lesion is."""
    centre = tuple(int(random.integers(5, length - 5)) for length in (16, 32, 32))
    grid = np.meshgrid(*(np.arange(length) for length in (16, 32, 32)), indexing="ij")
    distance = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))
    voxels = 0.3 + 0.1 * random.standard_normal((16, 32, 32)) + label * 0.6 * np.exp(-distance / 8)
    return voxels.clip(0, 1).astype(np.float32), centre


def film(label: int, random: np.random.Generator) -> np.ndarray:
    """Frames ``(8, 32, 32, 3)`` of a bright square at rest, and a second one that moves if the label is 1."""
    frames = random.integers(20, 60, (8, 32, 32, 3), dtype=np.uint8)
    y, x = random.integers(1, 10, 2)
    frames[:, y : y + 6, x : x + 6] = 220
    for time in range(8):
        left = 16 + (time if label else 0)
        frames[time, 20:26, left : left + 6] = 220
    return frames


def rhythm(label: int, random: np.random.Generator) -> np.ndarray:
    """Two leads ``(2, 400)`` of regular beats, the third of which is too wide if the label is 1."""
    time = np.arange(400)
    beats = np.array([50, 150, 250, 350]) + random.integers(-5, 5)
    widths = np.array([12, 12, 120 if label else 12, 12])
    wave = sum(np.exp(-((time - beat) ** 2) / width) for beat, width in zip(beats, widths, strict=True))
    return np.stack([wave, -0.6 * wave]) + 0.05 * random.standard_normal((2, 400))


def trained(model: nn.Module, draw: Drawn, steps: int = 80) -> nn.Module:
    """The model after some seconds of training on drawn examples."""
    random = np.random.default_rng(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        labels = random.integers(0, 2, 16)
        batch = np.stack([draw(int(label), random) for label in labels])
        loss = nn.functional.cross_entropy(model(torch.tensor(batch, dtype=torch.float32)), torch.from_numpy(labels))
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    return model.eval()


if __name__ == "__main__":
    main()
