"""Questions one can put to a model. Each is a frozen callable from outputs ``(B, C)`` to scores ``(B,)``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from seewhy.core import Target
from seewhy.ops import placed
from seewhy.values import TargetError

Classes: TypeAlias = int | tuple[int | None, ...] | None
"""A class for all records, or one for each; None is what the model chooses."""


@dataclass(frozen=True)
class Logit:
    """The raw output of a class: a given one, one per record, or the ``rank``-th best of each record.

    ``index`` is a class, or a tuple with one class per record; ``None``, for all or in the tuple for one record, asks
    for the class at ``rank`` (0 is the predicted one), which :meth:`bind` settles.
    """

    index: Classes = None
    rank: int = 0

    def bind(self, outputs: Float[Tensor, "b c"]) -> Logit:
        """One class per record, validated against the number of outputs; only open ones wait for the outputs."""
        named = self._named(outputs)
        return Logit(tuple(self.chosen(outputs).tolist()) if named is None else named, rank=self.rank)

    def take(self, rows: Sequence[int]) -> Logit:
        """The same question of these records."""
        return Logit(_taken(self.index, rows), self.rank)

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        named = self._named(outputs)
        if named is not None and len(set(named)) == 1:
            return outputs[:, named[0]]
        chosen = self.chosen(outputs) if named is None else placed(torch.tensor(named, dtype=torch.long), outputs)
        return outputs.gather(1, chosen.unsqueeze(1)).squeeze(1)

    def _named(self, outputs: Float[Tensor, "b c"]) -> tuple[int, ...] | None:
        """One valid class per record where all are given."""
        return None if _leaves_open(self.index) else _one_each(self.index, *outputs.shape)

    def chosen(self, outputs: Float[Tensor, "b c"]) -> Int[Tensor, " b"]:
        """The class of each record ``(B,)`` where the outputs are, the model's own choice where none is named."""
        classes = outputs.shape[1]
        if not 0 <= self.rank < classes:
            raise TargetError(
                "SW-T03",
                f"rank {self.rank} was asked for, but the model has {classes} outputs",
                fix=f"choose a rank from 0 to {classes - 1}",
            )
        ranked = outputs.detach().topk(self.rank + 1, dim=1).indices[:, self.rank]
        return _settled(self.index, ranked, classes)


@dataclass(frozen=True)
class Probability:
    """The softmax probability of a class; for measuring, since a saturated softmax has no gradient."""

    index: Classes = None

    def bind(self, outputs: Float[Tensor, "b c"]) -> Probability:
        """One class per record, validated against the number of outputs."""
        return Probability(Logit(self.index).bind(outputs).index)

    def take(self, rows: Sequence[int]) -> Probability:
        """The same question of these records."""
        return Probability(_taken(self.index, rows))

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        return Logit(self.index)(outputs.softmax(dim=1))


@dataclass(frozen=True)
class BinaryLogit:
    """A class of a model with one output: the output itself argues for class 1, its negative for class 0.

    ``index`` is a class, or a tuple with one class per record; None, for all or in the tuple for one record, is the
    predicted one, 1 where the output is at least ``boundary`` (0 for a logit, 0.5 for a probability), which
    :meth:`bind` settles.
    """

    index: Classes = None
    boundary: float = 0.0

    def bind(self, outputs: Float[Tensor, "b one"]) -> BinaryLogit:
        """One class per record, validated against the number of outputs."""
        return BinaryLogit(tuple(self._classes(outputs).tolist()), self.boundary)

    def take(self, rows: Sequence[int]) -> BinaryLogit:
        """The same question of these records."""
        return BinaryLogit(_taken(self.index, rows), self.boundary)

    def __call__(self, outputs: Float[Tensor, "b one"]) -> Float[Tensor, " b"]:
        sign = 2 * self._classes(outputs).to(outputs.dtype) - 1
        return sign * outputs[:, 0]

    def _classes(self, outputs: Float[Tensor, "b one"]) -> Int[Tensor, " b"]:
        return _settled(self.index, (outputs.detach()[:, 0] >= self.boundary).long(), classes=2)


@dataclass(frozen=True)
class LabelsAbove:
    """The sum of the outputs of a multi-label model that reach ``threshold`` on the clean input.

    Which labels those are, :meth:`bind` settles; it raises ``TargetError`` SW-T12 for a record that has none.
    ``labels`` are the settled ones, one tuple for each record.
    """

    threshold: float
    labels: tuple[tuple[int, ...], ...] | None = None

    def bind(self, outputs: Float[Tensor, "b c"]) -> LabelsAbove:
        """The labels of each record that reach the threshold."""
        if self.labels is not None:
            return self
        found = tuple(tuple(row.nonzero()[:, 0].tolist()) for row in outputs.detach() >= self.threshold)
        for record, labels in enumerate(found):
            if not labels:
                raise TargetError(
                    "SW-T12",
                    f"no label of record {record} reaches the threshold; its highest output is "
                    f"{float(outputs[record].max()):.3g}, and {self.threshold:.3g} is needed",
                    fix="lower the threshold, or name a label",
                )
        return LabelsAbove(self.threshold, found)

    def take(self, rows: Sequence[int]) -> LabelsAbove:
        """The same question of these records."""
        settled = None if self.labels is None else tuple(self.labels[row] for row in rows)
        return LabelsAbove(self.threshold, settled)

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        settled = self.bind(outputs).labels or ()
        chosen = torch.zeros(outputs.shape, dtype=outputs.dtype)
        for record, labels in enumerate(settled):
            chosen[record, list(labels)] = 1
        return (outputs * chosen.to(outputs.device)).sum(dim=1)


@dataclass(frozen=True)
class EmbeddingNorm:
    """The Euclidean length of the output vector: the question to a model without a head."""

    def bind(self, outputs: Float[Tensor, "b c"]) -> Target:
        """Nothing depends on the outputs."""
        del outputs
        return self

    def take(self, rows: Sequence[int]) -> Target:
        """Nothing depends on the record."""
        del rows
        return self

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        length: Tensor = outputs.norm(dim=1)
        return length


@dataclass(frozen=True, eq=False)
class Similarity:
    """How alike each record's output vector and a fixed one are: their cosine, or with ``measure="dot"`` the product.

    ``reference`` is ``(D,)`` for all records, or ``(B, D)``. The cosine with a vector of length zero counts as 0 on
    perturbed inputs; on the clean one :meth:`bind` refuses it.

    Example:
        >>> Similarity(torch.tensor([0.0, 2.0]))(torch.tensor([[3.0, 4.0]]))
        tensor([0.8000])
    """

    reference: Float[Tensor, "*b d"] = field(repr=False)
    measure: Literal["cosine", "dot"] = "cosine"

    def bind(self, outputs: Float[Tensor, "b d"]) -> Similarity:
        """The same, one vector per record; raises ``TargetError`` SW-T55 other sizes, SW-T56 a vector of length zero,
        SW-T57 no such measure."""
        if self.measure not in ("cosine", "dot"):
            raise TargetError("SW-T57", f"a similarity is cosine or dot, got {self.measure!r}", fix="use 'cosine'")
        if self.reference.ndim > 2 or self.reference.shape not in (outputs.shape, outputs.shape[1:]):
            raise TargetError(
                "SW-T55",
                f"outputs {tuple(outputs.shape)} cannot be compared with a reference {tuple(self.reference.shape)}",
                fix="give one vector of the outputs' length, or one for each record",
            )
        reference = self.reference.detach().to(outputs).expand(outputs.shape)
        lengths = torch.minimum(outputs.detach().norm(dim=1), reference.norm(dim=1))
        if self.measure == "cosine" and not bool((lengths > 0).all()):
            raise TargetError(
                "SW-T56", "a vector of length zero has no direction, so no cosine", fix="use measure='dot'"
            )
        return Similarity(reference, self.measure)

    def take(self, rows: Sequence[int]) -> Similarity:
        """The same question of these records."""
        each = self.reference.ndim == 2
        return Similarity(self.reference[list(rows)] if each else self.reference, self.measure)

    def __call__(self, outputs: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        reference = self.reference.to(outputs)
        product = (outputs * reference).sum(dim=1)
        if self.measure == "dot":
            return product
        lengths = outputs.norm(dim=1) * reference.norm(dim=-1)
        return torch.where(lengths > 0, product / lengths.where(lengths > 0, 1.0), 0.0)


def _leaves_open(index: Classes) -> bool:
    """Whether the model's own choice is asked about for some record."""
    return index is None or (isinstance(index, tuple) and None in index)


def _settled(index: Classes, chosen: Int[Tensor, " b"], classes: int) -> Int[Tensor, " b"]:
    """The classes asked about; where none is named, what the model chose."""
    if index is None:
        return chosen
    if isinstance(index, tuple) and None in index and len(index) == len(chosen):
        index = tuple(own if one is None else one for one, own in zip(index, chosen.tolist(), strict=True))
    return placed(torch.tensor(_one_each(index, len(chosen), classes), dtype=torch.long), chosen)


def _one_each(index: Classes, records: int, classes: int) -> tuple[int, ...]:
    """One valid class for each record."""
    wanted = index if isinstance(index, tuple) else (index,) * records
    if len(wanted) != records:
        raise TargetError(
            "SW-T02",
            f"one class per record is needed, got {len(wanted)} classes for {records} records",
            fix="give as many classes as the batch has records, or one class for all",
        )
    return tuple(class_index(one, classes) for one in wanted)


def _taken(index: Classes, rows: Sequence[int]) -> Classes:
    return tuple(index[row] for row in rows) if isinstance(index, tuple) else index


def check_class(index: int, classes: int) -> None:
    """Raise unless ``index`` names one of ``classes`` outputs."""
    if not 0 <= index < classes:
        raise TargetError(
            "SW-T01",
            f"class {index} was asked for, but the model has {classes} outputs (0 to {classes - 1})",
            fix="choose a class in that range, or target_classes=predicted",
        )


def class_index(wanted: object, classes: int) -> int:
    """A class number from an ``int``, a NumPy integer or a tensor or array of one integer, checked against ``classes``.

    Raises ``TargetError``: SW-T10 for anything else (a bool, a float, a name), SW-T01 out of range.

    >>> class_index(torch.tensor(2), 3)
    2
    """
    single = wanted.item() if isinstance(wanted, Tensor | np.generic | np.ndarray) and _is_single(wanted) else wanted
    if isinstance(single, bool) or not isinstance(single, int):
        raise TargetError(
            "SW-T10",
            f"a class is a whole number, got {type(wanted).__name__} {wanted!r}",
            fix=f"give a number from 0 to {classes - 1}; a name must first be looked up in the class names",
        )
    check_class(single, classes)
    return single


def _is_single(wanted: Tensor | np.generic | NDArray[Any]) -> bool:
    return math.prod(wanted.shape) == 1 and len(wanted.shape) == 0
