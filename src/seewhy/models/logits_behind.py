"""The logits behind a detector's scores: softmax and sigmoid are watched, and each score is followed back to its place.

A detector sorts, thresholds and suppresses its scores before it answers. Each table of probabilities gets a zero added
whose derivative tells, once the answer is there, which entry of which table every score came from: of two backward
passes through the sorting alone, weighted 1 and by the score's number, the quotient at its place is the number.
Values need not differ for that, so scores that are equal (saturated ones) are told apart too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seewhy.values import ModelError

_SOFTMAX: Final = (torch.softmax, F.softmax, Tensor.softmax)
_SIGMOID: Final = (torch.sigmoid, F.sigmoid, Tensor.sigmoid, torch.special.expit)
TABLE_AXES: Final = (2, 3)
"""Class scores are tables ``(N, C)`` or ``(B, N, C)``; four axes are gates, masks or attention."""


@dataclass(frozen=True)
class ScoreTable:
    """One call of softmax or sigmoid: ``logits`` ``(..., C)`` that went in, and the zeros added to what came out."""

    logits: Float[Tensor, "*n c"]
    zeros: Float[Tensor, "*n c"]

    @property
    def classes(self) -> int:
        """How many columns it has."""
        return self.logits.shape[-1]


class ScoreWatcher(TorchFunctionMode):
    """Collects the calls that turn tables of logits into probabilities while a model runs.

    What is computed from those probabilities is recorded by autograd, also under ``no_grad``; nothing else is recorded
    that would not be anyway, since grad mode follows the watched tensors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[ScoreTable] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SIGMOID or func in _SOFTMAX:
            logits = args[0] if args else kwargs["input"]
            return self._noted(logits, func(*args, **kwargs))
        if torch.is_grad_enabled() or not self.tables or not _carries_graph((*args, *kwargs.values())):
            return func(*args, **kwargs)
        with torch.enable_grad():
            return func(*args, **kwargs)

    def _noted(self, logits: Tensor, probabilities: Tensor) -> Tensor:
        if probabilities.ndim not in TABLE_AXES or not probabilities.is_floating_point():
            return probabilities
        zeros = torch.zeros_like(probabilities, requires_grad=True)
        self.tables.append(ScoreTable(logits, zeros))
        with torch.enable_grad():
            return probabilities + zeros


def logits_behind(
    scores: Sequence[Float[Tensor, " _"]], labels: Sequence[Int[Tensor, " _"]], tables: Sequence[ScoreTable]
) -> list[Float[Tensor, "_ c"]]:
    """The row of logits each score was made from, per record; the score is in the column of its label.

    A score made of two probabilities (a class's and a centre's) is followed to the one in a column of its label; where
    both are, to the table with more columns, the later one of equals.

    Raises ``ModelError``: SW-M70 where no table was seen, SW-M71 where a score comes from none of them or its place is
    not unique.
    """
    if not tables:
        raise _no_tables()
    flat = torch.cat([labels_of.flatten() for labels_of in labels])
    if not flat.numel():
        widest = max(reversed(tables), key=lambda table: table.classes)
        return [widest.logits.flatten(0, -2)[:0] for _ in scores]
    places = [_places(scores, table) for table in tables]
    chosen, row = _chosen(flat, tables, places)
    if bool((chosen < 0).any()):
        raise _not_located(int((chosen < 0).sum()), len(flat))
    return _cut(_rows(tables, chosen, row), [len(one) for one in labels])


def _places(scores: Sequence[Tensor], table: ScoreTable) -> Int[Tensor, " m"]:
    """The flat entry of a table that each score came from, -1 where it came from none or from several."""
    counts = [len(one) for one in scores]
    total = sum(counts)
    device = table.zeros.device
    found = torch.full((total,), -1, dtype=torch.long, device=device)
    followed = [one for one in scores if one.requires_grad]
    numbers = _cut(torch.arange(1, total + 1), counts)
    numbers = [number for number, one in zip(numbers, scores, strict=True) if one.requires_grad]
    if not followed:
        return found
    once = _derivative(followed, table, [torch.ones_like(one) for one in followed])
    numbered = _derivative(followed, table, [n.to(one) for n, one in zip(numbers, followed, strict=True)])
    if once is None or numbered is None:
        return found
    entries = once.flatten().nonzero().squeeze(1)
    quotient = numbered.flatten()[entries].double() / once.flatten()[entries].double()
    number = quotient.round().clamp(1, total)
    exact = (quotient - number).abs() < 0.1
    number, entries = number[exact].long() - 1, entries[exact]
    unique = torch.bincount(number, minlength=total) == 1
    found[number] = entries
    return found.where(unique, -1)


def _cut(joined: Shaped[Tensor, "m *c"], counts: Sequence[int]) -> list[Shaped[Tensor, "_ *c"]]:
    """The records' parts of what was joined."""
    return list(torch.tensor_split(joined, list(accumulate(counts))[:-1]))


def _derivative(scores: Sequence[Tensor], table: ScoreTable, weights: Sequence[Tensor]) -> Tensor | None:
    """The derivative of the weighted scores at a table's zeros."""
    (found,) = torch.autograd.grad(scores, [table.zeros], weights, retain_graph=True, allow_unused=True)
    return found


def _chosen(
    labels: Int[Tensor, " m"], tables: Sequence[ScoreTable], places: Sequence[Int[Tensor, " m"]]
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Which table each score is followed to, and the row there."""
    chosen, row = torch.full_like(labels, -1), torch.zeros_like(labels)
    for index in sorted(range(len(tables)), key=lambda one: (tables[one].classes, one)):
        place, columns = places[index].to(labels.device), tables[index].classes
        here = (place >= 0) & (place % columns == labels)
        chosen, row = torch.where(here, index, chosen), torch.where(here, place // columns, row)
    return chosen, row


def _rows(tables: Sequence[ScoreTable], chosen: Int[Tensor, " m"], row: Int[Tensor, " m"]) -> Float[Tensor, "m c"]:
    used = [index for index in range(len(tables)) if bool((chosen == index).any())]
    columns = {tables[index].classes for index in used}
    if len(columns) > 1:
        raise ModelError(
            "SW-M72",
            f"the detections' scores come from tables of {' and '.join(map(str, sorted(columns)))} classes",
            fix="give an OutputReader of your own: explain_detection(..., reader=...)",
        )
    gathered = [tables[index].logits.flatten(0, -2)[row[chosen == index]] for index in used]
    order = torch.cat([(chosen == index).nonzero().squeeze(1) for index in used])
    return torch.cat(gathered)[order.argsort()]


def _carries_graph(arguments: Sequence[Any]) -> bool:
    """Whether a tensor among the arguments, or in a list among them, was computed by recorded operations."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            if argument.grad_fn is not None:
                return True
        elif isinstance(argument, list | tuple) and _carries_graph(argument):
            return True
    return False


def _no_tables() -> ModelError:
    return ModelError(
        "SW-M70",
        "no softmax or sigmoid was seen while the detector ran, so the logits behind its scores are not known",
        fix="give the original module (not scripted or exported), or explain_detection(..., reader=) of your own",
    )


def _not_located(missing: int, total: int) -> ModelError:
    return ModelError(
        "SW-M71",
        f"{missing} of {total} scores could not be followed back to one logit of a softmax or sigmoid",
        fix="remove detach() or no_grad() between the class scores and the answer, or give an OutputReader: "
        "explain_detection(..., reader=...)",
    )
