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
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from whole_run import make_pictures

BAR = 0.01
MEASURED = """\
import json
import sys
import time
from pathlib import Path

import seewhy.cli.generate as command

job, show = command._job, command.show_outcome
what, place = sys.argv[1:3]
explaining = [0.0]


def noted(console, outcome, folder):
    explaining.append(outcome.seconds)
    show(console, outcome, folder)


def timed(config):
    begun = time.perf_counter()
    code = 0 if what == "nothing" else job(config)
    found = {"engine": time.perf_counter() - begun, "explaining": explaining[-1], "torch": "torch" in sys.modules}
    Path(place).write_text(json.dumps(found), "utf-8")
    return code


command._job, command.show_outcome = timed, noted
sys.exit(command.generate_artifacts(sys.argv[3:]))
"""


@dataclass(frozen=True)
class Process:
    """Seconds of a whole process, of its engine, and of explaining alone as it told them; whether it loaded torch."""

    whole: float
    engine: float
    explaining: float
    torch: bool


def measured(folder: Path, words: Sequence[str], *, nothing: bool = False) -> Process:
    """Run the command in a process of its own, with its run in ``folder/run``."""
    place, what = folder / "measured.json", "nothing" if nothing else "job"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, what, str(place), *words, f"output_dir={folder / 'run'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    whole = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(place.read_text("utf-8"))
    return Process(whole, **found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="of the second run and of the empty command")
    asked = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_pictures(folder / "photos" / "test", asked.pictures)
        model = timm.create_model("resnet18", num_classes=2)
        save_file(dict(model.state_dict()), folder / "model.safetensors")
        words = [
            "model=timm", "model.name=resnet18", "model.num_classes=2", "data=image_folder",
            f"data.root={folder / 'photos'}", "data.num_workers=1", f"ckpt_path={folder / 'model.safetensors'}",
        ]  # fmt: skip
        first = measured(folder, words)
        rounds = [(measured(folder, words), measured(folder, words, nothing=True)) for _ in range(asked.rounds)]
        ordinary = measured(folder, [*words, "recheck=true"])
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
