"""What a data set is to the pipeline: an index of records that costs nothing, and one record read at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seewhy.values import DataError, Geometry, Json


def duplicate_id(record_id: str, first: object, second: object) -> DataError:
    """The error for two records with one id, naming where each was found."""
    return DataError(
        "SW-D04",
        f"the record id {record_id!r} occurs twice: {first} and {second}",
        fix="give every record an id of its own",
    )


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RecordRef:
    """One line of a data set's index: enough to plan a run without opening a file."""

    record_id: str
    split: str
    label: int | None = None


@dataclass(frozen=True)
class Record:
    """One item of a data set, ready for a model (unbatched).

    ``inputs`` are preprocessed tensors by name, ``{"image": (C, H, W)}``. ``box`` is ``(x0, y0, x1, y1)`` and ``mask``
    ``(H, W)`` bool, both in pixels of the input. ``revision`` identifies the content the record was read from, so that
    changed content is explained again. ``notes`` say what reading changed (``"alpha composited on white"``).
    """

    record_id: str
    split: str
    inputs: Mapping[str, Tensor]
    label: int | None = None
    geometry: Geometry | None = None
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    revision: str = ""
    notes: tuple[str, ...] = ()


@runtime_checkable
class Dataset(Protocol):
    """A data set as the pipeline sees it. Must pickle, since reading happens in worker processes."""

    class_names: Sequence[str] | None

    def index(self) -> Sequence[RecordRef]:
        """Every record in a stable order, with unique ids; cheap, decodes nothing."""
        ...

    def read(self, position: int) -> Record:
        """The record at a position of :meth:`index`. Raises on bad content; the pipeline records the failure."""
        ...

    def revision(self, position: int) -> str:
        """What :meth:`read` would put into ``Record.revision``, without decoding."""
        ...

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """An input as a person knows it: normalisation undone, 8-bit RGB at input resolution."""
        ...

    def fingerprint(self) -> Mapping[str, Json]:
        """The settings that decide pixel values (size, mean, std, crop ...); no paths, no clock."""
        ...


@dataclass(frozen=True)
class Normalisation:
    """Per-channel ``(x - mean) / std`` on values in [0, 1], and the way back to 8-bit pictures.

    Raises ``DataError`` SW-D01 when the lengths differ or a value is not finite or a ``std`` not positive.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        values = (*self.mean, *self.std)
        finite = all(isinstance(value, Real) and math.isfinite(value) for value in values)
        if not self.mean or len(self.mean) != len(self.std) or not finite or min(self.std) <= 0:
            raise DataError(
                "SW-D01",
                f"mean and std must be equally many finite numbers, std above 0; got mean={self.mean}, std={self.std}",
                fix="give one value per channel on the 0..1 scale, e.g. mean=[0.5,0.5,0.5] std=[0.5,0.5,0.5]",
            )

        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))

    def apply(self, image: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """``image`` in [0, 1] to model space."""
        mean, std = (_per_channel(values, image) for values in (self.mean, self.std))
        return (image - mean) / std

    def undo(self, image: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """A model-space tensor back to [0, 1], clipped."""
        mean, std = (_per_channel(values, image) for values in (self.mean, self.std))
        return (image * std + mean).clamp(0, 1)

    def picture(self, image: Float[Tensor, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
        """A model-space image as 8-bit RGB; a single channel is shown as gray, further than three are left out."""
        return to_rgb8(self.undo(image.detach().float()))


def to_rgb8(image: Float[Tensor, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values in [0, 1] as 8-bit RGB; one or two channels show the first as gray, further than three are left out."""
    shown = image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)
    pixels: NDArray[np.uint8] = (shown * 255).round().byte().cpu().permute(1, 2, 0).contiguous().numpy()
    return pixels


def _per_channel(values: Sequence[float], image: Tensor) -> Tensor:
    cells = torch.tensor(values, dtype=image.dtype, device=image.device)
    return cells.reshape(-1, *[1] * (image.ndim - 1))


@dataclass(frozen=True)
class Batch:
    """Records of equal input shape, stacked; ``failures`` are those that could not be read, with the reason."""

    positions: tuple[int, ...]
    records: tuple[Record, ...]
    inputs: dict[str, Tensor]
    failures: tuple[tuple[int, str], ...] = ()

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; torch's loader calls this by name."""
        return replace(self, inputs={name: value.pin_memory() for name, value in self.inputs.items()})
