"""Asking about changed copies of records, in batches over records and samples at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seewhy import ops
from seewhy.metrics.settings import whole

Change = Callable[[int, range], Float[Tensor, "samples c *s"]]
"""Makes the samples numbered in a range of one record, given its row."""


@dataclass(frozen=True)
class Asking:
    """A settled question that may be put to any changed copy of any record.

    ``ask(images, rows)`` answers for ``images`` ``(n, C, *S)``, where ``rows`` tells whose copies they are: a score
    each ``(n,)``, logits ``(n, K)`` or a map ``(n, *s)``. ``clean`` ``(B, ...)`` are the answers for the records as
    they are; they cost nothing more. At most ``chunk_size`` copies go through the model together.

    Example:
        >>> image = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> total = Asking.of(lambda images: images.sum(dim=(1, 2)), image)
        >>> total.clean, total.each(3, lambda row, samples: torch.stack([image[row] * k for k in samples]))
        (tensor([3., 7.]), tensor([[ 0.,  3.,  6.],
                [ 0.,  7., 14.]]))
    """

    ask: Callable[[Float[Tensor, "n c *s"], Sequence[int]], Float[Tensor, "n ..."]]
    clean: Float[Tensor, "b ..."]
    chunk_size: int = 16

    def __post_init__(self) -> None:
        whole("chunk_size", self.chunk_size, 1)

    @classmethod
    def of(
        cls,
        function: Callable[[Float[Tensor, "n c *s"]], Float[Tensor, "n ..."]],
        image: Float[Tensor, "b c *s"],
        chunk_size: int = 16,
    ) -> Asking:
        """The same of a plain function of images, for which no record is special."""

        def ask(images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n ..."]:
            del rows
            return function(images)

        return cls(ask, function(image), chunk_size)

    def __call__(self, images: Float[Tensor, "n c *s"], rows: Sequence[int]) -> Float[Tensor, "n ..."]:
        """The answers for these copies, in parts of at most ``chunk_size``."""
        parts = [self.ask(images[part.start : part.stop], rows[part.start : part.stop]) for part in self._parts(rows)]
        return torch.cat(parts) if parts else self.clean[:0]

    def each(self, samples: int, change: Change) -> Float[Tensor, "b samples ..."]:
        """The answers for ``samples`` changed copies of every record, which are made when their turn comes."""
        records = len(self.clean)
        answers = []
        for part in ops.chunks(records * samples, self.chunk_size):
            rows = [number // samples for number in part]
            runs = [(row, rows.count(row)) for row in dict.fromkeys(rows)]
            first = part.start % samples
            images = []
            for row, count in runs:
                images.append(change(row, range(first, first + count)))
                first = 0
            answers.append(self.ask(torch.cat(images), rows))
        if not answers:
            return self.clean.new_zeros((records, samples, *self.clean.shape[1:]))
        return torch.cat(answers).reshape(records, samples, *answers[0].shape[1:])

    def _parts(self, rows: Sequence[int]) -> list[range]:
        return list(ops.chunks(len(rows), self.chunk_size))
