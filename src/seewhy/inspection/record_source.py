"""Where records come from when a model is put to all of them: a data set, a list of pictures, or a loader's batches.

Each source gives batches with the records' positions, and reads single records again to show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from seewhy.data.batching import load_batches
from seewhy.data.records import Dataset, Slices, View, views_of
from seewhy.explain.prepared import ImageLike, chunks_of_one_shape, prepare, stem_of
from seewhy.explain.recipe import Recipe
from seewhy.features.given_batch import GivenBatch
from seewhy.features.layer_reader import LayerReader
from seewhy.features.requirements import require_choice
from seewhy.models.calling import frames_second
from seewhy.ops import chunks
from seewhy.pixels import to_rgb8
from seewhy.values import ConfigError


class RecordSource(Protocol):
    """What :func:`seewhy.inspection.excited_records.top_records` goes through."""

    failures: dict[str, str]

    def batches(self) -> Iterator[tuple[Sequence[int], Any]]:
        """The positions of a batch's records, and the batch as the model takes it."""
        ...

    def record_id(self, position: int) -> str:
        """What a record is called."""
        ...

    def views(self, positions: Sequence[int]) -> Mapping[int, View]:
        """These records as a person knows them, at the size that the model sees, read again."""
        ...


@dataclass
class DatasetRecords:
    """A data set of ours, in batches; a record that cannot be read is a failure of its own."""

    dataset: Dataset
    positions: Sequence[int]
    batch_size: int
    frames_first: Sequence[str] = ()
    num_workers: int = 0
    input_name: str | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def batches(self) -> Iterator[tuple[Sequence[int], Any]]:
        """As :class:`RecordSource` says."""
        plan = [[self.positions[number] for number in few] for few in chunks(len(self.positions), self.batch_size)]
        for batch in load_batches(self.dataset, plan, num_workers=self.num_workers):
            self.failures.update((self.record_id(position), reason) for position, reason in batch.failures)
            if batch.records:
                yield batch.positions, frames_second(batch.inputs, self.frames_first)

    def record_id(self, position: int) -> str:
        """As in the data set's index."""
        return self.dataset.index()[position].record_id

    def views(self, positions: Sequence[int]) -> Mapping[int, View]:
        """Read as before, so that a random crop is the same one."""
        found = {}
        for batch in load_batches(self.dataset, [[position] for position in positions]):
            for position, record in zip(batch.positions, batch.records, strict=True):
                found[position] = self._view(views_of(self.dataset, record.inputs))
        return found

    def _view(self, views: Mapping[str, View]) -> View:
        if len(views) == 1 and self.input_name is None:
            return next(iter(views.values()))
        require_choice("input_name", self.input_name, list(views))
        return views[str(self.input_name)]


@dataclass
class PictureRecords:
    """Pictures in a list, each prepared when its turn comes; called by their files' names, else by their numbers."""

    images: Sequence[ImageLike]
    recipe: Recipe
    dtype: torch.dtype
    batch_size: int
    failures: dict[str, str] = field(default_factory=dict)

    def batches(self) -> Iterator[tuple[Sequence[int], Any]]:
        """As :class:`RecordSource` says; pictures of one prepared size together."""
        for few in chunks(len(self.images), self.batch_size):
            pixels = [self._pixels(position) for position in few]
            for rows in chunks_of_one_shape([tuple(one.shape) for one in pixels], self.batch_size):
                yield [few[row] for row in rows], torch.stack([pixels[row] for row in rows])

    def record_id(self, position: int) -> str:
        """The name of the picture's file without its ending, or its number."""
        return stem_of(self.images[position]) or str(position)

    def views(self, positions: Sequence[int]) -> Mapping[int, View]:
        """The pictures as the model gets them, their normalisation undone."""
        return {position: prepare(self._pixels(position), self.recipe).draw() for position in positions}

    def _pixels(self, position: int) -> Tensor:
        return prepare(self.images[position], self.recipe, self.dtype).pixels


@dataclass
class LoaderRecords:
    """Batches as a loader gives them; records are called by their number in the loader's order."""

    loader: Iterable[Any]
    reader: LayerReader
    recipe: Recipe
    failures: dict[str, str] = field(default_factory=dict)

    def batches(self) -> Iterator[tuple[Sequence[int], GivenBatch]]:
        """As :class:`RecordSource` says."""
        first = 0
        for batch in self.loader:
            given = self.reader.given(batch)
            yield range(first, first + given.records), given
            first += given.records

    def record_id(self, position: int) -> str:
        """Its number."""
        return str(position)

    def views(self, positions: Sequence[int]) -> Mapping[int, View]:
        """Gone through a second time, without the model."""
        wanted, found = set(positions), dict[int, View]()
        for numbers, given in self.batches():
            for row, position in enumerate(numbers):
                if position in wanted:
                    found[position] = self._view(next(iter(given.inputs.values()))[row].cpu())
            if len(found) == len(wanted):
                break
        return found

    def _view(self, values: Tensor) -> View:
        if values.ndim == 2:
            lines: View = values.float().numpy()
            return lines
        if values.ndim == 4:
            return Slices(_frames(values))
        picture: View = prepare(values, self.recipe).draw()
        return picture


def _frames(values: Float[Tensor, "c n h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Slices or frames between their own lowest and highest value, since nobody tells how they came from pixels."""
    low, high = torch.aminmax(values.float())
    shown = (values.float() - low) / (high - low).clamp(min=1e-12)
    return np.stack([to_rgb8(frame) for frame in shown.transpose(0, 1)])


def require_repeatable(loader: Iterable[Any], *, read_again: bool) -> None:
    """Raise ``ConfigError`` SW-F209 for a loader whose order is another each time, or that can be gone through once."""
    if isinstance(loader, DataLoader) and not isinstance(loader.sampler, SequentialSampler):
        raise ConfigError(
            "SW-F209",
            f"the loader takes its records in the order of a {type(loader.sampler).__name__}, so that they have no "
            "numbers to be found again by",
            fix="give a DataLoader with shuffle=False, or the data set itself",
        )
    if read_again and iter(loader) is loader:
        raise ConfigError(
            "SW-F209",
            "the batches can be gone through once only, and the records that are drawn are read a second time",
            fix="give a list or a DataLoader, or leave save_path out",
        )
