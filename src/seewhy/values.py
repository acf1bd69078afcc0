"""Values every room shares: errors, geometry, rows and artifacts. Imports neither torch nor anything of seewhy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Json = Any
Status = Literal["ok", "failed"]


class SeewhyError(Exception):
    """An error a user can act on: what was expected, what came, what to do.

    ``code`` is stable (``SW-C03``) and listed in ``docs/errors.md``; ``near`` holds the closest valid names.
    """

    def __init__(self, code: str, message: str, *, fix: str = "", near: Sequence[str] = ()) -> None:
        self.code = code
        self.message = message
        self.fix = fix
        self.near = tuple(near)
        super().__init__(code, message, fix, self.near)

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}"]
        if self.near:
            lines.append(f"  nearest: {', '.join(self.near)}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_error, (type(self), self.code, self.message, self.fix, self.near))


def _rebuild_error(kind: type[SeewhyError], code: str, message: str, fix: str, near: tuple[str, ...]) -> SeewhyError:
    return kind(code, message, fix=fix, near=near)


class ConfigError(SeewhyError):
    """A setting is unknown, missing, of the wrong type or out of range. Codes ``SW-F..``."""


class CheckpointError(SeewhyError):
    """A checkpoint cannot be read, trusted or matched to the model. Codes ``SW-C..``."""


class ModelError(SeewhyError):
    """A model cannot be built, called or understood. Codes ``SW-M..``."""


class LayerError(SeewhyError):
    """A layer does not exist, is not reached, or has no spatial grid. Codes ``SW-L..``."""


class TargetError(SeewhyError):
    """A question does not fit the model's outputs. Codes ``SW-T..``."""


class DataError(SeewhyError):
    """A data set or one of its records cannot be read. Codes ``SW-D..``."""


class EmbeddingError(SeewhyError):
    """Embeddings cannot be read, or a question does not fit them. Codes ``SW-E..``."""


class StoreError(SeewhyError):
    """A run directory is held, damaged, full or belongs to another run. Codes ``SW-S..``."""


class CacheError(SeewhyError):
    """A cache of explanations cannot be opened, or is asked without what tells one explanation from another.

    Codes ``SW-K..``.
    """


class MissingExtraError(SeewhyError):
    """An optional dependency is absent; ``fix`` is the exact install command. Codes ``SW-X..``."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            "SW-X01",
            f"this needs the package {package!r}, which is not installed",
            fix=f"pip install 'seewhy[{extra}]'",
        )
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return (MissingExtraError, (self.package, self.extra))


def nearest(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """The candidates most like ``name``, best first."""
    names = list(dict.fromkeys(candidates))
    by_folded = {candidate.casefold(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.casefold(), list(by_folded), n=limit, cutoff=0.4)
    contained = [candidate for candidate in names if name and name.casefold() in candidate.casefold()]
    return list(dict.fromkeys([by_folded[match] for match in matches] + contained))[:limit]


def different_names(given: object) -> tuple[str, ...] | None:
    """Names as a tuple; None unless they are a sequence of one text or more, none of them empty or there twice.

    Example:
        >>> different_names(["left", "right"]), different_names("left"), different_names(["left", "left"])
        (('left', 'right'), None, None)
    """
    names = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    fine = names and all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
    return names if fine else None


@dataclass(frozen=True)
class Geometry:
    """Where a model input lies on its original: per spatial axis, ``input = original * scale - offset``.

    Coordinates are continuous pixel edges (pixel ``i`` covers ``[i, i + 1)``), axes in array order (``(H, W)`` for
    pictures, after EXIF orientation). A negative offset means padding.
    """

    original: tuple[int, ...]
    input: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def identity(cls, size: Sequence[int]) -> Geometry:
        """The geometry of an input that is its own original."""
        axes = tuple(int(length) for length in size)
        return cls(axes, axes, (1.0,) * len(axes), (0.0,) * len(axes))

    def to_input(self, point: Sequence[float]) -> tuple[float, ...]:
        """An original point, in input coordinates."""
        return tuple(p * s - o for p, s, o in zip(point, self.scale, self.offset, strict=True))

    def to_original(self, point: Sequence[float]) -> tuple[float, ...]:
        """An input point, in original coordinates."""
        return tuple((p + o) / s for p, s, o in zip(point, self.scale, self.offset, strict=True))

    def to_json(self) -> dict[str, Json]:
        """Plain lists, for a Parquet or JSON cell."""
        return {
            "original": list(self.original),
            "input": list(self.input),
            "scale": list(self.scale),
            "offset": list(self.offset),
        }

    @classmethod
    def from_json(cls, cell: Mapping[str, Json]) -> Geometry:
        """The inverse of :meth:`to_json`."""
        return cls(*(tuple(cell[key]) for key in ("original", "input", "scale", "offset")))


@dataclass(frozen=True)
class Artifact:
    """A derived file on disk: what it shows and the bytes it had when it was written."""

    kind: str
    path: str
    record_id: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Answer:
    """The raw answer to one question about one record: numbers at native resolution, never normalised.

    ``values`` is ``(D,)`` for an embedding, ``(K, *S)`` for maps (one per entry of ``classes``) or ``(*S,)``.
    """

    values: NDArray[np.float32]
    classes: tuple[int, ...] = ()


PreviewKind = Literal["picture", "slices", "frames", "signal"]


@dataclass(frozen=True)
class Preview:
    """One input of a record, small enough for pages of many records.

    ``data`` is a JPEG of tiles of equal size side by side: the picture, or the slices or frames that ``shown`` counts
    among ``of``.
    """

    input_name: str
    kind: PreviewKind
    data: bytes
    shown: tuple[int, ...] = (0,)
    of: int = 1


@dataclass(frozen=True)
class RecordRow:
    """One record of one shard: what the model said of it, the answers, and the files made from them.

    ``previews`` are left out where a reader was not asked for them.
    """

    record_id: str
    split: str
    position: int
    status: Status = "ok"
    stage: str = ""
    error: str = ""
    revision: str = ""
    label: int | None = None
    predicted: int | None = None
    confidence: float | None = None
    probabilities: NDArray[np.float32] | None = None
    geometry: Geometry | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    files: tuple[Artifact, ...] = ()
    previews: tuple[Preview, ...] = ()
