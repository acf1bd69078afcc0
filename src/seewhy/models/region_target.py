"""The question to a segmentation model: why it sees a class where it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seewhy.targets import Classes, class_index
from seewhy.values import TargetError

MOST_LISTED = 8


@dataclass(frozen=True, eq=False)
class Region:
    """The mean logit of a class over the places that are predicted as that class on the clean input.

    ``class_index`` is a class, or a tuple with one class per record; None, for all or in the tuple for one record, asks
    about the most frequent predicted class. No class is taken for the background unless ``background`` says which one:
    it is passed over in that choice. With a single channel its logit argues for class 1, its negative for class 0.

    :meth:`bind` settles the classes and ``region`` ``(B, *S)``, both of which perturbed inputs keep.

    Source: Vinogradova et al. 2020, Seg-Grad-CAM, arXiv:2002.11434, eq. 2, with the mean over the region in place of
    the sum, so that maps of regions of different sizes have one unit.

    Example:
        >>> logits = torch.tensor([[[3.0, 1.0, 0.0], [0.0, 2.0, 4.0]]])
        >>> Region().bind(logits)(logits)
        tensor([3.])
        >>> Region(0).bind(logits).class_index
        (0,)
    """

    class_index: Classes = None
    background: int | None = None
    region: Bool[Tensor, "b *s"] | None = field(default=None, repr=False)

    @property
    def index(self) -> Classes:
        """The class asked about, as other targets call it."""
        return self.class_index

    def bind(self, outputs: Float[Tensor, "b c *s"]) -> Region:
        """The class of each record and where it is predicted.

        Raises ``TargetError``: SW-T50 a class predicted nowhere, SW-T51 outputs without places, SW-T52 only the
        background is predicted, SW-T53 not one class per record, SW-T01 and SW-T10 for what is no class.
        """
        if self.region is not None:
            return self
        labels = predicted_labels(outputs.detach())
        classes = max(outputs.shape[1], 2)
        shares = [shares_of(record) for record in labels]
        chosen = tuple(
            _frequent(present, self.background, classes) if one is None else class_index(one, classes)
            for one, present in zip(self._each(len(labels)), shares, strict=True)
        )
        for one, present in zip(chosen, shares, strict=True):
            if one not in present:
                raise _nowhere(one, present)
        wanted = torch.tensor(chosen, device=labels.device).reshape(-1, *[1] * (labels.ndim - 1))
        return Region(chosen, self.background, labels == wanted)

    def take(self, rows: Sequence[int]) -> Region:
        """The same question of these records."""
        index = self.class_index
        taken = tuple(index[row] for row in rows) if isinstance(index, tuple) else index
        return Region(taken, self.background, None if self.region is None else self.region[list(rows)])

    def __call__(self, outputs: Float[Tensor, "b c *s"]) -> Float[Tensor, " b"]:
        bound = self.bind(outputs)
        region, index = bound.region, bound.class_index
        if region is None or region.shape != outputs.shape[:1] + outputs.shape[2:]:
            raise TargetError(
                "SW-T54",
                f"the region was settled on outputs for {tuple(region.shape) if region is not None else None} places, "
                f"these are {tuple(outputs.shape)}",
                fix="ask about inputs of the size and number that the question was settled on",
            )
        inside = region.to(device=outputs.device, dtype=outputs.dtype).flatten(1)
        logits = class_logits(outputs, torch.tensor(index, device=outputs.device)).flatten(1)
        return (logits * inside).sum(dim=1) / inside.sum(dim=1)

    def _each(self, records: int) -> tuple[int | None, ...]:
        wanted = self.class_index if isinstance(self.class_index, tuple) else (self.class_index,) * records
        if len(wanted) != records:
            raise TargetError(
                "SW-T53",
                f"one class per record is needed, got {len(wanted)} classes for {records} records",
                fix="give as many classes as the batch has records, or one class for all",
            )
        return wanted


def predicted_labels(outputs: Float[Tensor, "b c *s"]) -> Int[Tensor, "b *s"]:
    """The class of each place: the best logit's; of a single channel, class 1 from logit 0 on."""
    if outputs.ndim < 3:
        raise TargetError(
            "SW-T51",
            f"a region is asked about where outputs are (batch, classes, *places), these are {tuple(outputs.shape)}",
            fix="use it with a segmentation model, read by SegmentationReader",
        )
    return (outputs[:, 0] >= 0).long() if outputs.shape[1] == 1 else outputs.argmax(dim=1)


def class_logits(outputs: Float[Tensor, "b c *s"], classes: Int[Tensor, " b"]) -> Float[Tensor, "b *s"]:
    """Each record's logits of its class; of a single channel, with the sign that argues for it."""
    if outputs.shape[1] == 1:
        sign = (2 * classes - 1).to(outputs.dtype).reshape(-1, *[1] * (outputs.ndim - 2))
        return sign * outputs[:, 0]
    return outputs[torch.arange(len(outputs), device=outputs.device), classes]


def shares_of(labels: Int[Tensor, "*s"]) -> dict[int, float]:
    """The classes present and their share of places, most frequent first; of equals the lower number first.

    >>> shares_of(torch.tensor([2, 0, 2, 2]))
    {2: 0.75, 0: 0.25}
    """
    present, counts = torch.unique(labels, return_counts=True)
    found = dict(zip(present.tolist(), (counts / labels.numel()).tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _frequent(present: dict[int, float], background: int | None, classes: int) -> int:
    left_out = None if background is None else class_index(background, classes)
    found = next((one for one in present if one != left_out), None)
    if found is None:
        raise TargetError(
            "SW-T52",
            f"only the background, class {left_out}, is predicted",
            fix="name a class that is predicted on this input, or leave out background= to explain that one",
        )
    return found


def _nowhere(wanted: int, present: dict[int, float]) -> TargetError:
    listed = [f"{one} ({share:.1%})" for one, share in list(present.items())[:MOST_LISTED]]
    more = f" and {len(present) - MOST_LISTED} more" if len(present) > MOST_LISTED else ""
    return TargetError(
        "SW-T50",
        f"class {wanted} is predicted nowhere on this input; present, with their share of places: "
        f"{', '.join(listed)}{more}",
        near=[str(one) for one in list(present)[:3]],
        fix="ask about a class that is present",
    )
