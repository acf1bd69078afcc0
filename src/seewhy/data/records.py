"""What a data set is to the pipeline: an index of records that costs nothing, and one record read at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
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
class Batch:
    """Records of equal input shape, stacked; ``failures`` are those that could not be read, with the reason."""

    positions: tuple[int, ...]
    records: tuple[Record, ...]
    inputs: dict[str, Tensor]
    failures: tuple[tuple[int, str], ...] = ()

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; torch's loader calls this by name."""
        return replace(self, inputs={name: value.pin_memory() for name, value in self.inputs.items()})
