"""How much of each record a page shows, so that it stays as small as it must be: fewer maps, smaller pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from seewhy.report.errors import ReportError
from seewhy.report.jinja import json_text
from seewhy.report.packing import MOST_MAPS, Candidate, Packing
from seewhy.report.thumbnails import Thumbnail, thumbnail_of

_SAMPLE: Final = 32
_MARGIN: Final = 1.03


@dataclass(frozen=True)
class Level:
    """How a page shows its records: pictures of at most ``side`` pixels, at most ``tiles`` slices and ``maps`` maps."""

    side: int
    quality: int | None
    maps: int = MOST_MAPS
    heads: bool = True
    tiles: int = 12

    def words(self, packing: Packing) -> list[str]:
        """What a page at this level tells its readers was left out; nothing where all is there."""
        told = []
        if self.side < LEVELS[0].side:
            told.append(f"Pictures are at most {self.side} pixels wide here, so that the page stays small.")
        if packing.omitted:
            told.append(
                f"{packing.omitted} maps were left out for the same reason"
                + ("" if self.heads else ", among them all single attention heads")
                + ": those of the predicted and the true class come first."
            )
        return told


LEVELS: Final = (
    Level(256, None), Level(192, 75), Level(160, 70), Level(128, 65), Level(128, 60, maps=12, tiles=6),
    Level(128, 55, maps=12, heads=False, tiles=4), Level(112, 50, maps=12, heads=False, tiles=4),
    Level(96, 50, maps=11, heads=False, tiles=4), Level(96, 40, maps=11, heads=False, tiles=3),
    Level(96, 40, maps=6, heads=False, tiles=3), Level(80, 40, maps=6, heads=False, tiles=2),
    Level(80, 35, maps=4, heads=False, tiles=1), Level(64, 40, maps=4, heads=False, tiles=1),
    Level(64, 30, maps=2, heads=False, tiles=1), Level(48, 30, maps=2, heads=False, tiles=1),
    Level(48, 30, maps=1, heads=False, tiles=1), Level(32, 30, maps=0, heads=False, tiles=1),
)  # fmt: skip
"""From the most a page can show to the least."""


def fit(candidates: Sequence[Candidate], budget: int) -> tuple[Packing, Level]:
    """Pack records into at most ``budget`` bytes of JSON, at the highest level at which they fit.

    Raises:
        ReportError: ``SW-P05``, not even the lowest level fits.
    """
    fitter = _Fitter(candidates)
    for level in LEVELS:
        if fitter.estimate(level) <= budget:
            packing = fitter.packed(level)
            if fitter.size(packing) <= budget:
                return packing, level
    raise ReportError(
        "SW-P05",
        f"{len(candidates)} records do not fit into {budget} bytes",
        fix="show fewer records on a page, or open the run with `seewhy serve`",
    )


class _Fitter:
    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        step = max(1, len(candidates) // _SAMPLE)
        self._sample = candidates[::step]
        self._pictures = lru_cache(maxsize=None)(self._mean_picture)

    def estimate(self, level: Level) -> float:
        """Roughly the bytes of all records at a level."""
        said = sum(one.size for one in self._candidates)
        maps = sum(self._maps(one, level) for one in self._candidates)
        return said + maps + len(self._candidates) * self._pictures(level.side, level.quality, level.tiles) * _MARGIN

    def packed(self, level: Level) -> Packing:
        """All records at a level."""
        packing = Packing()
        for one in self._candidates:
            thumbnails = _thumbnails(one, level.side, level.quality, level.tiles)
            packing.add(one, thumbnails, maps=level.maps, heads=level.heads)
        return packing

    @staticmethod
    def size(packing: Packing) -> int:
        """The bytes of packed records."""
        return len(json_text(packing.json()).encode())

    def _mean_picture(self, side: int, quality: int | None, tiles: int) -> float:
        sizes = [len(thumb.uri) for one in self._sample for thumb in _thumbnails(one, side, quality, tiles)]
        return sum(sizes) / len(self._sample) if self._sample else 0.0

    @staticmethod
    def _maps(one: Candidate, level: Level) -> float:
        kept = [each for each in one.maps if level.heads or not each.head][: level.maps]
        return sum(each.size * min(1.0, level.tiles / len(each.coded.codes)) for each in kept)


def _thumbnails(one: Candidate, side: int, quality: int | None, tiles: int) -> list[Thumbnail]:
    record_id = str(one.said["id"])
    return [thumbnail_of(preview, record_id, side=side, quality=quality, tiles=tiles) for preview in one.previews]
