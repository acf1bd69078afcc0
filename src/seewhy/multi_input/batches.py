"""What a loader gives, read as inputs by name, labels and ids: tuples ``(*inputs, label, id)``, or mappings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any, Final

import numpy as np
from torch import Tensor

from seewhy.core import Inputs
from seewhy.multi_input.named_inputs import FEWEST_AXES
from seewhy.values import DataError

INPUT_KEYS: Final = ("inputs", "images")
LABEL_KEYS: Final = ("label", "labels", "target", "targets", "y", "true_class")
ID_KEYS: Final = ("id", "ids", "sample_id", "sample_ids", "record_id", "record_ids", "path", "paths", "patient_id")


@dataclass(frozen=True)
class LoadedBatch:
    """``inputs`` ``(B, C, *S)`` by name or in order; per record its label, None where there is none, and its id."""

    inputs: Any
    labels: tuple[int | None, ...]
    ids: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, records: int) -> LoadedBatch:
        """The first records alone."""
        return self.rows(range(min(records, len(self))))

    def rows(self, rows: range) -> LoadedBatch:
        """Some records alone, which are next to each other."""
        few = slice(rows.start, rows.stop)
        if isinstance(self.inputs, Mapping):
            inputs: Any = {name: tensor[few] for name, tensor in self.inputs.items()}
        else:
            inputs = [tensor[few] for tensor in self.inputs]
        return LoadedBatch(inputs, self.labels[few], self.ids[few])


@dataclass(frozen=True)
class Unreadable:
    """What a loader may give in place of a record that could not be read: its id, its label, and why."""

    sample_id: str
    label: int | None
    reason: str


def read_batch(batch: Any, names: Sequence[str] | None) -> LoadedBatch:
    """A loader's batch taken apart.

    Of a tuple the first ``len(names)`` entries are inputs, or those with space where the names are not known; or its
    first entry holds them all. Of what follows, texts and paths are ids, whole numbers first labels, then ids. Labels
    below 0 count as not known.

    Raises:
        DataError: ``SW-D98``, what has no inputs, or labels or ids of another length.

    Example:
        >>> import torch
        >>> found = read_batch((torch.rand(2, 1, 8, 8), torch.tensor([1, -1]), ("a", "b")), ("image",))
        >>> found.labels, found.ids
        ((1, None), ('a', 'b'))
    """
    if isinstance(batch, Mapping):
        inputs, labels, ids = _from_mapping(batch, names)
    elif isinstance(batch, Tensor):
        inputs, labels, ids = [batch], None, None
    elif isinstance(batch, Sequence) and not isinstance(batch, str) and len(batch):
        inputs, labels, ids = _from_sequence(batch, names)
    else:
        raise _unreadable(f"a batch is a tuple, a list or a mapping, got {type(batch).__name__}")
    records = _record_count(inputs)
    return LoadedBatch(inputs, _labels(labels, records), _ids(ids, records))


def name_of_id(identifier: object) -> str:
    """An id as text; of a path the file's name without its ending.

    Example:
        >>> name_of_id("./data/img_bio/x_mnv.png"), name_of_id("eye.7"), name_of_id(12)
        ('x_mnv', 'eye.7', '12')
    """
    if isinstance(identifier, os.PathLike):
        return PurePath(identifier).stem
    text = str(identifier)
    return PureWindowsPath(text).stem if "/" in text or "\\" in text else text


class UniqueNames:
    """Ids made different, also where case is ignored: a second ``a`` becomes ``a_2``.

    Example:
        >>> unique = UniqueNames()
        >>> [unique(name) for name in ("a", "A", "b", "a")]
        ['a', 'A_2', 'b', 'a_3']
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, name: str) -> str:
        free = next(one for one in _copies(name) if one.casefold() not in self._taken)
        self._taken.add(free.casefold())
        return free


def _copies(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _from_mapping(batch: Mapping[str, Any], names: Sequence[str] | None) -> tuple[Any, Any, Any]:
    labels, ids = (next((batch[key] for key in keys if key in batch), None) for keys in (LABEL_KEYS, ID_KEYS))
    whole = next((batch[key] for key in INPUT_KEYS if key in batch and key not in (names or ())), None)
    if isinstance(whole, Mapping | list | tuple):
        return _named_or_ordered(whole), labels, ids
    if names is not None:
        missing = [name for name in names if name not in batch]
        if missing:
            raise _unreadable(f"the batch has {', '.join(map(str, batch))}, but no input {', '.join(missing)}")
        return {name: batch[name] for name in names}, labels, ids
    told = (*LABEL_KEYS, *ID_KEYS)
    return {name: one for name, one in batch.items() if name not in told and isinstance(one, Tensor)}, labels, ids


def _from_sequence(batch: Sequence[Any], names: Sequence[str] | None) -> tuple[Any, Any, Any]:
    first = batch[0]
    if isinstance(first, Mapping) or (isinstance(first, list | tuple) and first and isinstance(first[0], Tensor)):
        inputs, rest = _named_or_ordered(first), batch[1:]
    else:
        spatial = next((i for i, one in enumerate(batch) if not _has_space(one)), len(batch))
        count = spatial if names is None else len(names)
        inputs, rest = list(batch[:count]), batch[count:]
    numbers = [one for one in rest if _are_numbers(one)]
    texts = [one for one in rest if not _are_numbers(one) and one is not None]
    if not numbers and len(texts) > 1:
        return inputs, texts[0], texts[1]
    labels = numbers[0] if numbers else None
    return inputs, labels, texts[0] if texts else numbers[1] if len(numbers) > 1 else None


def _named_or_ordered(whole: Any) -> Any:
    return dict(whole) if isinstance(whole, Mapping) else list(whole)


def _has_space(one: object) -> bool:
    return isinstance(one, Tensor) and one.ndim > FEWEST_AXES


def _are_numbers(one: object) -> bool:
    if isinstance(one, Tensor | np.ndarray):
        return True
    values = one if isinstance(one, list | tuple) else (one,)
    return bool(values) and all(value is None or isinstance(value, int | float | np.number) for value in values)


def _record_count(inputs: Inputs | list[Tensor]) -> int:
    tensors = list(inputs.values()) if isinstance(inputs, Mapping) else list(inputs)
    if not tensors or not all(isinstance(one, Tensor) and one.ndim >= FEWEST_AXES for one in tensors):
        raise _unreadable(f"its inputs are {', '.join(type(one).__name__ for one in tensors) or 'missing'}")
    return len(tensors[0])


def _labels(labels: Any, records: int) -> tuple[int | None, ...]:
    listed = _listed(labels, records, "labels")
    if any(isinstance(one, list) for one in listed):
        raise _unreadable("its labels have several numbers per record")
    if any(isinstance(one, str) for one in listed):
        raise _unreadable("its labels are texts, where numbers of classes are needed")
    return tuple(None if one is None or one < 0 else int(one) for one in listed)


def _ids(ids: Any, records: int) -> tuple[str | None, ...]:
    return tuple(None if one is None else name_of_id(one) for one in _listed(ids, records, "ids"))


def _listed(values: Any, records: int, what: str) -> list[Any]:
    """One value per record; None of each where there are none."""
    if values is None:
        return [None] * records
    if isinstance(values, Tensor | np.ndarray):
        values = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
        values = values.reshape(len(values) if values.ndim else 1, -1)
        listed = [row[0] if len(row) == 1 else row for row in values.tolist()]
    else:
        listed = list(values) if isinstance(values, list | tuple) else [values]
        listed = [one.item() if isinstance(one, Tensor | np.generic) else one for one in listed]
    if len(listed) != records:
        raise _unreadable(f"it holds {records} records and {len(listed)} {what}")
    return listed


def _unreadable(found: str) -> DataError:
    return DataError(
        "SW-D98",
        f"the loader's batch cannot be read: {found}",
        fix="give batches (*inputs, label, id) or mappings with the inputs' names, 'label' and 'id'",
    )
