"""What pictures that are made later are drawn over: the records themselves, or the small copies stored with them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from PIL import Image

from seewhy.data.records import Dataset, Space, View, views_of
from seewhy.remote.versions import is_strong
from seewhy.render.errors import RenderError
from seewhy.store.keys import difference
from seewhy.store.picture_tables import Over
from seewhy.values import Json, Preview, RecordRow

AGAIN: Final = "run the same generate_artifacts command again: what has changed is explained again"

Ground = tuple[Callable[[], Mapping[str, View]], Space | None]
"""A record's inputs, made visible in whichever thread asks, and where its voxels lie in its file."""


class Grounds(Protocol):
    """Where pictures come from; ``remark`` is what their captions say of it."""

    @property
    def over(self) -> Over: ...

    @property
    def remark(self) -> str: ...

    def of(self, row: RecordRow) -> Ground:
        """The ground of a record, asked for in one thread only. Raises for a record that has none."""
        ...


@dataclass(frozen=True)
class Records:
    """The records of the data set that the run was made of: pictures have the bytes the run would have given them."""

    dataset: Dataset
    over: Over = "data"
    remark: str = ""

    @cached_property
    def _position(self) -> Mapping[str, int]:
        return {ref.record_id: position for position, ref in enumerate(self.dataset.index())}

    def of(self, row: RecordRow) -> Ground:
        """Read the record.

        Raises ``RenderError`` SW-R74 where the data set holds it no more, or with other content; else what reading it
        raises.
        """
        position = self._position.get(row.record_id)
        record = None if position is None else self.dataset.read(position)
        if record is None:
            raise RenderError("SW-R74", "the data set has no such record", fix=AGAIN)
        if record.revision != row.revision:
            raise _of_other_content(record.revision, row.revision)
        return lambda: views_of(self.dataset, record.inputs), record.space


def _of_other_content(here: str, then: str) -> RenderError:
    """A store tells content by its own tags and a disk by its bytes, which cannot be compared."""
    if _is_tag(here) == _is_tag(then):
        return RenderError("SW-R74", "its content has changed since the run", fix=AGAIN)
    read, now = ("a store", "a disk") if _is_tag(then) else ("a disk", "a store")
    return RenderError(
        "SW-R74",
        f"the run read it from {read}, and this is {now}: whether they hold the same cannot be told",
        fix="name the data set where the run read it, or leave it out to draw over the previews in the run",
    )


def _is_tag(revision: str) -> bool:
    return is_strong(revision.rpartition("/")[0])


@dataclass(frozen=True)
class Previews:
    """The small copies of the inputs that lie in the run: for pictures, where the data set is not at hand."""

    over: Over = "preview"
    remark: str = "over the stored preview"

    def of(self, row: RecordRow) -> Ground:
        """Raises ``RenderError`` SW-R72 for inputs that no small picture can stand for."""
        for preview in row.previews:
            if preview.kind != "picture":
                raise RenderError(
                    "SW-R72",
                    f"its input {preview.input_name!r} is stored as {preview.kind}: that is drawn from the data alone",
                    fix="say where the data set is: data.root=DIR",
                )
        if not row.previews:
            raise RenderError(
                "SW-R72", "the run holds no small copy of its inputs", fix="say where the data set is: data.root=DIR"
            )
        return lambda: {preview.input_name: _pixels(preview) for preview in row.previews}, None


def require_same_data(dataset: Dataset, told: Mapping[str, Json]) -> None:
    """Refuse a data set that would be read otherwise than the run's was.

    Raises:
        RenderError: ``SW-R73``, with one line per setting that differs.
    """
    lines = difference(told, dataset.fingerprint())
    if lines:
        raise RenderError(
            "SW-R73",
            "this data set is not read as the run's was; what differs (there -> now):\n    " + "\n    ".join(lines),
            fix="leave out the settings that differ, data.root=DIR alone says where the files are",
        )


def _pixels(preview: Preview) -> np.ndarray:
    with Image.open(io.BytesIO(preview.data)) as picture:
        return np.asarray(picture.convert("RGB"))
