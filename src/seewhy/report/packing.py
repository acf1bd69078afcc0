"""Records as a static page carries them: what many of them share is written once, numbers as short as they are true.

``static/unpack.js`` is the other half: it makes RECORD of it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from seewhy.report.jinja import json_text
from seewhy.report.map_codes import Coded, coded, statistics_of, tiles_of
from seewhy.report.record import grades_json, inputs_json, said_of
from seewhy.report.record_maps import HEAD, FoundMap, maps_of, shown_of
from seewhy.report.run_facts import Facts
from seewhy.report.thumbnails import Thumbnail
from seewhy.values import Json, Preview, RecordRow

STATISTICS: Final = ("mean", "std", "min", "max", "sparsity", "near_zero", "nonfinite", "count")
MOST_MAPS: Final = 24
"""Maps of a record that a static page may carry at all; a dashboard shows every one."""

_DEFAULTS: Final[Mapping[str, Json]] = {
    "status": "ok", "stage": "", "error": "", "notes": [], "shares": [], "geometry": None, "confidence": None,
}  # fmt: skip


_TIE: Final = 1e-12


class Shared:
    """Things that many records share, each written once and then called by its number."""

    def __init__(self) -> None:
        self.things: list[Json] = []
        self._numbers: dict[str, int] = {}

    def number(self, thing: Json) -> int:
        """The number of a thing; a new one is added."""
        found = self._numbers.setdefault(json_text(thing), len(self.things))
        if found == len(self.things):
            self.things.append(thing)
        return found


@dataclass(frozen=True)
class PackedMap:
    """A map ready to be written: what it shares with other records' maps, its codes and its statistics."""

    looks: Mapping[str, Json]
    index: int | None
    coded: Coded
    statistics: Sequence[Json]
    head: bool

    @classmethod
    def of(cls, one: FoundMap, shown: Sequence[int], of: int) -> PackedMap:
        """A raw map at the slices that its input's picture shows."""
        looks = {key: value for key, value in one.looks.items() if key not in ("index", "input_name")}
        told = statistics_of(one.raw)
        return cls(
            {**looks, "input": one.input_name},
            one.index,
            coded(tiles_of(one.raw, shown, of)),
            [short(told[name]) for name in STATISTICS],
            one.rank[0] == HEAD,
        )

    @cached_property
    def size(self) -> int:
        """Roughly its bytes on a page, with all tiles."""
        return 4 * self.coded.codes.size // 3 + len(json_text(self.statistics)) + 40


@dataclass(frozen=True)
class Candidate:
    """A record on its way to a page: everything it could show, from which the page takes what fits."""

    said: Mapping[str, Json]
    inputs: Sequence[Mapping[str, Json]]
    previews: Sequence[Preview]
    maps: Sequence[PackedMap]
    grades: Sequence[Mapping[str, Json]]
    left_out: int = 0

    @classmethod
    def of(cls, row: RecordRow, facts: Facts) -> Candidate:
        """A row read with its answers and previews."""
        previews = {preview.input_name: preview for preview in row.previews}
        found = maps_of(row, facts)
        maps = [PackedMap.of(one, *shown_of(previews, one)) for one in found[:MOST_MAPS]]
        inputs = inputs_json(row, facts, _nowhere)
        return cls(said_of(row, facts), inputs, row.previews, maps, grades_json(row, facts), len(found) - len(maps))

    @cached_property
    def size(self) -> int:
        """Roughly its bytes on a page without pictures and maps."""
        return len(json_text(packed_said(self.said))) + 30 * len(self.grades) + 60 * len(self.inputs) + 40


@dataclass
class Packing:
    """A page's records as they are packed, one after the other."""

    records: list[Json] = field(default_factory=list)
    kinds: Shared = field(default_factory=Shared)
    graded: Shared = field(default_factory=Shared)
    inputs: Shared = field(default_factory=Shared)
    geometries: Shared = field(default_factory=Shared)
    omitted: int = 0

    def add(self, one: Candidate, thumbnails: Sequence[Thumbnail], *, maps: int, heads: bool) -> None:
        """Pack a record with the first ``maps`` of its maps, and as many of its heads where they are wanted."""
        kept = [each for each in one.maps if heads or not each.head][:maps]
        left = len(one.maps) - len(kept) + one.left_out
        self.omitted += left
        told = packed_said(one.said)
        if one.said["geometry"] is not None:
            told["geometry"] = self.geometries.number(one.said["geometry"])
        told["inputs"] = [self._input(each, place, thumbnails) for place, each in enumerate(one.inputs)]
        tiles = {str(each["name"]): thumb.tiles for each, thumb in zip(one.inputs, thumbnails, strict=False)}
        told["maps"] = [self._map(each, tiles.get(str(each.looks["input"]))) for each in kept]
        told["grades"] = [self._grade(each) for each in one.grades]
        if left:
            told["omitted"] = left
        self.records.append({name: value for name, value in told.items() if value != []})

    def json(self) -> dict[str, Json]:
        """What ``unpack.js`` makes records of."""
        return {
            "packed": 1, "records": self.records, "kinds": self.kinds.things, "graded": self.graded.things,
            "input_kinds": self.inputs.things, "geometries": self.geometries.things,
        }  # fmt: skip

    def _input(self, one: Mapping[str, Json], place: int, thumbnails: Sequence[Thumbnail]) -> list[Json]:
        told = {key: value for key, value in one.items() if key != "src"}
        if place >= len(thumbnails):
            return [self.inputs.number(told), None]
        thumb = thumbnails[place]
        shown = [one["shown"][number] for number in thumb.tiles]
        told |= {"width": thumb.width, "height": thumb.height, "shown": shown, "tiles": len(shown)}
        return [self.inputs.number(told), thumb.uri]

    def _map(self, one: PackedMap, tiles: Sequence[int] | None) -> list[Json]:
        count, height, width = one.coded.codes.shape
        kept = None if tiles is None or len(tiles) == count else tiles
        looks = {**one.looks, "height": height, "width": width, "tiles": count if kept is None else len(kept)}
        numbers = [short(one.coded.peak), short(one.coded.trough)]
        return [self.kinds.number(looks), one.index, *numbers, one.coded.text(kept), one.statistics]

    def _grade(self, one: Mapping[str, Json]) -> list[Json]:
        looks = {key: one[key] for key in ("who", "control", "metric", "input", "better")}
        told = [self.graded.number(looks), short(one["value"])]
        return told if one["reason"] is None else [*told, one["reason"]]


def _nowhere(row: RecordRow, preview: Preview) -> str:
    """Where pictures are found is settled by the page."""
    del row, preview
    return ""


def packed_said(said: Mapping[str, Json]) -> dict[str, Json]:
    """What a record says, without what goes without saying."""
    told = {name: value for name, value in said.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    told["confidence"] = short(said["confidence"])
    told["top"] = [[index, short(value)] for index, value in said["top"]]
    return told


def short(value: Any) -> Json:
    """A number with six digits, with all where pages would otherwise round it to others; whole numbers stay whole.

    Pages show three digits of a number and one behind the point of a percentage.

    >>> short(1 / 3), short(0.56249996), short(3), short(None), short(2.0)
    (0.333333, 0.56249996, 3, None, 2)
    """
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.6g}")
    around = (rounded * (1 - _TIE), rounded * (1 + _TIE))
    if any(f"{near:{shown}}" != f"{value:{shown}}" for near in around for shown in (".3g", ".1%")):
        rounded = value  # a browser rounds a tie up, python to the even digit
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded
