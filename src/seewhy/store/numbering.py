"""Names for shards before they are made, so that they can be made side by side and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from seewhy.store.layout import shard_name, taken_numbers
from seewhy.store.ledger import Answered
from seewhy.store.names import safe_name

Wanted = tuple[str, Sequence[str]]
"""A shard to be made: its split, and the records it will hold."""


def shard_names(
    wanted: Sequence[Wanted], present: Iterable[str], answered: Mapping[str, Mapping[str, Answered]]
) -> list[str]:
    """One name for each wanted shard, beside those ``present``.

    Each gets the lowest free number above all shards that already hold one of its records, since later rows of a record
    count; shards of records that have no row yet choose first. So the names do not depend on which of the shards
    already exist: a run killed after any of them names the others as it would have.

    Example:
        >>> shard_names([("train", ["a"]), ("train", ["c"])], ["shards/train-00001.parquet"], {})
        ['shards/train-00000.parquet', 'shards/train-00002.parquet']
    """
    present = list(present)
    floors = [_floor(records, answered.get(split, {})) for split, records in wanted]
    series: dict[str, _Series] = {}
    names = [""] * len(wanted)
    for place in sorted(range(len(wanted)), key=lambda place: floors[place] >= 0):
        split = wanted[place][0]
        key = safe_name(split).lower()
        if key not in series:
            series[key] = _Series(taken_numbers(present, split))
        names[place] = shard_name(split, series[key].take(floors[place] + 1))
    return names


class _Series:
    """The numbers of one split's shards. Each that is taken points on, so that many are passed in few steps."""

    def __init__(self, taken: set[int]) -> None:
        self._onward = {number: number + 1 for number in taken}

    def take(self, least: int) -> int:
        """The lowest free number from ``least`` on, free no longer."""
        number, passed = least, []
        while (onward := self._onward.get(number)) is not None:
            passed.append(number)
            number = onward
        self._onward.update(dict.fromkeys([*passed, number], number + 1))
        return number


def _floor(records: Sequence[str], answered: Mapping[str, Answered]) -> int:
    return max((answered[record].number for record in records if record in answered), default=-1)
