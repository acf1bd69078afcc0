"""The records of a data set that excite a layer's channels most: as a table, and as a sheet of their pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from seewhy.data.records import Dataset
from seewhy.explain.explainer import require_batch_size
from seewhy.explain.prepared import each_image
from seewhy.explain.reading import require_model
from seewhy.explain.recipe import Given, Recipe, find_recipe
from seewhy.features.excited import REDUCTIONS, Excited, MostExcited, Reduce
from seewhy.features.named_layer import reader_of_one
from seewhy.features.requirements import require_channel, require_choice, require_count
from seewhy.inspection.feature_page import Destination, save_page
from seewhy.inspection.record_source import (
    DatasetRecords,
    LoaderRecords,
    PictureRecords,
    RecordSource,
    require_repeatable,
)
from seewhy.inspection.record_view import seen_record
from seewhy.models.calling import takes_signals
from seewhy.models.weights import dtype_of
from seewhy.ops import chunks
from seewhy.render.excited_sheet import ExcitedChannel, excited_sheet
from seewhy.render.excited_sheet import ExcitedRecord as DrawnRecord
from seewhy.values import ConfigError, DataError

MOST_DRAWN: Final = 8
"""Channels on a sheet where none are named: those with the highest values."""
Channels: TypeAlias = int | Iterable[int] | None
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExcitedRecord:
    """A record that excites a channel: its id, its ``position`` in the data, how much (``value``, raw), the cell where
    the channel is highest (``place``, by axis of the layer) and the channel's ``map`` ``(*S)``, raw.
    """

    record_id: str
    position: int
    value: float
    place: tuple[int, ...]
    map: Float[Tensor, "*s"]


class ExcitedRecords(dict[int, list[ExcitedRecord]]):
    """By channel, the records that excite it most, the most excited first.

    ``records`` is how many were looked at, ``failures`` says by id why one could not be read, ``nonfinite`` counts by
    channel the records left out since their value is no finite number.
    """

    layer: str
    records: int
    failures: Mapping[str, str]
    nonfinite: Mapping[int, int]


def top_records(
    model: nn.Module,
    data: Any,
    layer: Any,
    channels: Channels = None,
    top_k: int = 9,
    reduce: Reduce = "max",
    save_path: Destination | None = None,
    batch_size: int = 32,
    *,
    split: str | None = None,
    preprocessing: Given | Recipe = None,
    frames_first: Sequence[str] = (),
    input_name: str | None = None,
    num_workers: int = 0,
) -> ExcitedRecords:
    """Find the records that excite each channel of a layer most, in one pass over any number of them.

    Kept are ``top_k`` numbers and maps for each channel, never a picture; those on the sheet are read again. Of equal
    values the earlier record comes first, so that neither the batch size nor the order of batches decides.

    Args:
        model: any model; it is asked in evaluation mode where it is, and given back as it was.
        data: a data set of ours; a list of pictures (paths, PIL images, arrays, prepared tensors ``(C, H, W)``); or a
            tensor of records, or a loader of batches, as :class:`seewhy.features.layer_reader.LayerReader` takes them.
        layer: its name.
        channels: one or several; all if None.
        top_k: how many records for each channel.
        reduce: what of a channel counts: its highest (``"max"``) or its mean activation over places and time steps.
        save_path: where the sheet goes; where no channels are named, it shows the 8 with the highest values.
        batch_size: records in a forward, of a data set or of pictures.
        split: the part of a data set that is looked at; all of it if None.
        preprocessing: how pictures become inputs, where the model does not tell.
        frames_first: inputs of a data set that the model takes as ``(B, T, C, H, W)``.
        input_name: which input of records with several is shown.
        num_workers: loader processes of a data set.

    Raises:
        LayerError: a layer that is not there.
        ConfigError: ``SW-F201`` a number of records, ``SW-F202`` a channel, ``SW-F208`` a word that is none of those to
            choose from, ``SW-F209`` a loader that cannot be gone through again, ``SW-F219`` no such split, ``SW-F75`` a
            batch size.
        DataError: ``SW-D53``, no records.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
        >>> _ = nn.init.ones_(model[0].weight)
        >>> found = top_records(model, [torch.full((1, 2, 2), value) for value in (3.0, 9.0, 5.0)], "0", top_k=2)
        >>> [(record.record_id, record.value) for record in found[0]]
        [('1', 9.0), ('2', 5.0)]
    """
    require_model(model)
    require_batch_size(batch_size)
    require_choice("reduce", reduce, REDUCTIONS)
    heap = MostExcited(require_count("top_k", top_k), reduce, _numbers(channels))
    reader = reader_of_one(model, layer, frames_first=tuple(frames_first) or None)
    ((name, _),) = reader.layers.items()
    recipe = preprocessing if isinstance(preprocessing, Recipe) else find_recipe(model, preprocessing)
    source: RecordSource
    single = 2 if takes_signals(reader.model) else 3
    if isinstance(data, Tensor) and data.ndim != 4 and data.ndim > single:
        data = [data[few.start : few.stop] for few in chunks(len(data), batch_size)]
    if isinstance(data, Dataset):
        positions = _positions(data, split)
        source = DatasetRecords(data, positions, batch_size, frames_first, num_workers, input_name)
        first = positions[:1]
    elif _is_loader(data, single):
        require_repeatable(data, read_again=save_path is not None)
        source, first = LoaderRecords(data, reader, recipe), [0]
    else:
        source = PictureRecords(each_image(data), recipe, dtype_of(model) or torch.float32, batch_size)
        first = [0]
    if save_path is not None:
        source.views(first)  # what cannot be shown is said before the long pass
    for numbers, batch in source.batches():
        given = reader.given(batch)
        maps = next(iter(reader.maps(given).values()))
        if heap.channels is not None:
            for channel in heap.channels:
                require_channel(channel, maps.shape[1], name)
        heap.add(numbers, _by_record(maps, given.records))
    if not heap.records:
        reasons = "; ".join(f"{record}: {reason}" for record, reason in list(source.failures.items())[:3])
        raise DataError("SW-D53", f"no record could be looked at{f' ({reasons})' if reasons else ''}", fix="give some")
    found = _found(name, heap, source)
    if save_path is not None:
        save_page(records_sheet(found, source, reduce, named=channels is not None), save_path)
    return found


def records_sheet(
    found: ExcitedRecords, source: RecordSource, reduce: Reduce, *, named: bool
) -> UInt8[np.ndarray, "height width 3"]:
    """The sheet of what was found, a row of pictures for each channel; their records are read again from ``source``.

    The colours of a channel share one scale, whose end is the highest value of the records shown.
    """
    shown = list(found) if named else sorted(found, key=lambda channel: (-_best(found[channel]), channel))[:MOST_DRAWN]
    shown = [channel for channel in shown if found[channel]]
    views = source.views(sorted({record.position for channel in shown for record in found[channel]}))
    rows = []
    for channel in shown:
        peak = max(float(record.map.max()) for record in found[channel])
        drawn = []
        for record in found[channel]:
            picture, heat, words = seen_record(views[record.position], record.map.numpy(), record.place, peak)
            label = f"{record.record_id}, {words}" if words else record.record_id
            drawn.append(DrawnRecord(picture, heat, label, record.value))
        rows.append(ExcitedChannel(f"channel {channel}", drawn, _note(found, channel, peak)))
    kind = "highest" if reduce == "max" else "mean"
    caption = [f"the records with the {kind} activation of each channel, among {found.records}"]
    if len(shown) < len(found):
        caption.append(f"{len(shown)} of {len(found)} channels, those with the highest values")
    if found.failures:
        caption.append(f"{len(found.failures)} records could not be read")
    page: NDArray[np.uint8] = excited_sheet(rows, heading=found.layer, caption=" · ".join(caption))
    return page


def _found(layer: str, heap: MostExcited, source: RecordSource) -> ExcitedRecords:
    def with_id(one: Excited) -> ExcitedRecord:
        return ExcitedRecord(source.record_id(one.position), one.position, one.value, one.place, one.map)

    found = ExcitedRecords({channel: [with_id(one) for one in each] for channel, each in heap.ranked().items()})
    found.layer, found.records = layer, heap.records
    found.failures, found.nonfinite = dict(source.failures), dict(heap.nonfinite)
    for record_id, reason in source.failures.items():
        log.warning("Record %s could not be read: %s", record_id, reason)
    return found


def _note(found: ExcitedRecords, channel: int, peak: float) -> str:
    notes = [] if peak > 0 else ["never above zero"]
    if channel in found.nonfinite:
        notes.append(f"{found.nonfinite[channel]} records left out, whose values are not finite")
    return ", ".join(notes)


def _best(records: Sequence[ExcitedRecord]) -> float:
    return records[0].value if records else -np.inf


def _by_record(maps: Tensor, records: int) -> Tensor:
    """Rows of time steps ``(B · T, C, *S)`` as ``(B, C, T, *S)``."""
    return maps if len(maps) == records else maps.reshape(records, -1, *maps.shape[1:]).transpose(1, 2)


def _numbers(channels: Channels) -> list[int] | None:
    if channels is None:
        return None
    several = list(channels) if isinstance(channels, Iterable) and not isinstance(channels, str) else [channels]
    if not several:
        raise ConfigError("SW-F201", "no channels were asked for", fix="name some, or leave channels out")
    return list(dict.fromkeys(several))  # what is no number is said once the layer is known


def _positions(dataset: Dataset, split: str | None) -> list[int]:
    refs = dataset.index()
    splits = dict.fromkeys(ref.split for ref in refs)
    if split is not None and split not in splits:
        raise ConfigError("SW-F219", f"the data set has no split {split!r}", near=list(splits), fix="use one of these")
    return [position for position, ref in enumerate(refs) if split in (None, ref.split)]


def _is_loader(data: Any, single: int) -> bool:
    """Whether it gives batches rather than pictures, which have ``single`` axes as tensors."""
    if isinstance(data, str | Image.Image | np.ndarray | Tensor) or not isinstance(data, Iterable):
        return False
    if not isinstance(data, Sequence):
        return True
    first = data[0] if data else None
    return isinstance(first, Mapping | tuple | list) or (isinstance(first, Tensor) and first.ndim > single)
