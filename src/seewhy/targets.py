"""Questions one can put to a model. Each is a frozen callable from outputs ``(B, C)`` to scores ``(B,)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seewhy.core import Target
from seewhy.values import TargetError


@dataclass(frozen=True)
class Logit:
    """The raw output of a class: a given one, one per record, or the ``rank``-th best of each record.

    ``index`` is a class, or a tuple with one class per record; ``None`` asks for the class at ``rank`` (0 is the
    predicted one), which :meth:`bind` settles.
    """

    index: int | tuple[int, ...] | None = None
    rank: int = 0

    def bind(self, outputs: Float[Tensor, "b c"]) -> Logit:
        """One class per record, validated against the number of outputs."""
        return Logit(index=tuple(self._classes(outputs).tolist()), rank=self.rank)

    def take(self, rows: Sequence[int]) -> Logit:
        """The same question of these records."""
        return Logit(_taken(self.index, rows), self.rank)

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        return outputs.gather(1, self._classes(outputs).unsqueeze(1)).squeeze(1)

    def _classes(self, outputs: Float[Tensor, "b c"]) -> Int[Tensor, " b"]:
        records, classes = outputs.shape
        if self.index is None:
            if not 0 <= self.rank < classes:
                raise TargetError(
                    "SW-T03",
                    f"rank {self.rank} was asked for, but the model has {classes} outputs",
                    fix=f"choose a rank from 0 to {classes - 1}",
                )
            return outputs.detach().topk(self.rank + 1, dim=1).indices[:, self.rank]
        wanted = (self.index,) * records if isinstance(self.index, int) else self.index
        if len(wanted) != records:
            raise TargetError(
                "SW-T02",
                f"one class per record is needed, got {len(wanted)} classes for {records} records",
                fix="give as many classes as the batch has records, or one class for all",
            )
        for index in wanted:
            check_class(index, classes)
        return torch.tensor(wanted, device=outputs.device)


@dataclass(frozen=True)
class Probability:
    """The softmax probability of a class; for measuring, since a saturated softmax has no gradient."""

    index: int | tuple[int, ...] | None = None

    def bind(self, outputs: Float[Tensor, "b c"]) -> Probability:
        """One class per record, validated against the number of outputs."""
        return Probability(Logit(self.index).bind(outputs).index)

    def take(self, rows: Sequence[int]) -> Probability:
        """The same question of these records."""
        return Probability(_taken(self.index, rows))

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        return Logit(self.index)(outputs.softmax(dim=1))


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


def _taken(index: int | tuple[int, ...] | None, rows: Sequence[int]) -> int | tuple[int, ...] | None:
    return tuple(index[row] for row in rows) if isinstance(index, tuple) else index


def check_class(index: int, classes: int) -> None:
    """Raise unless ``index`` names one of ``classes`` outputs."""
    if not 0 <= index < classes:
        raise TargetError(
            "SW-T01",
            f"class {index} was asked for, but the model has {classes} outputs (0 to {classes - 1})",
            fix="choose a class in that range, or target_classes=predicted",
        )
