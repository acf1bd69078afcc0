"""What a live question is about: a record of the data set, or a picture that was dropped in, as the model gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from seewhy.data.decoding import decode_content
from seewhy.data.images import LoadedImage, Preprocessing
from seewhy.data.records import Dataset, Record, views_of
from seewhy.pipeline.previews import previews_of
from seewhy.report.live import LiveError
from seewhy.values import Preview, nearest

DROPPED: Final = "dropped picture"
"""What a picture that was dropped in is called: in errors, and as a record."""
NO_SPLIT: Final = "none"
MOST_PIXELS: Final = 36_000_000
"""The most pixels of a dropped picture; checked before it is decoded."""


@dataclass(frozen=True)
class LiveSubject:
    """A record, small pictures of its inputs, and its place in the data set; -1 of a dropped picture."""

    record: Record
    previews: tuple[Preview, ...]
    position: int = -1


class Subjects:
    """The records of a data set, where there is one, and pictures prepared by ``recipe``, where they can be.

    ``without_data`` and a ``recipe`` in words say why one of them cannot be asked about.
    """

    def __init__(self, dataset: Dataset | None, without_data: str, recipe: Preprocessing | str) -> None:
        self.dataset, self.without_data, self.recipe = dataset, without_data, recipe
        index = () if dataset is None else dataset.index()
        self._places = {(ref.split, ref.record_id): place for place, ref in enumerate(index)}

    def find(self, text: str, most: int) -> list[tuple[str, str]]:
        """Split and id of the first ``most`` records whose id holds ``text``, whatever its case."""
        wanted, found = text.casefold(), list[tuple[str, str]]()
        for split, record_id in self._places:
            if wanted in record_id.casefold():
                found.append((split, record_id))
                if len(found) == most:
                    break
        return found

    def record(self, split: str, record_id: str) -> LiveSubject:
        """A record, read; raises ``LiveError`` SW-W47 without a data set, SW-W48 for no such record."""
        if self.dataset is None:
            raise LiveError("SW-W47", self.without_data, fix="drop in a picture, or start again with the data set")
        place = self._places.get((split, record_id))
        if place is None:
            ids = [name for part, name in self._places if part == split]
            raise LiveError(
                "SW-W48", f"the data set has no record {record_id[:120]!r} in the split {split[:120]!r}",
                near=nearest(record_id[:120], ids[:10_000]), fix="choose one of the data set that is open",
            )  # fmt: skip
        record = self.dataset.read(place)
        return LiveSubject(record, previews_of(views_of(self.dataset, record.inputs)), place)

    def image(self, content: bytes) -> LiveSubject:
        """A dropped picture, prepared; raises ``LiveError`` SW-W49 where the model takes none, ``DataError`` for
        what is no picture."""
        loaded = self.loaded(content)
        record = Record(
            DROPPED, NO_SPLIT, {"image": loaded.pixels}, geometry=loaded.geometry, revision=loaded.revision,
            notes=loaded.notes,
        )  # fmt: skip
        how = self.recipe
        shown = how.picture({"image": loaded.pixels}) if isinstance(how, Preprocessing) else None
        return LiveSubject(record, () if shown is None else previews_of({"image": shown}))

    def loaded(self, content: bytes) -> LoadedImage:
        """A dropped picture as the model gets it."""
        if isinstance(self.recipe, str):
            raise LiveError("SW-W49", f"pictures cannot be dropped in: {self.recipe}", fix="choose a record")
        return self.recipe.prepare(decode_content(DROPPED, content, max_pixels=MOST_PIXELS))


def splits_of(dataset: Dataset | None) -> Sequence[str]:
    """The splits of a data set in its order; none without one."""
    return [] if dataset is None else list(dict.fromkeys(ref.split for ref in dataset.index()))
