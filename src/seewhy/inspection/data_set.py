"""Samples of a data set through an inspector: by their numbers in the data set, batch by batch, each batch written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from seewhy.data.batching import load_batches
from seewhy.data.records import Batch, Dataset
from seewhy.inspection.inspector import Activations, FeatureMapInspector
from seewhy.models.calling import frames_second
from seewhy.ops import chunks
from seewhy.values import ConfigError, Json


@runtime_checkable
class TellsOfRecords(Protocol):
    """A data set that knows plain facts of its records, such as a clip's verb and noun."""

    def info(self, position: int) -> Mapping[str, Json]:
        """The facts of one record."""
        ...


@dataclass(frozen=True)
class Inspected:
    """One batch that held samples asked for: their numbers and positions, what reading said of each record by id, what
    was kept, and the files written."""

    pairs: tuple[tuple[int, int], ...]
    positions: tuple[int, ...]
    inputs: Mapping[str, Tensor]
    notes: Mapping[str, tuple[str, ...]]
    activations: Activations
    statistics: Mapping[str, Mapping[str, Any]]
    files: tuple[Path, ...]


@dataclass
class DataSetInspection:
    """What is asked of a data set.

    ``positions`` are the records that count, in order: sample 0 is the first of them. ``samples`` and ``timesteps`` are
    looked into, every pair of them; ``records`` so many samples are run for the statistics over many inputs (None: the
    batches that hold the samples). ``channels`` are drawn of each layer, none if 0. ``failures`` collects, by record
    id, the samples that could not be read.
    """

    dataset: Dataset
    positions: Sequence[int]
    samples: Sequence[int]
    timesteps: Sequence[int] = (0,)
    batch_size: int = 2
    num_workers: int = 0
    records: int | None = None
    frames_first: Sequence[str] = ()
    batch_info: Mapping[str, Json] = field(default_factory=dict)
    suffix: str = ""
    format: Literal["pkl", "safetensors"] = "pkl"
    channels: int = 16
    failures: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``ConfigError`` SW-F216 for a sample that the data set does not have, SW-F220 for a time step."""
        missing = [sample for sample in self.samples if sample >= len(self.positions)]
        if missing:
            raise ConfigError(
                "SW-F216",
                f"sample {missing[0]} was asked for, the data set has {len(self.positions)}",
                fix=f"use samples 0 to {len(self.positions) - 1}" if self.positions else "name a split with records",
            )
        steps = getattr(self.dataset, "frames", None) or 1
        late = [step for step in self.timesteps if step >= steps]
        if late:
            raise ConfigError(
                "SW-F220",
                f"time step {late[0]} was asked for, the samples have {steps}" + (" (no time)" if steps == 1 else ""),
                fix=f"use time steps 0 to {steps - 1}, or longer clips: --max_len {late[0] + 1}",
            )

    def run(self, inspector: FeatureMapInspector, watch: Callable[[Batch], None] | None = None) -> Iterator[Inspected]:
        """Read, run, measure and write; batches that only count for the statistics come first.

        A record that cannot be read is a failure of its own; the others go on.
        """
        self.check()
        batches = self._batches()
        refs = self.dataset.index()
        for batch in load_batches(self.dataset, batches, num_workers=self.num_workers):
            self.failures.update((refs[position].record_id, reason) for position, reason in batch.failures)
            if batch.records:
                inputs = frames_second(batch.inputs, self.frames_first)
                done = self._inspect(inspector, batch, inputs)
                if watch is not None:
                    watch(batch)
                if done is not None:
                    yield done

    def _batches(self) -> list[list[int]]:
        """The batches to run, each of positions; those without a sample asked for first."""
        several = list(chunks(len(self.positions), self.batch_size))
        wanted = set(self.samples)
        asked = [few for few in several if wanted & set(few)]
        others = [few for few in several if few.start < (self.records or 0) and not wanted & set(few)]
        return [[self.positions[number] for number in few] for few in (*others, *asked)]

    def _inspect(self, inspector: FeatureMapInspector, batch: Batch, inputs: Mapping[str, Tensor]) -> Inspected | None:
        numbers = {position: number for number, position in enumerate(self.positions)}
        wanted = set(self.samples)
        rows = [row for row, position in enumerate(batch.positions) if numbers[position] in wanted]
        if not rows:
            inspector.measure(dict(inputs))
            return None
        inspector.set_targets([(row, step) for row in rows for step in self.timesteps])
        pairs = tuple((numbers[batch.positions[row]], step) for row in rows for step in self.timesteps)
        activations = inspector.extract_features(dict(inputs), names=pairs)
        positions = tuple(batch.positions[row] for row in rows for _ in self.timesteps)
        told = dict(zip(batch.positions, (record.notes for record in batch.records), strict=True))
        infos = [self._info(position) | {"notes": list(told[position])} for position in positions]
        files = inspector.save_features(infos, self.suffix, self.format)
        if self.channels:
            for layer in activations:
                inspector.visualize_feature_maps(layer, self.channels)
        statistics = inspector.get_feature_statistics()
        notes = {batch.records[row].record_id: batch.records[row].notes for row in rows}
        return Inspected(pairs, positions, inputs, notes, activations, statistics, tuple(files))

    def _info(self, position: int) -> dict[str, Json]:
        ref = self.dataset.index()[position]
        known: dict[str, Json] = {"record_id": ref.record_id, "split": ref.split, "label": ref.label}
        if isinstance(self.dataset, TellsOfRecords):
            known |= self.dataset.info(position)
        return known | dict(self.batch_info)
