"""How a model's answer becomes outputs that a target can ask about, for models that are no plain classifiers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class OutputReader(Protocol):
    """Reads the outputs ``(B, C, *S)`` in a model's answer; stateless, so that threads can share it.

    What the answer alone does not hold (the logits behind a probability, a layer's features) is seen while the model
    runs: :meth:`watching` yields what it sees, and :meth:`read` is given it back.
    """

    def watching(self, model: nn.Module) -> AbstractContextManager[Any]:
        """A block around the model's forward; what it yields is handed to :meth:`read`."""
        ...

    def read(self, answer: Any, seen: Any, *, batch: int | None) -> Float[Tensor, "b c *s"]:
        """The outputs of each of ``batch`` records; differentiable wherever the answer is."""
        ...

    def traced_score(self, outputs: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
        """The number per record whose gradient tells, while a model is traced, which layers matter."""
        ...
