"""What ``inspect_features`` does with its words: open the data set and the model, look inside, write, tell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from seewhy.cli.inspect_features import numbers
from seewhy.cli.inspect_source import InspectedSource, open_source
from seewhy.cli.layers import aligned
from seewhy.data.clip_folder import ClipFolder
from seewhy.data.records import Assumes, Batch
from seewhy.inspection.data_set import DataSetInspection, Inspected
from seewhy.inspection.gaze_agreement import GazeAgreement, KnowsGaze, write_comparison
from seewhy.inspection.inspector import FeatureMapInspector
from seewhy.inspection.layer_plots import free_folder
from seewhy.metrics.gaze_comparison import GazeComparison
from seewhy.models.borrow import unwrapped
from seewhy.models.calling import first_convolution
from seewhy.remote.address import name_of
from seewhy.values import ConfigError, nearest

GAZE_METRICS = ("kld", "sim", "auc_judd", "nss")
HEADER = ("Layer", "Shape", "Mean", "Std", "Sparsity", "Channels", "Near zero", "Dead")


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; the exit code. Raises ``SeewhyError`` for what cannot be done, before any long work."""
    samples = _chosen(asked, "batch_idx", "samples")
    free_folder(asked.save_dir)
    timesteps = _chosen(asked, "timestep", "timesteps")
    source = open_source(asked)
    positions = _positions(source, asked.split)
    inspector = FeatureMapInspector(
        source.model.module, asked.save_dir, asked.layers, frames_first=_frames_first(source, asked.frames_first)
    )
    task = DataSetInspection(
        source.dataset,
        positions,
        samples,
        timesteps,
        batch_size=source.batch_size,
        num_workers=asked.workers,
        records=_records(asked.records, len(positions)),
        frames_first=_frames_first(source, asked.frames_first),
        batch_info=_info(asked, source),
        suffix=f"_{asked.dset}_{_size_word(source.size)}",
        format=asked.format,
        channels=0 if asked.no_plots else asked.num_channels,
    )
    task.check()
    for line in _introduction(asked, source, inspector):
        print(line)
    gaze = _gaze(source)
    with inspector:
        for done in task.run(inspector, _say_batch):
            for line in _told(done, inspector, plots=not asked.no_plots):
                print(line)
            if gaze is not None:
                gaze.add(done)
    if gaze is not None:
        for line in _gaze_lines(gaze, asked.save_dir / f"gaze{task.suffix}.json"):
            print(line)
    for name, reason in inspector.reader.skipped.items():
        print(f"note: {name} is left out: {reason}")
    for record, reason in task.failures.items():
        print(f"failed: {record}: {reason}", file=sys.stderr)
    return int(bool(task.failures))


def _chosen(asked: argparse.Namespace, one: str, several: str) -> list[int]:
    """The numbers of an option or of its plural."""
    single, plural = getattr(asked, one), getattr(asked, several)
    if single is not None and plural is not None:
        raise ConfigError("SW-F217", f"--{one} and --{several} were both given", fix=f"give --{several} alone")
    if single is not None and single < 0:
        raise ConfigError("SW-F217", f"--{one} counts from 0, got {single}", fix=f"--{one} 0")
    return [single or 0] if plural is None else numbers(plural, f"--{several}")


def _records(text: str | None, available: int) -> int | None:
    if text is None or text == "all":
        return None if text is None else available
    if not text.isdecimal() or not int(text):
        raise ConfigError("SW-F218", f"--records is a number of samples or all, got {text!r}", fix="--records 100")
    return int(text)


def _positions(source: InspectedSource, split: str | None) -> list[int]:
    refs = source.dataset.index()
    if split is None:
        return list(range(len(refs)))
    found = [position for position, ref in enumerate(refs) if ref.split == split]
    splits = list(dict.fromkeys(ref.split for ref in refs))
    if not found:
        raise ConfigError(
            "SW-F219", f"the data set has no split {split!r}", near=nearest(split, splits),
            fix=f"use one of {', '.join(splits)}",
        )  # fmt: skip
    return found


def _frames_first(source: InspectedSource, told: str) -> tuple[str, ...]:
    """The inputs of clips that the model takes with their frames first, as one of pictures does."""
    clips = ("video",) if getattr(source.dataset, "frames", None) else ()
    by_convolution = isinstance(first_convolution(unwrapped(source.model.module)), nn.Conv2d)
    return clips if told == "yes" or (told == "auto" and by_convolution) else ()


def _info(asked: argparse.Namespace, source: InspectedSource) -> dict[str, Any]:
    return {
        "dataset": asked.dset,
        "checkpoint": name_of(asked.checkpoint),
        "weights": source.model.weights,
        "image_size": source.size if isinstance(source.size, int) else list(source.size),
    }


def _size_word(size: int | tuple[int, ...]) -> str:
    return str(size) if isinstance(size, int) else "x".join(map(str, size)) or "native"


def _introduction(asked: argparse.Namespace, source: InspectedSource, inspector: FeatureMapInspector) -> Iterator[str]:
    yield f"model: {source.model.weights}"
    yield f"data: {asked.dset}, {len(source.dataset.index())} records"
    if isinstance(source.dataset, Assumes):
        yield from (f"assumed {about}: {what}" for about, what in source.dataset.assumptions().items())
    yield from (f"Layer {name} ({place})" for name, place in inspector.reader.layers.items())


def _gaze(source: InspectedSource) -> GazeAgreement | None:
    """Where people looked, if the data set has a table of it."""
    annotated = isinstance(source.dataset, ClipFolder) and source.dataset.has_gaze
    return GazeAgreement(source.dataset) if annotated and isinstance(source.dataset, KnowsGaze) else None


def _gaze_lines(gaze: GazeAgreement, path: Path) -> Iterator[str]:
    if not gaze.looked:
        yield "gaze: none of the samples has a point"
        return
    found = gaze.compared()
    yield "where the layers respond (mean magnitude of channels) and where people looked:"
    rows: list[Sequence[str]] = [("Layer", "maps", *GAZE_METRICS)]
    alone = gaze.looked < 2
    for layer, comparison in found.items():
        rows.append(_gaze_row(layer, "model", comparison))
        rows += [] if alone else [_gaze_row("", "chance", comparison)]
    any_layer = next(iter(found.values()), None)
    rows += [] if any_layer is None else [_gaze_row("none", who, any_layer) for who in ("centre", "uniform")]
    yield from aligned(rows)
    chance = "one sample has no other's points to stand for chance; " if alone else ""
    yield f"of {gaze.looked} samples with points; {chance}KLD: lower is closer; all rows: {path}"
    write_comparison(found, path)


def _gaze_row(layer: str, who: str, comparison: GazeComparison) -> Sequence[str]:
    return (layer, who, *(f"{comparison.scores[who][metric].mean:.3f}" for metric in GAZE_METRICS))


def _say_batch(batch: Batch) -> None:
    shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in batch.inputs.items())
    print(f"Processing batch with shape: {shapes}", flush=True)


def _told(done: Inspected, inspector: FeatureMapInspector, *, plots: bool) -> Iterator[str]:
    for record, step in done.pairs:
        yield f"Target set to batch[{record}], timestep[{step}]"
    yield from (f"note: {record}: {note}" for record, notes in done.notes.items() for note in notes)
    rows = [HEADER, *(_row(name, found) for name, found in done.statistics.items())]
    yield from aligned(rows)
    records = max((found.get("population_records", 0) for found in done.statistics.values()), default=0)
    yield f"dead channels: of {records} inputs (records and time steps)"
    yield from (f"Features saved to {path}" for path in done.files)
    if plots:
        yield f"Plots saved to {Path(inspector.save_dir)}"


def _row(name: str, found: Mapping[str, Any]) -> Sequence[str]:
    shape = "×".join(map(str, found["shape"]))
    dead = found.get("population_dead_channels", found["dead_channels"])
    return (
        name, shape, f"{found['mean']:.4f}", f"{found['std']:.4f}", f"{found['sparsity']:.1%}",
        str(found["num_channels"]), f"{found['near_zero']:.1%}", str(len(dead)),
    )  # fmt: skip
