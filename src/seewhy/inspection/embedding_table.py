"""Vectors of records with what is known of each record: a table that questions are put to."""

from __future__ import annotations

import numbers
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.grouping import NO_GROUP
from seewhy.features.embeddings.usable import require_table
from seewhy.values import EmbeddingError, nearest

NO_CLASS: Final = NO_GROUP
"""The label or prediction of a record that has none."""
ALL: Final = "all"
"""The split of records of which none is told."""


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """``vectors`` ``(N, D)`` and, for each row, its record: id, split, label, prediction and confidence.

    ``labels`` and ``predicted`` are ``(N,)`` with -1 for none, ``confidence`` ``(N,)`` with NaN for none.
    ``class_names`` are the model's; ``label_names`` those of the labels where these are other classes (None: they are
    the same, empty: not known). ``run`` is the run directory they come from, ``made_from`` its files with their
    SHA-256, and ``whole`` whether these are all splits of it.
    """

    vectors: Num[Tensor, "n d"]
    record_ids: tuple[str, ...]
    splits: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    predicted: Int64[Tensor, " n"]
    confidence: Float64[Tensor, " n"]
    layer: str = ""
    suffix: str = ""
    class_names: tuple[str, ...] | None = None
    label_names: tuple[str, ...] | None = None
    whole: bool = True
    run: Path | None = None
    made_from: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    def row(self, record_id: str, split: str | None = None) -> int:
        """The row of a record.

        Raises:
            EmbeddingError: ``SW-E20`` no such record, with the nearest ids; ``SW-E21`` several splits have it;
                ``SW-E22`` no such split.
        """
        if split is not None:
            self.require_splits([split])
        found = [
            row for row, (name, own) in enumerate(zip(self.record_ids, self.splits, strict=True))
            if name == record_id and split in (None, own)
        ]  # fmt: skip
        if not found:
            names = (n for n, own in zip(self.record_ids, self.splits, strict=True) if split in (None, own))
            raise EmbeddingError(
                "SW-E20", f"no record {record_id!r} has an embedding" + (f" in {split}" if split else ""),
                near=nearest(str(record_id), names), fix="give the id of a record",
            )  # fmt: skip
        if len(found) > 1:
            where = [self.splits[row] for row in found]
            raise EmbeddingError(
                "SW-E21", f"{record_id!r} is there {len(found)} times, in {', '.join(where)}", fix="name the split, too"
            )
        return found[0]

    def require_splits(self, names: Iterable[str]) -> list[str]:
        """Each name once; raises as :func:`known_splits`."""
        return known_splits(names, dict.fromkeys(self.splits))

    def rows_of(self, *splits: str) -> Int64[Tensor, " m"]:
        """The rows of some splits, in order; raises as :meth:`require_splits`."""
        wanted = self.require_splits(splits)
        return torch.tensor([row for row, own in enumerate(self.splits) if own in wanted], dtype=torch.int64)

    def class_name(self, number: int) -> str:
        """The name of a class of the model, its number where names are not known, and "" for none."""
        return _named(number, self.class_names)

    def label_name(self, number: int) -> str:
        """The same of a label."""
        return _named(number, self.class_names if self.label_names is None else self.label_names)


def known_splits(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Each name once; a text is one name.

    Raises:
        EmbeddingError: ``SW-E22`` no such split, or none is named.
    """
    there = list(known)
    wanted = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    for name in wanted:
        if name not in there:
            raise EmbeddingError(
                "SW-E22", f"there is no split {name!r} with embeddings: there is {', '.join(there)}",
                near=nearest(str(name), there), fix="name one of these splits",
            )  # fmt: skip
    if not wanted:
        raise EmbeddingError(
            "SW-E22", f"no split is named: there is {', '.join(there)}", fix="name one of these splits, or leave it out"
        )
    return wanted


def _named(number: int, names: Sequence[str] | None) -> str:
    if number == NO_CLASS:
        return ""
    return names[number] if names and 0 <= number < len(names) else str(number)


def table_of(
    vectors: Num[Tensor, "n d"] | Mapping[str, Tensor],
    record_ids: Sequence[str] | None = None,
    splits: Sequence[str] | str = ALL,
    labels: Sequence[int | None] | Tensor | None = None,
    predicted: Sequence[int | None] | Tensor | None = None,
    confidence: Sequence[float | None] | Tensor | None = None,
    **known: Any,
) -> dict[str, Any]:
    """The fields of an :class:`EmbeddingTable`, checked.

    Raises:
        EmbeddingError: ``SW-E02`` no table, ``SW-E04`` vectors of several lengths, ``SW-E23`` something that is not one
            for each vector or that a dict says already, ``SW-E24`` a record twice in a split.
    """
    if isinstance(vectors, Mapping):
        vectors, record_ids, splits = _of_mapping(vectors, record_ids, splits)
    rows = require_table(vectors)
    count = len(rows)
    names = [str(number) for number in range(count)] if record_ids is None else [str(name) for name in record_ids]
    where = [splits] * count if isinstance(splits, str) else [str(name) for name in splits]
    for what, given in (("record_ids", names), ("splits", where)):
        _require_each(what, given, count)
    (pair, times), *_ = Counter(zip(where, names, strict=True)).most_common(1)
    if times > 1:
        raise EmbeddingError(
            "SW-E24", f"record {pair[1]!r} is there {times} times in {pair[0]}", fix="give each record its id"
        )
    return {
        "vectors": rows,
        "record_ids": tuple(names),
        "splits": tuple(where),
        "labels": _classes("labels", labels, count),
        "predicted": _classes("predicted", predicted, count),
        "confidence": _confidences(confidence, count),
        **known,
    }


def _of_mapping(
    vectors: Mapping[str, Tensor], record_ids: Sequence[str] | None, splits: Sequence[str] | str
) -> tuple[Tensor, Sequence[str] | None, Sequence[str] | str]:
    """One vector by record, or one table by split."""
    kinds = {tensor.ndim if isinstance(tensor, Tensor) else None for tensor in vectors.values()}
    lengths = {tensor.shape[-1] for tensor in vectors.values() if isinstance(tensor, Tensor) and tensor.ndim}
    if kinds not in ({1}, {2}):
        raise EmbeddingError(
            "SW-E02", "expected a vector (D,) for each record, or a table (N, D) for each split",
            fix="{'record id': vector, …} or {'split': table, …}",
        )  # fmt: skip
    if len(lengths) > 1:
        raise EmbeddingError(
            "SW-E04", f"vectors are of lengths {', '.join(map(str, sorted(lengths)))}", fix="take those of one layer"
        )
    what, given = ("record_ids", record_ids is not None) if kinds == {1} else ("splits", splits != ALL)
    if given:
        raise EmbeddingError("SW-E23", f"{what} are given beside a dict whose keys are those", fix="leave them out")
    if kinds == {1}:
        return torch.stack(list(vectors.values())), list(vectors), splits
    each = [name for name, table in vectors.items() for _ in range(len(table))]
    return torch.cat(list(vectors.values())), record_ids, each


def _classes(what: str, given: Any, count: int) -> Int64[Tensor, " n"]:
    """A whole number for each record, -1 where there is none."""
    values = _each(what, given, count)
    if not all(value is None or isinstance(value, numbers.Integral) for value in values):
        raise EmbeddingError(
            "SW-E23", f"{what} must be whole numbers, None for none", fix="number the classes from 0, and name them"
        )
    return torch.tensor([NO_CLASS if value is None else int(value) for value in values], dtype=torch.int64)


def _confidences(given: Any, count: int) -> Float64[Tensor, " n"]:
    """A number for each record, NaN where there is none."""
    values = _each("confidence", given, count)
    if not all(value is None or isinstance(value, numbers.Real) for value in values):
        raise EmbeddingError("SW-E23", "confidence must be numbers, None for none", fix="leave it out")
    return torch.tensor([float("nan") if value is None else float(value) for value in values], dtype=torch.float64)


def _each(what: str, given: Any, count: int) -> list[Any]:
    if given is None:
        return [None] * count
    if isinstance(given, Tensor | np.ndarray):
        values = given.tolist()
    else:
        values = list(given) if isinstance(given, Iterable) else given
    if not isinstance(values, list):
        raise EmbeddingError("SW-E23", f"{what} is {given!r}", fix="one for each vector, in the same order")
    _require_each(what, values, count)
    return values


def _require_each(what: str, given: Sequence[Any], count: int) -> None:
    if len(given) != count:
        raise EmbeddingError(
            "SW-E23", f"{len(given)} {what} for {count} vectors", fix="one for each vector, in the same order"
        )
