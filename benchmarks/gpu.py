"""What explanations cost on a GPU, beside bare inference there: one command, one table for docs/performance.md.

Run: ``python benchmarks/gpu.py``. Without a GPU it says so and does nothing. ``--device cpu --small`` goes the same way
with tiny models and few pictures, so that the script itself can be tried anywhere.

For ResNet-50 and ViT-B/16 (random weights) at 224², in batches of 64, in float32 without and with TF32, and in bf16:

- the whole command from its plan on (loader, embeddings, Grad-CAM, attention, shards, exports; no start-up, no pictures
  drawn, no report) against inference over the same loader and the same batches, in time (once up to the last shard,
  once with what is exported at the end) and in peak memory of the GPU;
- from batches that lie in page-locked memory: the engine against the model alone, and one batch after the other against
  copies and host work beside the model, as in a run;
- how many operations make the host wait, for a batch of 2 and a full one, as torch counts them.

Then the rank correlation of bf16 maps, a hit of the cache and ``BatchProcessor`` on ResNet-18. Every ratio is one of
medians of interleaved rounds after a warm-up; the clock stops when the GPU is done.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

import seewhy
from seewhy.core import Inputs
from seewhy.data.batching import load_batches
from seewhy.data.image_folder import ImageFolder
from seewhy.data.records import Batch
from seewhy.pipeline.device_feed import feed
from seewhy.pipeline.engine import Engine
from seewhy.pipeline.job import prepare
from seewhy.pipeline.precision_check import precision_note
from seewhy.pipeline.settings import Settings
from whole_run import Clock, make_pictures

PRECISIONS = ("fp32", "tf32", "bf16")
COLUMNS = (
    "model", "precision", "inference, images/s", "command, images/s", "command / inference", "with exports",
    "peak memory", "engine / model alone", "in turn / overlapped", "operations that wait, 2 records → full batch",
)  # fmt: skip
Call = Callable[[], object]


@dataclass(frozen=True)
class Bench:
    """Where and how much is measured."""

    device: torch.device
    pictures: int
    batch: int
    size: int
    workers: int
    rounds: int
    dataset: ImageFolder

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    def loaded(self, positions: Sequence[int]) -> Generator[Batch, None, None]:
        """The batches as a run loads them."""
        plan = [list(positions[start : start + self.batch]) for start in range(0, len(positions), self.batch)]
        return load_batches(self.dataset, plan, num_workers=self.workers, pin_memory=self.gpu)

    def seconds(self, call: Call) -> float:
        """On the clock, until the device is done."""
        self.wait()
        begun = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - begun

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize(self.device)

    def peak(self, call: Call) -> float:
        """The most bytes on the GPU during a call; 0 elsewhere."""
        if not self.gpu:
            call()
            return 0.0
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        call()
        return float(torch.cuda.max_memory_allocated(self.device))

    def medians(self, *calls: Callable[[], float]) -> list[float]:
        """Of what the calls return, taking turns, after each ran once for nothing."""
        for call in calls:
            call()
        rounds = [[call() for call in calls] for _ in range(self.rounds)]
        return [median(column) for column in zip(*rounds, strict=True)]


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[str]:
    """TF32 as asked while open; yields what a run's setting is called."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = name != "fp32" and device.type == "cuda"
    try:
        yield "bf16" if name == "bf16" else "32"
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def infer(bench: Bench, model: nn.Module, batches: Iterator[Batch], autocast: bool) -> Tensor:
    """Probabilities of every record, on the host."""
    with torch.inference_mode(), torch.autocast(bench.device.type, torch.bfloat16, enabled=autocast):
        given = (batch.inputs["image"].to(bench.device, non_blocking=True) for batch in batches)
        return torch.cat([model(images).softmax(dim=1) for images in given]).cpu()


class Shards(Clock):
    """Also knows when the last shard was there."""

    def committed(self, *_: Any) -> None:
        self.last = time.perf_counter()


def whole_command(bench: Bench, model: nn.Module, setting: str) -> tuple[float, float]:
    """Seconds from the plan to the last shard, and to the last export."""
    clock: Any = Shards()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seewhy.run(
            model, bench.dataset, Path(folder) / "run", observer=clock, render="none", generate_report=False,
            batch_size=bench.batch, num_workers=bench.workers, precision=setting,
        )  # fmt: skip
        return clock.last - clock.begun, time.perf_counter() - clock.begun


def engine_for(bench: Bench, model: nn.Module, setting: str) -> Callable[[], Engine]:
    """Makes engines for the questions of a whole run."""
    job = prepare(model, bench.dataset, Settings.of(precision=setting))
    return lambda: Engine(job.adapter, job.found.questions, tokens=job.found.tokens, batch_size=bench.batch)


def waits(bench: Bench, engine: Engine, inputs: Inputs, batch: Batch, records: int) -> str:
    """How many operations on this batch's first records let the host wait, as torch counts them."""
    if not bench.gpu:
        return "–"
    part = Batch(batch.positions[:records], batch.records[:records], {k: v[:records] for k, v in inputs.items()})
    list(engine.explain(part))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            list(engine.explain(part))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return str(sum("synchronizing" in str(one.message) for one in seen))


def row(bench: Bench, name: str, model: nn.Module, kind: str) -> str:
    """One line of the table."""
    with precision(kind, bench.device) as setting:

        def bare() -> Tensor:
            return infer(bench, model, bench.loaded(range(bench.pictures)), setting == "bf16")

        ended: list[float] = []

        def command() -> float:
            shards, everything = whole_command(bench, model, setting)
            ended.append(everything)
            return shards

        inference, shards = bench.medians(lambda: bench.seconds(bare), command)
        memory = bench.peak(bare), bench.peak(lambda: whole_command(bench, model, setting))
        lying = from_memory(bench, model, setting)
    ratio = f"{memory[1] / memory[0]:.2f}" if memory[0] else "–"
    rates = f"{bench.pictures / inference:,.0f} | {bench.pictures / shards:,.0f}"
    return (
        f"| {name} | {kind} | {rates} | {shards / inference:.2f} | {median(ended[1:]) / inference:.2f} "
        f"| {ratio} | {lying} |"
    )


def from_memory(bench: Bench, model: nn.Module, setting: str) -> str:
    """The last columns: without loader and shards."""
    held = list(bench.loaded(range(min(bench.pictures, 8 * bench.batch))))
    engine = engine_for(bench, model, setting)

    def overlapped() -> object:
        batches = (batch for batch in held)
        return list(engine().explain_all(feed(batches, bench.device)))

    def in_turn() -> object:
        return [list(engine().explain(batch)) for batch in held]

    alone, beside, turns = bench.medians(
        lambda: bench.seconds(lambda: infer(bench, model, iter(held), setting == "bf16")),
        lambda: bench.seconds(overlapped),
        lambda: bench.seconds(in_turn),
    )
    there = {key: value.to(bench.device) for key, value in held[0].inputs.items()}
    counted = [waits(bench, engine(), there, held[0], records) for records in (2, bench.batch)]
    return f"{beside / alone:.2f} | {turns / beside:.2f} | {' → '.join(counted)}"


def cache_line(bench: Bench, model: nn.Module, image: Tensor) -> str:
    """A hit against the computation it saves, one image."""
    with tempfile.TemporaryDirectory() as folder:
        kept, asked = seewhy.GradCAM(model, cache=seewhy.ExplanationCache(folder)), seewhy.GradCAM(model)
        hit, computed = bench.medians(
            lambda: bench.seconds(lambda: kept.explain(image)), lambda: bench.seconds(lambda: asked.explain(image))
        )
    return f"- Cache hit / Grad-CAM of one image: {hit / computed:.2f} ({1000 * hit:.2f} / {1000 * computed:.2f} ms)"


def processor_line(bench: Bench, model: nn.Module, images: Tensor) -> str:
    """``BatchProcessor`` against inference of the same chunks, both from the host's memory."""
    processor = seewhy.BatchProcessor(model, seewhy.GradCAM(model), batch_size=len(images), show_progress=False)

    @torch.inference_mode()
    def bare() -> Tensor:
        return model(images.to(bench.device)).cpu()

    inference, explained = bench.medians(
        lambda: bench.seconds(bare), lambda: bench.seconds(lambda: processor.process_batch(images))
    )
    return f"- `BatchProcessor` of {len(images)} / inference of the same: {explained / inference:.2f}"


def models(small: bool, size: int) -> dict[str, nn.Module]:
    """By name, at random weights."""
    if small:
        return {
            "test_resnet": timm.create_model("test_resnet"),
            "test_vit": timm.create_model("test_vit", img_size=size),
        }
    return {"ResNet-50": torchvision.models.resnet50(), "ViT-B/16": timm.create_model("vit_base_patch16_224")}


def measure(bench: Bench, small: bool) -> None:
    """Print the table, then the lines below it."""
    found = {name: model.eval().to(bench.device) for name, model in models(small, bench.size).items()}
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name, model in found.items():
        for kind in PRECISIONS:
            print(row(bench, name, model, kind), flush=True)
    print()
    for name, model in found.items():
        job = prepare(model, bench.dataset, Settings.of(precision="bf16"))
        print(f"- {name}: {precision_note(job)['precision']}", flush=True)
    resnet18 = timm.create_model("test_resnet") if small else torchvision.models.resnet18()
    resnet18.eval().to(bench.device)
    images = torch.stack([bench.dataset.read(at).inputs["image"] for at in range(bench.batch)])
    print(cache_line(bench, resnet18, images[0]), flush=True)
    print(processor_line(bench, resnet18, images), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Explanations on a GPU beside bare inference.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny models and few pictures")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--rounds", type=int)
    asked = parser.parse_args()
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no GPU on this machine: nothing was measured.")
        return
    torch.manual_seed(0)
    batch, size = (4, 64) if asked.small else (64, 224)
    pictures = asked.pictures or (8 if asked.small else 4096)
    workers = 0 if asked.small else min(16, os.cpu_count() or 1)
    device = torch.device(asked.device)
    called = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), pictures)
        dataset = ImageFolder(folder, size=(size, size))
        rounds = asked.rounds or (1 if asked.small else 3)
        told = f"{called}, torch {torch.__version__}, {workers} loader processes, {pictures} JPEGs"
        print(f"{told}, batches of {batch} at {size}², random weights, medians of {rounds} interleaved rounds.")
        print("A command is timed from its plan on: importing, building and tracing the model are left out.\n")
        measure(Bench(device, pictures, batch, size, workers, rounds, dataset), asked.small)
    print(f"\nTook {time.perf_counter() - begun:.0f} s.")


if __name__ == "__main__":
    main()
