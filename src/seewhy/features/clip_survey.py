"""How a model of clips goes through time, found by running two of its records: how often layers run, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from seewhy.capture.reading import LayerOutput, reading
from seewhy.features.given_batch import GivenBatch, as_floats
from seewhy.models.layers import Layer
from seewhy.models.trace import watchable
from seewhy.ops import generator


@dataclass(frozen=True)
class ClipSurvey:
    """``counts`` are calls of every layer in a pass over ``records`` records; ``by_time`` are the chosen modules whose
    rows, or calls of one row each, run through the records first, ``(T · B)``.
    """

    records: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    by_time: frozenset[str] = frozenset()

    def is_single(self, name: str, records: int, steps: int) -> bool:
        """Whether a layer runs for each time step of each record by itself."""
        each = self.records * steps
        count = self.counts.get(name, 0)
        return records > 1 and bool(each) and count >= each and count % each == 0


def surveyed(model: nn.Module, given: GivenBatch, layers: Mapping[str, Layer]) -> ClipSurvey:
    """Run the first two records, and again with one of them changed; one forward where there is one record."""
    two = given.first(2)
    records, steps = two.records, two.steps
    counts, before = _row_sums(model, two, layers)
    if records < 2:
        return ClipSurvey(records, counts)
    noise = generator("row order")
    changed = {name: tensor.clone() for name, tensor in two.inputs.items()}
    for tensor in changed.values():
        if tensor.is_floating_point():
            tensor[0] += torch.randn(tensor[0].shape, generator=noise).to(tensor) * (tensor[0].std() + 1e-3)
    _, after = _row_sums(model, replace(two, inputs=changed), layers)
    return ClipSurvey(
        records, counts, frozenset(n for n in before if _runs_by_time(before[n], after[n], records, steps))
    )


def _runs_by_time(before: Tensor, after: Tensor, records: int, steps: int) -> bool:
    """Whether the rows that changed with the first record are every ``records``-th of them."""
    rows = records * steps
    if len(before) != len(after) or not len(before) or len(before) % rows:
        return False
    differs = (before != after).reshape(rows, -1).any(dim=1)
    return [bool(row) for row in differs] == [row % records == 0 for row in range(rows)]


def _row_sums(
    model: nn.Module, given: GivenBatch, layers: Mapping[str, Layer]
) -> tuple[dict[str, int], dict[str, Tensor]]:
    """The calls of every layer; and of the chosen ones the sum of each row of the first call, or of all calls of one
    row each."""
    sums: dict[str, list[Tensor]] = {}
    every = {name: Layer(name) for name in watchable(model)}
    chosen = {layer.name for layer in layers.values()}

    def take(output: LayerOutput) -> None:
        if output.layer in chosen and output.tensor.ndim >= 2 and (output.call == 0 or len(output.tensor) == 1):
            sums.setdefault(output.layer, []).append(as_floats(output.tensor).flatten(1).sum(dim=1).cpu())

    with reading(model, every, take, required=False) as counts:
        given.run(model)
    return dict(counts), {name: torch.cat(each) for name, each in sums.items()}
