"""What a page knows of the records on a report's other pages: enough to find them, and to place them in a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from seewhy.report.packing import short
from seewhy.values import Json

MOST_BYTES: Final = 2_000_000
"""What this index and the points of a map may take of a page."""

TOO_MANY: Final = (
    "The embedding map and the search know only the records of this page: an index of all others would not fit. "
    "`seewhy serve RUN_DIR` knows all of them."
)
_LONGEST_ERROR: Final = 160

Place = tuple[str, str]
Brief = list[Any]


def brief_of(said: Mapping[str, Json]) -> Brief:
    """A record in a few words: id, label, prediction, confidence and, of one that failed, the start of its error.

    ``said`` is what ``said_of`` told of it.
    """
    told = [said["id"], said["label"], said["predicted"], short(said["confidence"])]
    return [*told, f"{said['stage']}: {said['error']}"[:_LONGEST_ERROR]] if said["status"] == "failed" else told


@dataclass(frozen=True)
class Elsewhere:
    """The records of a report by page, each ``(split, id)``, and what is told of each."""

    pages: Sequence[Sequence[Place]]
    briefs: Mapping[Place, Brief]

    def others(self, number: int) -> list[Place]:
        """The records that a page does not hold, in the order of the pages."""
        return [place for page, places in enumerate(self.pages, 1) if page != number for place in places]

    def json(self, number: int) -> dict[str, Json]:
        """The records of all pages but one, in the order of :meth:`others`: page and split by number, then the rest."""
        splits = sorted({split for split, _ in self.others(number)})
        return {"splits": splits, "rows": [[*found] for found in self._rows(number, splits)]}

    def classes(self) -> set[int]:
        """The classes that are named."""
        return {index for brief in self.briefs.values() for index in brief[1:3] if index is not None}

    def _rows(self, number: int, splits: Sequence[str]) -> Iterator[Brief]:
        for page, places in enumerate(self.pages, 1):
            for place in places if page != number else ():
                yield [page, splits.index(place[0]), *self.briefs[place]]
