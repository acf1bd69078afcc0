"""Size of a report and the time to make it: records with photographs of 224 pixels and ten maps each.

    python benchmarks/report.py [--records 1000] [--maps 10] [--grid 7]

Prints a line per size: bytes of the largest page, seconds, what a bare pass over the same rows takes, and the largest
memory. Pictures are made with the spectrum of photographs, since their bytes decide.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from seewhy.report.page import LARGEST_PAGE
from seewhy.report.static_report import report_pages
from seewhy.store.run_directory import RunDirectory
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Preview, RecordRow

QUESTIONS = {"gradcam@layer4": {"kind": "gradcam", "method": "gradcam", "layer": "layer4"}}
CHUNK = 256
DIFFERENT_PICTURES = 64


def photograph(seed: int, side: int = 224) -> bytes:
    """A JPEG whose amplitude falls with frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / side)
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((3, side, side))) * fall, s=(side, side))
    plane = (plane - plane.min()) / (plane.max() - plane.min()) * 255
    stream = BytesIO()
    Image.fromarray(plane.transpose(1, 2, 0).astype(np.uint8)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def write_run(root: Path, records: int, maps: int, grid: int) -> None:
    """A run of so many records."""
    rng = np.random.default_rng(0)
    pictures = [photograph(seed) for seed in range(DIFFERENT_PICTURES)]
    with RunDirectory.open(root, {"model": {"name": "synthetic"}, "data": {"data": "photographs"}}) as run:
        for start in range(0, records, CHUNK):
            rows = [_row(number, rng, pictures, maps, grid) for number in range(start, min(records, start + CHUNK))]
            run.commit("test", rows, QUESTIONS)
        run.finish()


def _row(number: int, rng: np.random.Generator, pictures: list[bytes], maps: int, grid: int) -> RecordRow:
    probabilities = rng.dirichlet(np.ones(1000) * 0.05).astype(np.float32)
    order = np.argsort(-probabilities)
    raw = rng.standard_normal((maps, grid, grid)).astype(np.float32)
    return RecordRow(
        f"n{number % 1000:08d}_{number:06d}",
        "test",
        number,
        label=int(order[int(number % 7 == 0)]),
        predicted=int(order[0]),
        confidence=float(probabilities[order[0]]),
        probabilities=probabilities,
        answers={"gradcam@layer4": Answer(raw, tuple(int(index) for index in order[:maps]))},
        previews=(Preview("image", "picture", pictures[number % DIFFERENT_PICTURES]),),
    )


def measure(root: Path) -> str:
    """What a report of the run costs."""
    reader = RunReader(root)
    begun = time.perf_counter()
    rows = sum(1 for _ in reader.rows("test", questions=list(QUESTIONS), previews=True))
    bare = time.perf_counter() - begun
    begun = time.perf_counter()
    sizes = [len(html) for _, html in report_pages(reader)]
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    verdict = "fits" if max(sizes) <= LARGEST_PAGE else "TOO LARGE"
    return (
        f"{rows} records: {len(sizes)} pages, largest {max(sizes) / 1e6:.2f} MB ({verdict}), {seconds:.1f} s "
        f"({1e3 * seconds / rows:.1f} ms a record, {seconds / bare:.1f} x a bare pass), {memory:.0f} MB"
    )


def main() -> None:
    """Write a run, make its report, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--maps", type=int, default=10)
    parser.add_argument("--grid", type=int, default=7)
    asked = parser.parse_args()
    for records in asked.records:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "run"
            write_run(root, records, asked.maps, asked.grid)
            print(measure(root), flush=True)


if __name__ == "__main__":
    main()
