"""The same command a second time over unchanged data: 200 pictures, ResNet-18 at 224 pixels, against its first run.

Three processes of one program, each timed from its start: an *empty* command (Python, Hydra and the composed
configuration, then nothing), the *first* run, and the *second*. What a command itself took, its engine time, is the
time from the composed configuration to the end: for the first run loading torch, the model and the data, computing and
writing; for the second run deciding and printing. It is measured inside the process; the whole processes are printed
beside it, and the ratio to what the first run says that explaining alone took, which is the stricter one. ``ordinary``
is a second run that was told to look into every file (``recheck=true``).

A second run loads torch where the code of seewhy was edited meanwhile: that is a change, too.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

BAR = 0.01
MEASURED = """\
import sys
import time

import seewhy.cli.generate as command

job = command._job
nothing = sys.argv.pop(1) == "nothing"


def timed(config):
    begun = time.perf_counter()
    code = 0 if nothing else job(config)
    print("engine", time.perf_counter() - begun, "torch" in sys.modules)
    return code


command._job = timed
sys.exit(command.generate_artifacts(sys.argv[1:]))
"""


def make_pictures(root: Path, count: int) -> None:
    """Crops of two real photographs, 320 x 240, as JPEG."""
    photos = load_sample_images().images
    generator = np.random.default_rng(0)
    for index in range(count):
        photo = photos[index % 2]
        top, left = (int(generator.integers(0, limit)) for limit in (photo.shape[0] - 240, photo.shape[1] - 320))
        folder = root / "test" / f"class_{index % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[top : top + 240, left : left + 320]).save(folder / f"{index:05d}.jpg", quality=90)


@dataclass(frozen=True)
class Process:
    """Seconds of a whole process, of its engine, and of explaining alone as it told them; whether it loaded torch."""

    whole: float
    engine: float
    explaining: float
    torch: bool


def measured(words: Sequence[str], *, nothing: bool = False) -> Process:
    """Run the command in a process of its own."""
    begun = time.perf_counter()
    what = "nothing" if nothing else "job"
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, what, *words], capture_output=True, text=True, check=False
    )  # fmt: skip
    whole = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr)
    _, engine, loaded = done.stdout.split()
    told = re.search(r"computed.* in ([0-9.]+) s", done.stderr)
    return Process(whole, float(engine), float(told[1]) if told else 0.0, loaded == "True")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="of the second run and of the empty command")
    asked = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_pictures(folder / "photos", asked.pictures)
        model = timm.create_model("resnet18", num_classes=2)
        save_file(dict(model.state_dict()), folder / "model.safetensors")
        words = [
            "model=timm", "model.name=resnet18", "model.num_classes=2", "data=image_folder",
            f"data.root={folder / 'photos'}", "data.num_workers=1", f"ckpt_path={folder / 'model.safetensors'}",
            f"output_dir={folder / 'run'}",
        ]  # fmt: skip
        first = measured(words)
        rounds = [(measured(words), measured(words, nothing=True)) for _ in range(asked.rounds)]
        ordinary = measured([*words, "recheck=true"])
    second, empty = zip(*rounds, strict=True)
    if any(process.torch for process in second):
        raise SystemExit("a second run loaded torch")
    engine, whole = (statistics.median(getattr(one, name) for one in second) for name in ("engine", "whole"))
    print(f"{asked.pictures} pictures, seconds: whole process, engine, explaining alone")
    print(f"empty command   {statistics.median(one.whole for one in empty):8.3f}")
    print(f"first run       {first.whole:8.3f} {first.engine:8.3f} {first.explaining:8.1f}")
    print(f"second run      {whole:8.3f} {engine:8.3f}            (medians of {asked.rounds}, torch not loaded)")
    print(f"ordinary second {ordinary.whole:8.3f} {ordinary.engine:8.3f} {ordinary.explaining:8.1f}   (recheck=true)")
    print(f"engine, second / first: {engine / first.engine:.5f} (bar {BAR})")
    print(f"second run's engine / explaining alone: {engine / first.explaining:.5f}")
    print(f"whole process, second / first: {whole / first.whole:.3f}")


if __name__ == "__main__":
    main()
