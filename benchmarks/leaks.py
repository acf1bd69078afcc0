"""How resident memory grows per call of every method, by a straight line through the calls after a warm-up."""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.targets import Logit
from seewhy.values import MissingExtraError

BAR_KB = 1.0
SAMPLES = {"num_samples": 4, "num_masks": 8, "steps": 4, "segments": 2}
"""Few samples: growth per call does not depend on them, and a thousand calls must end."""
REQUIRED: dict[str, dict[str, Any]] = {"external": {"name": "captum.Saliency"}}
"""Settings that have no default."""


class Network(nn.Module):
    """Convolutions, or patches and attention, in front of one linear head."""

    def __init__(self, *, attends: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False) if attends else None
        self.act, self.head = nn.ReLU(), nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        features = self.act(self.conv(image)).flatten(2)
        if self.encoder is None:
            return self.head(features.mean(dim=2))
        return self.head(self.encoder(features.transpose(1, 2)).mean(dim=1))


def asking(name: str) -> Callable[[], Any]:
    """One call of a method on a tiny network."""
    torch.manual_seed(0)
    method, inputs = METHODS[name], {"image": torch.randn(1, 3, 16, 16)}
    adapter = Adapter(
        Network(attends=method.needs_attention).eval(), inputs, normalisation=Normalisation((0.5,) * 3, (0.5,) * 3)
    )
    settings = {key: few for key, few in SAMPLES.items() if key in method.settings} | REQUIRED.get(name, {})
    probe = Probe(adapter, [Logit()])
    return lambda: Asked(name, settings=settings)(probe, inputs)


def slope(call: Callable[[], Any], calls: int, seconds: float) -> tuple[float, int]:
    """Kilobytes per call by least squares, and over how many calls: as many as end within ``seconds``."""
    for _ in range(max(calls // 10, 5)):
        call()
    gc.collect()
    sizes, deadline = [], time.monotonic() + seconds
    while len(sizes) < calls and time.monotonic() < deadline:
        call()
        if len(sizes) % 50 == 0:
            gc.collect()
        sizes.append(resident_kilobytes())
    return float(np.polyfit(np.arange(len(sizes)), sizes, 1)[0]), len(sizes)


def resident_kilobytes() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024


def measure(name: str, calls: int, seconds: float) -> str:
    """One line of the table."""
    try:
        found, counted = slope(asking(name), calls, seconds)
    except MissingExtraError as error:
        return f"{name:<28}{'–':>12}{'–':>10}  needs {error.package}"
    return f"{name:<28}{round(found, 3) + 0.0:12.3f}{counted:10}  {'' if found <= BAR_KB else 'above the bar'}"


def main() -> None:
    """Print the table, one fresh process per method, so that no method pays for another's caches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="at most this long for one method")
    parser.add_argument("--method", help="this one only, in this process")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.method:
        print(measure(asked.method, asked.calls, asked.seconds))
        return
    print(f"{'method':<28}{'KB per call':>12}{'calls':>10}  (at most {BAR_KB:g} KB)", flush=True)
    limits = ["--calls", str(asked.calls), "--seconds", str(asked.seconds)]
    for name in METHODS:
        subprocess.run([sys.executable, __file__, "--method", name, *limits], check=False)


if __name__ == "__main__":
    main()
