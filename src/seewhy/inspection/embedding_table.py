"""Vectors of records with what is known of each record: a table that questions are put to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from seewhy.features.embeddings.usable import require_table
from seewhy.values import EmbeddingError, nearest

NONE = -1
"""The label or prediction of a record that has none."""


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """``vectors`` ``(N, D)`` and, for each row, its record: id, split, label, prediction and confidence.

    ``labels`` and ``predicted`` are ``(N,)`` with -1 for none, ``confidence`` ``(N,)`` with NaN for none; where
    ``labels_match`` is false, labels are of other classes than predictions. ``run`` is the run directory they come
    from and ``made_from`` its files with their SHA-256; None and empty elsewhere.
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
    labels_match: bool = True
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
                "SW-E21", f"{record_id!r} is there {len(found)} times, in {', '.join(where)}", fix=f"split={where[0]!r}"
            )
        return found[0]

    def require_splits(self, names: Iterable[str]) -> None:
        """Raise ``EmbeddingError`` SW-E22 unless all are there."""
        known = list(dict.fromkeys(self.splits))
        for name in names:
            if name not in known:
                raise EmbeddingError(
                    "SW-E22", f"there is no split {name!r} with embeddings: there is {', '.join(known)}",
                    near=nearest(str(name), known), fix="name one of these splits",
                )  # fmt: skip

    def rows_of(self, *splits: str) -> Int64[Tensor, " m"]:
        """The rows of some splits, in order; raises as :meth:`require_splits`."""
        self.require_splits(splits)
        return torch.tensor([row for row, own in enumerate(self.splits) if own in splits], dtype=torch.int64)

    def class_name(self, number: int) -> str:
        """The name of a class, its number where names are not known, and "" for none."""
        if number == NONE:
            return ""
        names = self.class_names or ()
        return names[number] if 0 <= number < len(names) else str(number)


def table_of(
    vectors: Num[Tensor, "n d"] | Mapping[str, Tensor],
    record_ids: Sequence[str] | None = None,
    splits: Sequence[str] | str = "all",
    labels: Sequence[int | None] | Tensor | None = None,
    predicted: Sequence[int | None] | Tensor | None = None,
    confidence: Sequence[float | None] | Tensor | None = None,
    **known: Any,
) -> dict[str, Any]:
    """The fields of an :class:`EmbeddingTable`, checked.

    Raises:
        EmbeddingError: ``SW-E02`` no table, ``SW-E04`` vectors of several lengths, ``SW-E23`` something that is not one
            for each vector, ``SW-E24`` a record twice in a split.
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
        "labels": _numbers("labels", labels, count, NONE).long(),
        "predicted": _numbers("predicted", predicted, count, NONE).long(),
        "confidence": _numbers("confidence", confidence, count, float("nan")),
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
    if kinds == {1}:
        return torch.stack(list(vectors.values())), list(vectors), splits
    each = [name for name, table in vectors.items() for _ in range(len(table))]
    return torch.cat(list(vectors.values())), record_ids, each


def _numbers(what: str, given: Any, count: int, missing: float) -> Float64[Tensor, " n"]:
    if given is None:
        return torch.full((count,), missing, dtype=torch.float64)
    values = given.tolist() if isinstance(given, Tensor) else list(given)
    _require_each(what, values, count)
    fine = all(value is None or isinstance(value, int | float) for value in values)
    if not fine:
        raise EmbeddingError("SW-E23", f"{what} must be numbers, None for none", fix=f"{what}=None")
    return torch.tensor([missing if value is None else float(value) for value in values], dtype=torch.float64)


def _require_each(what: str, given: Sequence[Any], count: int) -> None:
    if len(given) != count:
        raise EmbeddingError(
            "SW-E23", f"{len(given)} {what} for {count} vectors", fix="one for each vector, in the same order"
        )
