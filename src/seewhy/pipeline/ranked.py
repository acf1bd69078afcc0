"""The question about each record's best classes, settled where the model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from seewhy.targets import Logit


@dataclass(frozen=True, eq=False)
class Ranked:
    """The raw output of the class at ``rank`` of each record (0 is the predicted one).

    As :class:`seewhy.targets.Logit` with a rank, but what :meth:`bind` settles stays on the device as ``classes``
    ``(B,)``, so that the host need not wait for the outputs before it asks for more. Raises ``TargetError`` SW-T03 for
    a rank that the model has no output for.

    Example:
        >>> import torch
        >>> Ranked(1).bind(torch.tensor([[0.5, 2.0, 1.0]])).classes
        tensor([2])
    """

    rank: int
    classes: Int[Tensor, " b"] | None = field(default=None, repr=False)

    def bind(self, outputs: Float[Tensor, "b c"]) -> Ranked:
        """The same question with every record's class settled."""
        return Ranked(self.rank, self._settled(outputs))

    def take(self, rows: Sequence[int]) -> Ranked:
        """The same question of these records."""
        return Ranked(self.rank, None if self.classes is None else self.classes[list(rows)])

    def __call__(self, outputs: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        return outputs.gather(1, self._settled(outputs).unsqueeze(1)).squeeze(1)

    def _settled(self, outputs: Float[Tensor, "b c"]) -> Int[Tensor, " b"]:
        return Logit(rank=self.rank).chosen(outputs) if self.classes is None else self.classes
