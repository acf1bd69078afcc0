"""The user's own Dataset or LightningDataModule as a data set of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset

from seewhy.data.items import Item, read_id, read_item
from seewhy.data.loaders import split_datasets
from seewhy.data.records import Record, RecordRef, Slices, View, duplicate_id
from seewhy.data.seeding import seeded
from seewhy.data.settings import check_names
from seewhy.pixels import Normalisation, to_rgb8
from seewhy.values import DataError, Geometry, Json

ID_ATTRIBUTES = ("record_ids", "ids")
CLIP_NAMES = ("video", "clip", "frames")
"""How inputs are called that are clips rather than volumes, for the words on their pictures."""


class CustomDataset:
    """A map-style torch data set, a mapping of them by split, or a LightningDataModule.

    Items are ``(x, y, id)``, ``(x, y, index)``, ``(x, y)``, ``x`` or dicts (:func:`seewhy.data.items.read_item`); ``x``
    is preprocessed by the user and is not touched. Ids come from the data set's ``record_ids``, ``ids`` or
    ``get_raw_sample_id(index)``; else from the items. Items whose third part is their own index, or that say no id, get
    the index as id (``"7"``, or ``"train_7"`` where there are several splits). Only items that carry other ids cost a
    pass over the data, once, when the index is first asked for. ``frames_first`` names inputs that are clips
    ``(T, C, H, W)``, as some models take them; they become ``(C, T, H, W)``.

    ``class_names`` default to the data set's ``class_names`` or ``classes``. ``mean`` and ``std`` are those the user's
    transform applied, for showing pictures; without them each picture is stretched between its own 1st and 99th
    percentile. A ``revision(index)`` method of the data set tells changed content; without one no change is noticed.

    Raises ``DataError``: SW-D03, SW-D12, SW-D32, SW-D33 (:func:`seewhy.data.loaders.split_datasets`), SW-D01 for mean
    and std; from ``index`` SW-D04 for an id twice and SW-D34 for ids that do not fit the data.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        frames_first: Sequence[str] = (),
    ) -> None:
        if (mean is None) != (std is None):
            raise DataError("SW-D01", "mean and std belong together; one is missing", fix="give both or neither")
        known = mean is not None and std is not None
        self.normalisation = Normalisation(tuple(mean or ()), tuple(std or ())) if known else None
        self._frames_first = tuple(frames_first)
        self._datasets = split_datasets(dataset)
        names = class_names if class_names is not None else _own_class_names(self._datasets)
        self.class_names: Sequence[str] | None = None if names is None else check_names(names)
        self._places = [(split, i) for split, part in self._datasets.items() for i in range(len(part))]

    def index(self) -> Sequence[RecordRef]:
        """Every record, split by split; see the class for what it costs."""
        return self._index

    def read(self, position: int) -> Record:
        """The item at a position; DataError SW-D34 if its id is not the index's, SW-D30 and SW-D31 for its form."""
        split, i = self._places[position]
        ref = self._index[position]
        item = self._item(split, i)
        own = item.record_id
        if own not in (None, ref.record_id, str(i)) and not _states_ids(self._datasets[split]):
            raise DataError(
                "SW-D34",
                f"{split}[{i}] now says its id is {own!r}, the index says {ref.record_id!r}",
                fix="return the same id for the same index every time",
            )
        inputs = {name: self._in_order(name, tensor) for name, tensor in item.inputs.items()}
        first = next(iter(inputs.values()))
        return Record(
            record_id=ref.record_id,
            split=split,
            inputs=inputs,
            label=item.label,
            geometry=Geometry.identity(first.shape[1:]),
            box=item.box,
            mask=item.mask,
            revision=self.revision(position),
            notes=item.notes,
        )

    def revision(self, position: int) -> str:
        """What the data set's own ``revision(index)`` says; empty without one."""
        split, i = self._places[position]
        own = getattr(self._datasets[split], "revision", None)
        return str(own(i)) if callable(own) else ""

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The input ``image``, or else the first, as 8-bit RGB; of a volume or a clip the middle slice or frame."""
        values = inputs.get("image", next(iter(inputs.values()))).detach().cpu()
        return self._rgb(_plane(values))

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
        """Every input with space or time: a picture, all slices or frames, or the values of a signal ``(C, T)``."""
        spatial = {name: tensor for name, tensor in inputs.items() if tensor.ndim >= 2}
        if [tensor.ndim for tensor in spatial.values()] == [3]:
            return {name: self.picture({name: tensor}) for name, tensor in spatial.items()}
        return {name: self._view(name, tensor.detach().cpu()) for name, tensor in spatial.items()}

    def _view(self, name: str, values: Tensor) -> View:
        if values.ndim == 2:
            signal: NDArray[np.float32] = values.float().numpy()
            return signal
        if values.ndim == 3:
            return self._rgb(values)
        column = self._rgb(values.flatten(1, 2))
        clip = name in self._frames_first or name.casefold().startswith(CLIP_NAMES)
        return Slices(column.reshape(*values.shape[1:], 3), "frame" if clip else "slice")

    def _rgb(self, plane: Float[Tensor, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
        if self.normalisation is not None and len(self.normalisation.mean) == plane.shape[0]:
            return self.normalisation.picture(plane)
        return to_rgb8(stretched(plane))

    def _in_order(self, name: str, tensor: Tensor) -> Tensor:
        return tensor.movedim(0, 1) if name in self._frames_first else tensor

    def fingerprint(self) -> Mapping[str, Json]:
        """The classes of the data sets and the normalisation; what happens inside them is not known."""
        kinds = {split: f"{type(part).__module__}.{type(part).__qualname__}" for split, part in self._datasets.items()}
        normalisation = self.normalisation
        return {
            "data": "custom",
            "datasets": kinds,
            "mean": None if normalisation is None else list(normalisation.mean),
            "std": None if normalisation is None else list(normalisation.std),
        }

    @cached_property
    def _index(self) -> list[RecordRef]:
        with seeded("index"):  # looking at items must not advance the caller's random generators
            refs = [ref for split in self._datasets for ref in self._refs(split)]
        first: dict[str, str] = {}
        for place, ref in enumerate(refs):
            where = f"item {place} ({ref.split})"
            earlier = first.setdefault(ref.record_id, where)
            if earlier != where:
                raise duplicate_id(ref.record_id, earlier, where)
        return refs

    def _refs(self, split: str) -> list[RecordRef]:
        dataset = self._datasets[split]
        if _states_ids(dataset):
            return [RecordRef(record_id, split) for record_id in _stated_ids(dataset, split)]
        length = len(dataset)
        ends = {i: self._item(split, i).record_id for i in {0, length - 1} if length}
        if all(said in (None, str(i)) for i, said in ends.items()):
            prefix = f"{split}_" if len(self._datasets) > 1 else ""
            return [RecordRef(f"{prefix}{i}", split) for i in range(length)]
        items = ((i, self._item(split, i)) for i in range(length))
        return [RecordRef(item.record_id or _no_id(split, i), split, item.label) for i, item in items]

    def _item(self, split: str, i: int) -> Item:
        return read_item(self._datasets[split][i], f"{split}[{i}]", self.class_names)


def _states_ids(dataset: Any) -> bool:
    if isinstance(dataset, Subset):
        return _states_ids(dataset.dataset)
    return callable(getattr(dataset, "get_raw_sample_id", None)) or any(
        hasattr(dataset, name) for name in ID_ATTRIBUTES
    )


def _stated_ids(dataset: Any, split: str) -> list[str]:
    """The ids a data set states by attribute or method; a ``Subset`` picks from those of the whole."""
    if isinstance(dataset, Subset):
        whole = _stated_ids(dataset.dataset, split)
        return [whole[i] for i in dataset.indices]
    length = len(dataset)
    stated = next((getattr(dataset, name) for name in ID_ATTRIBUTES if hasattr(dataset, name)), None)
    values = [dataset.get_raw_sample_id(i) for i in range(length)] if stated is None else list(stated)
    if len(values) != length:
        raise DataError(
            "SW-D34", f"split {split!r} states {len(values)} ids for {length} items", fix="state one id per item"
        )
    return [read_id(value, f"{split} id {i}") or _no_id(split, i) for i, value in enumerate(values)]


def _no_id(split: str, i: int) -> str:
    raise DataError("SW-D34", f"{split}[{i}] has no id, others have", fix="give every item an id, or none")


def _own_class_names(datasets: Mapping[str, Any]) -> Sequence[str] | None:
    for outer in datasets.values():
        dataset = outer.dataset if isinstance(outer, Subset) else outer
        for name in ("class_names", "classes"):
            names = getattr(dataset, name, None)
            if isinstance(names, list | tuple) and names:
                return names
    return None


def _plane(values: Float[Tensor, "c *s"]) -> Float[Tensor, "c h w"]:
    """A picture as it is, a signal ``(C, T)`` as lines of pixels, of a volume or a clip the middle slice or frame."""
    if values.ndim <= 2:
        return values.reshape(1, -1, values.shape[-1])
    if values.ndim == 3:
        return values
    frames_first = values.shape[0] not in (1, 3) and values.shape[1] in (1, 3)
    return _plane(values[len(values) // 2] if frames_first else values[:, values.shape[1] // 2])


def stretched(plane: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Values brought to [0, 1] between their own 1st and 99th percentile."""
    values = plane.numpy().astype(np.float32)
    low, high = np.percentile(values, (1, 99))
    return torch.from_numpy(((values - low) / max(float(high - low), 1e-12)).clip(0, 1).astype(np.float32))
