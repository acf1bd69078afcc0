"""What a data set is to the pipeline: an index of records that costs nothing, and one record read at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seewhy.data.orientation import Affine, Reordering
from seewhy.memory import is_out_of_memory
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
class Slices:
    """A volume or a clip as a person knows it: ``pixels`` ``(N, H, W, 3)`` uint8 RGB, each a slice or a frame."""

    pixels: UInt8[np.ndarray, "n h w 3"]
    called: Literal["slice", "frame"] = "slice"

    @property
    def middle(self) -> UInt8[np.ndarray, "h w 3"]:
        """The slice or frame in the middle."""
        shown: NDArray[np.uint8] = self.pixels[len(self.pixels) // 2]
        return shown


View: TypeAlias = UInt8[np.ndarray, "h w 3"] | Slices | Float[np.ndarray, "leads t"]
"""An input as a person knows it: a picture, slices or frames, or the lines of a signal."""


@dataclass(frozen=True)
class Space:
    """How the voxels of a record's original volume lie in its file, so that a map can be laid on it in any viewer.

    ``order`` brought the file's axes into those of ``Geometry.original``; ``affine`` is the file's own.
    """

    order: Reordering
    affine: Affine


@dataclass(frozen=True, slots=True)
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
    changed content is explained again. ``notes`` say what reading changed (``"alpha composited on white"``). ``space``
    is where the original of a volume lies in its file.
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
    space: Space | None = None


@runtime_checkable
class Dataset(Protocol):
    """A data set as the pipeline sees it. Must pickle, since reading happens in worker processes.

    A data set whose records have several inputs, or whose input is no picture, also has the ``pictures`` of
    :class:`ShowsInputs`; one that assumes anything has the ``assumptions`` of :class:`Assumes`.
    """

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


@runtime_checkable
class ShowsInputs(Protocol):
    """A data set that shows each of its inputs by name, of any rank."""

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
        """Every input with space or time as a person knows it, at input resolution."""
        ...


@runtime_checkable
class Assumes(Protocol):
    """A data set that tells what it took for granted where a setting was left open."""

    def assumptions(self) -> Mapping[str, str]:
        """What was assumed, by what it is about; empty where everything was said."""
        ...


def views_of(dataset: Dataset, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
    """Every input with space or time as a person knows it; ``picture`` shows the only one of a data set without
    ``pictures``.

    Raises ``DataError`` SW-D100 where a data set without ``pictures`` has several.
    """
    if isinstance(dataset, ShowsInputs):
        return dataset.pictures(inputs)
    names = [name for name, tensor in inputs.items() if tensor.ndim >= 2]
    if len(names) != 1:
        raise DataError(
            "SW-D100",
            f"{type(dataset).__name__} shows one picture, its records have the inputs {', '.join(names)}",
            fix="give it a method pictures(inputs) that returns the picture of each input by name",
        )
    return {names[0]: dataset.picture(inputs)}


@dataclass(frozen=True)
class Batch:
    """Records of equal input shape, stacked; ``failures`` are those that could not be read, with the reason."""

    positions: tuple[int, ...]
    records: tuple[Record, ...]
    inputs: dict[str, Tensor]
    failures: tuple[tuple[int, str], ...] = ()

    def parts(self, size: int) -> list[Batch]:
        """The records, in order, in batches of at most ``size``; failures are left out."""
        rows = [slice(start, start + size) for start in range(0, len(self.records), size)]
        return [
            Batch(self.positions[part], self.records[part], {name: value[part] for name, value in self.inputs.items()})
            for part in rows
        ]

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, or as it is where there is too little; torch's loader calls this by name."""
        try:
            return replace(self, inputs={name: value.pin_memory() for name, value in self.inputs.items()})
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return self
